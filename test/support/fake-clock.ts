/** A `Clock` that stands still until told to advance; timers fire in order of their due time, then of creation. */
import type { Clock, Timer } from '#base/clock.ts';

interface Entry {
  due: number;
  order: number;
  periodMs: number | undefined;
  callback: () => void;
}

export class FakeClock implements Clock {
  readonly #epochMs: number;
  readonly #entries = new Set<Entry>();
  #now = 0;
  #order = 0;

  constructor(epochMs = Date.UTC(2026, 0, 1)) {
    this.#epochMs = epochMs;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#epochMs + this.#now;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#add(delayMs, undefined, callback);
  }

  every(periodMs: number, callback: () => void): Timer {
    return this.#add(periodMs, periodMs, callback);
  }

  /** Timers that wait; 0 when nothing leaked. */
  get pending(): number {
    return this.#entries.size;
  }

  /** Runs everything due within `ms`, callbacks synchronously. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let entry = this.#next(end); entry !== undefined; entry = this.#next(end)) {
      this.#now = Math.max(this.#now, entry.due);
      if (entry.periodMs === undefined) this.#entries.delete(entry);
      else entry.due += entry.periodMs;
      entry.callback();
    }
    this.#now = end;
  }

  #add(delayMs: number, periodMs: number | undefined, callback: () => void): Timer {
    const entry = { due: this.#now + delayMs, order: this.#order++, periodMs, callback };
    this.#entries.add(entry);
    return { cancel: () => void this.#entries.delete(entry) };
  }

  #next(end: number): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of this.#entries) {
      if (entry.due > end) continue;
      if (first === undefined || entry.due < first.due) first = entry;
      else if (entry.due === first.due && entry.order < first.order) first = entry;
    }
    return first;
  }
}
