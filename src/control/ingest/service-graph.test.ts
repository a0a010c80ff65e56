import { describe, expect, test } from 'bun:test';
import type { SourceCollection } from '#collections/collection.ts';
import { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { Workload } from '#model/workload/workload.ts';
import { ADDRESS } from '#xds/resources/address.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import type { MeshSources } from './mesh-graph.ts';
import { createMeshGraph } from './mesh-graph.ts';
import { createResourceTables } from './resource-tables.ts';

type Loose = Record<string, unknown>;

function named(name: string, spec: Loose, metadata: Loose = {}): KubeObject {
  const created = { creationTimestamp: '2026-01-02T00:00:00Z' };
  return {
    metadata: { name, namespace: 'shop', uid: name, ...created, ...metadata },
    spec,
  } as never;
}

function meshOf(objects: Partial<Record<keyof MeshSources, KubeObject[]>>) {
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  const put = (source: keyof MeshSources, object: KubeObject) => {
    const { namespace, name } = object.metadata;
    const key = namespace === undefined ? name : `${namespace}/${name}`;
    (mesh.sources[source] as unknown as SourceCollection<KubeObject>).set(key, object);
  };
  graph.batch(() => {
    for (const source of Object.keys(objects) as (keyof MeshSources)[])
      for (const object of objects[source] ?? []) put(source, object);
  });
  return { mesh, put, tables: createResourceTables(mesh) };
}

describe('several objects for one host', () => {
  const old = { creationTimestamp: '2026-01-01T00:00:00Z' };
  const spec = (address: string) => ({
    hosts: ['api.example'],
    resolution: 'STATIC',
    ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    endpoints: [{ address }],
  });

  test('in one namespace the oldest is in force, with its endpoints alone', () => {
    const { mesh, put } = meshOf({
      serviceEntries: [named('b-new', spec('198.18.7.1')), named('z-old', spec('198.18.7.2'), old)],
    });
    expect(mesh.services.get('shop/api.example')?.service.name).toBe('z-old');
    const endpoints = () =>
      [...mesh.workloads.entries()]
        .filter(([, { workload }]) => workload.services.has('shop/api.example'))
        .map(([, { workload }]) => workload.addresses[0]);
    expect(endpoints()).toEqual(['198.18.7.2']);
    put('serviceEntries', named('z-old', { ...spec('198.18.7.2'), hosts: ['other.example'] }, old));
    expect(mesh.services.get('shop/api.example')?.service.name).toBe('b-new');
    expect(endpoints()).toEqual(['198.18.7.1']);
  });

  test('across namespaces the oldest is canonical, and only one', () => {
    const { mesh } = meshOf({
      serviceEntries: [
        named('e', spec('198.18.7.1')),
        named('e', spec('198.18.7.2'), { namespace: 'other', ...old }),
      ],
    });
    const canonical = (key: string) => mesh.services.get(key)?.service.canonical;
    expect([canonical('shop/api.example'), canonical('other/api.example')]).toEqual([false, true]);
  });

  test('one that its namespace keeps to itself is canonical to nobody, however old', () => {
    const mesh = `serviceEntryVisibility:
      policies:
      - { visibility: NAMESPACE, matchingRules: [{ namespaceSelector: { matchLabels: { shy: 'yes' } } }] }`;
    const { mesh: graph } = meshOf({
      meshConfig: [
        {
          metadata: { name: 'istio', namespace: 'istio-system' },
          data: { mesh },
        } as unknown as KubeObject,
      ],
      namespaces: [
        { metadata: { name: 'other', labels: { shy: 'yes' } } } as unknown as KubeObject,
      ],
      serviceEntries: [
        named('e', spec('198.18.7.1')),
        named('e', spec('198.18.7.2'), { namespace: 'other', ...old }),
      ],
    });
    const seen = ['shop', 'other'].map((at) => graph.services.get(`${at}/api.example`)?.service);
    expect(seen.map((each) => [each?.visibility, each?.canonical])).toEqual([
      ['public', true],
      ['namespace', false],
    ]);
  });

  test('a Kubernetes Service is canonical before any entry', () => {
    const host = 'api.shop.svc.cluster.local';
    const { mesh } = meshOf({
      services: [named('api', { ports: [{ port: 80 }] })],
      serviceEntries: [
        named('e', { ...spec('198.18.7.1'), hosts: [host] }, { namespace: 'other', ...old }),
        named('same', { ...spec('198.18.7.2'), hosts: [host] }, old),
      ],
    });
    expect(mesh.services.get(`shop/${host}`)?.kind).toBe('Service');
    expect(mesh.services.get(`other/${host}`)?.service.canonical).toBe(false);
    const pruned = 'Kubernetes/networking.istio.io/ServiceEntry/shop/same/198.18.7.2';
    expect(mesh.workloads.get(pruned)).toBeUndefined();
  });
});

const managed = (by: string) => ({ 'endpointslice.kubernetes.io/managed-by': by });

describe('endpoints that are written by hand', () => {
  const service = named('db', { ports: [{ name: 'sql', port: 5432 }] });
  const slice = (rest: Loose) =>
    ({
      ...named('db-1', {}, { labels: { 'kubernetes.io/service-name': 'db' } }),
      addressType: 'IPv4',
      ports: [{ name: 'sql', port: 15432 }],
      ...rest,
    }) as KubeObject;
  const workloads = (rest: Loose) => {
    const { mesh } = meshOf({ services: [service], endpointSlices: [slice(rest)] });
    return [...mesh.workloads.entries()].filter(([uid]) => uid.includes('EndpointSlice'));
  };

  test('are workloads outside the mesh, with the ports of the slice', () => {
    const [[uid, { workload }]] = workloads({ endpoints: [{ addresses: ['198.18.7.9'] }] });
    expect(uid).toBe('Kubernetes/discovery.k8s.io/EndpointSlice/shop/db-1/198.18.7.9');
    expect(workload).toMatchObject({
      protocol: 'none',
      healthy: true,
      addresses: ['198.18.7.9'],
      hostNetwork: true,
    });
    expect(workload.services.get('shop/db.shop.svc.cluster.local')).toEqual([
      { servicePort: 5432, targetPort: 15432 },
    ]);
  });

  test.each([
    [
      'that name pods are no workloads beside them',
      { endpoints: [{ addresses: ['198.18.7.9'], targetRef: { kind: 'Pod', name: 'p' } }] },
    ],
    [
      'with names are not read',
      { addressType: 'FQDN', endpoints: [{ addresses: ['db.example'] }] },
    ],
    [
      'of a service that is not there',
      { metadata: { name: 'x', namespace: 'shop' }, endpoints: [{ addresses: ['198.18.7.9'] }] },
    ],
  ])('%s', (_title, rest) => expect(workloads(rest)).toEqual([]));

  test.each([
    ['make it a member', {}, {}, [{ servicePort: 5432, targetPort: 15432 }]],
    [
      'that Kubernetes keeps do not',
      {},
      { labels: managed('endpointslice-controller.k8s.io') },
      undefined,
    ],
    ['of another address do not', { addresses: ['198.18.7.10'] }, {}, undefined],
    ['that are not ready do not', { conditions: { ready: false } }, {}, undefined],
    [
      'of another namespace do not',
      { targetRef: { kind: 'Pod', name: 'p', namespace: 'x' } },
      {},
      undefined,
    ],
  ])('that name a pod %s', (_title, endpoint, metadata, want) => {
    const pod = named('p', { containers: [] });
    const status = { phase: 'Running', podIPs: [{ ip: '198.18.7.9' }] };
    const endpoints = [
      { addresses: ['198.18.7.9'], targetRef: { kind: 'Pod', name: 'p' }, ...endpoint },
    ];
    const base = slice({ endpoints });
    const labels = { ...base.metadata.labels, ...(metadata as { labels?: object }).labels };
    const { mesh, put } = meshOf({
      services: [service],
      endpointSlices: [{ ...base, metadata: { ...base.metadata, labels } } as KubeObject],
      pods: [{ ...pod, status } as unknown as KubeObject],
    });
    const member = () =>
      mesh.workloads
        .get('Kubernetes//Pod/shop/p')
        ?.workload.services.get('shop/db.shop.svc.cluster.local');
    expect(member()).toEqual(want);
    put('endpointSlices', slice({ endpoints: [] }));
    expect(member()).toBeUndefined();
  });

  test.each<[string, unknown, number[]]>([
    ['without a number', [{ name: 'sql' }], []],
    ['with a number that is null', [{ name: 'sql', port: null }], []],
    ['of UDP', [{ name: 'sql', port: 15432, protocol: 'UDP' }], []],
    ['of TCP', [{ name: 'sql', port: 15432, protocol: 'TCP' }], [15432]],
    ['none at all', null, []],
  ])('with a port %s can be told to proxies', (_title, ports, want) => {
    const [[, { workload }]] = workloads({ ports, endpoints: [{ addresses: ['198.18.7.9'] }] });
    const { value } = ADDRESS.decode(ADDRESS.encode({ kind: 'workload', workload })) as {
      value: { workload: Workload };
    };
    const [mappings] = value.workload.services.values();
    expect(mappings.map(({ targetPort }) => targetPort)).toEqual(want as never);
  });

  test('with an address that is none are not told at all', () => {
    expect(workloads({ endpoints: [{ addresses: ['198.18.7.900'] }] })).toEqual([]);
  });

  test('that are not ready take no traffic', () => {
    const endpoints = [{ addresses: ['198.18.7.9'], conditions: { ready: false } }];
    expect(workloads({ endpoints })[0][1].workload.healthy).toBe(false);
  });
});

describe('weighted waypoints', () => {
  const gateway = (name: string, ready = true) =>
    ({
      ...named(name, { gatewayClassName: 'istio-waypoint', listeners: [] }),
      status: ready
        ? { addresses: [{ type: 'Hostname', value: `${name}.shop.svc.cluster.local` }] }
        : {},
    }) as KubeObject;
  const service = (weight: string) =>
    named(
      'api',
      { ports: [{ port: 80 }] },
      {
        labels: {
          'istio.io/use-waypoint': 'first',
          'istio.io/use-waypoint-canary': 'second',
          'istio.io/ingress-use-waypoint': 'true',
        },
        annotations: { 'istio.io/use-waypoint-canary-weight': weight },
      },
    );
  const KEY = 'shop/api.shop.svc.cluster.local';
  const weights = (weight: string, ready = true) => {
    const { mesh } = meshOf({
      services: [service(weight)],
      gateways: [gateway('first'), gateway('second', ready)],
    });
    return mesh.services
      .get(KEY)
      ?.service.weightedWaypoints?.map((each) => [
        each.destination.service?.hostname.split('.', 1)[0],
        each.weight,
      ]);
  };

  test.each([
    [
      '20',
      true,
      [
        ['first', 80],
        ['second', 20],
      ],
    ],
    ['100', true, [['second', 100]]],
    ['0', true, undefined],
    ['many', true, undefined],
    ['20', false, undefined],
  ] as const)('weight %s, canary ready %p: %p', (weight, ready, want) => {
    expect(weights(weight, ready)).toEqual(want as never);
  });

  test('both waypoints get the route table, and gateways are told to come by', () => {
    const { mesh, tables } = meshOf({
      services: [service('20')],
      gateways: [gateway('first'), gateway('second')],
    });
    expect(mesh.services.get(KEY)?.service.ingressUseWaypoint).toBe(true);
    for (const name of ['first', 'second', 'third']) {
      const scope = { type: 'waypoint', name: 'w', namespace: 'shop', gateway: name } as const;
      expect([...tables.routeTable.names(scope)]).toEqual(name === 'third' ? [] : [KEY]);
    }
  });
});

describe('visibility', () => {
  const config = {
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { mesh: 'serviceEntryVisibility: { defaultVisibility: NAMESPACE }' },
  } as unknown as KubeObject;
  const entry = named(
    'e',
    { hosts: ['api.example'], resolution: 'STATIC' },
    {
      labels: { 'istio.io/use-waypoint': 'w', 'istio.io/use-waypoint-namespace': 'other' },
    },
  );

  test('is MeshConfig’s, and keeps such entries from waypoints of other namespaces', () => {
    const { mesh } = meshOf({ serviceEntries: [entry], meshConfig: [config] });
    const bound = mesh.services.get('shop/api.example');
    expect(bound?.service.visibility).toBe('namespace');
    expect(bound?.service.waypoint).toBeUndefined();
    expect(bound?.condition?.reason).toBe('CrossNamespaceWaypointForbidden');
  });
});

test('a waypoint reaches a captured pod by tunnel, also when an entry lists it as if it were outside', () => {
  const pod = {
    ...named(
      'p',
      { containers: [], serviceAccountName: 'api' },
      {
        annotations: { 'ambient.istio.io/redirection': 'enabled' },
      },
    ),
    status: { phase: 'Running', podIP: '198.18.1.7' },
  } as KubeObject;
  const entry = named(
    'e',
    {
      hosts: ['api.example'],
      resolution: 'STATIC',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      endpoints: ['198.18.1.7', '198.18.7.7', '198.18.7.8'].map((address) => ({ address })),
    },
    { labels: { 'istio.io/use-waypoint': 'w' } },
  );
  const machine = (address: string, namespace: string) =>
    named(
      `m-${address}`,
      { address, serviceAccount: 'machine' },
      { namespace, annotations: { 'ambient.istio.io/redirection': 'enabled' } },
    );
  const workloadEntries = [
    machine('198.18.1.7', 'a-hostile'),
    machine('198.18.7.7', 'a-hostile'),
    machine('198.18.7.8', 'shop'),
  ];
  const gateway = {
    ...named('w', { gatewayClassName: 'istio-waypoint', listeners: [] }),
    status: { addresses: [{ type: 'Hostname', value: 'w.shop.svc.cluster.local' }] },
  } as KubeObject;
  const { mesh } = meshOf({
    pods: [pod],
    serviceEntries: [entry],
    workloadEntries,
    gateways: [gateway],
  });
  const endpoints = mesh.upstreams.get('shop/api.example')?.endpoints ?? [];
  expect(
    endpoints.map(({ address, protocol, principal }) => [address, protocol, principal]).sort(),
  ).toEqual([
    ['198.18.1.7', 'hbone', 'spiffe://cluster.local/ns/shop/sa/api'],
    ['198.18.7.7', 'none', 'spiffe://cluster.local/ns/shop/sa/default'],
    ['198.18.7.8', 'hbone', 'spiffe://cluster.local/ns/shop/sa/machine'],
  ]);
});
