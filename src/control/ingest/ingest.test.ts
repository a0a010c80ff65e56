import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { Graph } from '#collections/graph.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import { DEFAULT_REVISION } from '../derive/revision.ts';
import { DISPENSABLE_KINDS, describeProblem, INGESTED, startIngest } from './ingest.ts';
import { createMeshGraph } from './mesh-graph.ts';
import { trimFor } from './trim.ts';

async function settle(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
}

async function start(forbidden: readonly string[]) {
  const client = new FakeKubeClient();
  for (const resource of forbidden) client.forbidden.add(resource);
  const clock = new FakeClock();
  const graph = new Graph();
  const { sources } = createMeshGraph(graph, DEFAULT_MESH);
  const ingest = startIngest({ client, clock, random: seededRandom(1), log: silentLogger }, graph, {
    sources,
    rootNamespace: 'istio-system',
    revision: DEFAULT_REVISION,
  });
  let isSynced = false;
  void ingest.synced.then(() => {
    isSynced = true;
  });
  await settle();
  return { client, clock, ingest, isSynced: () => isSynced };
}

describe('startIngest without rights', () => {
  test.each(Object.keys(INGESTED).filter((name) => name !== 'meshConfig'))(
    'waits for %s, or goes on without where that only serves less',
    async (name) => {
      const { group, resource } = INGESTED[name as keyof typeof INGESTED];
      // ConfigMaps hold the mesh's settings as well, gateways are of two groups.
      const isShared = resource === 'configmaps' || resource === 'gateways';
      const { ingest, isSynced } = await start([resource]);
      expect(isSynced()).toBe(DISPENSABLE_KINDS.has(name) && resource !== 'configmaps');
      const [problem] = ingest.problems();
      const full = group === '' ? resource : `${resource}.${group}`;
      if (!isShared) {
        expect(problem).toMatchObject({ resource: full, isKnown: DISPENSABLE_KINDS.has(name) });
        expect(describeProblem(problem)).toBe(
          `may not list ${full}: grant get, list and watch to the ClusterRole of istiod (kubectl auth can-i list ${full})`,
        );
      }
      ingest.stop();
    },
  );

  test('never goes on without a kind that forbids something', () => {
    for (const kind of ['authorizationPolicies', 'peerAuthentications', 'requestAuthentications'])
      expect(DISPENSABLE_KINDS.has(kind)).toBe(false);
  });

  test('is synced once the right is given', async () => {
    const { client, clock, ingest, isSynced } = await start(['authorizationpolicies']);
    expect(isSynced()).toBe(false);
    client.forbidden.clear();
    clock.advance(10_000);
    await settle();
    expect(isSynced()).toBe(true);
    expect(ingest.problems()).toEqual([]);
    ingest.stop();
  });
});

describe('isCurrent of startIngest', () => {
  test.each([
    ['authorizationpolicies', false],
    ['tcproutes', false],
    ['nodes', true],
  ])('with the right to %s taken away it is %p', async (resource, want) => {
    const { client, clock, ingest } = await start([]);
    expect(ingest.isCurrent()).toBe(true);
    client.forbidden.add(resource);
    client.cutWatches();
    for (let passed = 0; passed < 30_000; passed += 250) {
      clock.advance(250);
      await settle();
    }
    expect(ingest.problems().map((problem) => problem.resource.split('.')[0])).toEqual([resource]);
    expect(ingest.isCurrent()).toBe(want);
    ingest.stop();
  });
});

describe('trimFor', () => {
  const trimmed = (source: keyof typeof INGESTED, object: object) =>
    trimFor(source)({ apiVersion: 'v1', kind: '', ...object } as KubeObject);

  test('keeps of a pod what is derived from it', () => {
    const port = { name: 'http', containerPort: 8080, protocol: 'TCP' };
    const sidecar = { name: 's', image: 'i', restartPolicy: 'Always', ports: [port] };
    const pod = {
      metadata: {
        name: 'a',
        namespace: 'b',
        resourceVersion: '7',
        labels: { app: 'a' },
        annotations: { 'ambient.istio.io/redirection': 'enabled' },
        ownerReferences: [{ kind: 'ReplicaSet', name: 'r', controller: true }],
      },
      spec: {
        nodeName: 'n',
        serviceAccountName: 'sa',
        containers: [{ name: 'app', image: 'i', ports: [port] }],
        initContainers: [sidecar],
      },
      status: {
        phase: 'Running',
        podIP: '10.0.0.1',
        podIPs: [{ ip: '10.0.0.1' }],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    };
    const full = {
      metadata: {
        ...pod.metadata,
        generateName: 'a-',
        managedFields: [{ manager: 'kubelet' }],
        annotations: {
          ...pod.metadata.annotations,
          'kubectl.kubernetes.io/last-applied-configuration': '{}',
        },
        ownerReferences: [...pod.metadata.ownerReferences, { kind: 'Other', name: 'o' }],
      },
      spec: {
        ...pod.spec,
        volumes: [{ name: 'v' }],
        containers: [
          { ...pod.spec.containers[0], env: [{ name: 'E' }], ports: [port, { containerPort: 9 }] },
        ],
        initContainers: [sidecar, { name: 'once', image: 'i' }],
      },
      status: {
        ...pod.status,
        hostIP: '172.16.0.1',
        conditions: [
          { type: 'Ready', status: 'True', lastTransitionTime: 'now' },
          { type: 'Initialized', status: 'True' },
        ],
        containerStatuses: [{ name: 'app' }],
      },
    };
    expect(trimmed('pods', full)).toEqual({ apiVersion: 'v1', kind: '', ...pod } as unknown as Pod);
  });

  test('keeps of a slice of Kubernetes the endpoints that are no pods, one by hand whole, of a node its labels', () => {
    const kept = { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' };
    const metadata = { name: 'a', labels: { zone: 'z', ...kept } };
    const byHand = { addresses: ['192.0.2.1'] };
    const ofPod = { addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'p' } };
    expect(trimmed('endpointSlices', { metadata, endpoints: [byHand, ofPod] })).toMatchObject({
      endpoints: [byHand],
    });
    const whole = { metadata: { name: 'a' }, endpoints: [byHand, ofPod] };
    expect(trimmed('endpointSlices', whole)).toMatchObject(whole);
    const node = { metadata, status: { images: ['i'] } };
    expect(trimmed('nodes', node)).toEqual({ apiVersion: 'v1', kind: '', metadata });
  });

  test('keeps the rest whole but for what nobody reads', () => {
    const metadata = { name: 'a', managedFields: [], annotations: { note: 'n' } };
    expect(trimmed('virtualServices', { metadata, spec: { hosts: ['h'] } })).toEqual({
      apiVersion: 'v1',
      kind: '',
      metadata: { name: 'a', annotations: { note: 'n' } },
      spec: { hosts: ['h'] },
    } as unknown as KubeObject);
  });
});
