/** The index against its oracle: trying every entry in order. */
import { expect, spyOn, test } from 'bun:test';
import fc from 'fast-check';
import { compileRoutes } from './compile.ts';
import { matchRoutes } from './match.ts';
import { matchesEntry } from './match-entry.ts';
import { regexLiteralPrefix } from './regex-prefix.ts';
import type { RequestView } from './request-view.ts';
import type { Route, RouteMatch, TextMatch } from './route-table.ts';
import { compileRegex, TextMatcher } from './text-matcher.ts';

// Few words, so that random conditions and random requests meet.
const PATHS = [
  '/',
  '/a',
  '/A',
  '/a/',
  '/a/b',
  '/ab',
  '/ab/c',
  '/a/b/c',
  '/abc',
  '/v1/x',
  '/v12/x',
  '',
];
const REGEXES = [
  '/a.*',
  '/a|/ab/c',
  '.*c',
  '/v[0-9]+/x',
  '/(a|ab)/.*',
  '*',
  '/a/?b?',
  '/ab?c?',
  '(?i)/A',
  '[/]a',
  '/a\\/b',
  '/v1{2}/x',
  '/a[|]?b',
  '(?=a)',
];
const VALUES = ['', '1', '2', '3', '4', 'on'];

const path: fc.Arbitrary<TextMatch> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('exact', 'prefix', 'path-prefix'),
    value: fc.constantFrom(...PATHS),
  }),
  fc.record({ kind: fc.constant('regex'), value: fc.constantFrom(...REGEXES) }),
  fc.constant({ kind: 'present' }),
) as fc.Arbitrary<TextMatch>;
const text: fc.Arbitrary<TextMatch> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('exact'), value: fc.constantFrom(...VALUES) }),
  },
  fc.record({ kind: fc.constant('prefix'), value: fc.constantFrom('', 'o', '1') }),
  fc.record({ kind: fc.constant('regex'), value: fc.constantFrom('[12]', '.*', '*', '') }),
  fc.constant({ kind: 'present' }),
) as fc.Arbitrary<TextMatch>;
const named = fc.array(
  fc.record({ name: fc.constantFrom('x-a', 'x-b', 'host', ':method'), match: text }),
  { maxLength: 2 },
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const match: fc.Arbitrary<RouteMatch> = fc.record({
  path: maybe(path),
  ignorePathCase: maybe(fc.boolean()),
  method: maybe(
    fc.constantFrom<TextMatch>({ kind: 'exact', value: 'GET' }, { kind: 'exact', value: 'PUT' }),
  ),
  scheme: maybe(fc.constantFrom<TextMatch>({ kind: 'exact', value: 'https' })),
  authority: maybe(text),
  headers: named,
  withoutHeaders: named,
  queryParams: fc.array(fc.record({ name: fc.constantFrom('q', 'r', ''), match: text }), {
    maxLength: 2,
  }),
});
const routes = fc
  .array(fc.array(match, { maxLength: 3 }), { maxLength: 40 })
  .map((lists) => lists.map((matches, index) => route(String(index), matches)));
const request = fc
  .record({
    method: fc.constantFrom('GET', 'PUT', 'get'),
    scheme: fc.constantFrom('http', 'https'),
    authority: fc.constantFrom(...VALUES),
    path: fc.constantFrom(...PATHS),
    query: fc.constantFrom('', '?', '?q=1', '?q=1&r=2', '?r&q=on', '?qq=1&q=3', '?q=2&q=1', '?=1'),
    headers: fc.dictionary(fc.constantFrom('x-a', 'x-b'), fc.constantFrom(...VALUES, '1,2')),
  })
  .map(
    ({ headers, path, query, ...rest }): RequestView => ({
      ...rest,
      path: path + query,
      getAll: (name) => headers[name],
    }),
  );

function route(name: string, matches: readonly RouteMatch[]): Route {
  return {
    name,
    provenance: { kind: 'VirtualService', namespace: 'shop', name: 'p' },
    matches,
    action: { kind: 'respond', status: 200 },
    retries: { attempts: 0, on: [], statusCodes: [], backoffBaseMs: 25 },
  };
}

test('matchRoutes takes the entry that trying all in order takes', () => {
  fc.assert(
    fc.property(routes, fc.array(request, { minLength: 1, maxLength: 20 }), (list, requests) => {
      const compiled = compileRoutes(list, () => undefined);
      for (const view of requests) {
        const queryStart = view.path.indexOf('?');
        const bare = queryStart === -1 ? view.path : view.path.slice(0, queryStart);
        const first = compiled.entries.find((entry) => matchesEntry(entry, view, bare, queryStart));
        expect(matchRoutes(compiled, view)?.order).toBe(first?.order as number);
      }
    }),
    { numRuns: 400 },
  );
});

test('regexLiteralPrefix begins every text that the expression takes whole', () => {
  const letters = fc.constantFrom(...'/ab|()[]{}?*+.\\^-:Q1,');
  const source = fc.array(letters, { maxLength: 10 }).map((parts) => parts.join(''));
  const texts = fc.array(
    fc.array(fc.constantFrom(...'/ab|.1-'), { maxLength: 6 }).map((parts) => parts.join('')),
    { minLength: 30, maxLength: 30 },
  );
  let taken = 0;
  fc.assert(
    fc.property(source, texts, (expression, candidates) => {
      const regex = compileRegex(expression, () => undefined);
      fc.pre(regex !== undefined);
      const prefix = regexLiteralPrefix(expression);
      // The expression without its operators is often a text that it takes.
      for (const candidate of [...candidates, expression.replace(/[^/ab1-]/g, '')]) {
        if (regex?.testExact(candidate) !== true) continue;
        taken += 1;
        expect(candidate.startsWith(prefix)).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
  expect(taken).toBeGreaterThan(500);
});

test.each([
  ['/api/v[0-9]+/.*', '/api/v'],
  ['/api/(a|b)/[|]x', '/api/'],
  ['/a\\.b/c', '/a.b/c'],
  ['/ab?', '/a'],
  ['/a|/b', ''],
  ['.*', ''],
  ['(?i)/a', ''],
  ['^/a$', '/a'],
  ['/a\\d', '/a'],
])('regexLiteralPrefix(%p) is %p', (source, want) => {
  expect(regexLiteralPrefix(source)).toBe(want);
});

/** Conditions evaluated for one request. */
function conditionsFor(list: readonly Route[], view: Partial<RequestView>): number {
  const compiled = compileRoutes(list, () => undefined);
  using spy = spyOn(TextMatcher.prototype, 'test');
  const full = {
    method: 'GET',
    scheme: 'http',
    authority: 'p',
    path: '/',
    getAll: () => undefined,
  };
  matchRoutes(compiled, { ...full, ...view });
  return spy.mock.calls.length;
}
const ANY: RouteMatch = { headers: [], withoutHeaders: [], queryParams: [] };
const numbers = Array.from({ length: 10_000 }, (_, index) => index);
const tableOf = (make: (index: number) => Partial<RouteMatch>) =>
  numbers.map((index) => route(String(index), [{ ...ANY, ...make(index) }]));

/** [title, the i-th route, a request that the last one takes] */
const growing: [string, (index: number) => Partial<RouteMatch>, Partial<RequestView>][] = [
  ['exact paths', (at) => ({ path: { kind: 'exact', value: `/p/${at}` } }), { path: '/p/9999?x' }],
  ['prefixes', (at) => ({ path: { kind: 'prefix', value: `/p/${at}/` } }), { path: '/p/9999/y' }],
  [
    'path prefixes, any case',
    (at) => ({ path: { kind: 'path-prefix', value: `/P/${at}` }, ignorePathCase: true }),
    { path: '/p/9999/y' },
  ],
  [
    'regexes',
    (at) => ({ path: { kind: 'regex', value: `/p/${at}/[a-z]+` } }),
    { path: '/p/9999/y' },
  ],
  [
    'one path, a header for each',
    (at) => ({
      path: { kind: 'prefix', value: '/' },
      headers: [{ name: 'x-tenant', match: { kind: 'exact', value: String(at) } }],
    }),
    { getAll: (name) => (name === 'x-tenant' ? '9999' : undefined) },
  ],
  [
    'two headers together',
    (at) => ({
      headers: [
        { name: 'x-tenant', match: { kind: 'exact', value: String(at % 100) } },
        { name: 'x-shard', match: { kind: 'exact', value: String(Math.floor(at / 100)) } },
      ],
    }),
    { getAll: () => '99' },
  ],
  [
    'authorities',
    (at) => ({ authority: { kind: 'exact', value: `h${at}` } }),
    { authority: 'h9999' },
  ],
  [
    'query parameters',
    (at) => ({ queryParams: [{ name: 'id', match: { kind: 'exact', value: String(at) } }] }),
    { path: '/?id=9999' },
  ],
];

test.each(growing)(
  'the conditions evaluated do not grow with the routes: %s',
  (_title, make, view) => {
    expect(
      matchRoutes(
        compileRoutes(tableOf(make), () => undefined),
        {
          method: 'GET',
          scheme: 'http',
          authority: 'p',
          path: '/',
          getAll: () => undefined,
          ...view,
        },
      )?.order,
    ).toBe(9999);
    expect(conditionsFor(tableOf(make), view)).toBeLessThanOrEqual(8);
  },
);
