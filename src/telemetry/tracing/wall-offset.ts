/**
 * Times of spans: monotonic milliseconds as nanoseconds since the epoch. The wall clock shows whole milliseconds only: the largest
 * difference that was seen is the nearest to the truth, and spans of one process then nest exactly.
 */
import type { Clock } from '#base/clock.ts';

/** The wall clock was set: differences smaller than this are its resolution. */
const STEP_MS = 2;

export class WallOffset {
  readonly #clock: Clock;
  #offsetMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Call once for all times of a span or of spans that belong together. */
  refresh(): this {
    const seenMs = this.#clock.wallTime() - this.#clock.now();
    if (seenMs > this.#offsetMs || seenMs < this.#offsetMs - STEP_MS) this.#offsetMs = seenMs;
    return this;
  }

  nanosAt(monotonicMs: number): bigint {
    const wallMs = this.#offsetMs + monotonicMs;
    const wholeMs = Math.floor(wallMs);
    return BigInt(wholeMs) * 1_000_000n + BigInt(Math.floor((wallMs - wholeMs) * 1e6));
  }
}
