import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Route } from '#model/route/route-table.ts';
import { service } from '#test/support/compile-fixtures.ts';
import type { World } from '#test/support/gateway-api-fixtures.ts';
import { compileWorld, HTTP, routeObject, ruleTo } from '#test/support/gateway-api-fixtures.ts';
import type { HttpRule, ListenerSpec, RouteSpec } from './kinds.ts';
import { compileGrpcRoute, compileHttpRoute, compileTcpRoute, compileTlsRoute } from './route.ts';

const SERVICES = [service('a'), service('b'), service('c')];
const http = (spec: RouteSpec<HttpRule>, meta: Parameters<typeof routeObject>[1] = {}) =>
  compileHttpRoute(routeObject(spec, meta));
const compile = (world: World) => compileWorld({ services: SERVICES, ...world });

/** What stands for each domain of a server, as `path → backend`. */
function tableOf(world: World, index = 0): Record<string, string[]> {
  const { config } = compile(world);
  const servers = config.listeners.flatMap(({ servers }) => servers);
  return Object.fromEntries(
    servers[index].virtualHosts.map(({ domains, routes }) => [domains.join(), routes.map(line)]),
  );
}

function line({ matches, action }: Route): string {
  const paths = matches.map(({ path }) => (path && 'value' in path ? path.value : '*')).join('|');
  const to =
    action.kind === 'forward'
      ? action.destinations
          .map(
            ({ host, weight, broken }) =>
              `${host.split('.')[0]}:${weight}${broken ? `!${broken.status}` : ''}`,
          )
          .join(' ')
      : action.kind === 'respond'
        ? action.status
        : action.kind;
  return `${paths} → ${to}`;
}

describe('compileGateway, hosts', () => {
  const route = (hostnames: string[], to = 'a', meta = {}) =>
    http({ hostnames, rules: [ruleTo(to)] }, meta);
  const listener = (hostname?: string): ListenerSpec => ({
    ...HTTP,
    ...(hostname && { hostname }),
  });
  /** [title, listener's, route's, domains] */
  const rows: [string, string | undefined, string[], string[]][] = [
    ['neither names one', undefined, [], ['*']],
    ['only the route', undefined, ['a.com'], ['*', 'a.com']],
    ['only the listener', 'a.com', [], ['a.com']],
    ['the same', 'a.com', ['a.com', 'b.com'], ['a.com']],
    [
      'a wildcard of the listener',
      '*.a.com',
      ['x.a.com', 'x.y.a.com', 'a.com'],
      ['*.a.com', 'x.a.com', 'x.y.a.com'],
    ],
    ['a wildcard of the route', 'x.a.com', ['*.a.com'], ['x.a.com']],
    ['two wildcards: the narrower', '*.a.com', ['*.x.a.com', '*.com'], ['*.a.com', '*.x.a.com']],
    ['letter case does not count', 'A.com', ['a.COM'], ['a.com']],
  ];
  for (const [title, own, hostnames, domains] of rows)
    test(title, () => {
      expect(
        Object.keys(tableOf({ listeners: [listener(own)], routes: [route(hostnames)] })),
      ).toEqual(domains);
    });

  test('a listener keeps its host from wider listeners of its port, also without routes', () => {
    const listeners = [
      { ...HTTP, name: 'any' },
      { ...HTTP, name: 'wild', hostname: '*.a.com' },
      { ...HTTP, name: 'exact', hostname: 'x.a.com' },
      { ...HTTP, name: 'other', port: 81, hostname: 'b.com' },
    ];
    const routes = [
      http({
        parentRefs: [{ name: 'web', sectionName: 'any' }],
        hostnames: ['x.a.com', 'y.a.com', 'b.com', '*.com'],
        rules: [ruleTo('a')],
      }),
      http(
        {
          parentRefs: [{ name: 'web', sectionName: 'wild' }],
          hostnames: ['x.a.com', 'z.a.com'],
          rules: [ruleTo('b')],
        },
        { name: 'r2' },
      ),
    ];
    expect(tableOf({ listeners, routes }, 0)).toEqual({
      '*': [],
      '*.com': ['/ → a:1'],
      'b.com': ['/ → a:1'],
    });
    expect(tableOf({ listeners, routes }, 1)).toEqual({ '*.a.com': [], 'z.a.com': ['/ → b:1'] });
    expect(tableOf({ listeners, routes }, 2)).toEqual({ 'x.a.com': [] });
  });
});

