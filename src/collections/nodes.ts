/** The kinds of node: source, derivation with tracked reads, index, union. See graph.ts for the settling order. */
import { assert } from '#base/assert.ts';
import type { Collection, Index, Reads, SourceCollection } from './collection.ts';
import type { Settler } from './node.ts';
import { asNode, Node } from './node.ts';

/** Stands for every key of a collection that was read as a whole. */
const ANY = Symbol('any key');
type DependencyKey = string | typeof ANY;

interface Dependency {
  node: Node<unknown>;
  key: DependencyKey;
}

export class SourceNode<T> extends Node<T> implements SourceCollection<T> {
  readonly #pending = new Map<string, T | undefined>();

  set(key: string, value: T): void {
    this.#change(key, value);
  }

  delete(key: string): void {
    this.#change(key, undefined);
  }

  override settle(): void {
    const pending = [...this.#pending];
    this.#pending.clear();
    this.commit(pending);
  }

  #change(key: string, value: T | undefined): void {
    this.#pending.set(key, value);
    this.graph.markDirty(this as Node<unknown>);
    this.graph.touched();
  }
}

export class DerivedNode<T, U> extends Node<U> {
  readonly #parent: Node<T>;
  readonly #derive: (value: T, reads: Reads, key: string) => readonly (readonly [string, U])[];
  readonly #dirty = new Set<string>();
  /** What each parent value read, and the reverse. */
  readonly #reads = new Map<string, Dependency[]>();
  readonly #readers = new Map<Node<unknown>, Map<DependencyKey, Set<string>>>();
  /** Parent key → its outputs; output key → the parents that give it. */
  readonly #outputs = new Map<string, ReadonlyMap<string, U>>();
  readonly #owners = new Map<string, Set<string>>();

