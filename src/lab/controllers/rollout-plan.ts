/**
 * One step of a Deployment towards its template: pure, by Kubernetes' rules of the rolling update (never more than
 * desired + maxSurge pods, never fewer than desired - maxUnavailable available ones). The caller applies the step
 * and comes back when pods changed.
 */
import type { Condition, Deployment } from '#kube/client/kinds.ts';
import type { ReplicaSet } from './replica-plan.ts';

export const REVISION = 'deployment.kubernetes.io/revision';
export const TEMPLATE_HASH = 'pod-template-hash';

export interface RolloutStep {
  /** Sizes to set, by ReplicaSet name. */
  scale: ReadonlyMap<string, number>;
  /** Size of the ReplicaSet to create when the template has none yet. */
  createWith: number | undefined;
}

export interface RolloutBounds {
  desired: number;
  maxSurge: number;
  maxUnavailable: number;
}

/** Percentages round up for surge and down for unavailable, as Kubernetes does; both 0 would never move. */
export function rolloutBounds(deployment: Deployment): RolloutBounds {
  const desired = deployment.spec.replicas ?? 1;
  const { maxSurge = '25%', maxUnavailable = '25%' } =
    deployment.spec.strategy?.rollingUpdate ?? {};
  const surge = Math.ceil(share(maxSurge, desired));
  const unavailable = Math.min(desired, Math.floor(share(maxUnavailable, desired)));
  return {
    desired,
    maxSurge: surge,
    maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable,
  };
}

function share(value: number | string, whole: number): number {
  if (typeof value === 'number') return value;
  return value.endsWith('%') ? (Number.parseFloat(value) / 100) * whole : Number.parseFloat(value);
}

const sizeOf = (set: ReplicaSet) => set.spec.replicas ?? 1;
const podsOf = (set: ReplicaSet) => set.status?.replicas ?? 0;
const availableOf = (set: ReplicaSet) => set.status?.availableReplicas ?? 0;
const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number) =>
  sets.reduce((total, set) => total + of(set), 0);

export function nextRolloutStep(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  older: readonly ReplicaSet[],
): RolloutStep {
  const bounds = rolloutBounds(deployment);
  const scale = new Map<string, number>();
  if (deployment.spec.paused === true && current === undefined)
    return { scale, createWith: undefined };
  if (deployment.spec.strategy?.type === 'Recreate') return recreateStep(bounds, current, older);
  const oldSize = sum(older, sizeOf);
  const room = Math.max(0, bounds.desired + bounds.maxSurge - oldSize);
  if (current === undefined)
    return { scale, createWith: oldSize === 0 ? bounds.desired : Math.min(room, bounds.desired) };
  const size = sizeOf(current);
  const wanted =
    size > bounds.desired ? bounds.desired : Math.max(size, Math.min(room, bounds.desired));
  if (wanted !== size) scale.set(current.metadata.name, wanted);
  if (deployment.spec.paused !== true) shrinkOlder(scale, bounds, { current, older });
  return { scale, createWith: undefined };
}

function recreateStep(
  { desired }: RolloutBounds,
  current: ReplicaSet | undefined,
  older: readonly ReplicaSet[],
): RolloutStep {
  const scale = new Map<string, number>();
  for (const set of older) if (sizeOf(set) > 0) scale.set(set.metadata.name, 0);
  if (sum(older, podsOf) > 0 || scale.size > 0) return { scale, createWith: undefined };
  if (current === undefined) return { scale, createWith: desired };
  if (sizeOf(current) !== desired) scale.set(current.metadata.name, desired);
  return { scale, createWith: undefined };
}

function shrinkOlder(
  scale: Map<string, number>,
  { desired, maxUnavailable }: RolloutBounds,
  { current, older }: { current: ReplicaSet; older: readonly ReplicaSet[] },
): void {
  const oldSize = sum(older, sizeOf);
  if (oldSize === 0) return;
  const minAvailable = desired - maxUnavailable;
  const newSize = sizeOf(current);
  const newUnavailable = Math.max(0, newSize - availableOf(current));
  // Unavailable old pods serve nobody: they go first, within what the unavailable new ones leave.
  let budget = oldSize + newSize - minAvailable - newUnavailable;
  if (budget <= 0) return;
  const sorted = older.toSorted((left, right) => revisionOf(left) - revisionOf(right));
  const target = new Map(sorted.map((set) => [set.metadata.name, sizeOf(set)]));
  for (const set of sorted) {
    const unhealthy = Math.max(0, sizeOf(set) - availableOf(set));
    const cut = Math.min(unhealthy, budget);
    target.set(set.metadata.name, sizeOf(set) - cut);
    budget -= cut;
  }
  let spare = sum(older, availableOf) + availableOf(current) - minAvailable;
  for (const set of sorted) {
    const size = target.get(set.metadata.name) ?? 0;
    const cut = Math.min(size, Math.max(0, spare));
    target.set(set.metadata.name, size - cut);
    spare -= cut;
  }
  for (const set of sorted) {
    const size = target.get(set.metadata.name) ?? 0;
    if (size !== sizeOf(set)) scale.set(set.metadata.name, size);
  }
}

