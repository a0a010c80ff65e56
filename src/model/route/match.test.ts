import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { seededRandom } from '#base/random.ts';
import { compileRouteTable } from './compile.ts';
import { matchRoute, pickDestination, pickOtherDestination, type RequestView } from './match.ts';
import type { Route, RouteDestination, RouteMatch, RouteTable, TextMatch } from './route-table.ts';
import { applyHeaderOperations, redirectLocation, rewritePath } from './transform.ts';

const NO_RETRIES = { attempts: 0, on: [], statusCodes: [], backoffBaseMs: 25 };
const to = (subset: string, weight = 1): RouteDestination => ({
  upstream: 'shop/p',
  host: 'p',
  port: 80,
  subset,
  weight,
});
function route(name: string, matches: Partial<RouteMatch>[], part: Partial<Route> = {}): Route {
  return {
    name,
    provenance: { kind: 'VirtualService', namespace: 'shop', name: 'p' },
    matches: matches.map((match) => ({
      headers: [],
      withoutHeaders: [],
      queryParams: [],
      ...match,
    })),
    action: { kind: 'forward', destinations: [to('stable')] },
    retries: NO_RETRIES,
    ...part,
  };
}
function tableOf(routes: readonly Route[]): RouteTable {
  return {
    namespace: 'shop',
    hostname: 'p.shop.svc.cluster.local',
    addresses: ['198.19.0.7'],
    ports: [{ port: 80, protocol: 'http', routes }],
  };
}
function request(
  part: Partial<RequestView> & { headers?: Record<string, string> } = {},
): RequestView {
  const { headers = {}, ...rest } = part;
  const getAll = (name: string) => headers[name];
  return { method: 'GET', scheme: 'http', authority: 'p', path: '/', getAll, ...rest };
}
const decide = (routes: readonly Route[], view: RequestView) =>
  matchRoute(compileRouteTable(tableOf(routes)), 80, view);
const exact = (value: string): TextMatch => ({ kind: 'exact', value });
const prefix = (value: string): TextMatch => ({ kind: 'prefix', value });
const regex = (value: string): TextMatch => ({ kind: 'regex', value });
const present: TextMatch = { kind: 'present' };
const header = (name: string, match: TextMatch) => ({ headers: [{ name, match }] });
const without = (name: string, match: TextMatch) => ({ withoutHeaders: [{ name, match }] });
const query = (name: string, match: TextMatch) => ({ queryParams: [{ name, match }] });

