/**
 * How many spans of failures are made a second beyond what is sampled: in an outage every request fails, and the proxies have other
 * things to do then.
 */
import type { Clock } from '#base/clock.ts';
import { FAILURE_SPANS_PER_SECOND_MAX } from '../limits.ts';

export class SpanBudget {
  readonly #clock: Clock;
  readonly #perSecondMax: number;
  #second = -1;
  #spent = 0;
  refusedTotal = 0;

  constructor(clock: Clock, perSecondMax = FAILURE_SPANS_PER_SECOND_MAX) {
    this.#clock = clock;
    this.#perSecondMax = perSecondMax;
  }

  /** Whether there is room for one more request or connection. */
  take(): boolean {
    const second = Math.floor(this.#clock.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#spent = 0;
    }
    if (this.#spent >= this.#perSecondMax) {
      this.refusedTotal += 1;
      return false;
    }
    this.#spent += 1;
    return true;
  }
}
