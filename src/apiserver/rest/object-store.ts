/**
 * Create, update and delete of stored objects with Kubernetes' rules around them: the order is decode → server-owned
 * metadata → defaults → strategy → validation → field ownership → storage. All synchronous, hence atomic.
 */
import { type Clock, rfc3339 } from '#base/clock.ts';
import { isMeshError } from '#base/errors.ts';
import type { Random } from '#base/random.ts';
import { type ApiObject, cloneJson, equalJson } from '#kube/meta/object.ts';
import { fromStored, toStored } from '../kinds/conversion.ts';
import type { KindRegistry } from '../kinds/registry.ts';
import { apiVersionOf, hasSubresource, type ServedKind } from '../kinds/served-kind.ts';
import { type StrategyContext, strategyOf } from '../kinds/strategy.ts';
import { CONFLICT_RETRIES_MAX } from '../limits.ts';
import type { SchemaProvider } from '../schema-provider.ts';
import type { Storage, StorageKey } from '../storage/storage.ts';
import { objectFindings } from './object-findings.ts';
import { generateName, sameContent, specChanged } from './object-meta.ts';
import * as status from './status-error.ts';
import type { WriteContext } from './write-options.ts';

export interface ObjectStoreDeps {
  storage: Storage;
  registry: KindRegistry;
  schemas: SchemaProvider;
  clock: Clock;
  random: Random;
  strategyContext: StrategyContext;
}

export interface ObjectKey {
  namespace?: string;
  name: string;
}

export interface UpdateRequest {
  kind: ServedKind;
  key: ObjectKey;
  /** '' for the object itself. */
  subresource: string;
  context: WriteContext;
  /** Server-side apply computed the ownership already. */
  tracked?: boolean;
  /** The new state from the live one; called again when the write lost a race. */
  change(live: ApiObject): ApiObject;
}

export class ObjectStore {
  readonly deps: ObjectStoreDeps;

  constructor(deps: ObjectStoreDeps) {
    this.deps = deps;
  }

  storageKey(kind: ServedKind, { namespace, name }: ObjectKey): StorageKey {
    return { table: kind.table, namespace: kind.namespaced ? (namespace ?? '') : '', name };
  }

  /** Throws the 404 Status. */
  get(kind: ServedKind, key: ObjectKey): ApiObject {
    const object = this.find(kind, key);
    if (object === undefined) throw status.notFound(kind, key.name);
    return object;
  }

  find(kind: ServedKind, key: ObjectKey): ApiObject | undefined {
    const stored = this.deps.storage.get(this.storageKey(kind, key));
    return stored === undefined ? undefined : fromStored(kind, stored);
  }

  create(
    kind: ServedKind,
    namespace: string | undefined,
    {
      object: given,
      context,
      tracked,
    }: { object: ApiObject; context: WriteContext; tracked?: boolean },
  ): ApiObject {
    const object = this.#decode(kind, given, context);
    const meta = this.#newMeta(kind, object, namespace);
    object.metadata = meta;
    this.#requireNamespace(kind, meta.namespace, meta.name);
    const strategy = strategyOf(kind.table);
    strategy.defaults?.(object);
    if (kind.custom && hasSubresource(kind, 'status')) delete object.status;
    this.deps.schemas.applyDefaults(kind, object);
    strategy.prepareCreate?.(object, this.deps.strategyContext);
    if (kind.counted) meta.generation = 1;
    this.#validate(kind, object, undefined);
    const owned = tracked
      ? object
      : this.#track(kind, { live: undefined, updated: object, context, subresource: '' });
    if (context.dryRun) {
      if (this.find(kind, meta) !== undefined) throw status.alreadyExists(kind, meta.name);
      return owned;
    }
    try {
      const stored = this.deps.storage.create(this.storageKey(kind, meta), toStored(kind, owned));
      return fromStored(kind, stored);
    } catch (error) {
      if (isMeshError(error, 'STORAGE_EXISTS')) throw status.alreadyExists(kind, meta.name);
      throw error;
    }
  }

  update(request: UpdateRequest): ApiObject {
    const { kind, key } = request;
    for (let attempt = 0; attempt < CONFLICT_RETRIES_MAX; attempt++) {
      const live = this.get(kind, key);
      const updated = this.#prepareUpdate(request, live);
      if (sameContent(live, updated)) return live;
      if (request.context.dryRun) return updated;
      try {
        return this.#store(kind, live, updated);
      } catch (error) {
        if (!isMeshError(error, 'STORAGE_CONFLICT')) throw error;
      }
    }
    throw status.conflict(kind, key.name);
  }

