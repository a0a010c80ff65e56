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

export interface Informer<T extends KubeObject> {
  readonly synced: boolean;
  /** Resolves at the first sync. */
  whenSynced(): Promise<void>;
  get(key: { namespace?: string; name: string }): T | undefined;
  list(namespace?: string): readonly T[];
  /** Existing objects are replayed as `onAdd` first. */
  subscribe(handler: InformerHandler<T>): Disposer;
  stop(): void;
}
