/**
 * Derived collections that update themselves: a change of a source recomputes exactly the values that read it.
 * Nodes settle in the order of their creation, and a node may read only older ones, so no value is ever computed
 * from a half-settled state and each emits at most one event a batch. Derivations must be pure.
 *
 *   source ── derive ── index ── derive …      (set/delete → settle: oldest dirty node first → subscribers)
 */
import { assert } from '#base/assert.ts';
import type { Collection, Index, Reads, SourceCollection } from './collection.ts';
import type { Node, Settler } from './node.ts';
import { asNode } from './node.ts';
import { FlatMapNode, IndexNode, JoinNode, MapNode, SourceNode } from './nodes.ts';

export class Graph implements Settler {
  #nodes = 0;
  #batchDepth = 0;
  #settling = false;
  readonly #dirty = new Set<Node<unknown>>();
  #announcing: Node<unknown>[] = [];

  source<T>(name: string): SourceCollection<T> {
    return new SourceNode<T>(this, name);
  }

  /** At most one value for each value of `parent`, under the same key. */
  map<T, U>(
    name: string,
    parent: Collection<T>,
    derive: (value: T, reads: Reads, key: string) => U | undefined,
  ): Collection<U> {
    return new MapNode(this, name, asNode(parent), derive);
  }

  /** Any number of keyed values for each value of `parent`. Of equal keys the smallest parent key's value wins. */
  flatMap<T, U>(
    name: string,
    parent: Collection<T>,
    derive: (value: T, reads: Reads, key: string) => readonly (readonly [string, U])[],
  ): Collection<U> {
    return new FlatMapNode(this, name, asNode(parent), derive);
  }

  /** Values grouped under each key that `keysOf` gives. */
  index<T>(
    name: string,
    parent: Collection<T>,
    keysOf: (value: T, key: string) => readonly string[],
  ): Index<T> {
    return new IndexNode(this, name, asNode(parent), keysOf);
  }

  /** The union; of equal keys the earlier collection's value wins. */
  join<T>(name: string, parents: readonly Collection<T>[]): Collection<T> {
    return new JoinNode(this, name, parents.map(asNode));
  }

  /** Runs `change` and settles once at its end. */
  batch(change: () => void): void {
    this.#batchDepth++;
    try {
      change();
    } finally {
      this.#batchDepth--;
      this.#settle();
    }
  }

  register(node: Node<unknown>): number {
    assert(!this.#settling, `collection ${node.name} made while settling`);
    return this.#nodes++;
  }

  markDirty(node: Node<unknown>): void {
    this.#dirty.add(node);
  }

  announce(node: Node<unknown>): void {
    this.#announcing.push(node);
  }

  touched(): void {
    if (this.#batchDepth === 0) this.#settle();
  }

  #settle(): void {
    // A subscriber that writes to a source while we announce is taken up by the running loop.
    if (this.#batchDepth > 0 || this.#settling) return;
    this.#settling = true;
    try {
      while (this.#dirty.size > 0 || this.#announcing.length > 0) {
        for (let node = this.#oldestDirty(); node !== undefined; node = this.#oldestDirty()) {
          this.#dirty.delete(node);
          node.settle();
        }
        const announcing = this.#announcing;
        this.#announcing = [];
        this.#settling = false;
        this.#batchDepth++;
        try {
          for (const node of announcing) node.notify();
        } finally {
          this.#batchDepth--;
          this.#settling = true;
        }
      }
    } finally {
      this.#settling = false;
    }
  }

  #oldestDirty(): Node<unknown> | undefined {
    let oldest: Node<unknown> | undefined;
    for (const node of this.#dirty)
      if (oldest === undefined || node.order < oldest.order) oldest = node;
    return oldest;
  }
}