  /** Writes metadata or status on the server's own account: no defaults, no validation, no ownership. */
  rewrite(kind: ServedKind, live: ApiObject, change: (copy: ApiObject) => void): ApiObject {
    const copy = cloneJson(live);
    change(copy);
    return equalJson(copy, live) ? live : this.#store(kind, live, copy);
  }

  /** Removes it from storage, whatever finalizers say. */
  remove(kind: ServedKind, object: ApiObject): ApiObject {
    const deleted = this.deps.storage.delete(this.storageKey(kind, object.metadata));
    return deleted === undefined ? object : fromStored(kind, deleted);
  }

  #store(kind: ServedKind, live: ApiObject, updated: ApiObject): ApiObject {
    const stored = this.deps.storage.update(
      this.storageKey(kind, live.metadata),
      toStored(kind, updated),
      live.metadata.resourceVersion!,
    );
    // The last finalizer is gone: so is the object.
    if (isFinished(stored)) return this.remove(kind, stored);
    return fromStored(kind, stored);
  }

  #prepareUpdate(request: UpdateRequest, live: ApiObject): ApiObject {
    const { kind, subresource, context } = request;
    const object = this.#decode(kind, request.change(cloneJson(live)), context);
    checkIdentity(kind, object, live);
    keepServerMeta(object, live);
    const strategy = strategyOf(kind.table);
    if (subresource === 'status') takeStatusOnly(kind, object, live);
    else {
      strategy.defaults?.(object);
      if (hasSubresource(kind, 'status')) keepMember(object, live, 'status');
    }
    this.deps.schemas.applyDefaults(kind, object);
    if (subresource !== 'status') {
      strategy.prepareUpdate?.(object, live, this.deps.strategyContext);
      const hasStatus = hasSubresource(kind, 'status');
      if (kind.counted && specChanged(live, object, hasStatus))
        object.metadata.generation = (live.metadata.generation ?? 0) + 1;
    }
    this.#validate(kind, object, live);
    return request.tracked
      ? object
      : this.#track(kind, { live, updated: object, context, subresource });
  }

  #decode(kind: ServedKind, given: ApiObject, context: WriteContext): ApiObject {
    const object = cloneJson(given);
    object.metadata ??= {} as ApiObject['metadata'];
    const wanted = apiVersionOf(kind);
    object.apiVersion ??= wanted;
    object.kind ??= kind.kind;
    if (object.apiVersion !== wanted)
      throw status.badRequest(
        `the API version in the data (${object.apiVersion}) does not match the expected API version (${wanted})`,
      );
    if (object.kind !== kind.kind)
      throw status.badRequest(
        `${object.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: the kind in the data does not match the resource`,
      );
    const unknown = this.deps.schemas.unknownFields(kind, object, true);
    if (unknown.length === 0 || context.fieldValidation === 'Ignore') return object;
    const texts = unknown.map((path) => `unknown field "${path}"`);
    if (context.fieldValidation === 'Warn')
      context.warnings.push(...texts.filter((text) => !context.warnings.includes(text)));
    else
      throw status.badRequest(
        `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: strict decoding error: ${texts.join(', ')}`,
      );
    return object;
  }

  #newMeta(
    kind: ServedKind,
    object: ApiObject,
    namespace: string | undefined,
  ): ApiObject['metadata'] {
    const meta = { ...object.metadata };
    if (meta.resourceVersion !== undefined && meta.resourceVersion !== '')
      throw status.badRequest('resourceVersion should not be set on objects to be created');
    if (kind.namespaced) {
      if (meta.namespace !== undefined && meta.namespace !== '' && meta.namespace !== namespace)
        throw status.badRequest(
          `the namespace of the provided object does not match the namespace sent on the request`,
        );
      meta.namespace = namespace;
    } else delete meta.namespace;
    if ((meta.name === undefined || meta.name === '') && meta.generateName)
      meta.name = generateName(meta.generateName, this.deps.random);
    if (meta.name === undefined || meta.name === '')
      throw status.invalid(kind, '', [
        {
          field: 'metadata.name',
          reason: 'FieldValueRequired',
          message: 'Required value: name or generateName is required',
        },
      ]);
    delete meta.resourceVersion;
    delete meta.deletionTimestamp;
    delete meta.deletionGracePeriodSeconds;
    delete meta.generation;
    delete meta.selfLink;
    meta.uid = this.deps.random.uuid();
    meta.creationTimestamp = rfc3339(this.deps.clock, 's');
    return meta;
  }

  #requireNamespace(kind: ServedKind, namespace: string | undefined, name: string): void {
    if (!kind.namespaced || namespace === undefined) return;
    const found = this.deps.storage.get({ table: '/namespaces', namespace: '', name: namespace });
    if (found === undefined)
      throw status.notFound({ group: '', resource: 'namespaces', kind: 'Namespace' }, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    throw status.forbidden(kind, name, why, [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ]);
  }

  #validate(kind: ServedKind, object: ApiObject, old: ApiObject | undefined): void {
    const findings = objectFindings(this.deps.schemas, { kind, object, old });
    if (findings.length > 0) throw status.invalid(kind, object.metadata.name, findings);
  }

  #track(
    kind: ServedKind,
    change: {
      live: ApiObject | undefined;
      updated: ApiObject;
      context: WriteContext;
      subresource: string;
    },
  ): ApiObject {
    const { live, updated, context, subresource } = change;
    return this.deps.schemas.trackUpdate({
      kind,
      live,
      updated,
      manager: context.fieldManager,
      operation: 'Update',
      subresource,
      time: rfc3339(this.deps.clock, 's'),
    });
  }
}

