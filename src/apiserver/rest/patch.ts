/** PATCH: picks the patch language by content type and runs it as an update, or as server-side apply. */
import { rfc3339 } from '#base/clock.ts';
import { applyJsonPatch, PatchError } from '#kube/meta/json-patch.ts';
import { applyMergePatch } from '#kube/meta/merge-patch.ts';
import { type ApiObject, isJsonObject } from '#kube/meta/object.ts';
import { applyStrategicMerge } from '#kube/meta/strategic-merge.ts';
import { apiVersionOf, type ServedKind } from '../kinds/served-kind.ts';
import type { ObjectKey, ObjectStore } from './object-store.ts';
import * as status from './status-error.ts';
import type { WriteContext } from './write-options.ts';

export const PATCH_TYPES = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
} as const;

export type PatchLanguage = (typeof PATCH_TYPES)[keyof typeof PATCH_TYPES];

export interface PatchRequest {
  kind: ServedKind;
  key: ObjectKey;
  subresource: string;
  language: PatchLanguage;
  body: unknown;
  context: WriteContext;
}

export function patchLanguage(mediaType: string, kind: ServedKind): PatchLanguage {
  const language = PATCH_TYPES[mediaType as keyof typeof PATCH_TYPES] as PatchLanguage | undefined;
  // Custom resources have no merge keys: Kubernetes refuses strategic merge for them.
  if (language === undefined || (language === 'strategic' && kind.custom))
    throw status.unsupportedMediaType(
      Object.keys(PATCH_TYPES).filter((type) => !kind.custom || !type.includes('strategic')),
    );
  return language;
}

/** `created` tells 201 from 200. */
export function patchObject(
  store: ObjectStore,
  request: PatchRequest,
): { object: ApiObject; created: boolean } {
  if (request.language === 'apply') return applyObject(store, request);
  const { kind, key, subresource, context, body, language } = request;
  const object = store.update({
    kind,
    key,
    subresource,
    context,
    change: (live) => patched(kind, live, { language, body }),
  });
  return { object, created: false };
}

function patched(
  kind: ServedKind,
  live: ApiObject,
  { language, body }: { language: PatchLanguage; body: unknown },
): ApiObject {
  const result = runPatch(kind, live.metadata.name, () => {
    if (language === 'json') return applyJsonPatch(live, body);
    if (!isJsonObject(body)) throw new PatchError('invalid', 'the patch is not an object');
    return language === 'merge' ? applyMergePatch(live, body) : applyStrategicMerge(live, body);
  });
  if (!isJsonObject(result) || !isJsonObject(result.metadata))
    throw status.badRequest('the patched value is not an object with metadata');
  return result as ApiObject;
}

/** Patch failures as Kubernetes answers them: 400 for what is no patch, 422 for what does not fit. */
export function runPatch<T>(kind: ServedKind, name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof PatchError)) throw error;
    if (error.reason === 'invalid')
      throw status.badRequest(`error decoding patch: ${error.message}`);
    throw new status.StatusError(
      422,
      'Invalid',
      `the server rejected our request due to an error in our request: ${error.message}`,
      { name, group: kind.group === '' ? undefined : kind.group, kind: kind.kind },
    );
  }
}

function applyObject(
  store: ObjectStore,
  { kind, key, subresource, body, context }: PatchRequest,
): { object: ApiObject; created: boolean } {
  if (!context.managerGiven)
    throw new status.StatusError(
      422,
      'Invalid',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
  if (!isJsonObject(body)) throw status.badRequest('the applied configuration is not an object');
  const patch = applyConfiguration(kind, key, body);
  const run = (live: ApiObject | undefined) => {
    const result = store.deps.schemas.serverSideApply({
      kind,
      live,
      patch,
      manager: context.fieldManager,
      force: context.force,
      subresource,
      time: rfc3339(store.deps.clock, 's'),
    });
    if ('object' in result) return result.object;
    throw applyConflict(result.conflicts);
  };
  if (store.find(kind, key) === undefined) {
    if (subresource !== '') throw status.notFound(kind, key.name);
    if (patch.metadata.uid !== undefined && patch.metadata.uid !== '')
      throw status.conflict(
        kind,
        key.name,
        'uid mismatch: the provided object specified uid but no object was found',
      );
    const object = run(undefined);
    return {
      object: store.create(kind, key.namespace, { object, context, tracked: true }),
      created: true,
    };
  }
  const object = store.update({ kind, key, subresource, context, tracked: true, change: run });
  return { object, created: false };
}

function applyConfiguration(
  kind: ServedKind,
  key: ObjectKey,
  body: Record<string, unknown>,
): ApiObject {
  if (body.apiVersion !== apiVersionOf(kind) || body.kind !== kind.kind)
    throw status.badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${body.apiVersion}, expected: ${apiVersionOf(kind)}`,
    );
  const metadata = isJsonObject(body.metadata) ? body.metadata : {};
  if (metadata.managedFields !== undefined && metadata.managedFields !== null)
    throw status.badRequest('metadata.managedFields must be nil');
  if (metadata.name !== undefined && metadata.name !== key.name)
    throw status.badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${key.name})`,
    );
  const named: Record<string, unknown> = { ...metadata, name: key.name };
  delete named.creationTimestamp;
  if (kind.namespaced) named.namespace = key.namespace;
  return { ...body, metadata: named } as unknown as ApiObject;
}

function applyConflict(
  conflicts: readonly { manager: string; field: string; message: string }[],
): status.StatusError {
  const plural = conflicts.length === 1 ? '' : 's';
  const first = conflicts[0];
  const message =
    conflicts.length === 1
      ? `Apply failed with 1 conflict: ${first.message}: ${first.field}`
      : `Apply failed with ${conflicts.length} conflict${plural}: ${conflicts.map((item) => `${item.message}:\n- ${item.field}`).join('\n')}`;
  return new status.StatusError(409, 'Conflict', message, {
    causes: conflicts.map(({ field, message: text }) => ({
      reason: 'FieldManagerConflict',
      message: text,
      field,
    })),
  });
}