describe('compileGateway, order', () => {
  const path = (type: string, value: string) => ({ matches: [{ path: { type, value } }] });

  test('merges the rules of all routes by the precedence of their matches', () => {
    const routes = [
      http({
        rules: [ruleTo('a', path('PathPrefix', '/')), ruleTo('b', path('PathPrefix', '/b/c'))],
      }),
      http(
        {
          rules: [
            ruleTo('c', {
              matches: [{ path: { value: '/b' } }, { path: { type: 'Exact', value: '/b/c' } }],
            }),
          ],
        },
        { name: 'z' },
      ),
    ];
    expect(tableOf({ routes })['*']).toEqual(['/b/c → c:1', '/b/c → b:1', '/b → c:1', '/ → a:1']);
  });

  test('of equal matches the oldest route is first, then by namespace/name, then the first rule', () => {
    const allowedRoutes = { namespaces: { from: 'All' } };
    const parentRefs = [{ name: 'web', namespace: 'shop' }];
    const rule = (name: string) => ruleTo(name, path('PathPrefix', '/'));
    const services = [...SERVICES, service('d', { 80: 'http' }, 'a-team')];
    const routes = [
      http(
        { parentRefs, rules: [rule('a'), rule('b')] },
        { name: 'm', created: '2026-01-02T00:00:00Z' },
      ),
      http(
        { parentRefs, rules: [rule('d')] },
        { name: 'z', namespace: 'a-team', created: '2026-01-02T00:00:00Z' },
      ),
      http({ parentRefs, rules: [rule('c')] }, { name: 'x', created: '2026-01-01T00:00:00Z' }),
    ];
    const table = tableOf({ listeners: [{ ...HTTP, allowedRoutes }], services, routes })['*'];
    expect(table).toEqual(['/ → c:1', '/ → d:1', '/ → a:1', '/ → b:1']);
  });

  test('is one total order whatever the order of the routes', () => {
    const value = fc.constantFrom('/', '/a', '/a/b', '/b');
    const match = fc.record({
      path: fc.record({ type: fc.constantFrom('Exact', 'PathPrefix', 'RegularExpression'), value }),
      method: fc.option(fc.constantFrom('GET', 'POST'), { nil: undefined }),
      headers: fc.uniqueArray(
        fc.record({ name: fc.constantFrom('x', 'y'), value: fc.constant('1') }),
        { selector: ({ name }) => name },
      ),
    });
    const rules = fc.array(
      fc.record({
        matches: fc.array(match, { minLength: 1, maxLength: 3 }),
        to: fc.constantFrom('a', 'b', 'c'),
      }),
      { minLength: 1, maxLength: 3 },
    );
    const world = fc.array(
      fc.record({
        rules,
        created: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
      }),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(
        world.chain((specs) =>
          fc.tuple(
            fc.constant(specs),
            fc.shuffledSubarray(
              specs.map((_, at) => at),
              { minLength: specs.length },
            ),
          ),
        ),
        ([specs, order]) => {
          const routes = specs.map(({ rules, created }, at) =>
            http(
              { rules: rules.map(({ matches, to }) => ruleTo(to, { matches })) },
              { name: `r${at}`, created },
            ),
          );
          const given = compile({ routes }).config;
          const shuffled = compile({ routes: order.map((at) => routes[at]) }).config;
          expect(shuffled).toEqual(given);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('compileGateway, backends', () => {
  const grant = {
    metadata: { name: 'g', namespace: 'other' },
    spec: {
      from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop' }],
      to: [{ group: '', kind: 'Service', name: 'far' }],
    },
  };
  const far = service('far', { 80: 'http' }, 'other');
  /** [title, backendRefs, destinations, the route's fault] */
  const rows: [string, HttpRule['backendRefs'], string, string | undefined, World?][] = [
    ['a service', [{ name: 'a', port: 80 }], 'a:1', undefined],
    [
      'weights',
      [
        { name: 'a', port: 80, weight: 9 },
        { name: 'b', port: 80, weight: 1 },
      ],
      'a:9 b:1',
      undefined,
    ],
    [
      'weight 0 is left out, and not looked up',
      [
        { name: 'a', port: 80 },
        { name: 'none', port: 80, weight: 0 },
      ],
      'a:1',
      undefined,
    ],
    ['only weight 0', [{ name: 'a', port: 80, weight: 0 }], '500', undefined],
    ['none', [], '500', undefined],
    [
      'an unknown service keeps its share',
      [
        { name: 'a', port: 80, weight: 3 },
        { name: 'none', port: 80 },
      ],
      'a:3 none:1!500',
      'BackendNotFound',
    ],
    ['an unknown port', [{ name: 'a', port: 81 }], 'a:1!500', 'BackendNotFound'],
    ['no port', [{ name: 'a' }], 'a:1!500', 'InvalidDestination'],
    [
      'an unknown kind',
      [{ group: 'x.io', kind: 'Lambda', name: 'a', port: 80 }],
      'a:1!500',
      'InvalidKind',
    ],
    [
      'another namespace',
      [{ name: 'far', namespace: 'other', port: 80 }],
      'far:1!500',
      'RefNotPermitted',
      { services: [far] },
    ],
    [
      'another namespace that grants it',
      [{ name: 'far', namespace: 'other', port: 80 }],
      'far:1',
      undefined,
      { services: [far], grants: [grant] },
    ],
    [
      'a grant for another name',
      [{ name: 'a', namespace: 'other', port: 80 }],
      'a:1!500',
      'RefNotPermitted',
      { grants: [grant] },
    ],
    [
      'a host of the mesh',
      [
        {
          group: 'networking.istio.io',
          kind: 'Hostname',
          name: 'a.shop.svc.cluster.local',
          port: 80,
        },
      ],
      'a:1',
      undefined,
    ],
  ];
  for (const [title, backendRefs, to, fault, more = {}] of rows)
    test(title, () => {
      const world = { routes: [http({ rules: [{ backendRefs }] })], ...more };
      expect(tableOf(world)['*']).toEqual([`/ → ${to}`]);
      expect(compile(world).refs).toEqual(fault === undefined ? {} : { route: fault });
    });
});

describe('compileGateway, attachment', () => {
  const any = { namespaces: { from: 'All' } };
  const rule = [ruleTo('a')];
  /** [title, world, reason, attached routes by listener] */
  const rows: [string, World, string | undefined, number[]][] = [
    [
      'every listener without a section',
      { listeners: [HTTP, { ...HTTP, name: 'two', port: 81 }], routes: [http({ rules: rule })] },
      undefined,
      [1, 1],
    ],
    [
      'one section',
      {
        listeners: [HTTP, { ...HTTP, name: 'two', port: 81 }],
        routes: [http({ parentRefs: [{ name: 'web', sectionName: 'two' }], rules: rule })],
      },
      undefined,
      [0, 1],
    ],
    [
      'one port',
      {
        listeners: [HTTP, { ...HTTP, name: 'two', port: 81 }],
        routes: [http({ parentRefs: [{ name: 'web', port: 81 }], rules: rule })],
      },
      undefined,
      [0, 1],
    ],
    [
      'an unknown section',
      { routes: [http({ parentRefs: [{ name: 'web', sectionName: 'x' }], rules: rule })] },
      'NoMatchingParent',
      [0],
    ],
    [
      'a section at another port',
      {
        routes: [
          http({ parentRefs: [{ name: 'web', sectionName: 'http', port: 81 }], rules: rule }),
        ],
      },
      'NoMatchingParent',
      [0],
    ],
    [
      'another namespace',
      {
        routes: [
          http(
            { parentRefs: [{ name: 'web', namespace: 'shop' }], rules: rule },
            { namespace: 'b' },
          ),
        ],
      },
      'NotAllowedByListeners',
      [0],
    ],
    [
      'another namespace, all allowed',
      {
        listeners: [{ ...HTTP, allowedRoutes: any }],
        routes: [
          http(
            { parentRefs: [{ name: 'web', namespace: 'shop' }], rules: rule },
            { namespace: 'b' },
          ),
        ],
      },
      undefined,
      [1],
    ],
    [
      'a namespace by its labels',
      {
        listeners: [
          {
            ...HTTP,
            allowedRoutes: {
              namespaces: { from: 'Selector', selector: { matchLabels: { team: 'b' } } },
            },
          },
        ],
        namespaces: { b: { team: 'b' } },
        routes: [
          http(
            { parentRefs: [{ name: 'web', namespace: 'shop' }], rules: rule },
            { namespace: 'b' },
          ),
        ],
      },
      undefined,
      [1],
    ],
    [
      'a namespace by its name',
      {
        listeners: [
          {
            ...HTTP,
            allowedRoutes: {
              namespaces: {
                from: 'Selector',
                selector: { matchLabels: { 'kubernetes.io/metadata.name': 'b' } },
              },
            },
          },
        ],
        routes: [
          http(
            { parentRefs: [{ name: 'web', namespace: 'shop' }], rules: rule },
            { namespace: 'b' },
          ),
        ],
      },
      undefined,
      [1],
    ],
    [
      'a kind that the protocol has not',
      { listeners: [{ name: 'tcp', port: 9, protocol: 'TCP' }], routes: [http({ rules: rule })] },
      'NotAllowedByListeners',
      [0],
    ],
    [
      'a kind that allowedRoutes has not',
      {
        listeners: [{ ...HTTP, allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } }],
        routes: [http({ rules: rule })],
      },
      'NotAllowedByListeners',
      [0],
    ],
    [
      'no host in common',
      {
        listeners: [{ ...HTTP, hostname: 'a.com' }],
        routes: [http({ hostnames: ['b.com'], rules: rule })],
      },
      'NoMatchingListenerHostname',
      [0],
    ],
    [
      'a ListenerSet as parent',
      {
        listenerSets: [{ name: 'more', listeners: [{ ...HTTP, name: 'x', port: 82 }] }],
        routes: [http({ parentRefs: [{ kind: 'ListenerSet', name: 'more' }], rules: rule })],
      },
      undefined,
      [0, 1],
    ],
    [
      'the Gateway as parent takes none of its ListenerSets',
      {
        listenerSets: [{ name: 'more', listeners: [{ ...HTTP, name: 'x', port: 82 }] }],
        routes: [http({ parentRefs: [{ name: 'web', sectionName: 'x' }], rules: rule })],
      },
      'NoMatchingParent',
      [0, 0],
    ],
  ];
  for (const [title, world, reason, counts] of rows)
    test(title, () => {
      const { faults, listenerStatuses } = compile(world);
      expect(faults).toEqual(reason === undefined ? {} : { route: reason });
      expect(listenerStatuses.map(({ attachedRoutes }) => attachedRoutes)).toEqual(counts);
    });
});

describe('compileGateway, redirects', () => {
  const redirect = (requestRedirect: object, port = 80) => {
    const route = http({ rules: [{ filters: [{ type: 'RequestRedirect', requestRedirect }] }] });
    const [{ servers }] = compile({ listeners: [{ ...HTTP, port }], routes: [route] }).config
      .listeners;
    return servers[0].virtualHosts[0].routes[0].action;
  };
  /** [title, filter, listener's port, action] */
  const rows: [string, object, number, object][] = [
    ['nothing: 302 to the port of the listener', {}, 8080, { status: 302, port: 8080 }],
    ['a scheme has its own port', { scheme: 'https' }, 8080, { scheme: 'https', port: 443 }],
    [
      'http has 80',
      { scheme: 'http', hostname: 'a.com' },
      8080,
      { scheme: 'http', authority: 'a.com', port: 80 },
    ],
    [
      'the port given',
      { scheme: 'https', port: 8443, statusCode: 301 },
      80,
      { status: 301, scheme: 'https', port: 8443 },
    ],
    [
      'a whole path',
      { path: { type: 'ReplaceFullPath', replaceFullPath: '/x' } },
      80,
      { path: '/x' },
    ],
    [
      'a prefix',
      { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/x' } },
      80,
      { prefix: '/x' },
    ],
  ];
  for (const [title, filter, port, action] of rows)
    test(title, () =>
      expect(redirect(filter, port)).toMatchObject({ kind: 'redirect', ...action }),
    );
});

describe('compileGateway, bytes and calls', () => {
  const TLS: ListenerSpec = {
    name: 'tls',
    port: 443,
    protocol: 'TLS',
    tls: { mode: 'Passthrough' },
  };
  const bytes = (name: string, hostnames: string[], created?: string) =>
    compileTlsRoute(
      routeObject({ hostnames, rules: [{ backendRefs: [{ name, port: 80 }] }] }, { name, created }),
    );
  const l4 = (world: World) =>
    compile(world).config.listeners[0].servers[0].l4Routes.map(
      ({ matches, destinations }) =>
        `${matches.flatMap(({ sniHosts }) => sniHosts).join() || '*'} → ${destinations.map(({ host, broken }) => `${host.split('.')[0]}${broken ? '!' : ''}`)}`,
    );

  test('TLS is routed by the most specific name', () => {
    const routes = [
      bytes('a', ['*.com']),
      bytes('b', ['x.y.com', '*.y.com']),
      bytes('c', ['*.y.com'], '2025-01-01T00:00:00Z'),
    ];
    expect(l4({ listeners: [TLS], routes })).toEqual([
      'x.y.com → b',
      '*.y.com → c',
      '*.y.com → b',
      '*.com → a',
    ]);
  });

  test('of TCP routes the oldest takes everything', () => {
    const tcp = (name: string, created: string) =>
      compileTcpRoute(
        routeObject({ rules: [{ backendRefs: [{ name, port: 80 }] }] }, { name, created }),
      );
    const routes = [tcp('a', '2026-01-02T00:00:00Z'), tcp('b', '2026-01-01T00:00:00Z')];
    expect(l4({ listeners: [{ name: 't', port: 9, protocol: 'TCP' }], routes })).toEqual([
      '* → b',
      '* → a',
    ]);
  });

  test('bytes that nothing can take are refused', () => {
    const routes = [compileTcpRoute(routeObject({ rules: [{ backendRefs: [] }] }))];
    expect(l4({ listeners: [{ name: 't', port: 9, protocol: 'TCP' }], routes })).toEqual(['* → !']);
  });

  test('calls that cannot be sent on are UNAVAILABLE', () => {
    const routes = [
      compileGrpcRoute(routeObject({ rules: [{ backendRefs: [{ name: 'none', port: 80 }] }] })),
    ];
    expect(tableOf({ routes })['*']).toEqual(['* → none:1!503']);
  });
});
