import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { KubeObject } from '#kube/client/kube-client.ts';
import {
  BASE,
  conditionsOf,
  GOOD,
  meshOf,
  object,
  route,
  routesAt,
  service,
  toService,
  WEB,
} from '#test/support/gateway-mesh.ts';
import type { ListenersStatus, RouteStatus } from './gateway-api-status.ts';
import type { MeshGraph } from './mesh-graph.ts';

describe('routes of services', () => {
  /** [title, objects, routes by port, conditions] */
  const rows: [string, KubeObject[], Record<number, string[]>, Record<string, string>][] = [
    [
      'all ports',
      [route('r', toService('a'))],
      { 80: ['shop.r.0'], 81: ['shop.r.0'] },
      { ...GOOD, ResolvedWaypoints: 'True ResolvedWaypoints' },
    ],
    [
      'one port',
      [route('r', toService('a', { port: 81 }))],
      { 80: ['default'], 81: ['shop.r.0'] },
      { ...GOOD, ResolvedWaypoints: 'True ResolvedWaypoints' },
    ],
    [
      'one port by its name',
      [route('r', toService('a', { sectionName: 'admin' }))],
      { 80: ['default'], 81: ['shop.r.0'] },
      { ...GOOD, ResolvedWaypoints: 'True ResolvedWaypoints' },
    ],
    [
      'no such port',
      [route('r', toService('a', { port: 82 }))],
      { 80: ['default'], 81: ['default'] },
      {
        Accepted: 'False NoMatchingParent',
        ResolvedRefs: 'True ResolvedRefs',
        ResolvedWaypoints: 'False NoMatchingParent',
      },
    ],
    [
      'no such service',
      [route('r', toService('x'))],
      { 80: ['default'], 81: ['default'] },
      {
        Accepted: 'False NoMatchingParent',
        ResolvedRefs: 'True ResolvedRefs',
        ResolvedWaypoints: 'False NoMatchingParent',
      },
    ],
    [
      'no waypoint',
      [service('a', { labels: { 'istio.io/use-waypoint': 'none' } }), route('r', toService('a'))],
      {},
      { ...GOOD, ResolvedWaypoints: 'False MissingUseWaypointLabel' },
    ],
    [
      'a backend in another namespace needs no grant',
      [
        service('c', {}, 'other'),
        route('r', {
          ...toService('a'),
          rules: [{ backendRefs: [{ name: 'c', namespace: 'other', port: 80 }] }],
        }),
      ],
      { 80: ['shop.r.0'], 81: ['shop.r.0'] },
      { ...GOOD, ResolvedWaypoints: 'True ResolvedWaypoints' },
    ],
    [
      'hostnames do not count',
      [route('r', { ...toService('a'), hostnames: ['x.com'] })],
      { 80: ['shop.r.0'], 81: ['shop.r.0'] },
      { ...GOOD, ResolvedWaypoints: 'True ResolvedWaypoints' },
    ],
  ];
  for (const [title, objects, routes, conditions] of rows)
    test(title, () => {
      const { mesh } = meshOf([...BASE, ...objects]);
      expect(routesAt(mesh)).toEqual(routes);
      expect(conditionsOf(mesh, 'r')).toEqual([conditions]);
    });

  test('a consumer route acts nowhere, and says so', () => {
    const consumer = route(
      'r',
      { parentRefs: [{ group: '', kind: 'Service', name: 'a', namespace: 'shop' }] },
      { namespace: 'other' },
    );
    const { mesh } = meshOf([...BASE, consumer]);
    expect(routesAt(mesh)).toEqual({ 80: ['default'], 81: ['default'] });
    const status = mesh.gatewayApiStatuses.get('httpRoutes/other/r') as RouteStatus;
    expect(
      status.parents[0].conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`),
    ).toEqual([
      'Accepted False ConsumerRoute',
      'ResolvedRefs False BackendNotFound',
      'ResolvedWaypoints False ConsumerRoute',
    ]);
    expect(mesh.findings().map(({ resource }) => resource)).toContain('HTTPRoute other/r');
  });

  test('a ServiceEntry is a parent as well, by its object', () => {
    const external = object('ServiceEntry', 'ext', {
      hosts: ['api.example.com'],
      resolution: 'DNS',
      ports: [{ number: 80, protocol: 'HTTP', name: 'http' }],
    });
    const { mesh } = meshOf([
      ...BASE,
      external,
      route('r', {
        parentRefs: [{ group: 'networking.istio.io', kind: 'ServiceEntry', name: 'ext' }],
      }),
    ]);
    const table = mesh.routeTables.get('shop/api.example.com')?.table;
    expect(table?.ports[0].routes.map(({ name }) => name)).toEqual(['shop.r.0']);
  });

  test('takes the place of a VirtualService, which is told', () => {
    const virtual = object('VirtualService', 'v', {
      hosts: ['a'],
      http: [{ route: [{ destination: { host: 'b' } }] }],
    });
    const { mesh, remove } = meshOf([...BASE, virtual, route('r', toService('a', { port: 80 }))]);
    expect(routesAt(mesh)[80]).toEqual(['shop.r.0']);
    expect(
      mesh
        .findings()
        .some(
          ({ resource, message }) =>
            resource === 'VirtualService shop/v' && message.includes('Gateway API'),
        ),
    ).toBe(true);
    remove(route('r', {}));
    expect(routesAt(mesh)[80]).toEqual(['v.0']);
  });

  test('makes the upstreams that it names known', () => {
    const { mesh } = meshOf([
      ...BASE,
      route('r', { ...toService('a'), rules: [{ backendRefs: [{ name: 'b', port: 80 }] }] }),
    ]);
    expect(mesh.upstreams.get('shop/b.shop.svc.cluster.local')).toBeDefined();
  });
});

describe('routes of gateways', () => {
  const ruled = (mesh: MeshGraph) =>
    mesh.gatewayConfigs
      .get('shop/web')
      ?.config.listeners.flatMap(({ port, servers }) =>
        servers.flatMap(({ virtualHosts }) =>
          virtualHosts.map(
            ({ domains, routes }) => `${port} ${domains}: ${routes.map(({ name }) => name)}`,
          ),
        ),
      );

  test('are served at the listeners, and known as upstreams', () => {
    const { mesh } = meshOf([
      service('a'),
      WEB,
      route('r', { parentRefs: [{ name: 'web' }], hostnames: ['x.com'] }),
    ]);
    expect(ruled(mesh)).toEqual(['80 *: ', '80 x.com: shop.r.0']);
    expect(conditionsOf(mesh, 'r')).toEqual([GOOD]);
    expect(mesh.upstreams.get('shop/a.shop.svc.cluster.local')).toBeDefined();
    const gateway = mesh.gatewayApiStatuses.get('gateways/shop/web') as ListenersStatus;
    expect(gateway.listeners.map(({ name, attachedRoutes }) => [name, attachedRoutes])).toEqual([
      ['http', 1],
    ]);
  });

  test("of another controller's class are not ours", () => {
    const foreign = object(
      'GatewayClass',
      'tulle',
      { controllerName: 'example.com/other' },
      { namespace: undefined },
    );
    const { mesh } = meshOf([
      service('a'),
      foreign,
      WEB,
      route('r', { parentRefs: [{ name: 'web' }] }),
    ]);
    expect(mesh.gatewayConfigs.size).toBe(0);
    expect(conditionsOf(mesh, 'r')).toEqual([]);
    expect(mesh.findings().map(({ message }) => message)).toEqual([
      'no Gateway web of ours takes the route',
    ]);
  });

  test('a change of one host leaves the others as they are', () => {
    const own = (name: string, rules: object[]) =>
      route(name, { parentRefs: [{ name: 'web' }], hostnames: [`${name}.com`], rules });
    const rules = [{ backendRefs: [{ name: 'a', port: 80 }] }];
    const { mesh, put } = meshOf([service('a'), WEB, own('x', rules), own('y', rules)]);
    const hosts = () =>
      mesh.gatewayConfigs.get('shop/web')?.config.listeners[0].servers[0].virtualHosts ?? [];
    const [, x, y] = hosts();
    put(own('y', [...rules, ...rules]));
    expect(hosts().map(({ domains }) => domains[0])).toEqual(['*', 'x.com', 'y.com']);
    expect(hosts()[1]).toBe(x);
    expect(hosts()[2].routes.length).toBeGreaterThan(y.routes.length);
  });

  test('what nothing acts on is said', () => {
    const spec = {
      gatewayClassName: 'tulle',
      defaultScope: 'All',
      listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }],
      tls: { backend: { clientCertificateRef: { name: 'client' } } },
    };
    const { mesh } = meshOf([object('Gateway', 'web', spec)]);
    expect(mesh.findings().map(({ resource, path }) => `${resource} ${path}`)).toEqual([
      'Gateway shop/web spec.defaultScope',
      'Gateway shop/web spec.tls.backend.clientCertificateRef',
    ]);
    const gateway = mesh.gatewayApiStatuses.get('gateways/shop/web') as ListenersStatus;
    expect(
      gateway.conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`),
    ).toEqual(['Accepted True Accepted', 'ResolvedRefs False InvalidClientCertificateRef']);
  });

  test('at a waypoint are told where to go', () => {
    const { mesh } = meshOf([...BASE, route('r', { parentRefs: [{ name: 'waypoint' }] })]);
    expect(conditionsOf(mesh, 'r')).toEqual([
      { Accepted: 'False NoMatchingParent', ResolvedRefs: 'True ResolvedRefs' },
    ]);
  });

  test('a ListenerSet adds listeners when the Gateway allows it', () => {
    const set = object('ListenerSet', 'more', {
      parentRef: { name: 'web' },
      listeners: [{ name: 'x', port: 82, protocol: 'HTTP' }],
    });
    const own = route('r', { parentRefs: [{ kind: 'ListenerSet', name: 'more' }] });
    const open = {
      ...WEB,
      spec: {
        ...(WEB as unknown as { spec: object }).spec,
        allowedListeners: { namespaces: { from: 'Same' } },
      },
    } as KubeObject;
    const { mesh, put } = meshOf([service('a'), WEB, set, own]);
    const setStatus = () =>
      (mesh.gatewayApiStatuses.get('listenerSets/shop/more') as ListenersStatus).conditions.map(
        ({ type, status, reason }) => `${type} ${status} ${reason}`,
      );
    expect(setStatus()).toEqual(['Accepted False NotAllowed', 'Programmed False NotAllowed']);
    expect(conditionsOf(mesh, 'r')[0].Accepted).toBe('False NoMatchingParent');
    put(open);
    expect(ruled(mesh)).toEqual(['80 *: ', '82 *: shop.r.0']);
    expect(setStatus()).toEqual(['Accepted True Accepted', 'Programmed False ParentNotProgrammed']);
    expect(conditionsOf(mesh, 'r')).toEqual([GOOD]);
    expect(
      (mesh.gatewayApiStatuses.get('gateways/shop/web') as ListenersStatus).attachedListenerSets,
    ).toBe(1);
    put({
      ...open,
      status: { conditions: [{ type: 'Programmed', status: 'True' }] },
    } as KubeObject);
    expect(setStatus()).toEqual(['Accepted True Accepted', 'Programmed True Programmed']);
  });

  test('a rule that is not understood answers 500, and is reported', () => {
    const filters = [
      { type: 'ExtensionRef', extensionRef: { group: 'x.io', kind: 'Magic', name: 'm' } },
    ];
    const backendRefs = [{ name: 'a', port: 80 }];
    const spec = {
      parentRefs: [{ name: 'web' }],
      rules: [
        { filters, backendRefs },
        { matches: [{ path: { type: 'Glob', value: '/x' } }], backendRefs },
        { backendRefs },
      ],
    };
    const { mesh } = meshOf([service('a'), WEB, route('r', spec)]);
    expect(conditionsOf(mesh, 'r')).toEqual([
      {
        Accepted: 'True Accepted',
        PartiallyInvalid: 'True UnsupportedValue',
        ResolvedRefs: 'False InvalidKind',
      },
    ]);
    const actions = mesh.gatewayConfigs
      .get('shop/web')
      ?.config.listeners[0].servers[0].virtualHosts[0].routes.map(({ action }) =>
        action.kind === 'respond' ? action.status : action.kind,
      );
    expect(actions).toEqual([500, 'forward']);
  });

  test('a route of which no rule is understood is not accepted, and answers 500 all the same', () => {
    const spec = {
      parentRefs: [{ name: 'web' }],
      rules: [{ filters: [{ type: 'ExternalAuth' }], backendRefs: [{ name: 'a', port: 80 }] }],
    };
    const { mesh } = meshOf([service('a'), WEB, route('r', spec)]);
    expect(conditionsOf(mesh, 'r')).toEqual([
      { Accepted: 'False UnsupportedValue', ResolvedRefs: 'True ResolvedRefs' },
    ]);
    expect(ruled(mesh)).toEqual(['80 *: shop.r.0']);
    expect(
      (mesh.gatewayApiStatuses.get('gateways/shop/web') as ListenersStatus).listeners[0]
        .attachedRoutes,
    ).toBe(0);
  });
});
describe('gatewayApiCollections', () => {
  test('incremental result equals a fresh one after any order of changes', () => {
    const pool = [
      ...BASE,
      WEB,
      service('c', {}, 'other'),
      route('r1', {
        parentRefs: [{ name: 'web' }, { group: '', kind: 'Service', name: 'a' }],
        hostnames: ['x.com'],
      }),
      route('r2', {
        parentRefs: [{ name: 'web', sectionName: 'http' }],
        rules: [{ backendRefs: [{ name: 'c', namespace: 'other', port: 80 }] }],
      }),
      object(
        'ReferenceGrant',
        'g',
        {
          from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop' }],
          to: [{ group: '', kind: 'Service' }],
        },
        { namespace: 'other' },
      ),
      object('ListenerSet', 'more', {
        parentRef: { name: 'web' },
        listeners: [{ name: 'x', port: 82, protocol: 'HTTP' }],
      }),
      {
        ...WEB,
        spec: {
          gatewayClassName: 'tulle',
          allowedListeners: { namespaces: { from: 'All' } },
          listeners: [{ name: 'http', port: 80, protocol: 'HTTP', hostname: 'x.com' }],
        },
      } as KubeObject,
      object('BackendTLSPolicy', 'p', {
        targetRefs: [{ group: '', kind: 'Service', name: 'a' }],
        validation: { hostname: 'h', wellKnownCACertificates: 'System' },
      }),
    ];
    const change = fc.record({ at: fc.nat({ max: pool.length - 1 }), add: fc.boolean() });
    const contents = ({ mesh }: ReturnType<typeof meshOf>) =>
      [mesh.gatewayConfigs, mesh.gatewayApiStatuses, mesh.routeTables, mesh.upstreams].map((each) =>
        Object.fromEntries([...each.entries()].sort(([left], [right]) => (left < right ? -1 : 1))),
      );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 25 }), (changes) => {
        const live = meshOf([]);
        const present = new Map<string, KubeObject>();
        for (const { at, add } of changes) {
          const value = pool[at];
          const key = `${value.kind}/${value.metadata.namespace}/${value.metadata.name}`;
          if (add) present.set(key, value);
          else present.delete(key);
          if (add) live.put(value);
          else live.remove(value);
        }
        expect(contents(live)).toEqual(contents(meshOf([...present.values()])));
      }),
      { numRuns: 60 },
    );
  });
});
