import { describe, expect, test } from 'bun:test';
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
import { ENFORCED_CHECK_MS, ENFORCED_CHECKS_MAX } from '../limits.ts';
import { OWNS_EVERYTHING } from './ownership.ts';
import { startPolicyStatusController } from './policy-status.ts';

const KEY = { namespace: 'shop', name: 'p' };
const POLICY = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { ...KEY, generation: 1 },
  spec: { rules: [{}] },
} as KubeObject;

async function settle(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await Promise.resolve();
}

async function setup(sync: { synced: number; total: number }) {
  const client = new FakeKubeClient();
  const clock = new FakeClock();
  const deps = {
    client,
    clock,
    random: seededRandom(1),
    log: silentLogger,
    ownership: OWNS_EVERYTHING,
  };
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  await client.create(RESOURCES.authorizationPolicies, POLICY);
  const ingest = startIngest(deps, graph, {
    sources: mesh.sources,
    rootNamespace: 'istio-system',
  });
  await ingest.synced;
  const start = () =>
    startPolicyStatusController(
      deps,
      { statuses: mesh.policyStatuses, sources: mesh.sources },
      async () => ({ silent: [], ...sync }),
    );
  let stop = start();
  const conditions = async () => {
    type Object = KubeObject & { status?: { conditions?: Condition[] } };
    const object = await client.get<Object>(RESOURCES.authorizationPolicies, KEY);
    return object.status?.conditions ?? [];
  };
  const pass = async (checks: number) => {
    for (let check = 0; check < checks; check++) {
      clock.advance(ENFORCED_CHECK_MS);
      await settle();
    }
  };
  const stopAll = () => {
    stop();
    ingest.stop();
  };
  /** As after a change of leaders. */
  const again = () => {
    stop();
    stop = start();
  };
  return { client, clock, conditions, pass, stop: stopAll, again };
}

describe('startPolicyStatusController', () => {
  test('writes once the node proxies have answered, with how many hold the policy', async () => {
    const sync = { synced: 1, total: 2 };
    const { conditions, pass, stop, clock } = await setup(sync);
    await pass(3);
    expect(await conditions()).toEqual([]);
    sync.synced = 2;
    await pass(1);
    expect(await conditions()).toMatchObject([
      { type: 'ZtunnelAccepted', status: 'True', observedGeneration: 1 },
      {
        type: 'tulle.dev/Enforced',
        status: 'True',
        message: 'enforced by node proxies; in force at 2 of 2 node proxies',
      },
    ]);
    stop();
    expect(clock.pending).toBe(0);
  });

  test('says so when one never answers', async () => {
    const { conditions, pass, stop } = await setup({ synced: 1, total: 2 });
    await pass(ENFORCED_CHECKS_MAX);
    expect((await conditions())[1].message).toContain('in force at 1 of 2 node proxies');
    stop();
  });

  test('asks the API nothing about an object that says what it should', async () => {
    const { client, pass, stop, again } = await setup({ synced: 1, total: 1 });
    await pass(1);
    client.failures = 1;
    again();
    await pass(1);
    expect(client.failures).toBe(1);
    stop();
  });

  test('keeps the conditions of others, and replaces its own when the policy is bound elsewhere', async () => {
    const { client, conditions, pass, stop } = await setup({ synced: 1, total: 1 });
    await pass(1);
    const foreign = { type: 'Reviewed', status: 'True' };
    const targetRefs = [{ kind: 'Gateway', name: 'gone' }];
    await client.patch(RESOURCES.authorizationPolicies, KEY, {
      type: 'merge',
      body: {
        spec: { targetRefs },
        status: { conditions: [...(await conditions()), foreign] },
      },
    });
    await settle();
    await pass(1);
    expect((await conditions()).map(({ type, reason }) => [type, reason])).toEqual([
      ['Reviewed', undefined],
      ['WaypointAccepted', 'TargetNotFound'],
      ['tulle.dev/Enforced', 'TargetNotFound'],
    ]);
    stop();
  });
});
