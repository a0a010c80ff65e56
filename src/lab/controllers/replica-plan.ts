/** What a ReplicaSet has to do: pure, from the pods it owns. */
import type { Condition, Deployment, LabelSelector, Pod, PodTemplate } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';

export interface ReplicaSet extends KubeObject {
  spec: {
    replicas?: number;
    selector: LabelSelector;
    template: PodTemplate;
    minReadySeconds?: number;
  };
  status?: {
    replicas: number;
    fullyLabeledReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    observedGeneration?: number;
    conditions?: Condition[];
  };
}

export type Owned = Deployment | ReplicaSet;

export interface ReplicaPlan {
  create: number;
  remove: Pod[];
  status: {
    replicas: number;
    fullyLabeledReplicas: number;
    readyReplicas: number;
    availableReplicas: number;
  };
  /** When the next ready pod becomes available by minReadySeconds. */
  recheckMs: number | undefined;
}

/** Neither finished nor on its way out. */
export function isActive(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return (
    pod.metadata.deletionTimestamp === undefined && phase !== 'Succeeded' && phase !== 'Failed'
  );
}

export function isReady(pod: Pod): boolean {
  return (
    pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ===
    true
  );
}

/** Milliseconds until the pod counts as available; 0 = now, undefined = not ready. */
export function availableInMs(
  pod: Pod,
  minReadySeconds: number,
  nowMs: number,
): number | undefined {
  const ready = pod.status?.conditions?.find((entry) => entry.type === 'Ready');
  if (ready?.status !== 'True') return undefined;
  if (minReadySeconds === 0) return 0;
  const since = Date.parse(ready.lastTransitionTime ?? '');
  return Number.isNaN(since) ? 0 : Math.max(0, since + minReadySeconds * 1000 - nowMs);
}

/**
 * `unseen` pods were created but are not in the cache yet. Pods go in Kubernetes' order: without a node, not
 * running, not ready, then the youngest.
 */
export function planReplicas(
  set: ReplicaSet,
  pods: readonly Pod[],
  { unseen, nowMs }: { unseen: number; nowMs: number },
): ReplicaPlan {
  const active = pods.filter(isActive);
  const desired =
    set.metadata.deletionTimestamp === undefined ? (set.spec.replicas ?? 1) : active.length;
  const difference = desired - active.length - unseen;
  const waits = active
    .map((pod) => availableInMs(pod, set.spec.minReadySeconds ?? 0, nowMs))
    .filter((wait) => wait !== undefined);
  const pending = waits.filter((wait) => wait > 0);
  const remove = difference < 0 ? active.toSorted(removeFirst).slice(0, -difference) : [];
  return {
    create: Math.max(0, difference),
    remove,
    status: {
      replicas: active.length,
      fullyLabeledReplicas: active.length,
      readyReplicas: waits.length,
      availableReplicas: waits.length - pending.length,
    },
    recheckMs: pending.length === 0 ? undefined : Math.min(...pending),
  };
}

function removeFirst(left: Pod, right: Pod): number {
  return (
    Number(left.spec.nodeName !== undefined) - Number(right.spec.nodeName !== undefined) ||
    Number(left.status?.phase === 'Running') - Number(right.status?.phase === 'Running') ||
    Number(isReady(left)) - Number(isReady(right)) ||
    (right.metadata.creationTimestamp ?? '').localeCompare(left.metadata.creationTimestamp ?? '') ||
    right.metadata.name.localeCompare(left.metadata.name)
  );
}

export function controllerOf(
  object: KubeObject,
): { kind: string; name: string; uid: string } | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}