export function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[REVISION] ?? 0);
}

/** FNV-1a of the template in the alphabet of Kubernetes' safe names (no vowels, so no words). */
export function templateHash(template: unknown): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(canonical(template)))
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  const letters = 'bcdfghjklmnpqrstvwxz2456789';
  let text = '';
  for (let index = 0; index < 7; index++) {
    text += letters[hash % letters.length];
    hash = Math.floor(hash / letters.length);
  }
  return text;
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, item]) => item !== undefined && item !== null);
  const members = entries.sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${members.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}

export type DeploymentStatus = NonNullable<Deployment['status']>;

/** The status that `kubectl rollout status` and `wait` read. Times of unchanged conditions stay. */
export function rolloutStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  { older, now, nowMs }: { older: readonly ReplicaSet[]; now: string; nowMs: number },
): DeploymentStatus {
  const all = current === undefined ? older : [...older, current];
  const { desired, maxUnavailable } = rolloutBounds(deployment);
  const replicas = sum(all, podsOf);
  const updatedReplicas = current === undefined ? 0 : podsOf(current);
  const availableReplicas = sum(all, availableOf);
  const before = deployment.status?.conditions ?? [];
  const enough = availableReplicas >= desired - maxUnavailable;
  const available: Condition = enough
    ? {
        type: 'Available',
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      }
    : {
        type: 'Available',
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      };
  const complete =
    updatedReplicas === desired && replicas === desired && availableReplicas === desired;
  const moved =
    updatedReplicas !== (deployment.status?.updatedReplicas ?? 0) ||
    availableReplicas !== (deployment.status?.availableReplicas ?? 0) ||
    replicas !== (deployment.status?.replicas ?? 0) ||
    deployment.status?.observedGeneration !== deployment.metadata.generation;
  const progressing = progressCondition(deployment, {
    complete,
    moved,
    nowMs,
    name: current?.metadata.name ?? '',
  });
  return {
    observedGeneration: deployment.metadata.generation,
    replicas,
    updatedReplicas,
    readyReplicas: sum(all, (set) => set.status?.readyReplicas ?? 0),
    availableReplicas,
    unavailableReplicas: Math.max(0, Math.max(desired, replicas) - availableReplicas),
    conditions: [
      stamped(available, before, { now, touch: false }),
      stamped(progressing, before, { now, touch: moved }),
    ],
  };
}

function progressCondition(
  deployment: Deployment,
  {
    complete,
    moved,
    nowMs,
    name,
  }: { complete: boolean; moved: boolean; nowMs: number; name: string },
): Condition {
  const type = 'Progressing';
  if (complete)
    return {
      type,
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message: `ReplicaSet "${name}" has successfully progressed.`,
    };
  const before = deployment.status?.conditions?.find((entry) => entry.type === type) as
    | UpdatedCondition
    | undefined;
  const since = Date.parse(before?.lastUpdateTime ?? '');
  const deadlineMs = (deployment.spec.progressDeadlineSeconds ?? 600) * 1000;
  const late = !moved && before?.reason !== 'NewReplicaSetAvailable' && nowMs - since > deadlineMs;
  if (late)
    return {
      type,
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: `ReplicaSet "${name}" has timed out progressing.`,
    };
  return {
    type,
    status: 'True',
    reason: 'ReplicaSetUpdated',
    message: `ReplicaSet "${name}" is progressing.`,
  };
}

interface UpdatedCondition extends Condition {
  lastUpdateTime?: string;
}

function stamped(
  condition: Condition,
  before: readonly Condition[],
  { now, touch }: { now: string; touch: boolean },
): UpdatedCondition {
  const previous = before.find((entry) => entry.type === condition.type) as
    | UpdatedCondition
    | undefined;
  const same = previous?.status === condition.status;
  const updated = touch || previous?.reason !== condition.reason;
  return {
    ...condition,
    lastTransitionTime: same ? (previous?.lastTransitionTime ?? now) : now,
    lastUpdateTime: updated ? now : (previous?.lastUpdateTime ?? now),
  };
}
