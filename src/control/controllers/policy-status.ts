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

export function startPolicyStatusController(
  deps: InformerDeps,
  statuses: Collection<PolicyStatus>,
  sync: PolicySync,
): Disposer {
  const scope = new Scope();
  const pending = new Set<string>();
  let timer: Timer | undefined;
  let checks = 0;
  const queue = new WorkQueue({ ...deps, log: deps.log.child('policy-status') }, async (key) => {
    const status = statuses.get(key);
    if (status !== undefined) await writeStatus(deps, status, sync());
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

async function writeStatus(
  { client, clock }: InformerDeps,
  policy: PolicyStatus,
  { synced, total }: ReturnType<PolicySync>,
): Promise<void> {
  const { source, namespace, name, generation } = policy;
  const key = { namespace, name };
  let object: Policy;
  try {
    object = await client.get<Policy>(RESOURCES[source], key);
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return;
    throw error;
  }
  const before = object.status?.conditions ?? [];
  const counted = `in force at ${synced} of ${total} node proxies`;
  const types = new Set(policy.conditions.map(({ type }) => type));
  const now = rfc3339(clock, 's');
  const ours = policy.conditions.map((each): Condition => {
    const { type, status, reason } = each;
    const previous = before.find((other) => other.type === type);
    const message =
      type === ENFORCED && status === 'True' ? `${each.message}; ${counted}` : each.message;
    const lastTransitionTime =
      previous?.status === status ? (previous.lastTransitionTime ?? now) : now;
    const observed = generation === undefined ? {} : { observedGeneration: generation };
    return { type, status, reason, message, lastTransitionTime, ...observed };
  });
  const conditions = [...before.filter((other) => !isOurs(other.type, types)), ...ours];
  if (isDeepStrictEqual(before, conditions)) return;
  const patch = { type: 'merge', body: { status: { conditions } } } as const;
  await client.patch(RESOURCES[source], key, patch, {
    fieldManager: FIELD_MANAGER,
    subresource: 'status',
  });
}

/** What a policy was bound to before its targets changed must not stay behind. */
function isOurs(type: string, written: ReadonlySet<string>): boolean {
  return written.has(type) || type === 'ZtunnelAccepted' || type === 'WaypointAccepted';
}
