import { describe, expect, test } from 'bun:test';
import type { Route, RouteDestination } from '#model/route/route-table.ts';
import { service } from '#test/support/compile-fixtures.ts';
import { lookupsOf, routeObject } from '#test/support/gateway-api-fixtures.ts';
import { bindRoute } from './bind.ts';
import type { GrpcRule, HttpRule, RouteFilter } from './kinds.ts';
import type { CompiledRoute } from './route.ts';
import { compileGrpcRoute, compileHttpRoute } from './route.ts';
import { routeFault } from './route-status.ts';

const WORLD = { services: [service('a'), service('b')] };
const backendRefs = [{ name: 'a', port: 80 }];
const http = (...rules: HttpRule[]) => compileHttpRoute(routeObject({ rules }));
const grpc = (...rules: GrpcRule[]) => compileGrpcRoute(routeObject({ rules }));
const bound = (route: CompiledRoute) => bindRoute(route, lookupsOf(WORLD));
const ruled = (rule: HttpRule): Omit<Route, 'matches'> => bound(http(rule)).rules[0].route;
const forwarded = (rule: HttpRule): readonly RouteDestination[] => {
  const { action } = ruled(rule);
  return action.kind === 'forward' ? action.destinations : expect.unreachable(action.kind);
};

const set = [
  { name: 'X-A', value: '1' },
  { name: 'x-a', value: '2' },
];
const add = [{ name: 'X-B', value: 'b' }];
const remove = ['X-C'];
const OPERATIONS = { set: { 'x-a': '1' }, add: { 'x-b': 'b' }, remove: ['x-c'] };

/** [title, filter, what it makes of a rule or of a backend] */
const FILTERS: [string, RouteFilter, object][] = [
  [
    'RequestHeaderModifier',
    { type: 'RequestHeaderModifier', requestHeaderModifier: { set, add, remove } },
    { headers: { request: OPERATIONS } },
  ],
  [
    'RequestHeaderModifier of Host',
    {
      type: 'RequestHeaderModifier',
      requestHeaderModifier: { set: [{ name: 'Host', value: 'h' }] },
    },
    { rewrite: { authority: 'h' }, headers: { request: { set: {}, add: {}, remove: [] } } },
  ],
  [
    'ResponseHeaderModifier',
    { type: 'ResponseHeaderModifier', responseHeaderModifier: { set, add, remove } },
    { headers: { response: OPERATIONS } },
  ],
  [
    'URLRewrite of the host',
    { type: 'URLRewrite', urlRewrite: { hostname: 'h' } },
    { rewrite: { authority: 'h' } },
  ],
  [
    'URLRewrite of the path',
    {
      type: 'URLRewrite',
      urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/x' } },
    },
    { rewrite: { fullPath: '/x' } },
  ],
  [
    'URLRewrite of a prefix',
    {
      type: 'URLRewrite',
      urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '' } },
    },
    { rewrite: { prefix: '' } },
  ],
  [
    'RequestMirror',
    { type: 'RequestMirror', requestMirror: { backendRef: { name: 'b', port: 80 } } },
    {
      mirrors: [
        {
          upstream: 'shop/b.shop.svc.cluster.local',
          host: 'b.shop.svc.cluster.local',
          port: 80,
          percent: 100,
        },
      ],
    },
  ],
  [
    'RequestMirror of some',
    { type: 'RequestMirror', requestMirror: { backendRef: { name: 'b', port: 80 }, percent: 0 } },
    { mirrors: [{ percent: 0 }] },
  ],
  [
    'RequestMirror of a fraction',
    {
      type: 'RequestMirror',
      requestMirror: {
        backendRef: { name: 'b', port: 80 },
        fraction: { numerator: 1, denominator: 1000 },
      },
    },
    { mirrors: [{ percent: 0.1 }] },
  ],
  [
    'RequestMirror of a fraction of a hundred',
    {
      type: 'RequestMirror',
      requestMirror: { backendRef: { name: 'b', port: 80 }, fraction: { numerator: 5 } },
    },
    { mirrors: [{ percent: 5 }] },
  ],
  [
    'RequestMirror to nobody',
    { type: 'RequestMirror', requestMirror: { backendRef: { name: 'x', port: 80 } } },
    { mirrors: [{ broken: { status: 500, flag: 'NC' } }] },
  ],
];

