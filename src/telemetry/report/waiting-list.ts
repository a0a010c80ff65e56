/** What waits to be reported, the oldest first. Bounded: the oldest gives way to the newest, and is counted. */

export class WaitingList<T> {
  #items: T[] = [];
  readonly #max: number;
  #dropped = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    // In one piece every so often: shifting each time would move all of them.
    if (this.#items.length >= 2 * this.#max) this.#cut();
    this.#items.push(item);
  }

  /** Up to `count` of them. */
  take(count: number): T[] {
    this.#cut();
    return this.#items.splice(0, count);
  }

  /** What never came in. */
  refuse(count = 1): void {
    this.#dropped += count;
  }

  /** Thrown away since the last call. */
  takeDropped(): number {
    this.#cut();
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  #cut(): void {
    const excess = this.#items.length - this.#max;
    if (excess <= 0) return;
    this.#dropped += excess;
    this.#items.splice(0, excess);
  }
}
