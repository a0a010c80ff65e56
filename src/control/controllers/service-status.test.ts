import { expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { Graph } from '#collections/graph.ts';
import type { Condition } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import { startIngest } from '../ingest/ingest.ts';
import { createMeshGraph } from '../ingest/mesh-graph.ts';
import { OWNS_EVERYTHING } from './ownership.ts';
import { startServiceStatusController } from './service-status.ts';

async function settle(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await Promise.resolve();
}

const labels = { 'istio.io/use-waypoint': 'waypoint' };
const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'api', namespace: 'shop', labels },
  spec: { ports: [{ port: 80 }] },
} as KubeObject;
const ENTRY = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name: 'ext', namespace: 'shop', labels },
  spec: { hosts: ['ext.example'], resolution: 'STATIC' },
  status: { conditions: [{ type: 'Reviewed', status: 'True' }] },
} as KubeObject;

test('startServiceStatusController writes what Services and ServiceEntries are to say, and takes it back', async () => {
  const client = new FakeKubeClient();
  const deps = {
    client,
    clock: new FakeClock(),
    random: seededRandom(1),
    log: silentLogger,
    ownership: OWNS_EVERYTHING,
  };
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  await client.create(RESOURCES.services, SERVICE);
  await client.create(RESOURCES.serviceEntries, ENTRY);
  const ingest = startIngest(deps, graph, { sources: mesh.sources, rootNamespace: 'istio-system' });
  await ingest.synced;
  const stop = startServiceStatusController(deps, mesh.services);
  await settle();
  const says = async (kind: 'services' | 'serviceEntries', name: string) => {
    type Object = KubeObject & { status?: { conditions?: Condition[] } };
    const object = await client.get<Object>(RESOURCES[kind], { namespace: 'shop', name });
    return (object.status?.conditions ?? []).map(({ type, reason }) => `${type} ${reason}`);
  };
  const unready = 'istio.io/WaypointBound WaypointIsNotReady';
  expect(await says('services', 'api')).toEqual([unready]);
  expect(await says('serviceEntries', 'ext')).toEqual(['Reviewed undefined', unready]);

  const config = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { mesh: 'serviceEntryVisibility: { defaultVisibility: NAMESPACE }' },
  };
  await client.create(RESOURCES.configMaps, config as KubeObject);
  await settle();
  const applied = 'istio.io/VisibilityApplied Namespace';
  expect(await says('services', 'api')).toEqual([unready]);
  expect(await says('serviceEntries', 'ext')).toEqual(['Reviewed undefined', unready, applied]);

  const unlabeled = { type: 'merge', body: { metadata: { labels: null } } } as const;
  for (const kind of ['services', 'serviceEntries'] as const) {
    const name = kind === 'services' ? 'api' : 'ext';
    await client.patch(RESOURCES[kind], { namespace: 'shop', name }, unlabeled);
  }
  await settle();
  expect(await says('services', 'api')).toEqual([]);
  expect(await says('serviceEntries', 'ext')).toEqual(['Reviewed undefined', applied]);
  stop();
  ingest.stop();
});
