/**
 * Ownership: dependents go when their last owner went (background), before it (foreground) or are set free (orphan).
 * Keeps an index from owner uid to dependents, fed by the storage's events; work runs after the write that caused it.
 */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { OwnerReference } from '#kube/client/kube-client.ts';
import type { ApiObject } from '#kube/meta/object.ts';
import type { KindRegistry } from '../kinds/registry.ts';
import { deleteObject, FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from '../rest/deletion.ts';
import type { ObjectStore } from '../rest/object-store.ts';
import type { DeleteContext } from '../rest/write-options.ts';
import type { Storage, StorageEvent, StorageKey } from '../storage/storage.ts';

export interface GarbageCollectorDeps {
  storage: Storage;
  registry: KindRegistry;
  store: ObjectStore;
  clock: Clock;
  log: Logger;
}

/** An owner that is named before it exists (a client creating both at once) is given this long to appear. */
const ABSENT_OWNER_GRACE_MS = 2_000;

export class GarbageCollector {
  readonly #deps: GarbageCollectorDeps;
  readonly #live = new Set<string>();
  /** Owner uid → keys of dependents. */
  readonly #dependents = new Map<string, Map<string, StorageKey>>();
  readonly #unsubscribe: Disposer;

  constructor(deps: GarbageCollectorDeps) {
    this.#deps = deps;
    for (const table of new Set(deps.registry.all().map((kind) => kind.table))) {
      for (const object of deps.storage.list({ table }).items) {
        const { name, namespace = '' } = object.metadata;
        this.#index({ table, namespace, name }, object);
      }
    }
    for (const uid of this.#dependents.keys()) if (!this.#live.has(uid)) this.#later(uid, 0);
    this.#unsubscribe = deps.storage.subscribe((event) => this.#observe(event));
  }

  stop(): void {
    this.#unsubscribe();
  }

  #observe(event: StorageEvent): void {
    const { key, object, previous, type } = event;
    const uid = object.metadata.uid ?? '';
    if (previous !== undefined) this.#unindex(key, previous);
    if (type === 'DELETED') {
      this.#live.delete(uid);
      if (this.#dependents.has(uid)) this.#later(uid, 0);
      for (const owner of object.metadata.ownerReferences ?? [])
        this.#run(() => this.#settle(owner));
      return;
    }
    this.#index(key, object);
    for (const owner of object.metadata.ownerReferences ?? [])
      if (!this.#live.has(owner.uid)) this.#later(owner.uid, ABSENT_OWNER_GRACE_MS);
    if (object.metadata.deletionTimestamp !== undefined) this.#run(() => this.#workOff(key));
  }

  #index(key: StorageKey, object: ApiObject): void {
    this.#live.add(object.metadata.uid ?? '');
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const keys = this.#dependents.get(uid) ?? new Map<string, StorageKey>();
      keys.set(textOf(key), key);
      this.#dependents.set(uid, keys);
    }
  }

  #unindex(key: StorageKey, object: ApiObject): void {
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const keys = this.#dependents.get(uid);
      keys?.delete(textOf(key));
      if (keys?.size === 0) this.#dependents.delete(uid);
    }
  }

  #later(ownerUid: string, delayMs: number): void {
    this.#deps.clock.after(delayMs, () => this.#guard(() => this.#collect(ownerUid)));
  }

  #run(work: () => void): void {
    this.#deps.clock.after(0, () => this.#guard(work));
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#deps.log.warn('garbage collection of one object failed', { reason: messageOf(error) });
    }
  }

  /** The owner is gone: its dependents go too, unless another owner keeps them. */
  #collect(ownerUid: string): void {
    if (this.#live.has(ownerUid)) return;
    for (const key of [...(this.#dependents.get(ownerUid)?.values() ?? [])]) {
      const found = this.#load(key);
      if (found === undefined) continue;
      const owners = found.object.metadata.ownerReferences ?? [];
      const kept = owners.filter((owner) => this.#live.has(owner.uid));
      if (kept.length === 0) this.#delete(key, { propagation: undefined });
      else if (kept.length < owners.length) this.#setOwners(key, kept);
    }
  }

  /** A marked object: do what its propagation finalizer says. */
  #workOff(key: StorageKey): void {
    const found = this.#load(key);
    const finalizers = found?.object.metadata.finalizers ?? [];
    if (found === undefined || found.object.metadata.deletionTimestamp === undefined) return;
    const uid = found.object.metadata.uid ?? '';
    const dependents = [...(this.#dependents.get(uid)?.values() ?? [])];
    if (finalizers.includes(ORPHAN_FINALIZER)) {
      for (const dependent of dependents) {
        const owners = this.#load(dependent)?.object.metadata.ownerReferences ?? [];
        this.#setOwners(
          dependent,
          owners.filter((owner) => owner.uid !== uid),
        );
      }
      this.#dropFinalizer(key, ORPHAN_FINALIZER);
    } else if (finalizers.includes(FOREGROUND_FINALIZER)) {
      for (const dependent of dependents) this.#delete(dependent, { propagation: 'Foreground' });
      const blocking = dependents.some((dependent) => this.#blocks(dependent, uid));
      if (!blocking) this.#dropFinalizer(key, FOREGROUND_FINALIZER);
    }
  }

  /** A dependent went: its owner may have been waiting for that. */
  #settle(owner: OwnerReference): void {
    for (const kind of this.#deps.registry.all()) {
      if (kind.kind !== owner.kind) continue;
      const { items } = this.#deps.storage.list({
        table: kind.table,
        accept: (object) => object.metadata.uid === owner.uid,
      });
      for (const object of items) {
        const { name, namespace = '' } = object.metadata;
        this.#workOff({ table: kind.table, namespace, name });
      }
      return;
    }
  }

  #blocks(key: StorageKey, ownerUid: string): boolean {
    const owners = this.#load(key)?.object.metadata.ownerReferences ?? [];
    return owners.some((owner) => owner.uid === ownerUid && owner.blockOwnerDeletion === true);
  }

  #delete(key: StorageKey, { propagation }: Pick<DeleteContext, 'propagation'>): void {
    const found = this.#load(key);
    if (found === undefined || found.object.metadata.deletionTimestamp !== undefined) return;
    deleteObject(this.#deps.store, found.kind, { key, context: { dryRun: false, propagation } });
  }

  #setOwners(key: StorageKey, owners: OwnerReference[]): void {
    const found = this.#load(key);
    if (found === undefined) return;
    this.#deps.store.rewrite(found.kind, found.object, (copy) => {
      if (owners.length === 0) delete copy.metadata.ownerReferences;
      else copy.metadata.ownerReferences = owners;
    });
  }

  #dropFinalizer(key: StorageKey, finalizer: string): void {
    const found = this.#load(key);
    if (found === undefined) return;
    this.#deps.store.rewrite(found.kind, found.object, (copy) => {
      copy.metadata.finalizers = copy.metadata.finalizers?.filter((name) => name !== finalizer);
    });
  }

  #load(key: StorageKey) {
    const kind = this.#deps.registry.ofTable(key.table);
    const object = kind === undefined ? undefined : this.#deps.store.find(kind, key);
    return kind === undefined || object === undefined ? undefined : { kind, object };
  }
}

function textOf({ table, namespace, name }: StorageKey): string {
  return `${table}|${namespace}|${name}`;
}