describe('matchRoute conditions', () => {
  /** [title, entry, request, matches] */
  const rows: [string, Partial<RouteMatch>, Parameters<typeof request>[0], boolean][] = [
    ['no condition', {}, {}, true],
    ['path exact', { path: exact('/a') }, { path: '/a' }, true],
    ['path exact ignores the query', { path: exact('/a') }, { path: '/a?b=c' }, true],
    ['path exact is exact', { path: exact('/a') }, { path: '/a/' }, false],
    ['path exact is case-sensitive', { path: exact('/a') }, { path: '/A' }, false],
    ['path exact, any case', { path: exact('/Ab'), ignorePathCase: true }, { path: '/aB' }, true],
    ['path prefix is a plain string prefix', { path: prefix('/foo') }, { path: '/foobar' }, true],
    [
      'path prefix, any case',
      { path: prefix('/Foo'), ignorePathCase: true },
      { path: '/fOObar' },
      true,
    ],
    [
      'path segments: the prefix itself',
      { path: { kind: 'path-prefix', value: '/a/' } },
      { path: '/a?x' },
      true,
    ],
    [
      'path segments: below',
      { path: { kind: 'path-prefix', value: '/a' } },
      { path: '/a/b' },
      true,
    ],
    [
      'path segments are whole',
      { path: { kind: 'path-prefix', value: '/a' } },
      { path: '/ab' },
      false,
    ],
    [
      'path segments: everything',
      { path: { kind: 'path-prefix', value: '/' } },
      { path: '/x' },
      true,
    ],
    ['path prefix elsewhere', { path: prefix('/foo') }, { path: '/x/foo' }, false],
    ['path regex is whole-string', { path: regex('/a[0-9]+') }, { path: '/a12' }, true],
    ['path regex refuses a part', { path: regex('/a[0-9]+') }, { path: '/a12/x' }, false],
    ['path regex refuses a tail match', { path: regex('a') }, { path: '/a' }, false],
    [
      'path regex alternation is anchored as a whole',
      { path: regex('/a|/b') },
      { path: '/bc' },
      false,
    ],
    [
      'path regex stays case-sensitive',
      { path: regex('/a'), ignorePathCase: true },
      { path: '/A' },
      false,
    ],
    ['an unreadable regex matches nothing', { path: regex('(?=a)') }, { path: 'a' }, false],
    ['method', { method: exact('GET') }, { method: 'GET' }, true],
    ['method is case-sensitive', { method: exact('GET') }, { method: 'get' }, false],
    ['scheme', { scheme: exact('https') }, {}, false],
    ['authority', { authority: prefix('p') }, { authority: 'p:80' }, true],
    ['authority regex', { authority: regex('p(:\\d+)?') }, { authority: 'p:80' }, true],
    ['header exact', header('x-canary', exact('true')), { headers: { 'x-canary': 'true' } }, true],
    [
      'header other value',
      header('x-canary', exact('true')),
      { headers: { 'x-canary': 'yes' } },
      false,
    ],
    ['header missing', header('x-canary', exact('true')), {}, false],
    ['header exact "" does not match a missing one', header('x', exact('')), {}, false],
    ['header present', header('x', present), { headers: { x: '' } }, true],
    ['header regex * is presence', header('x', regex('*')), { headers: { x: 'y' } }, true],
    ['header regex * fails when missing', header('x', regex('*')), {}, false],
    [
      'header of several values is joined',
      header('x', exact('a,b')),
      { headers: { x: 'a,b' } },
      true,
    ],
    ['header :authority', header(':authority', exact('p')), {}, true],
    ['without: present header', without('x', present), { headers: { x: '' } }, false],
    ['without: missing header', without('x', present), {}, true],
    ['without exact: other value', without('x', exact('a')), { headers: { x: 'b' } }, true],
    ['without exact: that value', without('x', exact('a')), { headers: { x: 'a' } }, false],
    ['without exact: missing', without('x', exact('a')), {}, true],
    ['without: a missing header counts as empty', without('x', exact('')), {}, false],
    ['query exact', query('a', exact('1')), { path: '/?b=2&a=1' }, true],
    ['query first value counts', query('a', exact('1')), { path: '/?a=2&a=1' }, false],
    ['query present without value', query('a', present), { path: '/?a' }, true],
    ['query missing', query('a', present), { path: '/' }, false],
    ['query name is whole', query('a', present), { path: '/?ba=1' }, false],
    ['query is not decoded', query('a', exact('%31')), { path: '/?a=%31' }, true],
    ['fields AND', { path: exact('/a'), method: exact('POST') }, { path: '/a' }, false],
  ];
  test.each(rows)('%s', (_title, entry, view, want) => {
    expect(decide([route('r', [entry])], request(view)).route !== undefined).toBe(want);
  });
});

