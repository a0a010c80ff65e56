/**
 * What the roles ask of a Kubernetes API. The REST implementation (rest-client.ts) speaks to a real API
 * server or to the lab's; tests hand in a fake. Errors are MeshError with codes KUBE_NOT_FOUND, KUBE_CONFLICT,
 * KUBE_ALREADY_EXISTS, KUBE_FORBIDDEN, KUBE_UNAUTHORIZED, KUBE_INVALID, KUBE_GONE, KUBE_UNAVAILABLE.
 */
import type { Disposer } from '#base/disposer.ts';

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  generateName?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Any object; kinds narrow `spec` and `status`. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** Where a kind lives in the REST tree. */
export interface ResourceRef {
  /** '' for the core group. */
  group: string;
  version: string;
  /** Plural, lower case: `pods`. */
  resource: string;
  kind: string;
  namespaced: boolean;
}

export interface Selection {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export interface ListOptions<T> {
  /** What is made of each object as its page comes in: a large list is never in memory as it was sent. */
  keep?: (object: T) => T;
  /** At most so many objects, and no further page: enough to learn where the server stands. */
  limit?: number;
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

export interface WriteOptions {
  /** Required for `apply`. */
  fieldManager?: string;
  force?: boolean;
  dryRun?: boolean;
  /** `status`, `scale`, `token`, `eviction`, … */
  subresource?: string;
}

export type WatchEvent<T extends KubeObject> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: { code: number; message: string } };

export interface WatchOptions extends Selection {
  resourceVersion?: string;
  allowBookmarks?: boolean;
  /** The server has accepted it: events may be long in coming. */
  onOpen?: () => void;
}

export interface KubeClient {
  get<T extends KubeObject>(
    ref: ResourceRef,
    key: { namespace?: string; name: string },
  ): Promise<T>;
  list<T extends KubeObject>(
    ref: ResourceRef,
    selection?: Selection,
    options?: ListOptions<T>,
  ): Promise<{ items: T[]; resourceVersion: string }>;
  create<T extends KubeObject>(ref: ResourceRef, object: T, options?: WriteOptions): Promise<T>;
  update<T extends KubeObject>(ref: ResourceRef, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    ref: ResourceRef,
    key: { namespace?: string; name: string },
    patch: { type: PatchType; body: unknown },
    options?: WriteOptions,
  ): Promise<T>;
  delete(
    ref: ResourceRef,
    key: { namespace?: string; name: string },
    options?: { propagation?: 'Background' | 'Foreground' | 'Orphan'; gracePeriodSeconds?: number },
  ): Promise<void>;
  /** Streams events until disposed or the server ends it; `onEnd` says why. */
  watch<T extends KubeObject>(
    ref: ResourceRef,
    options: WatchOptions,
    onEvent: (event: WatchEvent<T>) => void,
    onEnd: (error?: unknown) => void,
  ): Disposer;
  /** Any other path, e.g. subresources with a body of their own. */
  request(method: string, path: string, body?: unknown): Promise<unknown>;
}
