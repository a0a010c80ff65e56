/**
 * Fans storage events out to watchers. A watcher sees a table through its selection: an object that begins to match
 * is ADDED, one that ceases to is DELETED. Each watcher has a bounded queue; one that overflows is ended.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import type { ApiObject } from '#kube/meta/object.ts';
import { BOOKMARK_PERIOD_MS } from '../limits.ts';
import type { Storage, StorageEvent } from '../storage/storage.ts';

export interface WatchSelection {
  table: string;
  /** Undefined = all. */
  namespace?: string;
  accept(object: ApiObject): boolean;
}

export type WatchChange =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: ApiObject }
  | { type: 'BOOKMARK'; revision: number };

export interface Watcher {
  selection: WatchSelection;
  bookmarks: boolean;
  onChange(change: WatchChange): void;
}

export class WatchHub {
  readonly #storage: Storage;
  readonly #byTable = new Map<string, Set<Watcher>>();
  readonly #unsubscribe: Disposer;
  readonly #bookmarks: Timer;

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage;
    this.#unsubscribe = storage.subscribe((event) => this.#publish(event));
    this.#bookmarks = clock.every(BOOKMARK_PERIOD_MS, () => this.#bookmark());
  }

  get watcherCount(): number {
    let count = 0;
    for (const watchers of this.#byTable.values()) count += watchers.size;
    return count;
  }

  add(watcher: Watcher): Disposer {
    const { table } = watcher.selection;
    const watchers = this.#byTable.get(table) ?? new Set();
    this.#byTable.set(table, watchers.add(watcher));
    return () => void watchers.delete(watcher);
  }

  /** Changes after `revision` from the log, as this selection sees them. Throws STORAGE_COMPACTED. */
  replay(selection: WatchSelection, revision: number): WatchChange[] {
    return this.#storage
      .eventsAfter(selection.table, revision)
      .map((event) => select(selection, event))
      .filter((change) => change !== undefined);
  }

  stop(): void {
    this.#unsubscribe();
    this.#bookmarks.cancel();
    this.#byTable.clear();
  }

  #publish(event: StorageEvent): void {
    for (const watcher of [...(this.#byTable.get(event.key.table) ?? [])]) {
      const change = select(watcher.selection, event);
      if (change !== undefined) watcher.onChange(change);
    }
  }

  #bookmark(): void {
    const { revision } = this.#storage;
    for (const watchers of this.#byTable.values())
      for (const watcher of [...watchers])
        if (watcher.bookmarks) watcher.onChange({ type: 'BOOKMARK', revision });
  }
}

function select(selection: WatchSelection, event: StorageEvent): WatchChange | undefined {
  if (selection.namespace !== undefined && selection.namespace !== event.key.namespace)
    return undefined;
  const { object, previous, type } = event;
  const before = previous !== undefined && selection.accept(previous);
  const now = type !== 'DELETED' && selection.accept(object);
  if (now) return { type: before ? 'MODIFIED' : 'ADDED', object };
  if (!before) return undefined;
  // The last state that matched, at the revision of the change: what Kubernetes sends.
  if (type === 'DELETED') return { type: 'DELETED', object };
  const { resourceVersion } = object.metadata;
  return {
    type: 'DELETED',
    object: { ...previous, metadata: { ...previous.metadata, resourceVersion } },
  };
}
