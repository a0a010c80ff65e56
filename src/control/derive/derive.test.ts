import { describe, expect, test } from 'bun:test';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { appProtocolOf, declaredProtocol } from './app-protocol.ts';
import { DEFAULT_MESH } from './mesh.ts';
import type { BoundService } from './service.ts';
import { deriveService } from './service.ts';
import type { ServiceEntryObject } from './service-entry.ts';
import { deriveServiceEntry } from './service-entry.ts';
import { deriveInlineEndpoints, derivePod, deriveWorkloadEntry, ownerName } from './workload.ts';

const UNBOUND = { waypoint: undefined, key: undefined, condition: undefined };

describe('appProtocolOf', () => {
  test.each([
    [{ name: 'http' }, 'http'],
    [{ name: 'http-web' }, 'http'],
    [{ name: 'http2-web' }, 'http2'],
    [{ name: 'grpc-web-x' }, 'http'],
    [{ name: 'GRPC-api' }, 'grpc'],
    [{ name: 'https' }, 'tls'],
    [{ name: 'mysql' }, 'tcp'],
    [{ name: 'web' }, 'unknown'],
    [{}, 'unknown'],
    [{ name: 'http', appProtocol: 'tcp' }, 'tcp'],
    [{ name: 'x', appProtocol: 'kubernetes.io/h2c' }, 'http2'],
    [{ name: 'http', appProtocol: 'example.com/own' }, 'unknown'],
  ])('%p is %p', (port, want) => {
    expect(appProtocolOf(port)).toBe(want as 'http');
  });

  test('declaredProtocol reads the spelling of ServiceEntries', () => {
    expect(['HTTP', 'HTTPS', 'GRPC', 'MONGO', undefined].map(declaredProtocol)).toEqual([
      'http',
      'tls',
      'grpc',
      'tcp',
      'unknown',
    ]);
  });
});

function service(
  spec: Partial<Kinds.Service['spec']>,
  metadata: Partial<KubeObject['metadata']> = {},
): Kinds.Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'shop', ...metadata },
    spec,
  };
}

function bound(
  spec: Partial<Kinds.Service['spec']>,
  metadata = {},
  namespace?: Kinds.Namespace,
): BoundService {
  const result = deriveService(service(spec, metadata), {
    mesh: DEFAULT_MESH,
    namespace,
    binding: UNBOUND,
  });
  if (result === undefined) throw new Error('derived nothing');
  return result;
}

