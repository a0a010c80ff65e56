import { describe, expect, test } from 'bun:test';
import type { SourceCollection } from '#collections/collection.ts';
import { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import type { MeshSources } from './mesh-graph.ts';
import { createMeshGraph } from './mesh-graph.ts';

type Loose = Record<string, unknown>;

/** A waypoint in a namespace of its own serves what the namespace shop has. */
function setup() {
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  const put = (
    source: keyof MeshSources,
    name: string,
    { namespace = 'shop', labels, annotations, ...rest }: Loose & { namespace?: string },
  ) => {
    const metadata = { name, namespace, uid: name, labels, annotations, creationTimestamp: '' };
    const key = namespace === '' ? name : `${namespace}/${name}`;
    const value = { apiVersion: 'v1', kind: 'X', metadata, ...rest } as unknown as KubeObject;
    (mesh.sources[source] as unknown as SourceCollection<KubeObject>).set(key, value);
  };
  graph.batch(() => {
    put('namespaces', 'shop', {
      namespace: '',
      labels: {
        'istio.io/use-waypoint': 'waypoint',
        'istio.io/use-waypoint-namespace': 'edge',
      },
    });
    put('namespaces', 'edge', { namespace: '' });
    put('gateways', 'waypoint', {
      namespace: 'edge',
      spec: {
        gatewayClassName: 'istio-waypoint',
        listeners: [
          {
            name: 'mesh',
            port: 15008,
            protocol: 'HBONE',
            allowedRoutes: { namespaces: { from: 'All' } },
          },
        ],
      },
      status: { addresses: [{ type: 'Hostname', value: 'waypoint.edge.svc.cluster.local' }] },
    });
    put('services', 'p', {
      spec: { clusterIP: '198.19.0.10', ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    });
  });
  const entry = (resolution: string, spec: Loose = {}) =>
    put('serviceEntries', 'outside', {
      spec: {
        hosts: ['db.test'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        resolution,
        ...spec,
      },
    });
  const rule = (name: string, namespace: string, simple: string, more: Loose = {}) =>
    put('destinationRules', name, {
      namespace,
      spec: {
        host: 'p.shop.svc.cluster.local',
        trafficPolicy: { loadBalancer: { simple } },
        ...more,
      },
    });
  const upstream = (host = 'p.shop.svc.cluster.local') => mesh.upstreams.get(`shop/${host}`);
  const meshConfig = (text: string) =>
    put('meshConfig', 'istio', { namespace: 'istio-system', data: { mesh: text } });
  return { mesh, put, entry, rule, upstream, meshConfig };
}

describe('resolution', () => {
  test.each([
    ['DNS', 'dns', ['db.test']],
    ['DNS_ROUND_ROBIN', 'dns-round-robin', ['db.test']],
    ['NONE', 'passthrough', []],
    ['STATIC', undefined, []],
  ] as const)('%s gives %p with the endpoints %p', (resolution, want, addresses) => {
    const { entry, upstream } = setup();
    entry(resolution);
    expect(upstream('db.test')?.resolution).toBe(want);
    expect(upstream('db.test')?.endpoints.map(({ address }) => address)).toEqual([...addresses]);
  });

  test('DYNAMIC_DNS keeps its wildcard', () => {
    const { entry, upstream } = setup();
    entry('DYNAMIC_DNS', { hosts: ['*.example.test'] });
    expect(upstream('*.example.test')?.resolution).toBe('dynamic-dns');
  });

  test('a broken entry is a finding, and its last good form stays in force', () => {
    const { mesh, entry, upstream } = setup();
    entry('DNS');
    entry('DNS', { hosts: ['-'] });
    expect(upstream('db.test')?.resolution).toBe('dns');
    expect(mesh.findings()).toContainEqual(
      expect.objectContaining({ resource: 'ServiceEntry shop/outside', path: 'spec.hosts[0]' }),
    );
  });

  test('a broken workload is a finding, and its last good form takes part', () => {
    const { mesh, put, entry, upstream } = setup();
    entry('STATIC', { workloadSelector: { labels: { app: 'db' } } });
    const workload = (address: string) =>
      put('workloadEntries', 'db-1', { spec: { address, labels: { app: 'db' } } });
    workload('198.18.0.7');
    workload('unix://relative');
    expect(upstream('db.test')?.endpoints.map(({ address }) => address)).toEqual(['198.18.0.7']);
    expect(mesh.findings()).toContainEqual(
      expect.objectContaining({ resource: 'WorkloadEntry shop/db-1', path: 'spec.address' }),
    );
  });

  test('names of the entry are what TLS to it must prove', () => {
    const { put, entry, upstream } = setup();
    entry('DNS', { subjectAltNames: ['spiffe://outside'] });
    put('destinationRules', 'tls', {
      spec: { host: 'db.test', trafficPolicy: { tls: { mode: 'SIMPLE' } } },
    });
    expect(upstream('db.test')?.policy.tls?.subjectAltNames).toEqual(['spiffe://outside']);
  });
});

describe('rules for the proxy that asks', () => {
  test("of the waypoint's namespace are a variant for it", () => {
    const { rule, upstream } = setup();
    rule('own', 'shop', 'RANDOM');
    expect(upstream()?.variants).toBeUndefined();
    rule('edge', 'edge', 'ROUND_ROBIN', { subsets: [{ name: 'v1', labels: { version: 'v1' } }] });
    expect(upstream()?.policy.loadBalancer).toBe('random');
    expect(upstream()?.variants).toMatchObject([
      {
        proxies: ['edge/waypoint'],
        policy: { loadBalancer: 'round-robin' },
        subsets: [{ name: 'v1' }],
        provenance: { namespace: 'edge', name: 'edge' },
      },
    ]);
  });

  test('a subset of such a rule is one that routes may name', () => {
    const { mesh, put, rule } = setup();
    put('virtualServices', 'p', {
      spec: { hosts: ['p'], http: [{ route: [{ destination: { host: 'p', subset: 'v1' } }] }] },
    });
    const missing = () => mesh.findings().some(({ code }) => code === 'IST0101');
    expect(missing()).toBe(true);
    rule('edge', 'edge', 'ROUND_ROBIN', { subsets: [{ name: 'v1', labels: { version: 'v1' } }] });
    expect(missing()).toBe(false);
  });

  test('a rule that its namespace keeps to itself is none for another', () => {
    const { rule, upstream } = setup();
    rule('own', 'shop', 'RANDOM', { exportTo: ['.'] });
    expect(upstream()?.variants?.[0].policy.loadBalancer).toBe('least-request');
  });
});

describe('the mesh', () => {
  test('gives blocks, connect timeout and visibility where rules say nothing', () => {
    const { rule, upstream, meshConfig } = setup();
    rule('own', 'shop', 'RANDOM');
    meshConfig(`
connectTimeout: 3s
defaultDestinationRuleExportTo: ["."]
defaultTrafficPolicy:
  outlierDetection: { consecutive5xxErrors: 7 }
`);
    expect(upstream()?.policy).toMatchObject({
      loadBalancer: 'random',
      connectionPool: { connectTimeoutMs: 3_000 },
      outlier: { consecutive5xx: 7 },
      locality: {},
    });
    expect(upstream()?.variants?.[0].policy.loadBalancer).toBe('least-request');
  });

  test('keeps its last good form when what it says is wrong', () => {
    const { mesh, upstream, meshConfig } = setup();
    meshConfig('connectTimeout: 3s');
    meshConfig('connectTimeout: soon');
    expect(upstream()?.policy.connectionPool.connectTimeoutMs).toBe(3_000);
    expect(mesh.findings()).toContainEqual(
      expect.objectContaining({ resource: 'ConfigMap istio-system/istio', level: 'error' }),
    );
  });

  test("traffic distribution of a service ranks its endpoints' localities", () => {
    const { put, upstream } = setup();
    put('services', 'p', {
      spec: {
        clusterIP: '198.19.0.10',
        trafficDistribution: 'PreferSameNode',
        ports: [{ name: 'http', port: 80, targetPort: 8080 }],
      },
    });
    expect(upstream()?.policy.locality?.failoverPriority?.at(-1)).toBe('kubernetes.io/hostname');
  });
});

test('an endpoint that terminates or is not ready takes nothing new', () => {
  const { put, upstream } = setup();
  put('endpointSlices', 'p-1', {
    labels: { 'kubernetes.io/service-name': 'p' },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080 }],
    endpoints: [
      { addresses: ['198.18.0.1'], conditions: { ready: true } },
      { addresses: ['198.18.0.2'], conditions: { ready: false, serving: true, terminating: true } },
      { addresses: ['198.18.0.3'], conditions: {} },
    ],
  });
  const healthy = upstream()?.endpoints.filter((each) => each.healthy);
  expect(healthy?.map(({ address }) => address).sort()).toEqual(['198.18.0.1', '198.18.0.3']);
});
