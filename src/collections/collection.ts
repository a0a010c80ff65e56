/** What a derived collection offers its readers. Values are immutable; keys are unique in one collection. */
import type { Disposer } from '#base/disposer.ts';

export interface CollectionEvent<T> {
  readonly key: string;
  /** Undefined: removed. */
  readonly value: T | undefined;
  /** Undefined: added. */
  readonly previous: T | undefined;
}

export interface Collection<T> {
  readonly name: string;
  get(key: string): T | undefined;
  /** In no promised order. */
  entries(): IterableIterator<[string, T]>;
  readonly size: number;
  /** Called once a batch, after every collection of the graph has settled. Existing values are not replayed. */
  subscribe(handler: (events: readonly CollectionEvent<T>[]) => void): Disposer;
}

/** Groups of a collection's values; each group is sorted by the values' keys. */
export type Index<T> = Collection<readonly T[]>;

export interface SourceCollection<T> extends Collection<T> {
  set(key: string, value: T): void;
  delete(key: string): void;
}

/** How a derivation reads other collections: everything read is a dependency of the value being derived. */
export interface Reads {
  get<T>(collection: Collection<T>, key: string): T | undefined;
  lookup<T>(index: Index<T>, key: string): readonly T[];
  all<T>(collection: Collection<T>): IterableIterator<[string, T]>;
}
