import { describe, expect, test } from 'bun:test';
import type { SourceCollection } from '#collections/collection.ts';
import { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { policyInNeed } from '#model/service/service.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import type { MeshSources } from './mesh-graph.ts';
import { createMeshGraph } from './mesh-graph.ts';

type Loose = Record<string, unknown>;
const KEY = 'shop/api.shop.svc.cluster.local';
const WAYPOINT = { 'istio.io/use-waypoint': 'waypoint' };

type Specified = KubeObject & { spec: Loose };

function named(name: string, spec: Loose, metadata: Loose = {}): Specified {
  return { metadata: { name, namespace: 'shop', uid: name, ...metadata }, spec } as never;
}
const POD = {
  ...named('api-1', { containers: [] }, { labels: { app: 'api' } }),
  status: { phase: 'Running', podIP: '198.18.1.5' },
} as KubeObject;
const service = (labels: Loose = {}) =>
  named('api', { selector: { app: 'api' }, ports: [{ port: 80 }] }, { labels });
const GATEWAY = {
  ...named('waypoint', { gatewayClassName: 'istio-waypoint', listeners: [] }),
  status: { addresses: [{ type: 'Hostname', value: 'waypoint.shop.svc.cluster.local' }] },
} as KubeObject;
const paths = [{ to: [{ operation: { paths: ['/admin'] } }] }];
const forService = [{ kind: 'Service', name: 'api' }];
const IGNORE = { annotations: { 'tulle.dev/unenforced-policy': 'ignore' } };

function meshOf(objects: Partial<Record<keyof MeshSources, KubeObject[]>>, settings = {}) {
  const graph = new Graph();
  const mesh = createMeshGraph(graph, { ...DEFAULT_MESH, ...settings });
  const put = (source: keyof MeshSources, object: KubeObject) => {
    const { namespace, name } = object.metadata;
    const key = namespace === undefined ? name : `${namespace}/${name}`;
    (mesh.sources[source] as unknown as SourceCollection<KubeObject>).set(key, object);
  };
  graph.batch(() => {
    for (const source of Object.keys(objects) as (keyof MeshSources)[])
      for (const object of objects[source] ?? []) put(source, object);
  });
  return { mesh, put };
}

function exempted(mesh: ReturnType<typeof meshOf>['mesh'], key: string): unknown[] {
  const policy = mesh.authorizations.get(key);
  const matches = policy?.rules.flatMap(({ clauses }) => clauses.flat()) ?? [];
  return matches.flatMap(({ notPrincipals }) => notPrincipals);
}

describe('a policy that needs HTTP', () => {
  const deny = named('no-admin', {
    selector: { matchLabels: { app: 'api' } },
    action: 'DENY',
    rules: paths,
  });
  const part = 'shop/tulle_needs_waypoint_no-admin';

  test('is in force at the workloads it selects, without exception while no waypoint serves them', () => {
    const { mesh } = meshOf({ authorizationPolicies: [deny], pods: [POD], services: [service()] });
    const workload = mesh.workloads.get('Kubernetes//Pod/shop/api-1')?.workload;
    expect(workload?.authorizationPolicies).toEqual([part]);
    expect(mesh.authorizations.get(part)?.rules).toEqual([{ clauses: [] }]);
  });

  test('excepts the waypoint that serves the namespace, which refuses in its place', () => {
    const { mesh, put } = meshOf({
      authorizationPolicies: [deny],
      pods: [POD],
      services: [service(WAYPOINT)],
      gateways: [GATEWAY],
    });
    const principal = { kind: 'exact', value: 'cluster.local/ns/shop/sa/waypoint' };
    expect(exempted(mesh, part)).toEqual([principal]);
    expect(mesh.upstreams.get(KEY)?.denied).toMatchObject({
      policy: 'AuthorizationPolicy shop/no-admin',
    });
    put('services', service());
    expect(exempted(mesh, part)).toEqual([]);
  });

  test('excepts a waypoint that serves pods of the namespace', () => {
    const all = {
      ...GATEWAY,
      metadata: { ...GATEWAY.metadata, labels: { 'istio.io/waypoint-for': 'all' } },
    };
    const labels = { app: 'api', ...WAYPOINT };
    const pod = { ...POD, metadata: { ...POD.metadata, labels } };
    const { mesh } = meshOf({ authorizationPolicies: [deny], pods: [pod], gateways: [all] });
    expect(exempted(mesh, part).length).toBe(1);
  });

  test('of the root namespace excepts every waypoint that serves anything', () => {
    const root = named('all', { action: 'DENY', rules: paths }, { namespace: 'istio-system' });
    const { mesh } = meshOf({
      authorizationPolicies: [root],
      services: [service(WAYPOINT)],
      gateways: [GATEWAY],
      pods: [POD],
    });
    expect(exempted(mesh, 'istio-system/tulle_needs_waypoint_all').length).toBe(1);
    expect(mesh.upstreams.get(KEY)?.denied?.policy).toBe('AuthorizationPolicy istio-system/all');
  });

  test.each([
    ['its annotation', named('no-admin', deny.spec, IGNORE), {}],
    ['the mesh', deny, { unenforcedPolicy: 'ignore' }],
  ])('is passed over, as Istio does, where %s says so', (_title, policy, settings) => {
    const { mesh } = meshOf(
      {
        authorizationPolicies: [policy],
        pods: [POD],
        services: [service(WAYPOINT)],
        gateways: [GATEWAY],
      },
      settings,
    );
    expect([...mesh.authorizations.entries()].map(([key]) => key)).toEqual(['shop/no-admin']);
    expect(mesh.upstreams.get(KEY)?.denied).toBeUndefined();
  });

  test('with unreadable values and nothing older in force denies more instead of nothing', () => {
    const broken = named('p', {
      action: 'DENY',
      rules: [{ to: [{ operation: { ports: ['x'] } }] }],
    });
    const good = named('p', {
      action: 'DENY',
      rules: [{ to: [{ operation: { ports: ['80'] } }] }],
    });
    const { mesh, put } = meshOf({ authorizationPolicies: [broken] });
    expect(mesh.authorizations.get('shop/p')?.rules).toEqual([{ clauses: [] }]);
    expect(mesh.findings()).toMatchObject([{ level: 'error' }]);
    put('authorizationPolicies', good);
    const before = mesh.authorizations.get('shop/p');
    put('authorizationPolicies', broken);
    expect(mesh.authorizations.get('shop/p')).toEqual(before as NonNullable<typeof before>);
  });
});

describe('a policy with targetRefs', () => {
  const only = named('only', { targetRefs: forService, rules: paths });

  test('keeps the traffic of a service that no waypoint serves, and gives node proxies nothing', () => {
    const { mesh, put } = meshOf({
      authorizationPolicies: [only],
      services: [service()],
      pods: [POD],
    });
    const bound = mesh.services.get(KEY);
    const { waypoint } = bound?.service ?? {};
    expect(waypoint && policyInNeed(waypoint)).toBe('authorizationpolicy shop/only');
    expect(bound?.condition).toMatchObject({ status: 'False', reason: 'PolicyNeedsWaypoint' });
    expect(mesh.authorizations.size).toBe(0);
    put('authorizationPolicies', named('only', only.spec, IGNORE));
    expect(mesh.services.get(KEY)?.service.waypoint).toBeUndefined();
  });

  test('is a finding, as is every policy that is not enforced as it is written', () => {
    const http = { action: 'DENY', rules: paths };
    const { mesh } = meshOf({
      authorizationPolicies: [
        only,
        named('deny', http),
        named('audit', { action: 'AUDIT', rules: [{}] }),
        named('l4', { rules: [{}] }),
      ],
      requestAuthentications: [named('jwt', { jwtRules: [{ issuer: 'i' }] })],
      services: [service()],
    });
    expect(mesh.findings().map(({ resource, level }) => `${level} ${resource}`)).toEqual([
      'warning AuthorizationPolicy shop/only',
      'warning AuthorizationPolicy shop/deny',
      'warning AuthorizationPolicy shop/audit',
      'warning RequestAuthentication shop/jwt',
    ]);
  });

  const gatewayClass = [{ kind: 'GatewayClass', name: 'istio-waypoint' }];
  const ROWS: [string, keyof MeshSources, KubeObject, string | undefined][] = [
    ['of the service', 'authorizationPolicies', only, 'AuthorizationPolicy shop/only'],
    [
      'of the gateway',
      'authorizationPolicies',
      named('g', { targetRefs: [{ kind: 'Gateway', name: 'waypoint' }], rules: [{}] }),
      'AuthorizationPolicy shop/g',
    ],
    [
      'by the older single targetRef',
      'authorizationPolicies',
      named('g', { targetRef: { kind: 'Gateway', name: 'waypoint' } }),
      'AuthorizationPolicy shop/g',
    ],
    [
      'of the class, from the root namespace',
      'authorizationPolicies',
      named('c', { targetRefs: gatewayClass }, { namespace: 'istio-system' }),
      'AuthorizationPolicy istio-system/c',
    ],
    [
      'of the class, from elsewhere',
      'authorizationPolicies',
      named('c', { targetRefs: gatewayClass }),
      undefined,
    ],
    [
      'of another service',
      'authorizationPolicies',
      named('o', { targetRefs: [{ kind: 'Service', name: 'other' }] }),
      undefined,
    ],
    [
      'that only audits',
      'authorizationPolicies',
      named('a', { targetRefs: forService, action: 'AUDIT', rules: [{}] }),
      undefined,
    ],
    [
      'that denies by no rule',
      'authorizationPolicies',
      named('d', { targetRefs: forService, action: 'DENY' }),
      undefined,
    ],
    [
      'with CUSTOM',
      'authorizationPolicies',
      named('x', { targetRefs: forService, action: 'CUSTOM', rules: [{}] }),
      'AuthorizationPolicy shop/x',
    ],
    [
      'that authenticates requests',
      'requestAuthentications',
      named('jwt', { targetRefs: forService, jwtRules: [{ issuer: 'i', jwks: '{"keys":[]}' }] }),
      'RequestAuthentication shop/jwt',
    ],
    [
      'that authenticates requests, keys elsewhere',
      'requestAuthentications',
      named('jwt', { targetRefs: forService, jwtRules: [{ issuer: 'i', jwksUri: 'https://i' }] }),
      'RequestAuthentication shop/jwt',
    ],
    [
      'that authenticates by no rule',
      'requestAuthentications',
      named('jwt', { targetRefs: forService }),
      undefined,
    ],
  ];
  test.each(ROWS)('%s: what the waypoint judges by or refuses', (title, source, policy, want) => {
    const { mesh } = meshOf({
      [source]: [policy],
      services: [service(WAYPOINT)],
      gateways: [GATEWAY],
      pods: [POD],
    });
    const { denied, policies } = mesh.routeTables.get(KEY)?.table ?? {};
    const told = [
      ...(policies?.policies ?? []).map(
        ({ namespace, name }) => `Authorization ${namespace}/${name}`,
      ),
      ...(policies?.tokens ?? []).map(({ namespace, name }) => `Request ${namespace}/${name}`),
    ];
    const isUnjudgeable = title === 'with CUSTOM';
    expect(denied?.policy).toBe(isUnjudgeable ? want : (undefined as unknown as string));
    const judged = want?.replace('Policy', '').replace('Authentication ', ' ');
    expect(told).toEqual(judged === undefined || isUnjudgeable ? [] : [judged]);
    expect(mesh.authorizations.size).toBe(0);
  });
});
