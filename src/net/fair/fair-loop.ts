/**
 * Shares one event loop between workloads. Bun reads a busy socket again and again within one turn (35 MB were seen), and
 * takes every waiting connection of a listener at once: without this one workload's turn is everybody's delay.
 *
 * Each workload has a share: time in a turn, which the events of its sockets use up. A share in debt has its sockets held
 * (not read), in order, and gets new time each turn until the debt is paid. When nobody else had anything to do in a
 * turn there is nobody to wait for, and the debt is forgotten: an idle machine runs at full speed.
 *
 *   event ──▶ left -= cost ──▶ left > 0: nothing more
 *                          └─▶ left ≤ 0: hold the socket ──▶ next turns: left += SHARE_TURN_MS ──▶ release in order
 */
import type { Clock } from '#base/clock.ts';
import type { ConnectionHandler } from '../connection.ts';
import {
  CONTENTION_MEMORY_MS,
  LARGE_READ_BYTES,
  READ_MS_PER_BYTE,
  SHARE_DEBT_MAX_MS,
  SHARE_TURN_MS,
} from '../limits.ts';

/** What can be kept waiting: a socket. */
export interface Holdable {
  hold(): void;
  release(): void;
}

export interface FairLoopDeps {
  clock: Clock;
  /** Runs once, after the events of this turn. */
  defer?: (callback: () => void) => void;
}

export class FairLoop {
  readonly clock: Clock;
  shares = 0;
  /** Cost of all that happened, ms. */
  spent = 0;
  /** Shares are in debt: it matters who else is active. */
  watching = false;
  /** A share without debt was active since the last pass. */
  othersActive = false;
  readonly #defer: (callback: () => void) => void;
  #indebted: LoopShare[] = [];
  #contendedUntil = Number.NEGATIVE_INFINITY;

  constructor(deps: FairLoopDeps) {
    this.clock = deps.clock;
    this.#defer = deps.defer ?? ((callback) => void setImmediate(callback));
  }

  share(): LoopShare {
    return new LoopShare(this);
  }

  /** `othersSpent` since the asking share asked last. */
  contended(othersSpent: number): boolean {
    const now = this.clock.now();
    if (othersSpent > 0) this.#contendedUntil = now + CONTENTION_MEMORY_MS;
    return now < this.#contendedUntil;
  }

  /** The share holds sockets and waits for its next turn. */
  wait(share: LoopShare): void {
    this.#indebted.push(share);
    if (this.watching) return;
    this.watching = true;
    this.othersActive = false;
    this.#defer(this.#pass);
  }

  readonly #pass = (): void => {
    const forgive = !this.othersActive;
    this.othersActive = false;
    const indebted = this.#indebted;
    this.#indebted = [];
    for (const share of indebted) if (share.refill(forgive)) this.#indebted.push(share);
    this.watching = this.#indebted.length > 0;
    if (this.watching) this.#defer(this.#pass);
  };
}

interface Waiting {
  what: Holdable;
  /** What its last event cost, and so its next one may. */
  cost: number;
  /** Not spent yet: the work begins with the release. */
  begins: boolean;
}

/** One workload's part of the loop. */
export class LoopShare {
  readonly #loop: FairLoop;
  #left = SHARE_TURN_MS;
  #waiting: Waiting[] = [];
  /** The loop will call `refill`. */
  #queued = false;
  #ownSpent = 0;
  #ownMark = 0;
  #loopMark: number;
  #open = true;

  constructor(loop: FairLoop) {
    this.#loop = loop;
    this.#loopMark = loop.spent;
    loop.shares += 1;
  }

  /** Nobody to share with: events need not be measured. */
  get alone(): boolean {
    return this.#loop.shares <= 1;
  }

  now(): number {
    return this.#loop.clock.now();
  }

  /** After the handler of `what` dealt with a read. */
  took(what: Holdable, bytes: number, startedAt: number): void {
    const cost = this.#loop.clock.now() - startedAt + bytes * READ_MS_PER_BYTE;
    this.#spend(cost);
    if (this.#left <= 0) this.#exhausted(what, cost, bytes >= LARGE_READ_BYTES);
  }

  /** After waiting bytes were written: the next read pays for it. */
  wrote(startedAt: number): void {
    this.#spend(this.#loop.clock.now() - startedAt);
  }

  /** Before work is begun for a new `what`: false when it has to wait, then `release` is called in a later turn. */
  admits(what: Holdable, cost: number): boolean {
    if (!this.#queued && (this.alone || this.#left > 0 || !this.#contended())) {
      this.#spend(cost);
      return true;
    }
    this.#hold({ what, cost, begins: true });
    return false;
  }

  /** A new turn; true when some still wait. For the loop. */
  refill(forgive: boolean): boolean {
    this.#left = forgive ? SHARE_TURN_MS : Math.min(SHARE_TURN_MS, this.#left + SHARE_TURN_MS);
    const waiting = this.#waiting;
    let expected = 0;
    let released = 0;
    while (released < waiting.length && expected < this.#left) {
      expected += waiting[released].cost;
      released += 1;
    }
    this.#waiting = waiting.slice(released);
    for (let index = 0; index < released; index += 1) {
      const { what, cost, begins } = waiting[index];
      if (begins) this.#spend(cost);
      what.release();
    }
    this.#queued = this.#waiting.length > 0;
    return this.#queued;
  }

  /** The workload is gone; what it holds is released in the turns to come. */
  close(): void {
    if (this.#open) this.#loop.shares -= 1;
    this.#open = false;
  }

  #spend(cost: number): void {
    this.#left -= cost;
    this.#ownSpent += cost;
    const loop = this.#loop;
    loop.spent += cost;
    if (loop.watching && !this.#queued) loop.othersActive = true;
  }

  #exhausted(what: Holdable, cost: number, large: boolean): void {
    // Many small reads end by themselves within the turn; a large one is read again in the same turn.
    if (!large && !this.#queued && !this.#contended()) {
      this.#left = SHARE_TURN_MS;
      return;
    }
    this.#left = Math.max(this.#left, -SHARE_DEBT_MAX_MS);
    this.#hold({ what, cost, begins: false });
  }

  #contended(): boolean {
    const loop = this.#loop;
    const own = this.#ownSpent - this.#ownMark;
    const others = loop.spent - this.#loopMark - own;
    this.#ownMark = this.#ownSpent;
    this.#loopMark = loop.spent;
    // Sums of fractions: less than a microsecond is nobody.
    return loop.contended(others > 0.001 ? others : 0);
  }

  #hold(waiting: Waiting): void {
    waiting.what.hold();
    this.#waiting.push(waiting);
    if (this.#queued) return;
    this.#queued = true;
    this.#loop.wait(this);
  }
}

/** Hands on what was read, at the expense of whose part of the loop it is. */
export function deliver(
  to: Holdable & { readonly handler: ConnectionHandler },
  bytes: Uint8Array,
  share: LoopShare | undefined,
): void {
  if (share === undefined || share.alone) {
    to.handler.onData(bytes);
    return;
  }
  const startedAt = share.now();
  to.handler.onData(bytes);
  share.took(to, bytes.length, startedAt);
}

/** There is room again for what waits: that is written now, at the same expense. */
export function drained(handler: ConnectionHandler, share: LoopShare | undefined): void {
  if (share === undefined || share.alone) {
    handler.onDrain();
    return;
  }
  const startedAt = share.now();
  handler.onDrain();
  share.wrote(startedAt);
}