describe('filters of a rule', () => {
  for (const [title, filter, made] of FILTERS)
    test(title, () => expect(ruled({ filters: [filter], backendRefs })).toMatchObject(made));

  test('CORS', () => {
    const cors = {
      allowOrigins: ['https://a.com', 'https://*.b.com', '*'],
      allowMethods: ['GET'],
      allowHeaders: ['x'],
      exposeHeaders: ['y'],
      allowCredentials: true,
      maxAge: 7,
    };
    expect(ruled({ filters: [{ type: 'CORS', cors }], backendRefs }).cors).toEqual({
      allowOrigins: [
        { kind: 'exact', value: 'https://a.com' },
        { kind: 'regex', value: 'https://.*\\.b\\.com' },
        { kind: 'regex', value: '[a-zA-Z][a-zA-Z0-9+.-]*://[^/\\s?#]+' },
      ],
      allowMethods: ['GET'],
      allowHeaders: ['x'],
      exposeHeaders: ['y'],
      allowCredentials: true,
      maxAgeSeconds: 7,
      unmatchedPreflights: 'ignore',
    });
    expect(ruled({ filters: [{ type: 'CORS', cors: {} }], backendRefs }).cors).toMatchObject({
      allowCredentials: false,
      maxAgeSeconds: 5,
    });
  });

  test('several at once', () => {
    const filters = [FILTERS[0][1], FILTERS[2][1], FILTERS[3][1], FILTERS[6][1], FILTERS[6][1]];
    const route = ruled({ filters, backendRefs });
    expect(route).toMatchObject({
      rewrite: { authority: 'h' },
      headers: { request: OPERATIONS, response: OPERATIONS },
    });
    expect(route.mirrors).toHaveLength(2);
  });

  test('a host that is rewritten wins over one that is set', () => {
    const filters = [
      FILTERS[3][1],
      {
        type: 'RequestHeaderModifier',
        requestHeaderModifier: { set: [{ name: 'host', value: 'other' }] },
      },
    ];
    expect(ruled({ filters, backendRefs }).rewrite).toEqual({ authority: 'h' });
    expect(ruled({ filters: filters.toReversed(), backendRefs }).rewrite).toEqual({
      authority: 'h',
    });
  });
});

describe('filters of a backend', () => {
  for (const [title, filter, made] of FILTERS)
    test(title, () =>
      expect(
        forwarded({ backendRefs: [{ name: 'a', port: 80, filters: [filter] }] })[0],
      ).toMatchObject(made),
    );

  test('RequestRedirect', () => {
    const filters = [
      { type: 'RequestRedirect', requestRedirect: { hostname: 'h', statusCode: 307 } },
    ];
    expect(forwarded({ backendRefs: [{ name: 'a', port: 80, filters }] })[0].redirect).toEqual({
      status: 307,
      authority: 'h',
    });
  });

  test('what is not supported is answered 500 for its share', () => {
    const filters = [{ type: 'CORS', cors: {} }];
    const [first, second] = forwarded({
      backendRefs: [
        { name: 'a', port: 80, filters },
        { name: 'b', port: 80 },
      ],
    });
    expect([first.broken?.status, second.broken]).toEqual([500, undefined]);
  });
});

