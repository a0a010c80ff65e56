/**
 * Namespaces: each gets its `default` ServiceAccount and the ConfigMap with the cluster's root; one that is being
 * deleted loses its content, then its finalizer, and with that goes.
 */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { ApiObject, JsonObject } from '#kube/meta/object.ts';
import type { KindRegistry } from '../kinds/registry.ts';
import type { ServedKind } from '../kinds/served-kind.ts';
import { deleteObject } from '../rest/deletion.ts';
import type { ObjectStore } from '../rest/object-store.ts';
import type { Storage } from '../storage/storage.ts';

export interface NamespaceControllerDeps {
  storage: Storage;
  registry: KindRegistry;
  store: ObjectStore;
  clock: Clock;
  log: Logger;
  /** PEM, published as kube-root-ca.crt. */
  clusterRoot: string;
}

const ROOT_CONFIGMAP = 'kube-root-ca.crt';

export class NamespaceController {
  readonly #deps: NamespaceControllerDeps;
  readonly #unsubscribe: Disposer;

  constructor(deps: NamespaceControllerDeps) {
    this.#deps = deps;
    this.#unsubscribe = deps.storage.subscribe(({ key, type, object }) => {
      const namespace = key.table === '/namespaces' ? key.name : key.namespace;
      if (key.table === '/namespaces' && type !== 'DELETED') this.#schedule(namespace);
      else if (type !== 'DELETED' || namespace === '') return;
      else if (isTerminating(this.#find(namespace)) || isFurniture(object))
        this.#schedule(namespace);
    });
    for (const { metadata } of deps.storage.list({ table: '/namespaces' }).items)
      this.reconcile(metadata.name);
  }

  stop(): void {
    this.#unsubscribe();
  }

  reconcile(name: string): void {
    const namespace = this.#find(name);
    if (namespace === undefined) return;
    if (isTerminating(namespace)) this.#empty(namespace);
    else this.#furnish(name);
  }

  #schedule(name: string): void {
    this.#deps.clock.after(0, () => {
      try {
        this.reconcile(name);
      } catch (error) {
        this.#deps.log.warn('namespace not reconciled', {
          namespace: name,
          reason: messageOf(error),
        });
      }
    });
  }

  #find(name: string): ApiObject | undefined {
    return this.#deps.storage.get({ table: '/namespaces', namespace: '', name });
  }

  #furnish(namespace: string): void {
    this.#ensure('/serviceaccounts', namespace, { name: 'default', body: {} });
    const body = { data: { 'ca.crt': this.#deps.clusterRoot } };
    this.#ensure('/configmaps', namespace, { name: ROOT_CONFIGMAP, body });
  }

  #ensure(
    table: string,
    namespace: string,
    { name, body }: { name: string; body: JsonObject },
  ): void {
    const { storage, store } = this.#deps;
    if (storage.get({ table, namespace, name }) !== undefined) return;
    const kind = this.#kind(table);
    const object = { apiVersion: kind.version, kind: kind.kind, metadata: { name }, ...body };
    store.create(kind, namespace, { object, context: serverWrite() });
  }

  #empty(namespace: ApiObject): void {
    const { storage, store } = this.#deps;
    const { name } = namespace.metadata;
    for (const table of storage.tablesOf(name)) {
      const kind = this.#deps.registry.ofTable(table);
      for (const object of storage.list({ table, namespace: name }).items) {
        if (kind === undefined)
          storage.delete({ table, namespace: name, name: object.metadata.name });
        else if (object.metadata.deletionTimestamp === undefined)
          deleteObject(store, kind, {
            key: { namespace: name, name: object.metadata.name },
            context: { dryRun: false },
          });
      }
    }
    if (storage.tablesOf(name).length > 0) return;
    const live = this.#find(name);
    if (live === undefined) return;
    store.rewrite(this.#kind('/namespaces'), live, (copy) => {
      const spec = copy.spec as { finalizers?: string[] };
      copy.spec = { ...spec, finalizers: spec.finalizers?.filter((item) => item !== 'kubernetes') };
    });
  }

  #kind(table: string): ServedKind {
    return this.#deps.registry.ofTable(table)!;
  }
}

export function serverWrite() {
  return {
    dryRun: false,
    fieldManager: 'tulle-apiserver',
    managerGiven: true,
    fieldValidation: 'Ignore' as const,
    force: false,
    warnings: [],
  };
}

function isTerminating(namespace: ApiObject | undefined): boolean {
  return namespace?.metadata.deletionTimestamp !== undefined;
}

function isFurniture({ kind, metadata }: ApiObject): boolean {
  return (
    (kind === 'ServiceAccount' && metadata.name === 'default') ||
    (kind === 'ConfigMap' && metadata.name === ROOT_CONFIGMAP)
  );
}
