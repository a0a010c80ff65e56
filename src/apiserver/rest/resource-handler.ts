/** The verbs on stored resources: get, list, watch, create, update, patch, delete, deletecollection. */
import type { Clock } from '#base/clock.ts';
import { isMeshError } from '#base/errors.ts';
import type { Random } from '#base/random.ts';
import { type ApiObject, isJsonObject, type JsonObject } from '#kube/meta/object.ts';
import { fromStored } from '../kinds/conversion.ts';
import type { Storage } from '../storage/storage.ts';
import type { WatchHub } from '../watch/watch-hub.ts';
import { watchResponse } from '../watch/watch-stream.ts';
import { deleteObject } from './deletion.ts';
import * as listQuery from './list-query.ts';
import type { ObjectKey, ObjectStore } from './object-store.ts';
import { patchLanguage, patchObject } from './patch.ts';
import { negotiate, type Presenter, presenterOf } from './representation.ts';
import { mediaTypeOf, type ResourceRequest, readBody, readObject, verbOf } from './request.ts';
import * as status from './status-error.ts';
import { deleteContext, type WriteContext, writeContext } from './write-options.ts';

export interface ResourceDeps {
  storage: Storage;
  store: ObjectStore;
  hub: WatchHub;
  clock: Clock;
  random: Random;
}

/** `subresource` is '' or `status`, which is the same object written otherwise. */
export async function handleResource(
  request: ResourceRequest,
  deps: ResourceDeps,
  subresource: '' | 'status' | 'finalize' = '',
): Promise<Response> {
  const { kind, path, query, http, method } = request;
  const verb = verbOf(method, path, query);
  if (verb === '' || (subresource !== '' && (verb === 'create' || verb === 'delete')))
    throw status.methodNotAllowed();
  const presenter = presenterOf(kind, negotiate(http.headers.get('accept'), query), deps.clock);
  const key = { namespace: path.namespace, name: path.name ?? '' };
  switch (verb) {
    case 'get':
      return jsonResponse(200, presenter.one(deps.store.get(kind, key)));
    case 'list':
      return listResources(request, deps, presenter);
    case 'watch':
      return watchResponse(
        {
          kind,
          selection: {
            table: kind.table,
            namespace: path.namespace,
            accept: listQuery.parseAccept(kind, query),
          },
          query,
          presenter,
          signal: http.signal,
        },
        deps,
      );
    case 'create':
      return createResource(request, deps, presenter);
    case 'update':
    case 'patch':
      return changeResource(request, deps, { presenter, key, subresource });
    case 'delete': {
      const context = deleteContext(query, await readObject(http));
      const { object, gone } = deleteObject(deps.store, kind, { key, context });
      if (!gone) return jsonResponse(200, presenter.one(object));
      return jsonResponse(200, status.success(kind, object.metadata));
    }
    default:
      return deleteCollection(request, deps, presenter);
  }
}

export function jsonResponse(
  code: number,
  body: unknown,
  warnings: readonly string[] = [],
): Response {
  const response = Response.json(body, { status: code });
  for (const text of warnings) response.headers.append('warning', `299 - ${JSON.stringify(text)}`);
  return response;
}

async function createResource(
  { kind, path, http, query }: ResourceRequest,
  { store }: ResourceDeps,
  presenter: Presenter,
): Promise<Response> {
  if (path.name !== undefined) throw status.methodNotAllowed();
  if (kind.namespaced && path.namespace === undefined) throw status.methodNotAllowed();
  const context = writeContext(query, http.headers.get('user-agent'));
  const object = await readApiObject(http);
  const created = store.create(kind, path.namespace, { object, context });
  return jsonResponse(201, presenter.one(created), context.warnings);
}

