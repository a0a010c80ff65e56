/**
 * Sets of strings by key, in a small space: most hold one member, and a Set of one is ten times the string's own size. There are
 * hundreds of thousands of them in a large mesh.
 */

/** Members that are held in an array: a Set of as many takes several times that, and is not found in faster. */
const ARRAY_MEMBERS_MAX = 8;

export class KeySets<K> {
  readonly #sets = new Map<K, string | string[] | Set<string>>();

  add(key: K, member: string): void {
    const known = this.#sets.get(key);
    if (known === undefined) this.#sets.set(key, member);
    else if (typeof known === 'string') {
      if (known !== member) this.#sets.set(key, [known, member]);
    } else if (known instanceof Set) known.add(member);
    else if (known.includes(member)) return;
    else if (known.length < ARRAY_MEMBERS_MAX) known.push(member);
    else this.#sets.set(key, new Set([...known, member]));
  }

  delete(key: K, member: string): void {
    const known = this.#sets.get(key);
    if (known === undefined) return;
    if (typeof known === 'string') {
      if (known === member) this.#sets.delete(key);
      return;
    }
    if (known instanceof Set) {
      known.delete(member);
      if (known.size === 0) this.#sets.delete(key);
      return;
    }
    const at = known.indexOf(member);
    if (at >= 0) known.splice(at, 1);
    if (known.length === 0) this.#sets.delete(key);
  }

  /** Nothing, when the key has none. */
  members(key: K): Iterable<string> {
    const known = this.#sets.get(key);
    if (known === undefined) return NONE;
    return typeof known === 'string' ? [known] : known;
  }
}

const NONE: readonly string[] = [];
