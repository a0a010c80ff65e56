/** Writes condition `istio.io/WaypointBound` on Services and ServiceEntries: whether the waypoint that was asked for is in force, and why not. */
import { rfc3339 } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import type { Collection } from '#collections/collection.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import type { BoundService } from '../derive/service.ts';
import { FIELD_MANAGER } from './gateway.ts';
import { WorkQueue } from './work-queue.ts';

const CONDITION = 'istio.io/WaypointBound';

export function startServiceStatusController(
  deps: InformerDeps,
  bound: Collection<BoundService>,
): Disposer {
  const scope = new Scope();
  const queue = new WorkQueue({ ...deps, log: deps.log.child('service-status') }, async (key) => {
    const service = bound.get(key);
    if (service !== undefined) await writeCondition(deps, service);
  });
  for (const [key] of bound.entries()) queue.add(key);
  scope.add(
    bound.subscribe((events) => {
      for (const { key, value, previous } of events)
        if (value?.condition?.reason !== previous?.condition?.reason) queue.add(key);
    }),
  );
  scope.add(() => queue.stop());
  return () => scope.dispose();
}

async function writeCondition(
  { client, clock }: InformerDeps,
  { kind, service, condition }: BoundService,
): Promise<void> {
  const ref = kind === 'Service' ? RESOURCES.services : RESOURCES.serviceEntries;
  const key = { namespace: service.namespace, name: service.name };
  const object = await client.get<Kinds.Service>(ref, key);
  const before = object.status?.conditions ?? [];
  const present = before.find(({ type }) => type === CONDITION);
  if (present?.status === condition?.status && present?.reason === condition?.reason) return;
  const conditions = before.filter(({ type }) => type !== CONDITION);
  if (condition !== undefined)
    conditions.push({ type: CONDITION, ...condition, lastTransitionTime: rfc3339(clock, 's') });
  const patch = { type: 'merge', body: { status: { conditions } } } as const;
  await client.patch(ref, key, patch, {
    fieldManager: FIELD_MANAGER,
    subresource: 'status',
  });
}
