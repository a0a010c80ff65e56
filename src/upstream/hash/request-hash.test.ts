import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { ConsistentHash, HashKey } from '#model/route/route-table.ts';
import { hashText, rehash } from './hash-text.ts';
import { type HashedRequest, requestHash } from './request-hash.ts';

const SOURCE = { address: '198.18.1.7', connection: '198.18.1.7:4711 198.19.0.3:80' };

function request(path: string, fields: Record<string, string> = {}): HashedRequest {
  return { authority: 'shop.test', path, getAll: (name) => fields[name] };
}
const by = (...keys: HashKey[]): ConsistentHash => ({ keys, algorithm: 'ring-hash', size: 1024 });

describe('requestHash', () => {
  const rows: { title: string; key: HashKey; request: HashedRequest; value: string | undefined }[] =
    [
      {
        title: 'a header, all its values',
        key: { kind: 'header', name: 'x-user' },
        request: request('/', { 'x-user': 'ann,bob' }),
        value: 'ann,bob',
      },
      {
        title: 'a header that is not there',
        key: { kind: 'header', name: 'x-user' },
        request: request('/'),
        value: undefined,
      },
      {
        title: 'the authority',
        key: { kind: 'header', name: ':authority' },
        request: request('/'),
        value: 'shop.test',
      },
      {
        title: 'the first query parameter of the name',
        key: { kind: 'query', name: 'user' },
        request: request('/a?x=1&user=ann&user=bob'),
        value: 'ann',
      },
      {
        title: 'a parameter without value',
        key: { kind: 'query', name: 'user' },
        request: request('/a?user'),
        value: '',
      },
      {
        title: 'no parameter',
        key: { kind: 'query', name: 'user' },
        request: request('/a?users=1'),
        value: undefined,
      },
      {
        title: 'the client',
        key: { kind: 'source-ip' },
        request: request('/'),
        value: '198.18.1.7',
      },
      {
        title: 'a cookie among others, unquoted',
        key: { kind: 'cookie', name: 'u', ttlSeconds: 60 },
        request: request('/', { cookie: 'uu=1; u="ann"; v=2' }),
        value: 'ann',
      },
      {
        title: 'a cookie that is not there, none handed out',
        key: { kind: 'cookie', name: 'u' },
        request: request('/', { cookie: 'v=2' }),
        value: undefined,
      },
    ];
  test.each(rows)('hashes $title', ({ key, request: view, value }) => {
    expect(requestHash(by(key), view, SOURCE)).toEqual({
      hash: value === undefined ? undefined : hashText(value),
      setCookie: undefined,
    });
  });

  test('hands out a cookie, and hashes the next request with it the same', () => {
    const key: HashKey = {
      kind: 'cookie',
      name: 'u',
      path: '/shop',
      ttlSeconds: 90,
      attributes: [{ name: 'SameSite', value: 'Strict' }, { name: 'Secure' }],
    };
    const { hash, setCookie } = requestHash(by(key), request('/'), SOURCE);
    expect(setCookie).toMatch(
      /^u="[0-9a-f]{14}"; Max-Age=90; Path=\/shop; SameSite=Strict; Secure; HttpOnly$/,
    );
    const cookie = setCookie?.split(';')[0] ?? '';
    expect(requestHash(by(key), request('/', { cookie }), SOURCE)).toEqual({
      hash,
      setCookie: undefined,
    });
    const session = requestHash(by({ ...key, ttlSeconds: 0 }), request('/'), SOURCE);
    expect(session.setCookie).not.toContain('Max-Age');
  });

  test('takes the first key that has a value', () => {
    const policy = by({ kind: 'header', name: 'x-user' }, { kind: 'source-ip' });
    expect(requestHash(policy, request('/'), SOURCE).hash).toBe(hashText(SOURCE.address));
  });
});

test('hashText and rehash stay within 53 bits, and rehash changes what it is given', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 20 }), (text, attempt) => {
      const hash = hashText(text);
      const again = rehash(hash, attempt);
      for (const each of [hash, again]) {
        expect(Number.isSafeInteger(each)).toBe(true);
        expect(each).toBeGreaterThanOrEqual(0);
      }
      expect(again).not.toBe(hash);
    }),
  );
});
