/** normalizePath: one row a step of Envoy's normalization, and properties. Istio's own cases run in test/conformance. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { normalizePath, type PathNormalization } from './normalize-path.ts';

/** What each option makes of a path; `400` for undefined. */
const ROWS: [path: string, none: string, base: string, merge: string, decode: string][] = [
  ['/a/b?c=%2f//..', '/a/b?c=%2f//..', '/a/b?c=%2f//..', '/a/b?c=%2f//..', '/a/b?c=%2f//..'],
  ['/a#b', '/a', '/a', '/a', '/a'],
  ['/a?b#c', '/a?b', '/a?b', '/a?b', '/a?b'],
  ['/a/../b', '/a/../b', '/b', '/b', '/b'],
  ['/../../b', '/../../b', '/b', '/b', '/b'],
  ['/a/..', '/a/..', '/', '/', '/'],
  ['/a/.', '/a/.', '/a/', '/a/', '/a/'],
  ['/a/%2E%2e/b', '/a/%2E%2e/b', '/b', '/b', '/b'],
  ['/a/..b/.c', '/a/..b/.c', '/a/..b/.c', '/a/..b/.c', '/a/..b/.c'],
  ['/a//b', '/a//b', '/a//b', '/a/b', '/a/b'],
  ['/a//../b', '/a//../b', '/a/b', '/a/b', '/a/b'],
  ['/a\\..\\b', '/a\\..\\b', '/b', '/b', '/b'],
  ['/a%2fb%5Cc', '/a%2fb%5Cc', '/a%2fb%5Cc', '/a%2fb%5Cc', '/a/b/c'],
  ['/a%2f%2F..%2fb', '/a%2f%2F..%2fb', '/a%2f%2F..%2fb', '/a%2f%2F..%2fb', '/a/b'],
  ['/%61%7e%2d', '/%61%7e%2d', '/a~-', '/a~-', '/a~-'],
  ['/%c3%A9', '/%c3%A9', '/%c3%A9', '/%c3%A9', '/%c3%A9'],
  ['/%252e', '/%252e', '/%252e', '/%252e', '/%252e'],
  ['/%zz%', '/%zz%', '/%zz%', '/%zz%', '/%zz%'],
  [
    '/a"<>^`{|}',
    '/a"<>^`{|}',
    '/a%22%3C%3E%5E%60%7B%7C%7D',
    '/a%22%3C%3E%5E%60%7B%7C%7D',
    '/a%22%3C%3E%5E%60%7B%7C%7D',
  ],
  ['/%2%41', '/%2%41', '/%252A', '/%252A', '/%252A'],
  ['/%%324', '/%%324', '/%2524', '/%2524', '/%2524'],
  ['//', '//', '//', '//', '//'],
  ['/%2f', '/%2f', '/%2f', '/%2f', '//'],
  ['/%00', '/%00', '400', '400', '400'],
  ['*', '*', '*', '*', '*'],
];
const OPTIONS: PathNormalization[] = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'];

describe('normalizePath', () => {
  for (const [path, ...wants] of ROWS) {
    test(path, () => {
      expect(OPTIONS.map((how) => normalizePath(path, how) ?? '400')).toEqual(wants);
    });
  }

  const segments = fc.array(
    fc.constantFrom('a', '.', '..', '%2e', '', '%2f', '%5c', '\\', 'b%41', '%25', ';x=y'),
    { maxLength: 8 },
  );
  test('leaves no way up: no dot segment, and no empty one where slashes are merged', () => {
    fc.assert(
      fc.property(segments, fc.constantFrom(...OPTIONS.slice(1)), (parts, how) => {
        const path = normalizePath(`/${parts.join('/')}`, how) ?? '';
        expect(path).toStartWith('/');
        expect(path).not.toMatch(/(^|\/)(\.|%2e){1,2}(\/|$)/i);
        if (how !== 'BASE' && path !== '//') expect(path).not.toContain('//');
      }),
    );
  });

  test('of what is plain gives back the same', () => {
    fc.assert(
      fc.property(segments, fc.constantFrom(...OPTIONS), (parts, how) => {
        const once = normalizePath(`/${parts.join('/')}`, how) ?? '';
        if (!once.includes('%')) expect(normalizePath(once, how)).toBe(once);
      }),
    );
  });
});
