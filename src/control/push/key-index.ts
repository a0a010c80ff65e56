/** Names by the keys under which they are found; a name is put again when its keys have changed. */

export class KeyIndex {
  readonly #names = new Map<string, Set<string>>();
  readonly #keys = new Map<string, readonly string[]>();

  names(key: string): Iterable<string> {
    return this.#names.get(key) ?? [];
  }

  /** Without keys it is found no more. */
  put(name: string, keys: readonly string[]): void {
    for (const key of this.#keys.get(name) ?? []) {
      const names = this.#names.get(key);
      names?.delete(name);
      if (names?.size === 0) this.#names.delete(key);
    }
    if (keys.length === 0) this.#keys.delete(name);
    else this.#keys.set(name, keys);
    for (const key of keys) {
      const names = this.#names.get(key);
      if (names === undefined) this.#names.set(key, new Set([name]));
      else names.add(name);
    }
  }
}
