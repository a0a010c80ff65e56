/** Wall time that never goes back: what seconds of frames are counted by. A clock that is set back goes on from where it was. */
import type { Clock } from '#base/clock.ts';

export class ReportClock {
  readonly #clock: Clock;
  #lead = 0;
  #last = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the epoch. */
  now(): number {
    const wall = this.#clock.wallTime() + this.#lead;
    if (wall < this.#last) {
      this.#lead += this.#last - wall;
      return this.#last;
    }
    this.#last = wall;
    return wall;
  }

  /** Until the next second begins, and `offsetMs` more. */
  untilNextSecond(offsetMs: number): number {
    return 1000 - ((this.now() - offsetMs) % 1000);
  }
}
