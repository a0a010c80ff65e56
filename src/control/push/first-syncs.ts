/**
 * Lets few proxies at a time have their first answers: each is everything that they may see, megabytes that stay in memory
 * until the proxy has read them. A control plane that restarts has all proxies at its door at once. Those who wait are let
 * in in order, each in a turn of its own, so that the small pushes to everyone else are not held up.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { FIRST_SYNC_HOLD_MS, FIRST_SYNCS_AT_ONCE } from './limits.ts';

/** One stream. */
export interface Entrant {
  /** It may have its first answers now. */
  enter(): void;
}

export class FirstSyncs {
  readonly #clock: Clock;
  /** Who is being answered, and when its place is given on all the same: a slow proxy keeps nobody waiting. */
  readonly #inside = new Map<Entrant, Timer>();
  /** Has had its turn: types that it asks for later are answered at once. */
  readonly #done = new WeakSet<Entrant>();
  readonly #waiting = new Set<Entrant>();
  #next: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True: go on. False: `enter` is called later. */
  mayEnter(entrant: Entrant): boolean {
    if (this.#done.has(entrant) || this.#inside.has(entrant)) return true;
    if (this.#inside.size >= FIRST_SYNCS_AT_ONCE || this.#waiting.size > 0) {
      this.#waiting.add(entrant);
      return false;
    }
    this.#letIn(entrant);
    return true;
  }

  /** It has all that it asked for so far, or is gone. */
  leave(entrant: Entrant): void {
    this.#waiting.delete(entrant);
    const timer = this.#inside.get(entrant);
    if (timer === undefined) return;
    timer.cancel();
    this.#inside.delete(entrant);
    this.#done.add(entrant);
    this.#schedule();
  }

  stop(): void {
    this.#next?.cancel();
    this.#waiting.clear();
    for (const timer of this.#inside.values()) timer.cancel();
    this.#inside.clear();
  }

  #letIn(entrant: Entrant): void {
    this.#inside.set(
      entrant,
      this.#clock.after(FIRST_SYNC_HOLD_MS, () => this.leave(entrant)),
    );
  }

  #schedule(): void {
    if (this.#next !== undefined || this.#waiting.size === 0) return;
    this.#next = this.#clock.after(0, () => {
      this.#next = undefined;
      const [entrant] = this.#waiting;
      if (entrant === undefined || this.#inside.size >= FIRST_SYNCS_AT_ONCE) return;
      this.#waiting.delete(entrant);
      this.#letIn(entrant);
      entrant.enter();
      this.#schedule();
    });
  }
}
