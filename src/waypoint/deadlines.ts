/**
 * Request deadlines on one coarse timer: a wheel of slots, each a doubly linked list, so setting and cancelling a
 * deadline is a few pointer writes. The timer runs only while a deadline is set. A deadline fires up to one step late.
 */
import { assert } from '#base/assert.ts';
import type { Clock, Timer } from '#base/clock.ts';

/** One waiting party; reuse it for the same purpose as often as needed. */
export abstract class Deadline {
  /** Wheel bookkeeping; `undefined` while not set. */
  previous: Deadline | undefined = undefined;
  next: Deadline | undefined = undefined;
  slot = -1;
  dueStep = 0;

  abstract onDeadline(): void;
}

const SLOTS = 1024;

export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #stepMs: number;
  readonly #heads: (Deadline | undefined)[] = new Array<Deadline | undefined>(SLOTS).fill(
    undefined,
  );
  #count = 0;
  #timer: Timer | undefined;
  /** Steps up to and including this one have fired. */
  #doneStep = 0;

  constructor(clock: Clock, stepMs: number) {
    this.#clock = clock;
    this.#stepMs = stepMs;
  }

  get pending(): number {
    return this.#count;
  }

  set(deadline: Deadline, afterMs: number): void {
    assert(deadline.slot === -1, 'a deadline is set once at a time');
    const now = this.#clock.now();
    if (this.#timer === undefined) {
      this.#doneStep = Math.floor(now / this.#stepMs);
      this.#timer = this.#clock.every(this.#stepMs, () => this.#turn());
    }
    deadline.dueStep = Math.max(this.#doneStep + 1, Math.ceil((now + afterMs) / this.#stepMs));
    const slot = deadline.dueStep % SLOTS;
    deadline.slot = slot;
    const head = this.#heads[slot];
    deadline.previous = undefined;
    deadline.next = head;
    if (head !== undefined) head.previous = deadline;
    this.#heads[slot] = deadline;
    this.#count += 1;
  }

  /** Nothing happens when it is not set. */
  cancel(deadline: Deadline): void {
    const { slot, previous, next } = deadline;
    if (slot === -1) return;
    if (previous === undefined) this.#heads[slot] = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    deadline.slot = -1;
    deadline.previous = undefined;
    deadline.next = undefined;
    this.#count -= 1;
  }

  #turn(): void {
    const nowStep = Math.floor(this.#clock.now() / this.#stepMs);
    // After a stall longer than the wheel, one full turn visits every slot.
    const last = Math.min(nowStep, this.#doneStep + SLOTS);
    for (let step = this.#doneStep + 1; step <= last; step += 1) this.#fire(step % SLOTS, nowStep);
    this.#doneStep = nowStep;
    if (this.#count === 0) this.#stop();
  }

  #fire(slot: number, nowStep: number): void {
    const due: Deadline[] = [];
    for (let entry = this.#heads[slot]; entry !== undefined; entry = entry.next) {
      if (entry.dueStep <= nowStep) due.push(entry);
    }
    for (const entry of due) {
      // One that fired before it may have cancelled it.
      if (entry.slot === -1) continue;
      this.cancel(entry);
      entry.onDeadline();
    }
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
