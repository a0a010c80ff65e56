/**
 * What the REST core asks of its store. One revision counter for everything; each write is one revision, one event.
 * Calls are synchronous: a read-modify-write without `await` between is atomic. The suite in storage-suite.ts
 * holds for every implementation.
 */
import type { Disposer } from '#base/disposer.ts';
import type { ApiObject } from '#kube/meta/object.ts';

export interface StorageKey {
  /** `group/resource`, the core group is empty: `/pods`, `apps/deployments`. */
  table: string;
  /** '' for cluster-scoped kinds. */
  namespace: string;
  name: string;
}

export interface StorageEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  revision: number;
  key: StorageKey;
  /** The new state; for DELETED the last state, with the revision of the deletion. */
  object: ApiObject;
  /** The state before, for MODIFIED and DELETED: selectors need it to turn a change into an ADDED or DELETED. */
  previous?: ApiObject;
}

export interface ListRequest {
  table: string;
  /** Undefined = all namespaces. */
  namespace?: string;
  /** Only keys after this one, in (namespace, name) order. */
  after?: { namespace: string; name: string };
  /** State as of this revision; undefined = now. Throws STORAGE_COMPACTED when it is too old. */
  revision?: number;
  /** Stop after this many objects. */
  limit?: number;
  /** Applied before the limit. */
  accept?: (object: ApiObject) => boolean;
}

export interface ListResult {
  items: ApiObject[];
  revision: number;
  /** Objects behind the last item that the limit cut off: whether there are any. */
  more: boolean;
}

export interface Storage {
  /** The newest revision. */
  readonly revision: number;
  /** Events up to and including this revision are gone. */
  readonly compactedRevision: number;
  get(key: StorageKey): ApiObject | undefined;
  list(request: ListRequest): ListResult;
  /** Count of a table's objects in one namespace, or in all. */
  count(table: string, namespace?: string): number;
  /** Tables that hold objects of the namespace. */
  tablesOf(namespace: string): string[];
  /** Throws STORAGE_EXISTS. Returns the object with its resourceVersion. */
  create(key: StorageKey, object: ApiObject): ApiObject;
  /** Throws STORAGE_MISSING, or STORAGE_CONFLICT when `expected` is not the stored resourceVersion. */
  update(key: StorageKey, object: ApiObject, expected: string): ApiObject;
  /** Returns the last state with the deletion's resourceVersion; undefined when it was not there. */
  delete(key: StorageKey): ApiObject | undefined;
  /** Events of a table after `revision`. Throws STORAGE_COMPACTED. */
  eventsAfter(table: string, revision: number): StorageEvent[];
  /** Called inside the write, in revision order. */
  subscribe(onEvent: (event: StorageEvent) => void): Disposer;
  close(): void;
}
