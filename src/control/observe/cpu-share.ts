/** How much of a core a process used over the last minute, out of the seconds that it counts itself. */
import { CPU_WINDOW_MS } from '../limits.ts';

export interface ProcessUse {
  readonly memoryBytes?: number;
  /** Share of a core. */
  readonly cpu?: number;
}

export class CpuShare {
  readonly #samples: { readonly atMs: number; readonly seconds: number }[] = [];

  add(atMs: number, seconds: number): void {
    const last = this.#samples.at(-1);
    // A counter that fell is another process's.
    if (last !== undefined && seconds < last.seconds) this.#samples.length = 0;
    this.#samples.push({ atMs, seconds });
    // One older than the window stays, so that the whole of it is covered.
    while (this.#samples.length > 2 && this.#samples[1].atMs <= atMs - CPU_WINDOW_MS)
      this.#samples.shift();
  }

  /** Undefined until there are two looks at it. */
  get share(): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
    return (last.seconds - first.seconds) / ((last.atMs - first.atMs) / 1000);
  }
}
