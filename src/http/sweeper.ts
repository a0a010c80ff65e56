/**
 * Connection timeouts at one timer a process: a tick each second, and a coarse time for connections to note
 * when something last happened. One sweeper a clock; it ticks only while connections are enrolled.
 */
import type { Clock, Timer } from '#base/clock.ts';

const TICK_MS = 1000;

export interface Sweepable {
  /** Called each tick. */
  sweep(nowMs: number): void;
}

export class Sweeper {
  /** Coarse monotonic time, right to a tick. */
  now: number;
  private readonly clock: Clock;
  private readonly enrolled = new Set<Sweepable>();
  private timer: Timer | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    this.now = clock.now();
  }

  enroll(target: Sweepable): void {
    this.enrolled.add(target);
    if (this.timer !== undefined) return;
    this.now = this.clock.now();
    this.timer = this.clock.every(TICK_MS, () => {
      this.now = this.clock.now();
      for (const each of this.enrolled) each.sweep(this.now);
    });
  }

  dismiss(target: Sweepable): void {
    this.enrolled.delete(target);
    if (this.enrolled.size > 0) return;
    this.timer?.cancel();
    this.timer = undefined;
  }
}

const sweepers = new WeakMap<Clock, Sweeper>();

export function sweeperOf(clock: Clock): Sweeper {
  let sweeper = sweepers.get(clock);
  if (sweeper === undefined) {
    sweeper = new Sweeper(clock);
    sweepers.set(clock, sweeper);
  }
  return sweeper;
}