async function changeResource(
  request: ResourceRequest,
  { store }: ResourceDeps,
  { presenter, key, subresource }: { presenter: Presenter; key: ObjectKey; subresource: string },
): Promise<Response> {
  const { kind, http, query, method } = request;
  if (key.name === '' || (kind.namespaced && key.namespace === undefined))
    throw status.methodNotAllowed();
  const context = writeContext(query, http.headers.get('user-agent'));
  const { object, created } =
    method === 'PUT'
      ? updateObject(store, request, {
          context,
          key,
          subresource,
          given: await readApiObject(http),
        })
      : patchObject(store, {
          kind,
          key,
          subresource,
          context,
          language: patchLanguage(mediaTypeOf(http), kind),
          body: await readBody(http),
        });
  return jsonResponse(created ? 201 : 200, presenter.one(object), context.warnings);
}

function updateObject(
  store: ObjectStore,
  { kind }: ResourceRequest,
  change: { context: WriteContext; key: ObjectKey; subresource: string; given: ApiObject },
): { object: ApiObject; created: boolean } {
  const { given, ...rest } = change;
  const { name, resourceVersion } = given.metadata;
  if (name === undefined || name === '')
    throw status.badRequest('the name of the object must be given in metadata.name');
  // Kubernetes allows unconditional updates of its own kinds, not of custom resources.
  if (kind.custom && (resourceVersion === undefined || resourceVersion === ''))
    throw status.invalid(kind, name, [
      {
        field: 'metadata.resourceVersion',
        reason: 'FieldValueInvalid',
        message: 'Invalid value: 0x0: must be specified for an update',
      },
    ]);
  return { object: store.update({ kind, ...rest, change: () => given }), created: false };
}

async function readApiObject(http: Request): Promise<ApiObject> {
  const body = await readObject(http);
  if (body === undefined) throw status.badRequest('the request has no body');
  if (body.metadata !== undefined && !isJsonObject(body.metadata))
    throw status.badRequest('metadata is not an object');
  return { ...body, metadata: body.metadata ?? {} } as unknown as ApiObject;
}

function listResources(
  { kind, path, query }: ResourceRequest,
  { storage }: ResourceDeps,
  presenter: Presenter,
): Response {
  const accept = listQuery.parseAccept(kind, query);
  const limit = listQuery.parseLimit(query);
  const asked = listQuery.parseRevision(query.get('resourceVersion'));
  listQuery.refuseFuture(asked, storage.revision);
  const token = query.get('continue');
  const after = token === null || token === '' ? undefined : listQuery.decodeContinue(token);
  const exact = query.get('resourceVersionMatch') === 'Exact' ? asked : undefined;
  const { table } = kind;
  const { namespace } = path;
  try {
    const revision = after?.revision ?? exact;
    const result = storage.list({ table, namespace, after, limit, accept, revision });
    const last = result.items.at(-1)?.metadata;
    const meta: JsonObject = { resourceVersion: String(result.revision) };
    if (result.more && last !== undefined)
      meta.continue = listQuery.encodeContinue({
        revision: result.revision,
        namespace: kind.namespaced ? (last.namespace ?? '') : '',
        name: last.name,
      });
    const items = result.items.map((item) => fromStored(kind, item));
    return jsonResponse(200, presenter.list(items, meta));
  } catch (error) {
    if (!isMeshError(error, 'STORAGE_COMPACTED')) throw error;
    throw after === undefined
      ? listQuery.expiredRevision(asked ?? 0, storage.compactedRevision)
      : status.expired(listQuery.EXPIRED_CONTINUE);
  }
}

async function deleteCollection(
  { kind, path, query, http }: ResourceRequest,
  { storage, store }: ResourceDeps,
  presenter: Presenter,
): Promise<Response> {
  if (kind.namespaced && path.namespace === undefined) throw status.methodNotAllowed();
  const context = deleteContext(query, await readObject(http));
  const accept = listQuery.parseAccept(kind, query);
  const { items } = storage.list({ table: kind.table, namespace: path.namespace, accept });
  const deleted = items.map((item) => {
    const { name, namespace } = item.metadata;
    return deleteObject(store, kind, { key: { name, namespace }, context }).object;
  });
  return jsonResponse(200, presenter.list(deleted, { resourceVersion: String(storage.revision) }));
}
