/**
 * Serves what CustomResourceDefinitions declare: the built-in ones are stored at start, later ones come and go with
 * their objects; deleting one deletes its resources.
 */
import type { Disposer } from '#base/disposer.ts';
import type { Logger } from '#base/log.ts';
import { type ApiObject, equalJson } from '#kube/meta/object.ts';
import type { KindRegistry } from '../kinds/registry.ts';
import type { ObjectStore } from '../rest/object-store.ts';
import type { SchemaProvider } from '../schema-provider.ts';
import type { Storage, StorageEvent } from '../storage/storage.ts';
import { serverWrite } from './namespace-controller.ts';

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
    for (const crd of deps.storage.list({ table: TABLE }).items) this.#serve(crd);
    this.#unsubscribe = deps.storage.subscribe((event) => this.#observe(event));
    this.#installBuiltin();
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

  #installBuiltin(): void {
    const { schemas, store, registry, storage } = this.#deps;
    const kind = registry.ofTable(TABLE)!;
    for (const crd of schemas.builtinCrds()) {
      const { name } = crd.metadata;
      const stored = storage.get({ table: TABLE, namespace: '', name });
      if (stored === undefined)
        store.create(kind, undefined, { object: crd, context: serverWrite() });
      else
        store.update({
          kind,
          key: { name },
          subresource: '',
          context: serverWrite(),
          change: (live) => ({ ...live, spec: crd.spec }),
        });
    }
  }
}
