/** Binds pods without a node to one (schedule.ts decides). */
import { rfc3339 } from '#base/clock.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { type Cluster, onAny } from './cluster.ts';
import { keyOf, Reconciler, splitKey } from './reconciler.ts';
import { isActive } from './replica-plan.ts';
import { schedule } from './schedule.ts';

export function startScheduler(cluster: Cluster): void {
  const { client, clock, nodes, pods } = cluster;
  const log = cluster.log.child('scheduler');
  /** Bound by us, not yet so in the cache: pod key → node. */
  const assumed = new Map<string, string>();

  const reconciler = new Reconciler({ ...cluster, log }, async (key) => {
    const pod = pods.get(splitKey(key));
    if (pod === undefined || pod.spec.nodeName !== undefined) {
      assumed.delete(key);
      return;
    }
    if (!isActive(pod) || assumed.has(key)) return;
    const placement = schedule(pod, nodes.list(), pods.list().map(withAssumed));
    if ('reason' in placement) {
      await refuse(pod, placement.reason);
      return;
    }
    assumed.set(key, placement.node);
    try {
      const { namespace, name, uid } = pod.metadata;
      await client.request('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding`, {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { namespace, name, uid },
        target: { apiVersion: 'v1', kind: 'Node', name: placement.node },
      });
    } catch (error) {
      assumed.delete(key);
      throw error;
    }
  });

  function withAssumed(pod: Pod): Pod {
    const node = pod.spec.nodeName === undefined ? assumed.get(keyOf(pod)) : undefined;
    return node === undefined ? pod : { ...pod, spec: { ...pod.spec, nodeName: node } };
  }

  async function refuse(pod: Pod, message: string): Promise<void> {
    const before = pod.status?.conditions ?? [];
    const known = before.find((condition) => condition.type === 'PodScheduled');
    if (known?.message === message) return;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: rfc3339(clock, 's'),
    };
    const conditions = [...before.filter((entry) => entry.type !== 'PodScheduled'), condition];
    const body = { status: { phase: 'Pending', conditions } };
    await client.patch(
      RESOURCES.pods,
      pod.metadata,
      { type: 'merge', body },
      { subresource: 'status' },
    );
  }

  pods.subscribe(onAny((pod) => reconciler.add(keyOf(pod))));
  // A node that came, or is ready again, may take what waited.
  nodes.subscribe(
    onAny(() => {
      for (const pod of pods.list())
        if (pod.spec.nodeName === undefined) reconciler.add(keyOf(pod));
    }),
  );
}