describe('deriveService', () => {
  test('takes TCP ports, addresses and the host name', () => {
    const ports = [
      { name: 'http', port: 80, targetPort: 8080 },
      { name: 'grpc', port: 81, targetPort: 'rpc' },
      { name: 'tcp', port: 82 },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ];
    expect(bound({ clusterIPs: ['198.19.0.1', 'fd00::1'], ports }).service).toMatchObject({
      hostname: 'web.shop.svc.cluster.local',
      addresses: [{ address: '198.19.0.1' }, { address: 'fd00::1' }],
      ports: [
        { servicePort: 80, targetPort: 8080, appProtocol: 'http' },
        { servicePort: 81, targetPort: 0, appProtocol: 'grpc' },
        { servicePort: 82, targetPort: 82, appProtocol: 'tcp' },
      ],
      canonical: true,
    });
    expect(bound({ clusterIP: 'None' }).service.addresses).toEqual([]);
  });

  test.each([
    [undefined, 'automatic'],
    [['IPv4'], 'ipv4'],
    [['IPv6'], 'ipv6'],
    [['IPv6', 'IPv4'], 'dual'],
  ] as const)('ipFamilies %p become %s', (families, ipFamilies) => {
    const spec = { clusterIP: 'None', ipFamilies: families && [...families] };
    expect(bound(spec).service.ipFamilies).toBe(ipFamilies);
  });

  test('skips ExternalName', () => {
    const context = { mesh: DEFAULT_MESH, namespace: undefined, binding: UNBOUND };
    expect(deriveService(service({ type: 'ExternalName' }), context)).toBeUndefined();
  });

  const annotation = {
    annotations: { 'networking.istio.io/traffic-distribution': 'PreferSameNode' },
  };
  const ROWS: [string, Partial<Kinds.Service['spec']>, object, object | undefined][] = [
    ['nothing', {}, {}, undefined],
    [
      'local traffic only',
      { internalTrafficPolicy: 'Local' },
      {},
      { mode: 'strict', scopes: ['node'] },
    ],
    [
      'PreferClose',
      { trafficDistribution: 'PreferClose' },
      {},
      { mode: 'failover', scopes: ['network', 'region', 'zone'] },
    ],
    [
      'the field before the annotation',
      { trafficDistribution: 'PreferSameZone' },
      annotation,
      { scopes: ['network', 'region', 'zone'] },
    ],
    [
      'the annotation',
      {},
      annotation,
      { scopes: ['network', 'region', 'zone', 'subzone', 'node'] },
    ],
    [
      'unready addresses',
      { publishNotReadyAddresses: true },
      {},
      { mode: 'unspecified', includeUnhealthy: true },
    ],
  ];
  test.each(ROWS)('balances with %s', (_title, spec, metadata, want) => {
    const { loadBalancing } = bound(spec, metadata).service;
    if (want === undefined) expect(loadBalancing).toBeUndefined();
    else expect(loadBalancing).toMatchObject(want);
  });
});

function pod(change: { metadata?: object; spec?: object; status?: object } = {}): Kinds.Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-1', namespace: 'shop', labels: { app: 'web' }, ...change.metadata },
    spec: {
      containers: [{ name: 'c', image: 'i', ports: [{ name: 'rpc', containerPort: 9000 }] }],
      ...change.spec,
    },
    status: {
      phase: 'Running',
      podIP: '198.18.1.5',
      conditions: [{ type: 'Ready', status: 'True' }],
      ...change.status,
    },
  };
}
const CONTEXT = { mesh: DEFAULT_MESH, services: [], waypoint: undefined, policies: [] };
const SERVICES = [
  bound({
    selector: { app: 'web' },
    ports: [
      { port: 80, targetPort: 8080 },
      { port: 81, targetPort: 'rpc' },
      { port: 82, targetPort: 'absent' },
    ],
  }),
  bound({ selector: { app: 'other' }, ports: [{ port: 80 }] }, { name: 'other' }),
  bound({ ports: [{ port: 80 }] }, { name: 'without-selector' }),
];

