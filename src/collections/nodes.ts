/** The kinds of node: source, derivation with tracked reads, index, union. See graph.ts for the settling order. */
import type { Reads, SourceCollection } from './collection.ts';
import { KeySets } from './key-sets.ts';
import type { Settler } from './node.ts';
import { Node } from './node.ts';
import { ReadTracker } from './reads.ts';

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

/** What both kinds of derivation share: a parent whose changes, and whose readings' changes, make keys stale. */
abstract class StaleKeys<T, U> extends Node<U> {
  protected readonly parent: Node<T>;
  protected readonly reads: ReadTracker;
  readonly #stale = new Set<string>();

  constructor(graph: Settler, name: string, parent: Node<T>) {
    super(graph, name);
    this.parent = parent;
    this.reads = new ReadTracker(this as Node<unknown>, (node) => {
      if (node !== (parent as unknown)) node.addDependent(this);
    });
    parent.addDependent(this);
    for (const [key] of parent.entries()) this.#stale.add(key);
  }

  /** Of parent keys that `recompute` is told, in turn, what changed. */
  protected abstract recompute(key: string, changes: Map<string, U | undefined>): void;

  parentChanged(node: Node<never>, keys: Set<string>): void {
    if ((node as unknown) === this.parent) for (const key of keys) this.#stale.add(key);
    this.reads.collect(node as unknown as Node<unknown>, keys, this.#stale);
    if (this.#stale.size > 0) this.graph.markDirty(this as Node<unknown>);
  }

  override settle(): void {
    if (this.#stale.size === 0) return;
    const changes = new Map<string, U | undefined>();
    for (const key of this.#stale) this.recompute(key, changes);
    this.#stale.clear();
    this.commit(changes);
  }
}

/** One value at most for each of the parent's, under its key. */
export class MapNode<T, U> extends StaleKeys<T, U> {
  readonly #derive: (value: T, reads: Reads, key: string) => U | undefined;

  constructor(
    graph: Settler,
    name: string,
    parent: Node<T>,
    derive: (value: T, reads: Reads, key: string) => U | undefined,
  ) {
    super(graph, name, parent);
    this.#derive = derive;
    this.settle();
  }

  protected override recompute(key: string, changes: Map<string, U | undefined>): void {
    const value = this.parent.get(key);
    if (value === undefined) {
      this.reads.forget(key);
      changes.set(key, undefined);
      return;
    }
    changes.set(
      key,
      this.reads.track(key, (reads) => this.#derive(value, reads, key)),
    );
  }
}

export class FlatMapNode<T, U> extends StaleKeys<T, U> {
  readonly #derive: (value: T, reads: Reads, key: string) => readonly (readonly [string, U])[];
  /** Parent key → its outputs; output key → the parents that give it. */
  readonly #outputs = new Map<string, readonly (readonly [string, U])[]>();
  readonly #owners = new KeySets<string>();

  constructor(
    graph: Settler,
    name: string,
    parent: Node<T>,
    derive: (value: T, reads: Reads, key: string) => readonly (readonly [string, U])[],
  ) {
    super(graph, name, parent);
    this.#derive = derive;
    this.settle();
  }

  protected override recompute(key: string, changes: Map<string, U | undefined>): void {
    const value = this.parent.get(key);
    if (value === undefined) this.reads.forget(key);
    const outputs =
      value === undefined ? [] : this.reads.track(key, (reads) => this.#derive(value, reads, key));
    for (const [output] of this.#outputs.get(key) ?? []) {
      changes.set(output, undefined);
      this.#owners.delete(output, key);
    }
    for (const [output] of outputs) {
      changes.set(output, undefined);
      this.#owners.add(output, key);
    }
    if (outputs.length === 0) this.#outputs.delete(key);
    else this.#outputs.set(key, outputs);
  }

  protected override commit(changes: Map<string, U | undefined>): void {
    for (const output of changes.keys()) changes.set(output, this.#winner(output));
    super.commit(changes);
  }

  #winner(output: string): U | undefined {
    let first: string | undefined;
    for (const owner of this.#owners.members(output))
      if (first === undefined || owner < first) first = owner;
    if (first === undefined) return undefined;
    // Of equal keys from one parent the last counts.
    return this.#outputs.get(first)?.findLast(([key]) => key === output)?.[1];
  }
}

export class IndexNode<T> extends Node<readonly T[]> {
  readonly #parent: Node<T>;
  readonly #keysOf: (value: T, key: string) => readonly string[];
  readonly #dirty = new Set<string>();
  readonly #groupsOf = new Map<string, readonly string[]>();
  readonly #members = new KeySets<string>();

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
        this.#members.delete(group, key);
      }
      const value = this.#parent.get(key);
      const groups = value === undefined ? [] : this.#keysOf(value, key);
      if (groups.length === 0) this.#groupsOf.delete(key);
      else this.#groupsOf.set(key, groups);
      for (const group of groups) {
        touched.add(group);
        this.#members.add(group, key);
      }
    }
    this.#dirty.clear();
    this.commit([...touched].map((group) => [group, this.#group(group)] as const));
  }

  #group(group: string): readonly T[] | undefined {
    const values: T[] = [];
    for (const key of [...this.#members.members(group)].sort()) {
      const value = this.#parent.get(key);
      if (value !== undefined) values.push(value);
    }
    return values.length === 0 ? undefined : values;
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
