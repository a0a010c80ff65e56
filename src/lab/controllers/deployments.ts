/** The Deployment controller: one ReplicaSet a template, sizes moved by rollout-plan.ts, status reported. */
import { rfc3339 } from '#base/clock.ts';
import { isMeshError } from '#base/errors.ts';
import type { Deployment } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { equalJson } from '#kube/meta/object.ts';
import { type Cluster, onAny } from './cluster.ts';
import { keyOf, Reconciler, splitKey } from './reconciler.ts';
import { controllerOf, type ReplicaSet } from './replica-plan.ts';
import {
  nextRolloutStep,
  REVISION,
  revisionOf,
  rolloutStatus,
  TEMPLATE_HASH,
  templateHash,
} from './rollout-plan.ts';

/** Looks again at an unfinished rollout, for its progress deadline. */
const DEADLINE_CHECK_MS = 30_000;

export function startDeployments(cluster: Cluster): void {
  const { client, clock, deployments, replicaSets } = cluster;
  const log = cluster.log.child('deployments');

  const reconciler = new Reconciler({ ...cluster, log }, async (key) => {
    const deployment = deployments.get(splitKey(key));
    if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return;
    const owned = replicaSets
      .list(deployment.metadata.namespace)
      .filter((set) => controllerOf(set)?.uid === deployment.metadata.uid);
    const hash = templateHash(deployment.spec.template);
    const current = owned.find((set) => set.metadata.labels?.[TEMPLATE_HASH] === hash);
    const older = owned.filter((set) => set !== current);
    const step = nextRolloutStep(deployment, current, older);
    if (step.createWith !== undefined)
      await createSet(deployment, { hash, size: step.createWith, older });
    else if (current !== undefined) await ensureRevision(deployment, current, older);
    for (const [name, replicas] of step.scale) {
      const namespace = deployment.metadata.namespace;
      await client.patch(
        RESOURCES.replicaSets,
        { namespace, name },
        { type: 'merge', body: { spec: { replicas } } },
      );
    }
    await removeHistory(deployment, older);
    await report(deployment, current, older);
  });

  async function createSet(
    deployment: Deployment,
    { hash, size, older }: { hash: string; size: number; older: readonly ReplicaSet[] },
  ): Promise<void> {
    const { template, minReadySeconds } = deployment.spec;
    const { namespace, name, uid } = deployment.metadata;
    const labels = { ...template.metadata?.labels, [TEMPLATE_HASH]: hash };
    const revision = String(Math.max(0, ...older.map(revisionOf)) + 1);
    const selector = deployment.spec.selector;
    const set: ReplicaSet = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${name}-${hash}`,
        namespace,
        labels,
        annotations: { [REVISION]: revision },
        ownerReferences: [
          {
            apiVersion: 'apps/v1',
            kind: 'Deployment',
            name,
            uid: uid ?? '',
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      },
      spec: {
        replicas: size,
        selector: { ...selector, matchLabels: { ...selector.matchLabels, [TEMPLATE_HASH]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } },
        ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      },
    };
    try {
      await client.create(RESOURCES.replicaSets, set);
    } catch (error) {
      // Made by the run before, and the cache has not seen it yet.
      if (!isMeshError(error, 'KUBE_ALREADY_EXISTS')) throw error;
    }
    await setRevision(deployment, revision);
  }

  /** A template that was used before comes back as the newest revision (`kubectl rollout undo`). */
  async function ensureRevision(
    deployment: Deployment,
    current: ReplicaSet,
    older: readonly ReplicaSet[],
  ): Promise<void> {
    const newest = Math.max(0, ...older.map(revisionOf));
    let revision = revisionOf(current);
    if (revision <= newest) {
      revision = newest + 1;
      const body = { metadata: { annotations: { [REVISION]: String(revision) } } };
      await client.patch(RESOURCES.replicaSets, current.metadata, { type: 'merge', body });
    }
    await setRevision(deployment, String(revision));
  }

  async function setRevision(deployment: Deployment, revision: string): Promise<void> {
    if (deployment.metadata.annotations?.[REVISION] === revision) return;
    const body = { metadata: { annotations: { [REVISION]: revision } } };
    await client.patch(RESOURCES.deployments, deployment.metadata, { type: 'merge', body });
  }

  async function removeHistory(
    deployment: Deployment,
    older: readonly ReplicaSet[],
  ): Promise<void> {
    const idle = older.filter(
      (set) => (set.spec.replicas ?? 0) === 0 && (set.status?.replicas ?? 0) === 0,
    );
    const excess = idle.length - (deployment.spec.revisionHistoryLimit ?? 10);
    const oldest = idle.toSorted((left, right) => revisionOf(left) - revisionOf(right));
    for (const set of oldest.slice(0, Math.max(0, excess)))
      await client.delete(RESOURCES.replicaSets, set.metadata);
  }

  async function report(
    deployment: Deployment,
    current: ReplicaSet | undefined,
    older: readonly ReplicaSet[],
  ): Promise<void> {
    const now = rfc3339(clock, 's');
    const status = rolloutStatus(deployment, current, { older, now, nowMs: clock.wallTime() });
    const progressing = status.conditions?.find((condition) => condition.type === 'Progressing');
    if (progressing?.reason === 'ReplicaSetUpdated')
      reconciler.addAfter(keyOf(deployment), DEADLINE_CHECK_MS);
    if (equalJson(deployment.status ?? {}, { ...deployment.status, ...status })) return;
    await client.patch(
      RESOURCES.deployments,
      deployment.metadata,
      { type: 'merge', body: { status } },
      { subresource: 'status' },
    );
  }

  deployments.subscribe(onAny((deployment) => reconciler.add(keyOf(deployment))));
  replicaSets.subscribe(
    onAny((set) => {
      const owner = controllerOf(set);
      if (owner?.kind === 'Deployment') reconciler.add(`${set.metadata.namespace}/${owner.name}`);
    }),
  );
}
