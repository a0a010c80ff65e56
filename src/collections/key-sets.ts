/**
 * Sets of strings by key, in a small space: most hold one member, and a Set of one is ten times the string's own size. There are
 * hundreds of thousands of them in a large mesh.
 */

export class KeySets<K> {
  readonly #sets = new Map<K, string | Set<string>>();

  add(key: K, member: string): void {
    const known = this.#sets.get(key);
    if (known === undefined) this.#sets.set(key, member);
    else if (typeof known !== 'string') known.add(member);
    else if (known !== member) this.#sets.set(key, new Set([known, member]));
  }

  delete(key: K, member: string): void {
    const known = this.#sets.get(key);
    if (known === undefined) return;
    if (typeof known === 'string') {
      if (known === member) this.#sets.delete(key);
      return;
    }
    known.delete(member);
    if (known.size === 0) this.#sets.delete(key);
  }

  /** Nothing, when the key has none. */
  members(key: K): Iterable<string> {
    const known = this.#sets.get(key);
    if (known === undefined) return NONE;
    return typeof known === 'string' ? [known] : known;
  }
}

const NONE: readonly string[] = [];
