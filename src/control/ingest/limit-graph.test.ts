import { expect, test } from 'bun:test';
import type { SourceCollection } from '#collections/collection.ts';
import { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import type { MeshSources } from './mesh-graph.ts';
import { createMeshGraph } from './mesh-graph.ts';

const HOST = 'p.shop.svc.cluster.local';

function object(kind: string, name: string, spec: object, labels = {}): KubeObject {
  const created = '2026-01-01T00:00:00Z';
  const metadata = { name, namespace: 'shop', uid: `${kind}/${name}`, labels };
  return {
    apiVersion: 'v1',
    kind,
    metadata: { ...metadata, creationTimestamp: created },
    spec,
  } as unknown as KubeObject;
}

function setup() {
  const mesh = createMeshGraph(new Graph(), DEFAULT_MESH);
  const put = (source: keyof MeshSources, value: KubeObject) =>
    (mesh.sources[source] as unknown as SourceCollection<KubeObject>).set(
      `shop/${value.metadata.name}`,
      value,
    );
  const waypoint = { gatewayClassName: 'istio-waypoint', listeners: [] };
  put('gateways', object('Gateway', 'waypoint', waypoint));
  const ports = [{ name: 'http', port: 80 }];
  const spec = { clusterIP: '198.19.0.10', selector: { app: 'p' }, ports };
  put('services', object('Service', 'p', spec, { 'istio.io/use-waypoint': 'waypoint' }));
  const limits = () => {
    const table = mesh.routeTables.get(`shop/${HOST}`)?.table;
    return {
      rates: table?.rateLimits?.map(({ id }) => id),
      shedding: table?.shedding?.map(({ id }) => id),
      routes: table?.ports[0].routes.map((each) => each.rateLimits?.map(({ id }) => id)),
    };
  };
  return { mesh, put, limits };
}
const limited = (name: string, targetRef: object) =>
  object('LocalRateLimit', name, {
    targetRefs: [targetRef],
    limits: [{ requests: 1, unit: 'Second' }],
  });
const GATEWAY = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'waypoint' };

test('limits of a service and of its waypoint are in its table, and leave with their objects', () => {
  const { mesh, put, limits } = setup();
  put('localRateLimits', limited('own', { kind: 'Service', name: 'p' }));
  put('localRateLimits', limited('all', GATEWAY));
  put('loadSheddings', object('LoadShedding', 's', { targetRefs: [GATEWAY], maxRequests: 9 }));
  expect(limits()).toMatchObject({ rates: ['shop/all/0', 'shop/own/0'], shedding: ['shop/s'] });
  mesh.sources.localRateLimits.delete('shop/own');
  mesh.sources.loadSheddings.delete('shop/s');
  expect(limits()).toMatchObject({ rates: ['shop/all/0'], shedding: undefined });
});

test('limits of a VirtualService are at its routes', () => {
  const { put, limits } = setup();
  const http = [{ name: 'only', route: [{ destination: { host: 'p' } }] }];
  put('virtualServices', object('VirtualService', 'v', { hosts: ['p'], http }));
  put(
    'localRateLimits',
    limited('l', { group: 'networking.istio.io', kind: 'VirtualService', name: 'v' }),
  );
  expect(limits()).toEqual({ rates: undefined, shedding: undefined, routes: [['shop/l/0']] });
});

test('a limit without a target, and a bad one, are findings; the last good one stays', () => {
  const { mesh, put, limits } = setup();
  const service = { kind: 'Service', name: 'p' };
  put('localRateLimits', limited('l', service));
  put('localRateLimits', object('LocalRateLimit', 'l', { targetRefs: [service], limits: [] }));
  put('localRateLimits', limited('lost', { kind: 'Service', name: 'nobody' }));
  expect(limits().rates).toEqual(['shop/l/0']);
  const found = mesh.findings().map(({ resource, path, level }) => [resource, path, level]);
  expect(found).toContainEqual(['LocalRateLimit shop/l', 'spec.limits', 'error']);
  expect(found).toContainEqual(['LocalRateLimit shop/lost', 'spec.targetRefs[0]', 'warning']);
});
