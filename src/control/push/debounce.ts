/** Runs `flush` once after a burst: when it was quiet for `quietMs`, at the latest `maxMs` after its first event. */
import type { Clock, Timer } from '#base/clock.ts';

export class Debounce {
  readonly #clock: Clock;
  readonly #flush: () => void;
  readonly #quietMs: number;
  readonly #maxMs: number;
  #timer: Timer | undefined;
  #latest = 0;

  constructor(clock: Clock, options: { quietMs: number; maxMs: number }, flush: () => void) {
    this.#clock = clock;
    this.#flush = flush;
    this.#quietMs = options.quietMs;
    this.#maxMs = options.maxMs;
  }

  trigger(): void {
    const now = this.#clock.now();
    if (this.#timer === undefined) this.#latest = now + this.#maxMs;
    this.#timer?.cancel();
    const delay = Math.min(this.#quietMs, Math.max(0, this.#latest - now));
    this.#timer = this.#clock.after(delay, () => {
      this.#timer = undefined;
      this.#flush();
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