describe('what a rule cannot be honoured for', () => {
  const redirect = (requestRedirect: object): HttpRule => ({
    filters: [{ type: 'RequestRedirect', requestRedirect }],
  });
  /** [title, rule, field, condition and reason] */
  const rows: [string, HttpRule, string, string][] = [
    [
      'ExtensionRef',
      {
        filters: [{ type: 'ExtensionRef', extensionRef: { group: 'x.io', kind: 'K', name: 'n' } }],
        backendRefs,
      },
      'filters[0].extensionRef',
      'ResolvedRefs InvalidKind',
    ],
    [
      'ExternalAuth',
      { filters: [{ type: 'ExternalAuth' }], backendRefs },
      'filters[0].type',
      'Accepted UnsupportedValue',
    ],
    [
      'an unknown filter',
      { filters: [{ type: 'Magic' }], backendRefs },
      'filters[0].type',
      'Accepted UnsupportedValue',
    ],
    [
      'a filter without its settings',
      { filters: [{ type: 'URLRewrite' }], backendRefs },
      'filters[0].type',
      'Accepted UnsupportedValue',
    ],
    [
      'an unknown status',
      redirect({ statusCode: 200 }),
      'filters[0].requestRedirect.statusCode',
      'Accepted UnsupportedValue',
    ],
    [
      'an unknown scheme',
      redirect({ scheme: 'ftp' }),
      'filters[0].requestRedirect.scheme',
      'Accepted UnsupportedValue',
    ],
    [
      'an unknown path change',
      redirect({ path: { type: 'Magic' } }),
      'filters[0].requestRedirect.path.type',
      'Accepted UnsupportedValue',
    ],
    [
      'a prefix change without a prefix',
      {
        matches: [{ path: { type: 'Exact', value: '/' } }],
        ...redirect({ path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/x' } }),
      },
      'filters[0].requestRedirect.path',
      'Accepted UnsupportedValue',
    ],
    [
      'control characters',
      {
        filters: [
          {
            type: 'RequestHeaderModifier',
            requestHeaderModifier: { add: [{ name: 'a', value: 'x\ny' }] },
          },
        ],
        backendRefs,
      },
      'filters[0].requestHeaderModifier.add[0].value',
      'Accepted UnsupportedValue',
    ],
    [
      'rewrite and redirect',
      {
        filters: [
          { type: 'URLRewrite', urlRewrite: { hostname: 'h' } },
          { type: 'RequestRedirect', requestRedirect: {} },
        ],
      },
      'filters',
      'Accepted IncompatibleFilters',
    ],
    [
      'a duration',
      { timeouts: { request: 'soon' }, backendRefs },
      'timeouts.request',
      'Accepted UnsupportedValue',
    ],
  ];
  for (const [title, rule, field, told] of rows)
    test(`${title} is answered 500`, () => {
      const route = http(rule);
      expect(bound(route).rules[0].route.action).toMatchObject({ kind: 'respond', status: 500 });
      expect(
        route.problems.map(({ path, condition, reason }) => [path, `${condition} ${reason}`]),
      ).toEqual([[`spec.rules[0].${field}`, told]]);
    });

  test('a rule of whose matches none is understood is left out; then no rule is accepted', () => {
    const route = http({ matches: [{ method: 'brew' }], backendRefs });
    expect(bound(route).rules).toEqual([]);
    expect(routeFault(route)?.reason).toBe('UnsupportedValue');
    expect(
      routeFault(http({ matches: [{ method: 'brew' }], backendRefs }, { backendRefs })),
    ).toBeUndefined();
  });

  test('URLRewrite is nothing for calls', () => {
    const route = grpc({
      filters: [{ type: 'URLRewrite', urlRewrite: { hostname: 'h' } }],
      backendRefs,
    });
    expect(bound(route).rules[0].route.action).toMatchObject({ kind: 'respond', status: 503 });
  });
});

describe('limits of a rule', () => {
  const DEFAULT = { attempts: 2, statusCodes: [], backoffBaseMs: 25 };
  /** [title, rule, route] */
  const rows: [string, HttpRule, object][] = [
    ['nothing', {}, { retries: DEFAULT }],
    [
      'the whole request',
      { timeouts: { request: '1h30m' } },
      { timeoutMs: 5_400_000, retries: DEFAULT },
    ],
    [
      'each try',
      { timeouts: { backendRequest: '200ms' } },
      { retries: { ...DEFAULT, perTryTimeoutMs: 200 } },
    ],
    [
      'retries',
      { retry: {} },
      {
        retries: {
          ...DEFAULT,
          on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'reset'],
        },
      },
    ],
    [
      'retries by status',
      { retry: { attempts: 3, codes: [500, 503], backoff: '100ms' } },
      {
        retries: {
          attempts: 3,
          statusCodes: [500, 503],
          backoffBaseMs: 100,
          on: [
            'connect-failure',
            'refused-stream',
            'unavailable',
            'cancelled',
            'reset',
            'retriable-status-codes',
          ],
        },
      },
    ],
    [
      'all',
      { timeouts: { request: '2s', backendRequest: '1s' }, retry: { attempts: 1 } },
      { timeoutMs: 2000, retries: { attempts: 1, perTryTimeoutMs: 1000 } },
    ],
  ];
  for (const [title, rule, route] of rows)
    test(title, () => expect(ruled({ ...rule, backendRefs })).toMatchObject(route));

  test('zero is no limit', () => {
    const route = ruled({ timeouts: { request: '0s', backendRequest: '0s' }, backendRefs });
    expect([route.timeoutMs, route.retries.perTryTimeoutMs]).toEqual([undefined, undefined]);
  });

  test('without a retry stanza the mesh decides', () => {
    const defaultRetries = { attempts: 7, on: ['5xx'], statusCodes: [], backoffBaseMs: 1 };
    const lookups = { ...lookupsOf(WORLD), defaultRetries };
    const of = (rule: HttpRule) => bindRoute(http(rule), lookups).rules[0].route.retries.attempts;
    expect([of({ backendRefs }), of({ backendRefs, retry: { attempts: 1 } })]).toEqual([7, 1]);
  });
});

describe('names and notes', () => {
  test('a rule is known by its name, else by its place', () => {
    const { rules } = bound(http({ name: 'first', backendRefs }, { backendRefs }));
    expect(rules.map(({ route }) => [route.name, route.provenance.rule])).toEqual([
      ['first', 'first'],
      ['shop.route.1', 1],
    ]);
  });

  test('what nothing acts on is said', () => {
    const route = compileHttpRoute(
      routeObject({
        useDefaultGateways: 'All',
        rules: [{ backendRefs, sessionPersistence: { type: 'Cookie' } }],
      }),
    );
    expect(route.notes.map(({ path }) => path)).toEqual([
      'spec.useDefaultGateways',
      'spec.rules[0].sessionPersistence',
    ]);
  });

  test('a route without rules answers errors', () => {
    expect(bound(compileHttpRoute(routeObject({}))).rules[0].route.action).toMatchObject({
      status: 500,
    });
  });
});