  constructor(
    graph: Settler,
    name: string,
    parent: Node<T>,
    derive: (value: T, reads: Reads, key: string) => readonly (readonly [string, U])[],
  ) {
    super(graph, name);
    this.#parent = parent;
    this.#derive = derive;
    parent.addDependent(this);
    for (const [key] of parent.entries()) this.#dirty.add(key);
    if (this.#dirty.size > 0) this.settle();
  }

  parentChanged(node: Node<never>, keys: Set<string>): void {
    if ((node as unknown) === this.#parent) for (const key of keys) this.#dirty.add(key);
    const readers = this.#readers.get(node as unknown as Node<unknown>);
    if (readers !== undefined) {
      for (const reader of readers.get(ANY) ?? []) this.#dirty.add(reader);
      for (const key of keys) for (const reader of readers.get(key) ?? []) this.#dirty.add(reader);
    }
    if (this.#dirty.size > 0) this.graph.markDirty(this as Node<unknown>);
  }

  override settle(): void {
    const touched = new Set<string>();
    for (const key of this.#dirty) this.#recompute(key, touched);
    this.#dirty.clear();
    this.commit([...touched].map((key) => [key, this.#winner(key)] as const));
  }

  #recompute(key: string, touched: Set<string>): void {
    this.#forgetReads(key);
    const value = this.#parent.get(key);
    const outputs =
      value === undefined
        ? new Map<string, U>()
        : new Map(this.#derive(value, this.#track(key), key));
    for (const output of this.#outputs.get(key)?.keys() ?? []) {
      touched.add(output);
      const owners = this.#owners.get(output);
      owners?.delete(key);
      if (owners?.size === 0) this.#owners.delete(output);
    }
    for (const output of outputs.keys()) {
      touched.add(output);
      const owners = this.#owners.get(output);
      if (owners === undefined) this.#owners.set(output, new Set([key]));
      else owners.add(key);
    }
    if (outputs.size === 0) this.#outputs.delete(key);
    else this.#outputs.set(key, outputs);
  }

  #winner(output: string): U | undefined {
    let first: string | undefined;
    for (const owner of this.#owners.get(output) ?? [])
      if (first === undefined || owner < first) first = owner;
    return first === undefined ? undefined : this.#outputs.get(first)?.get(output);
  }

  #track(reader: string): Reads {
    const dependencies: Dependency[] = [];
    this.#reads.set(reader, dependencies);
    const note = (collection: Collection<unknown>, key: DependencyKey) => {
      const node = asNode(collection);
      assert(node.order < this.order, `${this.name} reads the newer collection ${node.name}`);
      dependencies.push({ node, key });
      this.#addReader(node, key, reader);
    };
    return {
      get: (collection, key) => {
        note(collection, key);
        return collection.get(key);
      },
      lookup: <V>(index: Index<V>, key: string) => {
        note(index, key);
        return index.get(key) ?? [];
      },
      all: (collection) => {
        note(collection, ANY);
        return collection.entries();
      },
    };
  }

  #addReader(node: Node<unknown>, key: DependencyKey, reader: string): void {
    let keys = this.#readers.get(node);
    if (keys === undefined) {
      keys = new Map();
      this.#readers.set(node, keys);
      if (node !== (this.#parent as unknown)) node.addDependent(this);
    }
    const readers = keys.get(key);
    if (readers === undefined) keys.set(key, new Set([reader]));
    else readers.add(reader);
  }

  #forgetReads(reader: string): void {
    for (const { node, key } of this.#reads.get(reader) ?? []) {
      const keys = this.#readers.get(node);
      const readers = keys?.get(key);
      readers?.delete(reader);
      if (readers?.size === 0) keys?.delete(key);
    }
    this.#reads.delete(reader);
  }
}

export class IndexNode<T> extends Node<readonly T[]> {
  readonly #parent: Node<T>;
  readonly #keysOf: (value: T, key: string) => readonly string[];
  readonly #dirty = new Set<string>();
  readonly #groupsOf = new Map<string, readonly string[]>();
  readonly #members = new Map<string, Set<string>>();

  constructor(
    graph: Settler,
    name: string,
    parent: Node<T>,
    keysOf: (value: T, key: string) => readonly string[],
  ) {
    super(graph, name);
    this.#parent = parent;
    this.#keysOf = keysOf;
    parent.addDependent(this);
    for (const [key] of parent.entries()) this.#dirty.add(key);
    if (this.#dirty.size > 0) this.settle();
  }

  parentChanged(_node: Node<never>, keys: Set<string>): void {
    for (const key of keys) this.#dirty.add(key);
    this.graph.markDirty(this as Node<unknown>);
  }

  override settle(): void {
    const touched = new Set<string>();
    for (const key of this.#dirty) {
      for (const group of this.#groupsOf.get(key) ?? []) {
        touched.add(group);
        this.#members.get(group)?.delete(key);
      }
      const value = this.#parent.get(key);
      const groups = value === undefined ? [] : this.#keysOf(value, key);
      if (groups.length === 0) this.#groupsOf.delete(key);
      else this.#groupsOf.set(key, groups);
      for (const group of groups) {
        touched.add(group);
        const members = this.#members.get(group);
        if (members === undefined) this.#members.set(group, new Set([key]));
        else members.add(key);
      }
    }
    this.#dirty.clear();
    this.commit([...touched].map((group) => [group, this.#group(group)] as const));
  }

  #group(group: string): readonly T[] | undefined {
    const members = this.#members.get(group);
    if (members === undefined || members.size === 0) {
      this.#members.delete(group);
      return undefined;
    }
    const values: T[] = [];
    for (const key of [...members].sort()) {
      const value = this.#parent.get(key);
      if (value !== undefined) values.push(value);
    }
    return values;
  }
}

export class JoinNode<T> extends Node<T> {
  readonly #parents: readonly Node<T>[];
  readonly #dirty = new Set<string>();

  constructor(graph: Settler, name: string, parents: readonly Node<T>[]) {
    super(graph, name);
    this.#parents = parents;
    for (const parent of parents) {
      parent.addDependent(this);
      for (const [key] of parent.entries()) this.#dirty.add(key);
    }
    if (this.#dirty.size > 0) this.settle();
  }

  parentChanged(_node: Node<never>, keys: Set<string>): void {
    for (const key of keys) this.#dirty.add(key);
    this.graph.markDirty(this as Node<unknown>);
  }

  override settle(): void {
    const changes: [string, T | undefined][] = [];
    for (const key of this.#dirty) {
      let value: T | undefined;
      for (const parent of this.#parents) value ??= parent.get(key);
      changes.push([key, value]);
    }
    this.#dirty.clear();
    this.commit(changes);
  }
}