describe('derivePod', () => {
  const derive = (change: Parameters<typeof pod>[0] = {}, context = {}) =>
    derivePod(pod(change), { ...CONTEXT, ...context })?.workload;

  test('fills in the identity, the names and the locality', () => {
    const labels = { 'topology.kubernetes.io/region': 'r', 'topology.kubernetes.io/zone': 'z' };
    const node: Kinds.Node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', labels } };
    expect(derive({ spec: { serviceAccountName: 'sa', nodeName: 'n' } }, { node })).toMatchObject({
      uid: 'Kubernetes//Pod/shop/web-1',
      serviceAccount: 'sa',
      addresses: ['198.18.1.5'],
      canonicalName: 'web',
      canonicalRevision: 'latest',
      locality: { region: 'r', zone: 'z' },
      workloadType: 'pod',
      healthy: true,
      protocol: 'none',
    });
  });

  type Row = [string, Parameters<typeof pod>[0], object | undefined];
  const ROWS: Row[] = [
    ['no address yet', { status: { podIP: undefined } }, undefined],
    ['ended', { status: { phase: 'Succeeded' } }, undefined],
    [
      'pending with an address',
      { status: { phase: 'Pending', conditions: [] } },
      { healthy: false },
    ],
    ['being deleted', { metadata: { deletionTimestamp: 'x' } }, { healthy: false }],
    [
      'captured',
      { metadata: { annotations: { 'ambient.istio.io/redirection': 'enabled' } } },
      { protocol: 'hbone', nativeTunnel: false },
    ],
    [
      'capture pending',
      { metadata: { annotations: { 'ambient.istio.io/redirection': 'pending' } } },
      { protocol: 'none' },
    ],
    [
      'native tunnel',
      { metadata: { labels: { 'networking.istio.io/tunnel': 'http' } } },
      { protocol: 'hbone', nativeTunnel: true },
    ],
    ['host network', { spec: { hostNetwork: true } }, { hostNetwork: true }],
    [
      'two addresses',
      { status: { podIPs: [{ ip: '198.18.1.5' }, { ip: 'fd00::5' }] } },
      { addresses: ['198.18.1.5', 'fd00::5'] },
    ],
    [
      'version label',
      { metadata: { labels: { app: 'web', version: 'v2' } } },
      { canonicalRevision: 'v2' },
    ],
  ];
  test.each(ROWS)('%s', (_title, change, want) => {
    const workload = derive(change);
    if (want === undefined) expect(workload).toBeUndefined();
    else expect(workload).toMatchObject(want);
  });

  test('joins the services that select it, with its own named ports', () => {
    expect([...(derive({}, { services: SERVICES })?.services ?? [])]).toEqual([
      [
        'shop/web.shop.svc.cluster.local',
        [
          { servicePort: 80, targetPort: 8080 },
          { servicePort: 81, targetPort: 9000 },
        ],
      ],
    ]);
  });

  test.each([
    [{ kind: 'ReplicaSet', name: 'web-abc12' }, { 'pod-template-hash': 'abc12' }, 'web'],
    [{ kind: 'ReplicaSet', name: 'own-set' }, {}, 'own-set'],
    [{ kind: 'StatefulSet', name: 'db' }, {}, 'db'],
    [{ kind: 'Job', name: 'nightly-29012345' }, {}, 'nightly'],
    [undefined, {}, 'web-1'],
    [{ kind: 'StatefulSet', name: 'db' }, { 'service.istio.io/workload-name': 'ledger' }, 'ledger'],
  ])('ownerName of %p with %p is %p', (owner, labels, want) => {
    const ownerReferences = owner && [{ apiVersion: 'v1', uid: 'u', controller: true, ...owner }];
    expect(ownerName(pod({ metadata: { ownerReferences, labels } }))).toBe(want);
  });
});

