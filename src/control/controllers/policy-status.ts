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
import { FIELD_MANAGER } from './gateway.ts';
import { WorkQueue } from './work-queue.ts';

/** How many node proxies are connected, and how many of them hold all policies. */
export type PolicySync = () => { readonly synced: number; readonly total: number };

type Policy = KubeObject & { status?: { conditions?: Condition[] } };

export interface PolicyStatuses {
  readonly statuses: Collection<PolicyStatus>;
  /** The objects as they are known here: most say already what they should. */
  readonly sources: Readonly<Record<PolicyStatus['source'], Collection<KubeObject>>>;
}

export function startPolicyStatusController(
  deps: InformerDeps,
  { statuses, sources }: PolicyStatuses,
  sync: PolicySync,
): Disposer {
  const scope = new Scope();
  const pending = new Set<string>();
  let timer: Timer | undefined;
  let checks = 0;
  const queue = new WorkQueue({ ...deps, log: deps.log.child('policy-status') }, async (key) => {
    const status = statuses.get(key);
    if (status === undefined) return;
    const wanted = { policy: status, sync: sync(), now: rfc3339(deps.clock, 's') };
    const known: Policy | undefined = sources[status.source].get(keyOf(status));
    if (known !== undefined && conditionsFor(known, wanted) === undefined) return;
    await writeStatus(deps, wanted);
  });
  const check = () => {
    timer = undefined;
    checks += 1;
    const { synced, total } = sync();
    // None at all: they are still to connect, after a restart of ours.
    const isWaiting = total === 0 || synced < total;
    if (isWaiting && checks < ENFORCED_CHECKS_MAX) {
      timer = deps.clock.after(ENFORCED_CHECK_MS, check);
      return;
    }
    for (const key of pending) queue.add(key);
    pending.clear();
  };
  const add = (key: string) => {
    pending.add(key);
    checks = 0;
    timer ??= deps.clock.after(ENFORCED_CHECK_MS, check);
  };
  for (const [key] of statuses.entries()) add(key);
  scope.add(
    statuses.subscribe((events) => {
      for (const { key, value } of events) if (value !== undefined) add(key);
    }),
  );
  scope.add(() => timer?.cancel());
  scope.add(() => queue.stop());
  return () => scope.dispose();
}

interface Wanted {
  readonly policy: PolicyStatus;
  readonly sync: ReturnType<PolicySync>;
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
  const counted = `in force at ${sync.synced} of ${sync.total} node proxies`;
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
