/**
 * Who is here now, in no order, where somebody comes and goes all the time. A `Set` or a `Map` would keep those who left: it moves
 * to a new table every few changes, and the old one, which leads to the new, still has everybody of its time. Once a young collection
 * has seen one such table as alive, all that were here since are kept until the whole heap is collected (docs/decisions/010).
 */
export interface Rostered {
  /** Where it stands in the one roster that it is in; -1: in none. Written by the roster. */
  place: number;
}

export class Roster<T extends Rostered> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** Nothing when it is in it. */
  add(member: T): void {
    if (member.place >= 0) return;
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** Nothing when it is not in it. */
  remove(member: T): void {
    const { place } = member;
    if (place < 0 || this.#members[place] !== member) return;
    member.place = -1;
    const last = this.#members.pop();
    if (last === undefined || last === member) return;
    last.place = place;
    this.#members[place] = last;
  }

  /** Nobody may come or leave meanwhile: go through a copy where that can be. */
  [Symbol.iterator](): Iterator<T> {
    return this.#members[Symbol.iterator]();
  }
}
