/** What each derived value read, and from there which values a change of what was read makes stale. */
import { assert } from '#base/assert.ts';
import type { Collection, Index, Reads } from './collection.ts';
import { KeySets } from './key-sets.ts';
import { asNode, type Node } from './node.ts';

/** Stands for every key of a collection that was read as a whole. */
const ANY = Symbol('any key');
type DependencyKey = string | typeof ANY;

export class ReadTracker implements Reads {
  readonly #owner: Node<unknown>;
  /** By reader: node and key in turn, in one array. */
  readonly #reads = new Map<string, (Node<unknown> | DependencyKey)[]>();
  readonly #readers = new Map<Node<unknown>, KeySets<DependencyKey>>();
  readonly #onNewNode: (node: Node<unknown>) => void;
  #reader = '';
  #noted: (Node<unknown> | DependencyKey)[] = [];

  /** `onNewNode` is called for each collection that is read for the first time. */
  constructor(owner: Node<unknown>, onNewNode: (node: Node<unknown>) => void) {
    this.#owner = owner;
    this.#onNewNode = onNewNode;
  }

  /** Runs one derivation; what it reads replaces what the reader read before. */
  track<T>(reader: string, derive: (reads: Reads) => T): T {
    this.forget(reader);
    this.#reader = reader;
    this.#noted = [];
    const derived = derive(this);
    if (this.#noted.length > 0) this.#reads.set(reader, this.#noted);
    return derived;
  }

  forget(reader: string): void {
    const reads = this.#reads.get(reader);
    if (reads === undefined) return;
    for (let at = 0; at < reads.length; at += 2) {
      const node = reads[at] as Node<unknown>;
      this.#readers.get(node)?.delete(reads[at + 1] as DependencyKey, reader);
    }
    this.#reads.delete(reader);
  }

  /** Adds to `stale` who read one of the keys. */
  collect(node: Node<unknown>, keys: Set<string>, stale: Set<string>): void {
    const readers = this.#readers.get(node);
    if (readers === undefined) return;
    for (const reader of readers.members(ANY)) stale.add(reader);
    for (const key of keys) for (const reader of readers.members(key)) stale.add(reader);
  }

  get<T>(collection: Collection<T>, key: string): T | undefined {
    this.#note(collection, key);
    return collection.get(key);
  }

  lookup<T>(index: Index<T>, key: string): readonly T[] {
    this.#note(index, key);
    return index.get(key) ?? [];
  }

  all<T>(collection: Collection<T>): IterableIterator<[string, T]> {
    this.#note(collection, ANY);
    return collection.entries();
  }

  #note(collection: Collection<unknown>, key: DependencyKey): void {
    const node = asNode(collection);
    const owner = this.#owner;
    assert(node.order < owner.order, `${owner.name} reads the newer collection ${node.name}`);
    let readers = this.#readers.get(node);
    if (readers === undefined) {
      readers = new KeySets();
      this.#readers.set(node, readers);
      this.#onNewNode(node);
    }
    readers.add(key, this.#reader);
    // Twice the same does no harm.
    this.#noted.push(node, key);
  }
}
