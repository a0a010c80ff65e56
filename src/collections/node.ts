/** One collection of a graph: its values, who reads them, and the events not yet announced. */
import { isDeepStrictEqual } from 'node:util';
import { assert } from '#base/assert.ts';
import type { Disposer } from '#base/disposer.ts';
import type { Collection, CollectionEvent } from './collection.ts';

/** What a node needs of its graph. */
export interface Settler {
  register(node: Node<unknown>): number;
  markDirty(node: Node<unknown>): void;
  announce(node: Node<unknown>): void;
  /** A source changed. */
  touched(): void;
}

export abstract class Node<T> implements Collection<T> {
  readonly name: string;
  readonly order: number;
  protected readonly graph: Settler;
  readonly #values = new Map<string, T>();
  readonly #subscribers = new Set<(events: readonly CollectionEvent<T>[]) => void>();
  readonly #dependents = new Set<{ parentChanged(node: Node<never>, keys: Set<string>): void }>();
  /** First previous value of each key since the last notification. */
  readonly #unannounced = new Map<string, T | undefined>();

  constructor(graph: Settler, name: string) {
    this.graph = graph;
    this.name = name;
    this.order = graph.register(this as Node<unknown>);
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): T | undefined {
    return this.#values.get(key);
  }

  entries(): IterableIterator<[string, T]> {
    return this.#values.entries();
  }

  subscribe(handler: (events: readonly CollectionEvent<T>[]) => void): Disposer {
    this.#subscribers.add(handler);
    return () => void this.#subscribers.delete(handler);
  }

  addDependent(dependent: { parentChanged(node: Node<never>, keys: Set<string>): void }): void {
    this.#dependents.add(dependent);
  }

  /** Recomputes what is dirty and hands the result to `commit`. */
  abstract settle(): void;

  notify(): void {
    const events: CollectionEvent<T>[] = [];
    for (const [key, previous] of this.#unannounced) {
      const value = this.#values.get(key);
      // A key that came and went, or changed back, within one batch is no event.
      if (value !== previous && !isDeepStrictEqual(value, previous))
        events.push({ key, value, previous });
    }
    this.#unannounced.clear();
    if (events.length === 0) return;
    for (const subscriber of [...this.#subscribers]) subscriber(events);
  }

  /** Takes over new values (undefined: removed); equal ones change nothing. */
  protected commit(changes: Iterable<readonly [string, T | undefined]>): void {
    const changed = new Set<string>();
    for (const [key, value] of changes) {
      const previous = this.#values.get(key);
      if (value === previous || isDeepStrictEqual(value, previous)) continue;
      if (this.#subscribers.size > 0 && !this.#unannounced.has(key)) {
        if (this.#unannounced.size === 0) this.graph.announce(this as Node<unknown>);
        this.#unannounced.set(key, previous);
      }
      if (value === undefined) this.#values.delete(key);
      else this.#values.set(key, value);
      changed.add(key);
    }
    if (changed.size === 0) return;
    for (const dependent of this.#dependents)
      dependent.parentChanged(this as unknown as Node<never>, changed);
  }
}

export function asNode<T>(collection: Collection<T>): Node<T> {
  assert(collection instanceof Node, `collection ${collection.name} is of another graph`);
  return collection as Node<T>;
}