describe('ServiceEntry and WorkloadEntry', () => {
  const entry = (
    spec: ServiceEntryObject['spec'],
    status?: ServiceEntryObject['status'],
  ): ServiceEntryObject => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'ext', namespace: 'shop' },
    spec,
    status,
  });
  const services = (object: ServiceEntryObject) =>
    deriveServiceEntry(object, { mesh: DEFAULT_MESH, binding: UNBOUND, visibility: 'public' });
  const ports = [{ number: 443, name: 'tls', protocol: 'TLS', targetPort: 8443 }];

  test('one service a host, with ranges and allocated addresses', () => {
    const both = services(
      entry({ hosts: ['a.example', 'b.example'], addresses: ['198.18.9.0/24'], ports }),
    );
    expect(both.map(([key]) => key)).toEqual(['shop/a.example', 'shop/b.example']);
    expect(both[0][1].service).toMatchObject({
      addresses: [{ address: '198.18.9.0', length: 24 }],
      ports: [{ servicePort: 443, targetPort: 8443, appProtocol: 'tls' }],
      loadBalancing: { mode: 'passthrough' },
      canonical: false,
    });
    const status = {
      addresses: [
        { value: '240.240.0.1', host: 'a.example' },
        { value: '240.240.0.2', host: 'b.example' },
      ],
    };
    const allocated = services(entry({ hosts: ['a.example'], resolution: 'DNS' }, status));
    expect(allocated[0][1].service.addresses).toMatchObject([{ address: '240.240.0.1' }]);
  });

  test('inline endpoints become workloads; a DNS entry without any has its host', () => {
    const inline = (object: ServiceEntryObject) =>
      deriveInlineEndpoints(object, {
        mesh: DEFAULT_MESH,
        services: services(object).map(([, each]) => each),
      });
    const endpoints = [
      { address: '198.18.7.1', ports: { tls: 9443 }, locality: 'r/z/s', weight: 3 },
    ];
    const [[uid, { workload }]] = inline(
      entry({ hosts: ['a.example'], ports, resolution: 'STATIC', endpoints }),
    );
    expect(uid).toBe('Kubernetes/networking.istio.io/ServiceEntry/shop/ext/198.18.7.1');
    expect(workload).toMatchObject({
      capacity: 3,
      locality: { region: 'r', zone: 'z', subzone: 's' },
    });
    expect(workload.services.get('shop/a.example')).toEqual([
      { servicePort: 443, targetPort: 9443 },
    ]);
    const [[, dns]] = inline(
      entry({ hosts: ['a.example', '*.b.example'], ports, resolution: 'DNS' }),
    );
    expect(dns.workload).toMatchObject({ addresses: [], hostname: 'a.example' });
    expect(inline(entry({ hosts: ['a.example'], ports }))).toEqual([]);
  });

  test('of a DNS entry with several hosts each leads to itself', () => {
    const object = entry({ hosts: ['a.example', 'b.example'], ports, resolution: 'DNS' });
    const bound = services(object).map(([, each]) => each);
    const found = deriveInlineEndpoints(object, { mesh: DEFAULT_MESH, services: bound });
    expect(
      found.map(([, { workload }]) => [workload.hostname, [...workload.services.keys()]]),
    ).toEqual([
      ['a.example', ['shop/a.example']],
      ['b.example', ['shop/b.example']],
    ]);
  });

  test.each([
    ['an empty list is none', { endpoints: [] }, ['a.example']],
    ['a selector says where they are', { workloadSelector: { labels: { app: 'db' } } }, []],
  ])('endpoints of a DNS entry: %s', (_title, more, want) => {
    const object = entry({ hosts: ['a.example'], ports, resolution: 'DNS', ...more });
    const bound = services(object).map(([, each]) => each);
    const found = deriveInlineEndpoints(object, { mesh: DEFAULT_MESH, services: bound });
    expect(found.map(([, { workload }]) => workload.hostname)).toEqual(want);
  });

  test('a pod that a ServiceEntry selects serves its ports, by name where a container has the name', () => {
    const selecting = entry({
      hosts: ['a.example'],
      resolution: 'STATIC',
      workloadSelector: { labels: { app: 'web' } },
      ports: [
        { number: 80, name: 'rpc', protocol: 'TCP' },
        { number: 81, name: 'other', protocol: 'TCP', targetPort: 9081 },
      ],
    });
    const of = services(selecting).map(([, each]) => each);
    const found = derivePod(pod(), { ...CONTEXT, services: of })?.workload;
    expect(found?.services.get('shop/a.example')).toEqual([
      { servicePort: 80, targetPort: 9000 },
      { servicePort: 81, targetPort: 9081 },
    ]);
  });

  test('a WorkloadEntry joins by its labels', () => {
    const object = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name: 'vm', namespace: 'shop' },
      spec: {
        address: '198.18.7.2',
        labels: { app: 'web' },
        serviceAccount: 'vm',
        ports: { rpc: 9100 },
      },
    };
    const derived = deriveWorkloadEntry(object, { ...CONTEXT, services: SERVICES });
    expect(derived?.workload).toMatchObject({
      uid: 'Kubernetes/networking.istio.io/WorkloadEntry/shop/vm',
      serviceAccount: 'vm',
      healthy: true,
    });
    expect(derived?.workload.services.get('shop/web.shop.svc.cluster.local')).toEqual([
      { servicePort: 80, targetPort: 8080 },
      { servicePort: 81, targetPort: 9100 },
    ]);
    const named = bound({
      selector: { app: 'web' },
      ports: [{ name: 'http', port: 80, targetPort: 'web' }],
    });
    const spec = { ...object.spec, ports: { http: 1, web: 9080 } };
    const both = deriveWorkloadEntry({ ...object, spec }, { ...CONTEXT, services: [named] });
    expect([...(both?.workload.services.values() ?? [])]).toEqual([
      [{ servicePort: 80, targetPort: 9080 }],
    ]);
    const status = { conditions: [{ type: 'Healthy', status: 'False' as const }] };
    const sick = deriveWorkloadEntry({ ...object, status }, CONTEXT);
    expect(sick?.workload.healthy).toBe(false);
  });

  test.each<[string, object | undefined]>([
    ['198.18.7.2', { addresses: ['198.18.7.2'], hostname: '' }],
    ['FD00:0::2', { addresses: ['fd00::2'], hostname: '' }],
    ['::ffff:198.18.7.2', { addresses: ['198.18.7.2'], hostname: '' }],
    ['db.test', { addresses: [], hostname: 'db.test' }],
    ['unix:///run/db.sock', undefined],
  ])('the address %s of an endpoint, by itself or in a ServiceEntry', (address, want) => {
    const context = { mesh: { ...DEFAULT_MESH, network: 'here' }, services: [] };
    const object = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name: 'vm', namespace: 'shop' },
      spec: { address, network: '' },
    };
    const own = deriveWorkloadEntry(object, { ...context, waypoint: undefined, policies: [] });
    const listed = entry({ hosts: ['a.example'], endpoints: [{ address, network: '' }] });
    const of = services(listed).map(([, each]) => each);
    const [inline] = deriveInlineEndpoints(listed, { ...context, services: of });
    for (const found of [own?.workload, inline?.[1].workload]) {
      if (want === undefined) expect(found).toBeUndefined();
      else expect(found).toMatchObject({ ...want, network: 'here' });
    }
  });

  test('virtual addresses are spelled in one way, however an entry spells them', () => {
    const object = entry({ hosts: ['a.example'], addresses: ['2001:DB8:0::1', '2001:DB8::/64'] });
    expect(services(object)[0][1].service.addresses).toMatchObject([
      { address: '2001:db8::1' },
      { address: '2001:db8::', length: 64 },
    ]);
  });

  const CHECKED = { 'proxy.istio.io/health-checks-enabled': 'true' };
  const CAPTURED = { 'ambient.istio.io/redirection': 'enabled' };
  const GROUP = { 'istio.io/autoRegistrationGroup': 'vms' };
  test.each<[string, Record<string, string>, 'True' | 'False' | undefined, object]>([
    ['nothing said', {}, undefined, { healthy: true, protocol: 'none' }],
    ['captured', CAPTURED, undefined, { healthy: true, protocol: 'hbone', nativeTunnel: false }],
    ['health checks announced, none passed yet', CHECKED, undefined, { healthy: false }],
    ['announced and passed', CHECKED, 'True', { healthy: true }],
    ['a group', GROUP, undefined, { workloadName: 'vms', canonicalName: 'vms', name: 'vm' }],
    ['announced and failed', CHECKED, 'False', { healthy: false }],
  ])('a WorkloadEntry with %s', (_title, annotations, health, want) => {
    const object = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name: 'vm', namespace: 'shop', annotations },
      spec: { address: '198.18.7.2' },
      status: { conditions: health && [{ type: 'Healthy', status: health }] },
    };
    expect(deriveWorkloadEntry(object, CONTEXT)?.workload).toMatchObject(want);
  });
});
