/**
 * Writes the conditions of AuthorizationPolicies, PeerAuthentications and RequestAuthentications. A change is written
 * when the node proxies have answered the push that carries it, with how many have it; later pushes write nothing.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Timer } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError } from '#base/errors.ts';
import type { Collection } from '#collections/collection.ts';
import type { Condition } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { ENFORCED } from '../derive/policy-status.ts';
import type { PolicyStatus } from '../ingest/policy-status.ts';
import { ENFORCED_CHECK_MS, ENFORCED_CHECKS_MAX } from '../limits.ts';
import { FIELD_MANAGER } from './field-manager.ts';
import type { ControllerDeps } from './ownership.ts';
import { WorkQueue } from './work-queue.ts';

/** How many node proxies are connected, and how many of them hold all policies. */
export type PolicySync = () => Promise<SyncCount>;

export interface SyncCount {
  readonly synced: number;
  readonly total: number;
  /** Replicas of the control plane that did not say which proxies they have. */
  readonly silent: readonly string[];
}

type Policy = KubeObject & { status?: { conditions?: Condition[] } };

export interface PolicyStatuses {
  readonly statuses: Collection<PolicyStatus>;
  /** The objects as they are known here: most say already what they should. */
  readonly sources: Readonly<Record<PolicyStatus['source'], Collection<KubeObject>>>;
}

export function startPolicyStatusController(
  deps: ControllerDeps,
  { statuses, sources }: PolicyStatuses,
  sync: PolicySync,
): Disposer {
  const scope = new Scope();
  const pending = new Set<string>();
  let timer: Timer | undefined;
  let checks = 0;
  let additions = 0;
  let counted: SyncCount = { synced: 0, total: 0, silent: [] };
  let isStopped = false;
  const queue = new WorkQueue({ ...deps, log: deps.log.child('policy-status') }, async (key) => {
    const status = statuses.get(key);
    if (status === undefined) return;
    const wanted = { policy: status, sync: counted, now: rfc3339(deps.clock, 's') };
    const known: Policy | undefined = sources[status.source].get(keyOf(status));
    if (known === undefined || !deps.ownership.owns(known)) return;
    if (conditionsFor(known, wanted) === undefined) return;
    await writeStatus(deps, wanted);
  });
  const check = async () => {
    checks += 1;
    const asked = additions;
    counted = await sync();
    timer = undefined;
    if (isStopped) return;
    if (asked !== additions) {
      // What came meanwhile is not in the count: its push may not even have begun.
      timer = deps.clock.after(ENFORCED_CHECK_MS, () => void check());
      return;
    }
    const { synced, total } = counted;
    // None at all: they are still to connect, after a restart of ours.
    const isWaiting = total === 0 || synced < total;
    if (isWaiting && checks < ENFORCED_CHECKS_MAX) {
      timer = deps.clock.after(ENFORCED_CHECK_MS, () => void check());
      return;
    }
    for (const key of pending) queue.add(key);
    pending.clear();
  };
  const add = (key: string) => {
    pending.add(key);
    additions += 1;
    checks = 0;
    timer ??= deps.clock.after(ENFORCED_CHECK_MS, () => void check());
  };
  const addAll = () => {
    for (const [key] of statuses.entries()) add(key);
  };
  addAll();
  scope.add(deps.ownership.onChange(addAll));
  scope.add(
    statuses.subscribe((events) => {
      for (const { key, value } of events) if (value !== undefined) add(key);
    }),
  );
  scope.add(() => {
    isStopped = true;
    timer?.cancel();
  });
  scope.add(() => queue.stop());
  return () => scope.dispose();
}

interface Wanted {
  readonly policy: PolicyStatus;
  readonly sync: SyncCount;
  readonly now: string;
}

function keyOf({ namespace, name }: PolicyStatus): string {
  return `${namespace}/${name}`;
}

async function writeStatus({ client }: InformerDeps, wanted: Wanted): Promise<void> {
  const { source, namespace, name } = wanted.policy;
  const key = { namespace, name };
  let object: Policy;
  try {
    object = await client.get<Policy>(RESOURCES[source], key);
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return;
    throw error;
  }
  const conditions = conditionsFor(object, wanted);
  if (conditions === undefined) return;
  const patch = { type: 'merge', body: { status: { conditions } } } as const;
  await client.patch(RESOURCES[source], key, patch, {
    fieldManager: FIELD_MANAGER,
    subresource: 'status',
  });
}

/** Ours, and those of others as they are; undefined when nothing is to be written. */
function conditionsFor(object: Policy, wanted: Wanted): Condition[] | undefined {
  const { policy, sync, now } = wanted;
  const before = object.status?.conditions ?? [];
  const unknown =
    sync.silent.length === 0 ? '' : `, not counting those of ${sync.silent.join(', ')} (no answer)`;
  const counted = `in force at ${sync.synced} of ${sync.total} node proxies${unknown}`;
  const observed = policy.generation === undefined ? {} : { observedGeneration: policy.generation };
  const ours = policy.conditions.map((each): Condition => {
    const { type, status, reason } = each;
    const previous = before.find((other) => other.type === type);
    const isCounted = type === ENFORCED && status === 'True';
    const message = isCounted ? `${each.message}; ${counted}` : each.message;
    const lastTransitionTime =
      previous?.status === status ? (previous.lastTransitionTime ?? now) : now;
    return { type, status, reason, message, lastTransitionTime, ...observed };
  });
  const types = new Set(ours.map(({ type }) => type));
  const conditions = [...before.filter(({ type }) => !isOurs(type, types)), ...ours];
  return isDeepStrictEqual(before, conditions) ? undefined : conditions;
}

/** What a policy was bound to before its targets changed must not stay behind. */
function isOurs(type: string, written: ReadonlySet<string>): boolean {
  return written.has(type) || type === 'ZtunnelAccepted' || type === 'WaypointAccepted';
}
