/** Names by the keys under which they are found; a name is put again when its keys have changed. */
import { KeySets } from '#collections/key-sets.ts';

export class KeyIndex {
  readonly #names = new KeySets<string>();
  readonly #keys = new Map<string, readonly string[]>();

  names(key: string): Iterable<string> {
    return this.#names.members(key);
  }

  /** Without keys it is found no more. */
  put(name: string, keys: readonly string[]): void {
    for (const key of this.#keys.get(name) ?? []) this.#names.delete(key, name);
    if (keys.length === 0) this.#keys.delete(name);
    else this.#keys.set(name, keys);
    for (const key of keys) this.#names.add(key, name);
  }
}
