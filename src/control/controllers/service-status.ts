/**
 * Writes the conditions of Services and ServiceEntries: whether the waypoint that was asked for is in force and why not,
 * and who sees an entry.
 */
import { isDeepStrictEqual } from 'node:util';
import { rfc3339 } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError } from '#base/errors.ts';
import type { Collection } from '#collections/collection.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { BoundService } from '../derive/service.ts';
import { FIELD_MANAGER } from './field-manager.ts';
import type { ControllerDeps } from './ownership.ts';
import { WorkQueue } from './work-queue.ts';

const WAYPOINT_BOUND = 'istio.io/WaypointBound';
const VISIBILITY_APPLIED = 'istio.io/VisibilityApplied';
/** What is written here. */
export const SERVICE_CONDITIONS: readonly string[] = [WAYPOINT_BOUND, VISIBILITY_APPLIED];

export function startServiceStatusController(
  deps: ControllerDeps,
  bound: Collection<BoundService>,
): Disposer {
  const scope = new Scope();
  const queue = new WorkQueue({ ...deps, log: deps.log.child('service-status') }, async (key) => {
    const service = bound.get(key);
    if (service !== undefined) await writeConditions(deps, service);
  });
  const addAll = () => {
    for (const [key] of bound.entries()) queue.add(key);
  };
  addAll();
  scope.add(deps.ownership.onChange(addAll));
  scope.add(
    bound.subscribe((events) => {
      for (const { key, value, previous } of events)
        if (value !== undefined && !isDeepStrictEqual(wanted(value), previous && wanted(previous)))
          queue.add(key);
    }),
  );
  scope.add(() => queue.stop());
  return () => scope.dispose();
}

function wanted({ condition, visibilityApplied }: BoundService): Kinds.Condition[] {
  const conditions: Kinds.Condition[] = [];
  if (condition !== undefined) conditions.push({ type: WAYPOINT_BOUND, ...condition });
  if (visibilityApplied !== undefined) {
    const message = 'as serviceEntryVisibility of MeshConfig says';
    conditions.push({
      type: VISIBILITY_APPLIED,
      status: 'True',
      reason: visibilityApplied,
      message,
    });
  }
  return conditions;
}

async function writeConditions(
  { client, clock, ownership }: ControllerDeps,
  bound: BoundService,
): Promise<void> {
  const { kind, service } = bound;
  const ref = kind === 'Service' ? RESOURCES.services : RESOURCES.serviceEntries;
  const key = { namespace: service.namespace, name: service.name };
  let object: Kinds.Service;
  try {
    object = await client.get<Kinds.Service>(ref, key);
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return;
    throw error;
  }
  if (!ownership.owns(object)) return;
  const { generation } = object.metadata;
  const before = object.status?.conditions ?? [];
  const ours = wanted(bound).map((condition) => {
    const previous = before.find(({ type }) => type === condition.type);
    // Services have no generation, entries do.
    const observed = generation === undefined ? {} : { observedGeneration: generation };
    const lastTransitionTime =
      previous?.status === condition.status
        ? (previous.lastTransitionTime ?? rfc3339(clock, 's'))
        : rfc3339(clock, 's');
    return { ...condition, lastTransitionTime, ...observed };
  });
  const others = before.filter(
    ({ type }) => type !== WAYPOINT_BOUND && type !== VISIBILITY_APPLIED,
  );
  const conditions = [...others, ...ours];
  if (isDeepStrictEqual(before, conditions)) return;
  const patch = { type: 'merge', body: { status: { conditions } } } as const;
  await client.patch(ref, key, patch, {
    fieldManager: FIELD_MANAGER,
    subresource: 'status',
  });
}
