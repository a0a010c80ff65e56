import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { HttpMatch } from './kinds.ts';
import { compareRanks, compileGrpcMatch, compileHttpMatch } from './match.ts';

const http = (spec: HttpMatch) => {
  const complaints: string[] = [];
  const compiled = compileHttpMatch(spec, (field, message) =>
    complaints.push(`${field}: ${message}`),
  );
  return { compiled, complaints };
};

describe('compileHttpMatch', () => {
  /** [title, spec, match] */
  const rows: [string, HttpMatch, object][] = [
    ['nothing is the prefix /', {}, { path: { kind: 'path-prefix', value: '/' } }],
    [
      'a path without type is a prefix',
      { path: { value: '/a' } },
      { path: { kind: 'path-prefix', value: '/a' } },
    ],
    [
      'a trailing slash of a prefix does not count',
      { path: { type: 'PathPrefix', value: '/a/' } },
      { path: { kind: 'path-prefix', value: '/a' } },
    ],
    [
      'an exact path keeps it',
      { path: { type: 'Exact', value: '/a/' } },
      { path: { kind: 'exact', value: '/a/' } },
    ],
    [
      'an expression',
      { path: { type: 'RegularExpression', value: '/a.*' } },
      { path: { kind: 'regex', value: '/a.*' } },
    ],
    ['a method', { method: 'PATCH' }, { method: { kind: 'exact', value: 'PATCH' } }],
    [
      'header names in lower case',
      { headers: [{ name: 'X-A', value: 'V' }] },
      { headers: [{ name: 'x-a', match: { kind: 'exact', value: 'V' } }] },
    ],
    [
      'of equivalent header names the first counts',
      {
        headers: [
          { name: 'a', value: '1' },
          { name: 'A', value: '2' },
        ],
      },
      { headers: [{ name: 'a', match: { kind: 'exact', value: '1' } }] },
    ],
    [
      'a header expression',
      { headers: [{ name: 'a', type: 'RegularExpression', value: 'b+' }] },
      { headers: [{ name: 'a', match: { kind: 'regex', value: 'b+' } }] },
    ],
    [
      'query names keep their case',
      {
        queryParams: [
          { name: 'A', value: '1' },
          { name: 'a', value: '2' },
        ],
      },
      {
        queryParams: [
          { name: 'A', match: { kind: 'exact', value: '1' } },
          { name: 'a', match: { kind: 'exact', value: '2' } },
        ],
      },
    ],
    [
      'of equal query names the first counts',
      {
        queryParams: [
          { name: 'a', value: '1' },
          { name: 'a', value: '2' },
        ],
      },
      { queryParams: [{ name: 'a', match: { kind: 'exact', value: '1' } }] },
    ],
  ];
  for (const [title, spec, match] of rows)
    test(title, () => {
      const { compiled, complaints } = http(spec);
      expect(complaints).toEqual([]);
      expect(compiled?.match).toMatchObject(match);
    });

  const refused: [string, HttpMatch, string][] = [
    ['an unknown path type', { path: { type: 'Glob', value: '/a' } }, 'path.type: Glob is none of'],
    [
      'an unreadable path expression',
      { path: { type: 'RegularExpression', value: '(?=a)' } },
      'path.value: not an RE2',
    ],
    [
      'an unknown header type',
      { headers: [{ name: 'a', type: 'Prefix', value: 'b' }] },
      'headers[0].type: Prefix is none of',
    ],
    [
      'an unreadable query expression',
      { queryParams: [{ name: 'a', type: 'RegularExpression', value: '(' }] },
      'queryParams[0].value: not an RE2',
    ],
    ['an unknown method', { method: 'get' }, 'method: get is none of'],
  ];
  for (const [title, spec, complaint] of refused)
    test(`leaves out ${title}`, () => {
      const { compiled, complaints } = http(spec);
      expect(compiled).toBeUndefined();
      expect(complaints[0]).toStartWith(complaint);
    });
});

describe('compileGrpcMatch', () => {
  /** [title, method, path] */
  const rows: [string, Parameters<typeof compileGrpcMatch>[0]['method'], object | undefined][] = [
    ['nothing takes every call', undefined, undefined],
    ['service and method', { service: 'a.B', method: 'C' }, { kind: 'exact', value: '/a.B/C' }],
    ['a service', { service: 'a.B' }, { kind: 'prefix', value: '/a.B/' }],
    ['a method', { method: 'C' }, { kind: 'regex', value: '/[^/]+/C' }],
    [
      'expressions',
      { type: 'RegularExpression', service: 'a\\..*', method: 'C|D' },
      { kind: 'regex', value: '/(?:a\\..*)/(?:C|D)' },
    ],
    [
      'a service expression',
      { type: 'RegularExpression', service: 'a.*' },
      { kind: 'regex', value: '/(?:a.*)/.+' },
    ],
  ];
  for (const [title, method, path] of rows)
    test(title, () => {
      const compiled = compileGrpcMatch(method === undefined ? {} : { method }, () => undefined);
      expect(compiled?.match.path).toEqual(path as never);
    });
});

describe('compareRanks', () => {
  test('gives the order of the specification', () => {
    const inOrder: HttpMatch[] = [
      { path: { type: 'Exact', value: '/a' } },
      { path: { value: '/aaa' } },
      {
        path: { value: '/aa' },
        method: 'GET',
        headers: [
          { name: 'a', value: '1' },
          { name: 'b', value: '1' },
        ],
      },
      {
        path: { value: '/aa' },
        method: 'GET',
        headers: [{ name: 'a', value: '1' }],
        queryParams: [
          { name: 'a', value: '1' },
          { name: 'b', value: '1' },
        ],
      },
      {
        path: { value: '/aa' },
        method: 'GET',
        headers: [{ name: 'a', value: '1' }],
        queryParams: [{ name: 'a', value: '1' }],
      },
      { path: { value: '/aa' }, method: 'GET' },
      {
        path: { value: '/aa' },
        headers: [
          { name: 'a', value: '1' },
          { name: 'b', value: '1' },
        ],
      },
      { path: { value: '/aa' }, queryParams: [{ name: 'a', value: '1' }] },
      { path: { value: '/aa' } },
      { method: 'GET' },
      {},
      { path: { type: 'RegularExpression', value: '/a+' } },
    ];
    const rank = (spec: HttpMatch) => http(spec).compiled?.rank ?? expect.unreachable();
    fc.assert(
      fc.property(fc.shuffledSubarray(inOrder, { minLength: inOrder.length }), (shuffled) => {
        expect([...shuffled].sort((left, right) => compareRanks(rank(left), rank(right)))).toEqual(
          inOrder,
        );
      }),
    );
  });
});
