/** The store behind one type of an `XdsClient`. Only the client writes it. */
import type { Disposer } from '#base/disposer.ts';
import type { DeltaUpdate } from '../delta/delta-client.ts';
import type { ResourceChange, ResourceStore } from './resource-store.ts';

export class MemoryStore<T> implements ResourceStore<T> {
  readonly typeUrl: string;
  readonly #values = new Map<string, T>();
  readonly #callbacks = new Set<(change: ResourceChange) => void>();
  #synced = false;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get synced(): boolean {
    return this.#synced;
  }

  get size(): number {
    return this.#values.size;
  }

  get(name: string): T | undefined {
    return this.#values.get(name);
  }

  entries(): IterableIterator<[string, T]> {
    return this.#values.entries();
  }

  onChange(callback: (change: ResourceChange) => void): Disposer {
    this.#callbacks.add(callback);
    return () => void this.#callbacks.delete(callback);
  }

  apply({ accepted, removed }: DeltaUpdate<T>): void {
    for (const { name, value } of accepted) this.#values.set(name, value);
    for (const name of removed) this.#values.delete(name);
    const first = !this.#synced;
    this.#synced = true;
    // The first response is news even when it is empty: that there is nothing is what some wait for.
    if (accepted.length === 0 && removed.length === 0 && !first) return;
    const change = { changed: accepted.map(({ name }) => name), removed };
    for (const callback of this.#callbacks) callback(change);
  }
}
