/**
 * How far another clock is from ours, by the times in its messages: theirs when it was sent, ours when it came. What is between them is the
 * offset less the delay, so the greatest difference of the last while is the nearest. Off by the least delay, some milliseconds.
 */
import { OFFSET_WINDOW_MS, SHIFT_HYSTERESIS_MS } from './limits.ts';

export class ClockOffset {
  #windowStart = Number.NEGATIVE_INFINITY;
  #best = Number.NEGATIVE_INFINITY;
  #before = Number.NEGATIVE_INFINITY;
  #shift: number | undefined;

  note(theirMs: number, ourMs: number): void {
    if (ourMs - this.#windowStart >= OFFSET_WINDOW_MS || ourMs < this.#windowStart) {
      this.#windowStart = ourMs;
      this.#before = this.#best;
      this.#best = Number.NEGATIVE_INFINITY;
    }
    this.#best = Math.max(this.#best, theirMs - ourMs);
  }

  /** Its clock minus ours; 0 before the first message. */
  get ms(): number {
    const best = Math.max(this.#best, this.#before);
    return Number.isFinite(best) ? best : 0;
  }

  /** Whole seconds by which its seconds are later than ours. Stays while the clocks are within half a second and a bit of it. */
  get shiftSeconds(): number {
    const { ms } = this;
    if (this.#shift === undefined || Math.abs(ms - this.#shift * 1000) > SHIFT_HYSTERESIS_MS)
      this.#shift = Math.round(ms / 1000);
    return this.#shift;
  }
}
