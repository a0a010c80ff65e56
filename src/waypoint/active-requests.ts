/**
 * The requests in flight, oldest first, as a linked list: to join and to leave are a few pointer writes. It ends streams on which
 * nothing moves any more, with one timer for all of them, and lets a new configuration look at each.
 *
 *   oldest ⇄ … ⇄ newest
 */
import type { Clock, Timer } from '#base/clock.ts';
import { STREAM_IDLE_LOOKS } from './limits.ts';

export interface ActiveRequest {
  older: ActiveRequest | undefined;
  newer: ActiveRequest | undefined;
  /** Grows with everything that moves on the stream. */
  readonly activity: number;
  /** What `activity` was at the last look that found it changed, and when that was. */
  seenActivity: number;
  seenAt: number;
  onIdle(idleMs: number): void;
}

export class ActiveRequests<T extends ActiveRequest> {
  count = 0;
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #timer: Timer | undefined;
  #oldest: T | undefined = undefined;
  #newest: T | undefined = undefined;

  /** `idleMs` 0: streams may rest as long as they like. */
  constructor(clock: Clock, idleMs: number) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#timer =
      idleMs === 0 ? undefined : clock.every(idleMs / STREAM_IDLE_LOOKS, () => this.#look());
  }

  add(request: T): void {
    request.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = request;
    else this.#newest.newer = request;
    this.#newest = request;
    this.count += 1;
  }

  remove(request: T): void {
    const { older, newer } = request;
    if (older === undefined) this.#oldest = newer as T | undefined;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older as T | undefined;
    else newer.older = older;
    request.older = undefined;
    request.newer = undefined;
    this.count -= 1;
  }

  /** A visit may end requests, the visited one or others. */
  forEach(visit: (request: T) => void): void {
    const all: T[] = [];
    for (let at = this.#oldest; at !== undefined; at = at.newer as T | undefined) all.push(at);
    for (const request of all) visit(request);
  }

  close(): void {
    this.#timer?.cancel();
  }

  #look(): void {
    const now = this.#clock.now();
    const idle: T[] = [];
    for (let at = this.#oldest; at !== undefined; at = at.newer as T | undefined) {
      const { activity } = at;
      if (activity !== at.seenActivity) {
        at.seenActivity = activity;
        at.seenAt = now;
      } else if (now - at.seenAt >= this.#idleMs) idle.push(at);
    }
    for (const request of idle) request.onIdle(this.#idleMs);
  }
}
