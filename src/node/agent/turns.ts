/**
 * Work of some milliseconds each, piece by piece, and as long as a piece took nothing of it: a label on a namespace of hundreds of
 * pods must not stall the connections of all the others. A request needs some ten turns of the event loop; with a piece in
 * each of them it would take ten times as long as a piece.
 */
import type { Clock } from '#base/clock.ts';
import { TURN_REST_MS_MAX } from '../limits.ts';

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
    const begin = this.#clock.now();
    try {
      work();
    } finally {
      const restMs = Math.min(this.#clock.now() - begin, TURN_REST_MS_MAX);
      this.#clock.after(restMs, () => this.#next());
    }
  }
}
