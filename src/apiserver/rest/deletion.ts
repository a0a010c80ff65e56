/**
 * What DELETE does: at once, or by a mark (deletionTimestamp) that a grace period, finalizers, a namespace's content
 * or dependents have to be worked off behind.
 */
import { rfc3339 } from '#base/clock.ts';
import { type ApiObject, isJsonObject, type JsonObject, readPath } from '#kube/meta/object.ts';
import type { ServedKind } from '../kinds/served-kind.ts';
import type { ObjectKey, ObjectStore } from './object-store.ts';
import * as status from './status-error.ts';
import type { DeleteContext } from './write-options.ts';

export const FOREGROUND_FINALIZER = 'foregroundDeletion';
export const ORPHAN_FINALIZER = 'orphan';
const POD_GRACE_SECONDS = 30;

/** `gone` is false when the object stays, marked. */
export interface Deletion {
  object: ApiObject;
  gone: boolean;
}

export function deleteObject(
  store: ObjectStore,
  kind: ServedKind,
  { key, context }: { key: ObjectKey; context: DeleteContext },
): Deletion {
  const live = store.get(kind, key);
  checkPreconditions(kind, live, context);
  if (kind.table === '/namespaces' && ['default', 'kube-system'].includes(key.name))
    throw status.forbidden(kind, key.name, 'this namespace may not be deleted');
  const finalizers = finalizersFor(live, context);
  const graceSeconds = graceFor(kind, live, context);
  const held = finalizers.length > 0 || graceSeconds > 0 || isHeldNamespace(kind, live);
  if (!held) return { object: context.dryRun ? live : store.remove(kind, live), gone: true };
  if (context.dryRun) return { object: live, gone: false };
  const object = store.rewrite(kind, live, (copy) =>
    mark(store, copy, { finalizers, graceSeconds }),
  );
  return { object, gone: false };
}

function mark(
  store: ObjectStore,
  copy: ApiObject,
  { finalizers, graceSeconds }: { finalizers: string[]; graceSeconds: number },
): void {
  const { clock } = store.deps;
  const meta = copy.metadata;
  const graceBefore = meta.deletionGracePeriodSeconds;
  if (finalizers.length > 0) meta.finalizers = finalizers;
  if (
    meta.deletionTimestamp === undefined ||
    (graceBefore !== undefined && graceSeconds < graceBefore)
  ) {
    const later = { ...clock, wallTime: () => clock.wallTime() + graceSeconds * 1000 };
    meta.deletionTimestamp = rfc3339(later, 's');
    meta.deletionGracePeriodSeconds = graceSeconds;
    if (meta.generation !== undefined) meta.generation++;
  }
  if (copy.kind === 'Namespace')
    copy.status = { ...(copy.status as JsonObject), phase: 'Terminating' };
}

function checkPreconditions(kind: ServedKind, live: ApiObject, context: DeleteContext): void {
  const { name, uid, resourceVersion } = live.metadata;
  if (context.uid !== undefined && context.uid !== uid)
    throw status.conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${context.uid}, UID in object meta: ${uid}`,
    );
  if (context.resourceVersion !== undefined && context.resourceVersion !== resourceVersion)
    throw status.conflict(
      kind,
      name,
      `Precondition failed: ResourceVersion in precondition: ${context.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`,
    );
}

function finalizersFor(live: ApiObject, { propagation }: DeleteContext): string[] {
  const own = (live.metadata.finalizers ?? []).filter((name) => {
    if (propagation === undefined) return true;
    return name !== FOREGROUND_FINALIZER && name !== ORPHAN_FINALIZER;
  });
  if (propagation === 'Foreground') own.push(FOREGROUND_FINALIZER);
  if (propagation === 'Orphan') own.push(ORPHAN_FINALIZER);
  return own;
}

/** Only pods that a node may be running wait; a second DELETE may shorten the wait, never lengthen it. */
function graceFor(kind: ServedKind, live: ApiObject, context: DeleteContext): number {
  if (kind.table !== '/pods') return 0;
  const phase = readPath(live, ['status', 'phase']);
  const nodeName = readPath(live, ['spec', 'nodeName']);
  if (nodeName === undefined || nodeName === '' || phase === 'Succeeded' || phase === 'Failed')
    return 0;
  const own = readPath(live, ['spec', 'terminationGracePeriodSeconds']);
  const asked = context.gracePeriodSeconds ?? (typeof own === 'number' ? own : POD_GRACE_SECONDS);
  const running = live.metadata.deletionGracePeriodSeconds;
  return running === undefined ? asked : Math.min(asked, running);
}

function isHeldNamespace(kind: ServedKind, live: ApiObject): boolean {
  const finalizers = isJsonObject(live.spec) ? live.spec.finalizers : undefined;
  return kind.table === '/namespaces' && Array.isArray(finalizers) && finalizers.length > 0;
}
