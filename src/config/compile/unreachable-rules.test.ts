import { describe, expect, test } from 'bun:test';
import { virtualService } from '#test/support/compile-fixtures.ts';
import { compileVirtualService } from './virtual-service.ts';
import type { HttpMatchSpec, HttpRouteSpec, VirtualServiceSpec } from './virtual-service-kinds.ts';

const route = [{ destination: { host: 'a' } }];
const rule = (...match: (HttpMatchSpec | null)[]): HttpRouteSpec => ({ match, route });
const uri = (prefix: string, rest: HttpMatchSpec = {}): HttpMatchSpec => ({
  uri: { prefix },
  ...rest,
});

function said(spec: Omit<VirtualServiceSpec, 'hosts'>): string[] {
  const object = virtualService({ hosts: ['a.b'], ...spec });
  const { value, findings } = compileVirtualService(object, { domain: 'cluster.local' });
  expect(value).toBeDefined();
  return findings.map(({ code, path }) => `${code} ${path.replace('spec.', '')}`);
}

describe('compileVirtualService warns of', () => {
  const rows: [string, HttpRouteSpec[], string[]][] = [
    ['nothing', [rule(uri('/a')), rule(uri('/b')), { route }], []],
    [
      'rules behind one for everything',
      [{ route }, rule(uri('/a')), { route }],
      ['IST0130 http[1]', 'IST0130 http[2]'],
    ],
    [
      'a match that was there',
      [rule(uri('/a')), rule(uri('/b'), uri('/a'))],
      ['IST0131 http[1].match[1]'],
    ],
    [
      'a rule whose matches all were there, by another name',
      [
        rule({ name: 'x', ...uri('/a', { headers: { a: { exact: '1' }, b: {} } }) }),
        rule({ headers: { b: {}, a: { exact: '1' } }, uri: { prefix: '/a' } }),
      ],
      ['IST0131 http[1].match[0]', 'IST0130 http[1]'],
    ],
    [
      'a longer prefix behind a shorter one',
      [rule(uri('/')), rule(uri('/a'))],
      ['IST0131 http[1].match[0]'],
    ],
    ['not of a shorter prefix behind a longer one', [rule(uri('/a')), rule(uri('/'))], []],
    ['not of another port', [rule(uri('/', { port: 80 })), rule(uri('/a'))], []],
    ['not of another method', [rule(uri('/')), rule(uri('/a', { method: { exact: 'PUT' } }))], []],
    [
      'not where the first wants more',
      [rule(uri('/', { headers: { a: {} } })), rule(uri('/a'))],
      [],
    ],
  ];
  test.each(rows)('%s', (_title, http, want) => {
    expect(said({ http })).toEqual(want);
  });

  test('rules for bytes', () => {
    const match = [{ sniHosts: ['a.b'] }];
    expect(
      said({
        tls: [
          { match, route },
          { match, route },
        ],
        tcp: [{ route }, { route }],
      }),
    ).toEqual(['IST0131 tls[1].match[0]', 'IST0130 tls[1]', 'IST0130 tcp[1]']);
  });
});
