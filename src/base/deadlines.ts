/**
 * Deadlines of one length, as every connection has them, at the cost of one timer for all: a queue in order of start is in
 * order of due time, too, so only its head needs a timer, and a cancelled one just leaves the queue.
 *
 *   head ⇄ … ⇄ tail        due times ascend; the timer waits for what was head when it was started
 */
import type { Clock, Timer } from './clock.ts';

/** Who has a deadline; itself, so that a connection makes no function for it. */
export interface Expiring {
  timedOut(): void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #delayMs: number;
  /** Of a ring: `next` is the head, `previous` the tail. */
  readonly #ring = new Deadline(0, { timedOut: () => undefined });
  #timer: Timer | undefined = undefined;

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  /** Tells it once after the delay, as `Clock.after` does. */
  start(who: Expiring): Timer {
    const deadline = new Deadline(this.#clock.now() + this.#delayMs, who);
    deadline.insertBefore(this.#ring);
    if (this.#timer === undefined) this.#wait(this.#delayMs);
    return deadline;
  }

  #wait(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => this.#look());
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    // Those that callbacks start now are due later.
    for (let head = this.#ring.next; head !== this.#ring; head = this.#ring.next) {
      if (head.due > now) {
        this.#wait(head.due - now);
        return;
      }
      head.cancel();
      head.who.timedOut();
    }
  }
}

class Deadline implements Timer {
  readonly due: number;
  readonly who: Expiring;
  previous: Deadline = this;
  next: Deadline = this;

  constructor(due: number, who: Expiring) {
    this.due = due;
    this.who = who;
  }

  insertBefore(other: Deadline): void {
    this.previous = other.previous;
    this.next = other;
    other.previous.next = this;
    other.previous = this;
  }

  cancel(): void {
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.previous = this;
    this.next = this;
  }
}

const shared = new WeakMap<Clock, Map<number, Deadlines>>();

/** The one queue of a clock for this delay. Delays are few constants, never computed. */
export function deadlinesOf(clock: Clock, delayMs: number): Deadlines {
  let ofClock = shared.get(clock);
  if (ofClock === undefined) {
    ofClock = new Map();
    shared.set(clock, ofClock);
  }
  let deadlines = ofClock.get(delayMs);
  if (deadlines === undefined) {
    deadlines = new Deadlines(clock, delayMs);
    ofClock.set(delayMs, deadlines);
  }
  return deadlines;
}