describe('matchRoute order', () => {
  test('the first route that matches wins, entries of one route OR, and the reason says which', () => {
    const routes = [
      route('first', [{ path: exact('/x') }, header('x-canary', exact('true'))]),
      route('second', []),
    ];
    const canary = decide(routes, request({ headers: { 'x-canary': 'true' } }));
    expect(canary.route?.route.name).toBe('first');
    expect(canary.reason).toBe('header x-canary exact "true"');
    const other = decide(routes, request());
    expect(other.route?.route.name).toBe('second');
    expect(other.reason).toBe('it matches every request');
  });

  test('no route and an unknown port say what was looked for', () => {
    const table = compileRouteTable(tableOf([route('r', [{ path: exact('/x') }])]));
    expect(matchRoute(table, 80, request({ path: '/y?z' }))).toEqual({
      route: undefined,
      reason:
        'none of the 1 match entries for p.shop.svc.cluster.local:80 takes GET /y (VirtualService shop/p)',
    });
    expect(matchRoute(table, 81, request()).reason).toBe('p.shop.svc.cluster.local has no port 81');
  });

  test('compileRouteTable reports a bad regex with the object that holds it', () => {
    const { problems } = compileRouteTable(tableOf([route('r', [{ path: regex('(?=a)') }])]));
    expect(problems).toEqual([
      expect.stringContaining('VirtualService shop/p, route r: regex "(?=a)" is not valid RE2'),
    ]);
  });
});

function forward(destinations: RouteDestination[]) {
  const compiled = compileRouteTable(
    tableOf([route('r', [], { action: { kind: 'forward', destinations } })]),
  );
  const found = matchRoute(compiled, 80, request()).route;
  if (found === undefined) throw new Error('the catch-all route did not match');
  return found;
}

describe('pickDestination', () => {
  test('a single destination takes everything whatever its weight', () => {
    const compiled = forward([to('only', 0)]);
    expect(pickDestination(compiled, seededRandom(1))?.destination.subset).toBe('only');
  });

  test('weights that sum to 0 pick nothing', () => {
    expect(pickDestination(forward([to('a', 0), to('b', 0)]), seededRandom(1))).toBeUndefined();
  });

  test('shares follow the weights, and zero weights get nothing', () => {
    const weights = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(weights, fc.integer(), (list, seed) => {
        const total = list.reduce((sum, weight) => sum + weight, 0);
        fc.pre(total > 0);
        const compiled = forward(list.map((weight, index) => to(String(index), weight)));
        const random = seededRandom(seed);
        const counts = list.map(() => 0);
        const draws = 4000;
        for (let draw = 0; draw < draws; draw += 1) {
          counts[Number(pickDestination(compiled, random)?.destination.subset)] += 1;
        }
        list.forEach((weight, index) => {
          if (weight === 0) expect(counts[index]).toBe(0);
          // Five standard deviations of a binomial with n = 4000 are at most 0.04.
          else expect(Math.abs(counts[index] / draws - weight / total)).toBeLessThan(0.04);
        });
      }),
      { numRuns: 40 },
    );
  });

  test('pickOtherDestination never returns an excluded one and ends when all are', () => {
    const compiled = forward([to('a', 1), to('b', 5), to('c', 10)]);
    const random = seededRandom(3);
    const excluded = [];
    const seen = new Set<string | undefined>();
    for (;;) {
      const next = pickOtherDestination(compiled, random, excluded);
      if (next === undefined) break;
      expect(excluded).not.toContain(next);
      seen.add(next.destination.subset);
      excluded.push(next);
    }
    expect(seen).toEqual(new Set(['a', 'b', 'c']));
  });
});