/** Marked as deleted, nothing holds it: not a finalizer, not a grace period, not a namespace's content. */
function isFinished(object: ApiObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (deletionTimestamp === undefined || (finalizers ?? []).length > 0) return false;
  if (object.kind === 'Pod' && (deletionGracePeriodSeconds ?? 0) > 0) return false;
  const spec = object.spec as { finalizers?: string[] } | undefined;
  return object.kind !== 'Namespace' || (spec?.finalizers ?? []).length === 0;
}

function checkIdentity(kind: ServedKind, object: ApiObject, live: ApiObject): void {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  const was = live.metadata;
  object.metadata.name ??= was.name;
  if (name !== undefined && name !== was.name)
    throw status.badRequest(
      `the name of the object (${name}) does not match the name on the URL (${was.name})`,
    );
  if (namespace !== undefined && namespace !== '' && namespace !== was.namespace)
    throw status.badRequest(
      `the namespace of the object (${namespace}) does not match the namespace on the request (${was.namespace})`,
    );
  if (uid !== undefined && uid !== '' && uid !== was.uid)
    throw status.conflict(
      kind,
      was.name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${was.uid}`,
    );
  if (
    resourceVersion !== undefined &&
    resourceVersion !== '' &&
    resourceVersion !== was.resourceVersion
  )
    throw status.conflict(kind, was.name);
}

function keepServerMeta(object: ApiObject, live: ApiObject): void {
  const meta = object.metadata;
  const was = live.metadata;
  meta.uid = was.uid;
  meta.resourceVersion = was.resourceVersion;
  meta.creationTimestamp = was.creationTimestamp;
  for (const field of [
    'namespace',
    'generation',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generateName',
  ] as const)
    keepMember(
      meta as unknown as Record<string, unknown>,
      was as unknown as Record<string, unknown>,
      field,
    );
  delete meta.selfLink;
  if (meta.managedFields === undefined)
    keepMember(
      meta as unknown as Record<string, unknown>,
      was as unknown as Record<string, unknown>,
      'managedFields',
    );
}

function keepMember(
  target: Record<string, unknown>,
  source: Record<string, unknown>,
  key: string,
): void {
  if (source[key] === undefined) delete target[key];
  else target[key] = source[key];
}

/** A status write changes status; on built-in kinds labels, annotations and finalizers too, as in Kubernetes. */
function takeStatusOnly(kind: ServedKind, object: ApiObject, live: ApiObject): void {
  for (const key of new Set([...Object.keys(object), ...Object.keys(live)]))
    if (key !== 'status' && key !== 'metadata') keepMember(object, live, key);
  if (kind.custom)
    object.metadata = { ...live.metadata, managedFields: object.metadata.managedFields };
  else if (live.metadata.ownerReferences === undefined) delete object.metadata.ownerReferences;
  else object.metadata.ownerReferences = live.metadata.ownerReferences;
}
