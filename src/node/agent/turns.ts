/**
 * Work of a few milliseconds each, one piece a turn of the event loop: a label on a namespace of hundreds of pods must
 * not stall the connections of all the others.
 */
import type { Clock } from '#base/clock.ts';

export class Turns {
  readonly #clock: Clock;
  #queue: (() => void)[] = [];
  #running = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** In the order of the calls; never within the call. */
  push(work: () => void): void {
    this.#queue.push(work);
    if (this.#running) return;
    this.#running = true;
    this.#clock.after(0, () => this.#next());
  }

  stop(): void {
    this.#queue = [];
  }

  #next(): void {
    const work = this.#queue.shift();
    if (work === undefined) {
      this.#running = false;
      return;
    }
    this.#clock.after(0, () => this.#next());
    work();
  }
}
