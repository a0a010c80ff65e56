import { expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import { startIngest } from './ingest.ts';
import { createMeshGraph } from './mesh-graph.ts';

const object = (kind: string, name: string, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace: 'istio-system', labels },
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await Promise.resolve();
}

test('startIngest reads configuration of its revision, follows tags, and reads Gateways of all', async () => {
  const client = new FakeKubeClient();
  const deps = { client, clock: new FakeClock(), random: seededRandom(1), log: silentLogger };
  const rule = (name: string, revision: string) =>
    client.create(
      RESOURCES.destinationRules,
      object('DestinationRule', name, { 'istio.io/rev': revision }),
    );
  await client.create(RESOURCES.destinationRules, object('DestinationRule', 'plain'));
  await rule('own', 'canary');
  await rule('other', 'default');
  await rule('tagged', 'prod');
  const waypoint = {
    ...object('Gateway', 'waypoint', { 'istio.io/rev': 'default' }),
    spec: { gatewayClassName: 'istio-waypoint', listeners: [] },
  };
  await client.create<KubeObject>(RESOURCES.gateways, waypoint);
  const graph = new Graph();
  const mesh = createMeshGraph(graph, { ...DEFAULT_MESH, revision: 'canary' });
  const { stop, synced } = startIngest(deps, graph, {
    sources: mesh.sources,
    rootNamespace: 'istio-system',
    revision: 'canary',
  });
  await synced;
  const names = () => [...mesh.sources.destinationRules.entries()].map(([key]) => key).toSorted();
  expect(names()).toEqual(['istio-system/own', 'istio-system/plain']);
  expect(mesh.sources.gateways.size).toBe(1);

  const tag = {
    ...object('Service', 'tag', { 'istio.io/tag': 'prod', 'istio.io/rev': 'canary' }),
    spec: { ports: [{ port: 15012 }] },
  };
  await client.create<KubeObject>(RESOURCES.services, tag);
  await settle();
  expect(names()).toContain('istio-system/tagged');
  const labels = { 'istio.io/tag': 'prod', 'istio.io/rev': 'default' };
  await client.patch(RESOURCES.services, tag.metadata, {
    type: 'merge',
    body: { metadata: { labels } },
  });
  await settle();
  expect(names()).toEqual(['istio-system/own', 'istio-system/plain']);
  stop();
});
