/**
 * Sums over the last so many seconds, kept up to date: each second that is closed is added, the one that fell out is taken away. What is taken away is read
 * from the blocks, which hold exactly what was added. Windows that nobody asks for are given back.
 */
import type { Clock } from '#base/clock.ts';
import type { BlockStore } from './block-store.ts';
import { Counts } from './counts.ts';
import { DEFAULT_WINDOW_SECONDS, LIVE_WINDOWS_MAX, WINDOW_IDLE_MS } from './limits.ts';

interface LiveWindow {
  readonly seconds: number;
  readonly counts: Counts;
  usedMs: number;
}

/** Rows that came back to nothing are looked for so often. */
const COMPACT_EVERY_SECONDS = 30;

export class LiveWindows {
  readonly #clock: Clock;
  readonly #blocks: BlockStore;
  readonly #windows = new Map<number, LiveWindow>();
  /** The newest second that is in the windows. */
  #head: number;

  constructor(deps: { clock: Clock; blocks: BlockStore }, head: number) {
    this.#clock = deps.clock;
    this.#blocks = deps.blocks;
    this.#head = head;
  }

  get head(): number {
    return this.#head;
  }

  /** What flowed in the `seconds` up to the head. The counts are the window's own: read them at once. */
  counts(seconds: number): Counts {
    const known = this.#windows.get(seconds);
    const usedMs = this.#clock.now();
    if (known !== undefined) {
      known.usedMs = usedMs;
      return known.counts;
    }
    const counts = new Counts();
    this.#blocks.sum(0, this.#head - seconds + 1, this.#head + 1, counts);
    this.#windows.set(seconds, { seconds, counts, usedMs });
    this.#giveBack();
    return counts;
  }

  /** Before the seconds up to `head` are booked: what fell out goes. */
  advance(head: number): void {
    if (head <= this.#head) return;
    const before = this.#head;
    this.#head = head;
    for (const { seconds, counts } of this.#windows.values()) {
      const from = before - seconds + 1;
      this.#blocks.sum(0, from, Math.min(head - seconds + 1, before + 1), counts, -1);
      if (head % COMPACT_EVERY_SECONDS === 0) counts.compact();
    }
    this.#giveBack();
  }

  /** A second that was just closed, on time or late. */
  add(second: number, sealed: Counts): void {
    for (const { seconds, counts } of this.#windows.values())
      if (second > this.#head - seconds && second <= this.#head) counts.add(sealed);
  }

  /** The blocks are others: everything is summed again. */
  reset(): void {
    this.#windows.clear();
  }

  #giveBack(): void {
    const now = this.#clock.now();
    for (const [seconds, { usedMs }] of this.#windows) {
      const isIdle = now - usedMs > WINDOW_IDLE_MS && seconds !== DEFAULT_WINDOW_SECONDS;
      if (isIdle) this.#windows.delete(seconds);
    }
    const others = [...this.#windows.values()]
      .filter(({ seconds }) => seconds !== DEFAULT_WINDOW_SECONDS)
      .sort((left, right) => left.usedMs - right.usedMs);
    for (const { seconds } of others.slice(0, Math.max(0, others.length - LIVE_WINDOWS_MAX)))
      this.#windows.delete(seconds);
  }
}
