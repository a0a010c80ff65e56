/** Draws an item by weight in constant time (Vose's alias method), after a preparation in linear time. */
import type { Random } from '#base/random.ts';

export class WeightedDraw<T> {
  readonly #items: readonly T[];
  /** Share of a slot that belongs to its own item; the rest is the alias's. */
  readonly #own: Float64Array;
  readonly #alias: Int32Array;

  /** Weights of which none is positive count as equal. */
  constructor(items: readonly T[], weights: readonly number[]) {
    const { length } = items;
    this.#items = items;
    this.#own = new Float64Array(length).fill(1);
    this.#alias = new Int32Array(length);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    if (total <= 0) return;
    const scaled = weights.map((weight) => (weight * length) / total);
    const small: number[] = [];
    const large: number[] = [];
    for (const [index, share] of scaled.entries()) (share < 1 ? small : large).push(index);
    while (small.length > 0 && large.length > 0) {
      const less = small.pop() as number;
      const more = large[large.length - 1];
      this.#own[less] = scaled[less];
      this.#alias[less] = more;
      scaled[more] -= 1 - scaled[less];
      if (scaled[more] < 1) small.push(large.pop() as number);
    }
  }

  /** There must be an item. */
  draw(random: Random): T {
    const slot = random.integer(this.#items.length);
    const own = this.#own[slot];
    if (own >= 1 || random.fraction() < own) return this.#items[slot];
    return this.#items[this.#alias[slot]];
  }
}
