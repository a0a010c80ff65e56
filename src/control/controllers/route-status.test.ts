import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import { startIngest } from '../ingest/ingest.ts';
import { createMeshGraph } from '../ingest/mesh-graph.ts';
import { OWNS_EVERYTHING } from './ownership.ts';
import { startRouteStatusController, statusFor } from './route-status.ts';

const METADATA = { namespace: 'shop', generation: 3 };
const GATEWAY = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { ...METADATA, name: 'web' },
  spec: { gatewayClassName: 'tulle', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
  status: {
    conditions: [{ type: 'Programmed', status: 'True', reason: 'Programmed' }],
    addresses: [{ value: '198.18.0.9' }],
  },
};
const ROUTE = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { ...METADATA, name: 'r' },
  spec: { parentRefs: [{ name: 'web' }], rules: [{ backendRefs: [{ name: 'none', port: 80 }] }] },
  status: {
    parents: [{ parentRef: { name: 'web' }, controllerName: 'example.com/other', conditions: [] }],
  },
};

async function started(...objects: [keyof typeof RESOURCES, KubeObject][]) {
  const client = new FakeKubeClient();
  for (const [resource, object] of objects) await client.create(RESOURCES[resource], object);
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  const deps = {
    client,
    clock: new FakeClock(),
    random: seededRandom(1),
    log: silentLogger,
    ownership: OWNS_EVERYTHING,
  };
  const ingest = startIngest(deps, graph, { sources: mesh.sources, rootNamespace: 'istio-system' });
  await ingest.synced;
  const stop = startRouteStatusController(deps, {
    statuses: mesh.gatewayApiStatuses,
    sources: mesh.sources,
  });
  const settle = async () => {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  };
  await settle();
  const read = async (resource: keyof typeof RESOURCES, name: string) =>
    (
      await client.get<KubeObject & { status: Record<string, unknown> }>(RESOURCES[resource], {
        namespace: 'shop',
        name,
      })
    ).status;
  return {
    client,
    read,
    settle,
    stop: () => {
      stop();
      ingest.stop();
    },
  };
}

describe('startRouteStatusController', () => {
  test('writes our entries and leaves those of others', async () => {
    const { read, stop } = await started(
      ['gateways', GATEWAY as KubeObject],
      ['httpRoutes', ROUTE as KubeObject],
    );
    const { parents } = (await read('httpRoutes', 'r')) as {
      parents: {
        controllerName: string;
        parentRef: object;
        conditions: Record<string, unknown>[];
      }[];
    };
    expect(parents.map(({ controllerName }) => controllerName)).toEqual([
      'example.com/other',
      'istio.io/gateway-controller',
    ]);
    expect(parents[1].parentRef).toEqual({ name: 'web' });
    expect(
      parents[1].conditions.map(({ type, status, reason, observedGeneration }) => [
        type,
        status,
        reason,
        observedGeneration,
      ]),
    ).toEqual([
      ['Accepted', 'True', 'Accepted', 3],
      ['ResolvedRefs', 'False', 'BackendNotFound', 3],
    ]);
    const gateway = (await read('gateways', 'web')) as {
      conditions: { type: string }[];
      addresses: object;
      listeners: { name: string; attachedRoutes: number; supportedKinds: object[] }[];
    };
    expect(gateway.conditions.map(({ type }) => type)).toEqual([
      'Programmed',
      'Accepted',
      'ResolvedRefs',
    ]);
    expect(gateway.addresses).toEqual([{ value: '198.18.0.9' }]);
    expect(
      gateway.listeners.map(({ name, attachedRoutes, supportedKinds }) => [
        name,
        attachedRoutes,
        supportedKinds.length,
      ]),
    ).toEqual([['http', 1, 2]]);
    stop();
  });

  test('removes the entry of a parent that the route no longer names', async () => {
    const { client, read, settle, stop } = await started(
      ['gateways', GATEWAY as KubeObject],
      ['httpRoutes', ROUTE as KubeObject],
    );
    const object = await client.get<KubeObject & { spec: object }>(RESOURCES.httpRoutes, {
      namespace: 'shop',
      name: 'r',
    });
    await client.update(RESOURCES.httpRoutes, {
      ...object,
      spec: { ...object.spec, parentRefs: [{ name: 'gone' }] },
    });
    await settle();
    const { parents } = (await read('httpRoutes', 'r')) as {
      parents: { controllerName: string }[];
    };
    expect(parents.map(({ controllerName }) => controllerName)).toEqual(['example.com/other']);
    stop();
  });
});

describe('statusFor', () => {
  const wanted = (status: 'True' | 'False') => ({
    source: 'httpRoutes' as const,
    namespace: 'shop',
    name: 'r',
    generation: 4,
    parents: [
      {
        parentRef: { name: 'web' },
        conditions: [{ type: 'Accepted', status, reason: 'x', message: 'm' }],
      },
    ],
  });
  const object = { ...ROUTE, status: undefined } as KubeObject;
  const first = statusFor(object, wanted('True'), '2026-01-01T00:00:00Z');
  const again = { ...object, status: first };

  test('writes nothing when nothing changed', () => {
    expect(statusFor(again, wanted('True'), '2026-02-02T00:00:00Z')).toBeUndefined();
  });

  test('keeps the time of a condition while its status stays', () => {
    const times = (status: Record<string, unknown> = {}) =>
      (status.parents as { conditions: { lastTransitionTime: string }[] }[])[0].conditions[0]
        .lastTransitionTime;
    const newer = { ...wanted('True'), generation: 5 };
    expect(times(statusFor(again, newer, '2026-02-02T00:00:00Z'))).toBe('2026-01-01T00:00:00Z');
    expect(times(statusFor(again, wanted('False'), '2026-02-02T00:00:00Z'))).toBe(
      '2026-02-02T00:00:00Z',
    );
  });
});