describe('transform', () => {
  const rewritten = (match: Partial<RouteMatch>, rewrite: Route['rewrite'], path: string) => {
    const entry = decide([route('r', [match], { rewrite })], request({ path }));
    if (entry.route === undefined) throw new Error('did not match');
    return rewritePath(entry, path);
  };
  test.each([
    ['prefix', { path: prefix('/api') }, { path: '/v2' }, '/api/x?q=1', '/v2/x?q=1'],
    ['exact', { path: exact('/api') }, { path: '/v2' }, '/api?q', '/v2?q'],
    ['regex', { path: regex('/api.*') }, { path: '/v2' }, '/api/x', '/v2'],
    ['no path condition', {}, { path: '/v2/' }, '/x', '/v2/x'],
    ['full path', { path: prefix('/api') }, { fullPath: '/v2' }, '/api/x?q', '/v2?q'],
    ['authority alone', { path: prefix('/api') }, { authority: 'x' }, '/api/x?q', '/api/x?q'],
    [
      'regex rewrite',
      {},
      { regex: { match: '/a/(\\d+)', rewrite: '/b/\\1$' } },
      '/a/7?q',
      '/b/7$?q',
    ],
    ['none', {}, undefined, '/x?y', '/x?y'],
  ] as const)('rewritePath: %s', (_title, match, rewrite, path, want) => {
    expect(rewritten(match, rewrite, path)).toBe(want);
  });

  // Gateway API, HTTPPathModifier.replacePrefixMatch: its table of examples.
  test.each([
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/', '/foo', '', '/'],
    ['/foo', '/foo', '', '/'],
    ['/foo/', '/foo', '/', '/'],
    ['/foo', '/foo', '/', '/'],
    ['/foo?q=1', '/', '/xyz', '/xyz/foo?q=1'],
    ['/', '/', '/xyz', '/xyz/'],
  ])('a replaced path prefix joins slashes: %s by %s to %s', (path, matched, replacement, want) => {
    const pathPrefix: TextMatch = { kind: 'path-prefix', value: matched };
    expect(rewritten({ path: pathPrefix }, { prefix: replacement }, path)).toBe(want);
    const location = redirectLocation(
      { prefix: replacement },
      { scheme: 'http', authority: 'p', path },
      pathPrefix,
    );
    expect(location).toBe(`http://p${want}`);
  });

  test("a destination's own path rewrite replaces the route's", () => {
    const destination = { ...to('stable'), rewrite: { fullPath: '/own' } };
    const plain = { ...to('canary'), rewrite: { authority: 'other' } };
    const action = { kind: 'forward', destinations: [destination, plain] } as const;
    const entry = decide([route('r', [], { rewrite: { fullPath: '/all' }, action })], request());
    if (entry.route === undefined) throw new Error('did not match');
    const paths = entry.route.destinations.map((each) => rewritePath(entry, '/x?q', each));
    expect(paths).toEqual(['/own?q', '/all?q']);
  });

  test.each([
    [{ path: '/new' }, 'http://p:81/new?q=1'],
    [{ path: '/new?r=2' }, 'http://p:81/new?r=2'],
    [{ scheme: 'https' }, 'https://p:81/old?q=1'],
    [{ prefix: '/x' }, 'http://p:81/x/old?q=1'],
    [{ authority: 'other' }, 'http://other/old?q=1'],
    [{ scheme: 'https', port: 443 }, 'https://p/old?q=1'],
    [{ port: 8080 }, 'http://p:8080/old?q=1'],
  ])('redirectLocation %j', (action, want) => {
    const location = redirectLocation(action, {
      scheme: 'http',
      authority: 'p:81',
      path: '/old?q=1',
    });
    expect(location).toBe(want);
  });

  test("a redirect to another scheme leaves the old scheme's default port behind", () => {
    const client = { scheme: 'http', authority: 'p:80', path: '/' };
    expect(redirectLocation({ scheme: 'https' }, client)).toBe('https://p/');
    expect(redirectLocation({}, client)).toBe('http://p:80/');
    expect(redirectLocation({ port: 80 }, client)).toBe('http://p/');
  });

  test('applyHeaderOperations sets, adds, removes, in that order and in lower case', () => {
    const calls: string[] = [];
    applyHeaderOperations(
      {
        set: (name, value) => calls.push(`set ${name}=${value}`),
        add: (name, value) => calls.push(`add ${name}=${value}`),
        remove: (name) => calls.push(`remove ${name}`),
      },
      { set: { 'X-A': '1' }, add: { 'X-B': '2' }, remove: ['X-C'] },
    );
    expect(calls).toEqual(['set x-a=1', 'add x-b=2', 'remove x-c']);
  });
});
