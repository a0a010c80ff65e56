/**
 * Earliest deadline first: each item comes round as often as its weight says, evenly spread (Envoy's EdfScheduler). A binary
 * heap in typed arrays: `next` costs O(log n) and allocates nothing.
 */

/** Below this a weight would push an item out of reach for ever. */
const WEIGHT_MIN = 1e-9;

export class Schedule<T> {
  readonly #items: readonly T[];
  readonly #weightOf: (item: T) => number;
  /** Heap slot → item. */
  readonly #heap: Int32Array;
  /** By item. */
  readonly #deadlines: Float64Array;
  /** By item: of equal deadlines the one set first comes first. */
  readonly #set: Float64Array;
  #setCount = 0;

  /** `weightOf` is asked again each time an item came up: weights may change. */
  constructor(items: readonly T[], weightOf: (item: T) => number) {
    const { length } = items;
    this.#items = items;
    this.#weightOf = weightOf;
    this.#heap = new Int32Array(length);
    this.#deadlines = new Float64Array(length);
    this.#set = new Float64Array(length);
    for (let index = 0; index < length; index += 1) {
      this.#heap[index] = index;
      this.#schedule(index, 0);
    }
    for (let slot = (length >> 1) - 1; slot >= 0; slot -= 1) this.#sink(slot);
  }

  /** There must be an item. */
  next(): T {
    const index = this.#heap[0];
    const item = this.#items[index];
    this.#schedule(index, this.#deadlines[index]);
    this.#sink(0);
    return item;
  }

  #schedule(index: number, after: number): void {
    const weight = Math.max(WEIGHT_MIN, this.#weightOf(this.#items[index]));
    this.#deadlines[index] = after + 1 / weight;
    this.#setCount += 1;
    this.#set[index] = this.#setCount;
  }

  #isBefore(left: number, right: number): boolean {
    const difference = this.#deadlines[left] - this.#deadlines[right];
    return difference < 0 || (difference === 0 && this.#set[left] < this.#set[right]);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const moving = heap[from];
    let slot = from;
    for (;;) {
      let child = 2 * slot + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1], heap[child])) child += 1;
      if (!this.#isBefore(heap[child], moving)) break;
      heap[slot] = heap[child];
      slot = child;
    }
    heap[slot] = moving;
  }
}
