/**
 * List-then-watch cache of one kind. Contract (implementation: list-watch.ts): handlers see each change once, in
 * order; after a relist (410, dropped watch) they see only the difference; `synced` turns true after the first list.
 */
import type { Disposer } from '#base/disposer.ts';
import type { KubeObject } from '../client/kube-client.ts';

export interface InformerHandler<T extends KubeObject> {
  onAdd(object: T): void;
  onUpdate(object: T, previous: T): void;
  onDelete(object: T): void;
}

/** Why the cache is not, or no longer, in step with the server. */
export interface InformerProblem {
  /** What was tried, in the API's words: `list` or `watch`. */
  readonly verb: 'list' | 'watch';
  /** `authorizationpolicies.security.istio.io`, as in `kubectl auth can-i VERB RESOURCE`. */
  readonly resource: string;
  /** Code of the failure (kube/errors.ts). */
  readonly code: string;
  readonly message: string;
  /** Since when it fails, in milliseconds since the Unix epoch. */
  readonly since: number;
}

export interface Informer<T extends KubeObject> {
  readonly synced: boolean;
  /** Undefined while a watch runs, and while one is only replaced. */
  readonly problem: InformerProblem | undefined;
  /** Nothing that happened a moment ago is unknown: no problem, and what was missed during the last one has arrived. */
  readonly isCurrent: boolean;
  /** Resolves at the first sync. */
  whenSynced(): Promise<void>;
  get(key: { namespace?: string; name: string }): T | undefined;
  list(namespace?: string): readonly T[];
  /** Existing objects are replayed as `onAdd` first. */
  subscribe(handler: InformerHandler<T>): Disposer;
  stop(): void;
}
