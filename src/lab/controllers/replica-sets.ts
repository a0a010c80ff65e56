/** The ReplicaSet controller: keeps the number of pods and reports it. */
import { isMeshError } from '#base/errors.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { equalJson } from '#kube/meta/object.ts';
import { type Cluster, onAny } from './cluster.ts';
import { keyOf, Reconciler, splitKey } from './reconciler.ts';
import { controllerOf, planReplicas, type ReplicaSet } from './replica-plan.ts';

/** A pod we made must show up in the cache by then; else it was deleted before we saw it. */
const UNSEEN_MS = 5_000;

export function startReplicaSets(cluster: Cluster): void {
  const { pods, replicaSets, client, clock } = cluster;
  /** Pods made and not yet seen, by set: name → when it is given up. */
  const unseen = new Map<string, Map<string, number>>();
  const log = cluster.log.child('replicasets');

  const reconciler = new Reconciler({ ...cluster, log }, async (key) => {
    const set = replicaSets.get(splitKey(key));
    if (set === undefined) {
      unseen.delete(key);
      return;
    }
    const owned = pods
      .list(set.metadata.namespace)
      .filter((pod) => controllerOf(pod)?.uid === set.metadata.uid);
    const plan = planReplicas(set, owned, {
      unseen: countUnseen(key, owned),
      nowMs: clock.wallTime(),
    });
    await Promise.all([
      ...Array.from({ length: plan.create }, () => createPod(key, set)),
      ...plan.remove.map((pod) => removePod(pod)),
    ]);
    if (plan.recheckMs !== undefined) reconciler.addAfter(key, plan.recheckMs + 10);
    await report(set, plan.status);
  });

  function countUnseen(key: string, owned: readonly Pod[]): number {
    const made = unseen.get(key);
    if (made === undefined) return 0;
    const names = new Set(owned.map((pod) => pod.metadata.name));
    for (const [name, until] of made) if (names.has(name) || until < clock.now()) made.delete(name);
    return made.size;
  }

  async function createPod(key: string, set: ReplicaSet): Promise<void> {
    const { template } = set.spec;
    const { namespace, name, uid } = set.metadata;
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: '',
        generateName: `${name}-`,
        namespace,
        labels: template.metadata?.labels,
        annotations: template.metadata?.annotations,
        ownerReferences: [
          {
            apiVersion: 'apps/v1',
            kind: 'ReplicaSet',
            name,
            uid: uid ?? '',
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      },
      spec: template.spec,
    };
    const made = await client.create(RESOURCES.pods, pod);
    if (pods.get(made.metadata) !== undefined) return;
    const names = unseen.get(key) ?? new Map<string, number>();
    unseen.set(key, names.set(made.metadata.name, clock.now() + UNSEEN_MS));
  }

  async function removePod(pod: Pod): Promise<void> {
    try {
      await client.delete(RESOURCES.pods, pod.metadata);
    } catch (error) {
      if (!isMeshError(error, 'KUBE_NOT_FOUND')) throw error;
    }
  }

  async function report(
    set: ReplicaSet,
    counts: ReturnType<typeof planReplicas>['status'],
  ): Promise<void> {
    const status = { ...counts, observedGeneration: set.metadata.generation };
    if (equalJson(set.status ?? {}, { ...set.status, ...status })) return;
    await client.patch(
      RESOURCES.replicaSets,
      set.metadata,
      { type: 'merge', body: { status } },
      { subresource: 'status' },
    );
  }

  replicaSets.subscribe(onAny((set) => reconciler.add(keyOf(set))));
  pods.subscribe(
    onAny((pod) => {
      const owner = controllerOf(pod);
      if (owner?.kind === 'ReplicaSet') reconciler.add(`${pod.metadata.namespace}/${owner.name}`);
    }),
  );
}
