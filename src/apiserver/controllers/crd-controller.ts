/**
 * Serves what CustomResourceDefinitions declare: the built-in ones are stored at start, later ones come and go with
 * their objects; deleting one deletes its resources.
 */
import { rfc3339 } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import type { Logger } from '#base/log.ts';
import { type ApiObject, cloneJson, equalJson } from '#kube/meta/object.ts';
import type { KindRegistry } from '../kinds/registry.ts';
import { strategyOf } from '../kinds/strategy.ts';
import type { ObjectStore } from '../rest/object-store.ts';
import type { SchemaProvider } from '../schema-provider.ts';
import type { Storage, StorageEvent } from '../storage/storage.ts';

const TABLE = 'apiextensions.k8s.io/customresourcedefinitions';

export interface CrdControllerDeps {
  storage: Storage;
  registry: KindRegistry;
  store: ObjectStore;
  schemas: SchemaProvider;
  log: Logger;
}

export class CrdController {
  readonly #deps: CrdControllerDeps;
  readonly #unsubscribe: Disposer;

  constructor(deps: CrdControllerDeps) {
    this.#deps = deps;
    this.#unsubscribe = deps.storage.subscribe((event) => this.#observe(event));
    const crds = deps.schemas.builtinCrds();
    this.#installBuiltin(crds);
    const builtin = new Set(crds.map((crd) => crd.metadata.name));
    for (const crd of deps.storage.list({ table: TABLE }).items)
      if (!builtin.has(crd.metadata.name)) this.#serve(crd);
  }

  stop(): void {
    this.#unsubscribe();
  }

  #observe({ key, type, object, previous }: StorageEvent): void {
    if (key.table !== TABLE) return;
    if (type === 'DELETED') this.#withdraw(object);
    else if (previous === undefined || !equalJson(previous.spec, object.spec)) this.#serve(object);
  }

  #serve(crd: ApiObject): void {
    const { registry, schemas, log } = this.#deps;
    const findings = schemas.addCrd(crd);
    if (findings.length === 0) {
      registry.setCrd(crd);
      return;
    }
    const { field, message } = findings[0];
    log.warn('the CRD is not served', { crd: crd.metadata.name, field, reason: message });
  }

  #withdraw(crd: ApiObject): void {
    const { registry, schemas, storage } = this.#deps;
    const { group, names } = crd.spec as { group: string; names: { plural: string } };
    const table = `${group}/${names.plural}`;
    for (const { metadata } of storage.list({ table }).items)
      storage.delete({ table, namespace: metadata.namespace ?? '', name: metadata.name });
    registry.removeCrd(crd.metadata.name);
    schemas.removeCrd(crd);
  }

  /** Straight into storage: they are ours, and checking thirty large schemas would be most of the start's time. */
  #installBuiltin(crds: readonly ApiObject[]): void {
    const { registry, storage, store } = this.#deps;
    const kind = registry.ofTable(TABLE)!;
    const { clock, random, strategyContext } = store.deps;
    for (const crd of crds) {
      const key = { table: TABLE, namespace: '', name: crd.metadata.name };
      const wanted = { ...crd, spec: cloneJson(crd.spec), metadata: { ...crd.metadata } };
      const strategy = strategyOf(kind.table);
      strategy.defaults?.(wanted);
      const stored = storage.get(key);
      if (stored === undefined) {
        strategy.prepareCreate?.(wanted, strategyContext);
        const creationTimestamp = rfc3339(clock, 's');
        Object.assign(wanted.metadata, { uid: random.uuid(), creationTimestamp, generation: 1 });
        storage.create(key, wanted);
      } else if (equalJson(stored.spec, wanted.spec)) this.#serve(stored);
      else
        store.rewrite(kind, stored, (copy) => {
          copy.spec = wanted.spec;
          copy.metadata.generation = (copy.metadata.generation ?? 0) + 1;
        });
    }
  }
}
