/** How fast a counter grew over the last minute: seconds of CPU make the share of a core. */
import { RATE_WINDOW_MS } from '../limits.ts';

export interface ProcessUse {
  readonly memoryBytes?: number;
  /** Share of a core. */
  readonly cpu?: number;
}

export class CounterRate {
  readonly #samples: { readonly atMs: number; readonly count: number }[] = [];

  add(atMs: number, count: number): void {
    const last = this.#samples.at(-1);
    // A counter that fell is another process's.
    if (last !== undefined && count < last.count) this.#samples.length = 0;
    this.#samples.push({ atMs, count });
    // One older than the window stays, so that the whole of it is covered.
    while (this.#samples.length > 2 && this.#samples[1].atMs <= atMs - RATE_WINDOW_MS)
      this.#samples.shift();
  }

  /** Undefined until there are two looks at it. */
  get perSecond(): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
    return (last.count - first.count) / ((last.atMs - first.atMs) / 1000);
  }
}
