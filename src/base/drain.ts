/**
 * How a process that carries connections ends: all of it is here, the parts only say what they have left.
 *
 *   serving ── begin ──▶ waiting ── every part has left ──▶ finishing ── nothing left ──▶ over
 *                           │ a part leaves when others         │                          ▲
 *                           │ took over, or at the last call    │ deadline, or force       │
 *                           └────────── force ──────────────────┴──────────────────────────┘
 *
 * Until a part leaves it takes new connections as before: with nobody to take over, to stop sooner would only refuse them.
 */
import type { Clock, Timer } from './clock.ts';
import type { Logger } from './log.ts';

export interface DrainPart {
  /** Somebody else takes what comes next. */
  takenOver(): boolean;
  /** Takes nothing new from now on; what runs finishes. */
  leave(): void;
  /** Connections that still run; those that are only open without carrying anything count, too. */
  readonly remaining: number;
  /** Breaks off what remains; each connection says why in its log line. */
  force(reason: string): void;
}

export interface DrainDeps {
  clock: Clock;
  log: Logger;
  /** They may come and go while it drains. */
  parts(): readonly DrainPart[];
}

export interface DrainOptions {
  /** From `begin` to the end by force. */
  deadlineMs: number;
  /** Whether others may come and take over; else the last call is at once. */
  successor: boolean;
}

export type DrainState = 'serving' | 'waiting' | 'finishing' | 'over';

/** How often the parts are asked. */
export const DRAIN_CHECK_MS = 100;
/** Parts that are asked in one check, in turns: asking one costs some 60 us, and there may be hundreds. */
export const DRAIN_PARTS_PER_CHECK = 32;
/** What the parts say counts when they have said it this often: two that end together must not leave to each other. */
export const DRAIN_CONFIRMATIONS = 2;
/** What is broken off tells its log line in the turns after. */
export const FORCE_SETTLE_MS = 100;
/** Kept of the deadline for finishing when nobody took over, at most half of it. */
export const LAST_CALL_MS = 5_000;

export class Drain {
  readonly over: Promise<void>;
  readonly #deps: DrainDeps;
  readonly #options: DrainOptions;
  readonly #left = new Set<DrainPart>();
  readonly #confirmations = new Map<DrainPart, number>();
  readonly #end: () => void;
  #state: DrainState = 'serving';
  #cause = '';
  #begunAt = 0;
  #idleChecks = 0;
  #nextPart = 0;
  #timer: Timer | undefined = undefined;

  constructor(deps: DrainDeps, options: DrainOptions) {
    this.#deps = deps;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#end = resolve;
  }

  get state(): DrainState {
    return this.#state;
  }

  /** `cause` is a signal's name; a second one forces the end. */
  signal(cause: string): void {
    if (this.#state === 'serving') this.#begin(cause);
    else this.#force(`${cause} while draining`);
  }

  #begin(cause: string): void {
    const { clock, log } = this.#deps;
    const { deadlineMs } = this.#options;
    this.#state = 'waiting';
    this.#cause = cause;
    this.#begunAt = clock.now();
    log.info('draining', { cause, connections: this.#remaining, deadlineMs });
    this.#timer = clock.every(DRAIN_CHECK_MS, () => this.#check());
    this.#check();
  }

  #check(): void {
    const { clock, log } = this.#deps;
    const { deadlineMs, successor } = this.#options;
    const passedMs = clock.now() - this.#begunAt;
    const lastCallMs = successor ? deadlineMs - Math.min(LAST_CALL_MS, deadlineMs / 2) : 0;
    this.#letLeave(passedMs >= lastCallMs);
    if (this.#state === 'finishing') {
      this.#idleChecks = this.#remaining === 0 ? this.#idleChecks + 1 : 0;
      if (this.#idleChecks >= DRAIN_CONFIRMATIONS) {
        log.info('drained', { cause: this.#cause, tookMs: Math.round(passedMs) });
        this.#finish();
        return;
      }
    }
    if (passedMs >= deadlineMs) this.#force(`deadline after ${this.#cause}`);
  }

  #letLeave(lastCall: boolean): void {
    const { log } = this.#deps;
    const parts = this.#deps.parts();
    const staying = parts.filter((part) => !this.#left.has(part));
    let alone = 0;
    for (const part of lastCall ? staying : this.#turn(staying)) {
      const confirmed = part.takenOver() ? (this.#confirmations.get(part) ?? 0) + 1 : 0;
      this.#confirmations.set(part, confirmed);
      if (confirmed < DRAIN_CONFIRMATIONS && !lastCall) continue;
      if (confirmed < DRAIN_CONFIRMATIONS) alone++;
      this.#left.add(part);
      part.leave();
    }
    if (alone > 0) log.warn('nobody took over, new connections are refused', { parts: alone });
    const waits = parts.some((part) => !this.#left.has(part));
    if (waits || this.#state === 'finishing') return;
    this.#state = 'finishing';
    log.info('takes nothing new', { parts: parts.length, connections: this.#remaining });
  }

  /** The next ones of a list that changes. */
  #turn(staying: readonly DrainPart[]): readonly DrainPart[] {
    if (staying.length <= DRAIN_PARTS_PER_CHECK) return staying;
    const from = this.#nextPart % staying.length;
    this.#nextPart = from + DRAIN_PARTS_PER_CHECK;
    return [...staying, ...staying].slice(from, from + DRAIN_PARTS_PER_CHECK);
  }

  get #remaining(): number {
    return this.#deps.parts().reduce((sum, part) => sum + part.remaining, 0);
  }

  #force(reason: string): void {
    if (this.#state === 'over') return;
    const { log } = this.#deps;
    log.warn('connections are cut off', { reason, connections: this.#remaining });
    for (const part of this.#deps.parts()) part.force(`the proxy is shutting down: ${reason}`);
    this.#state = 'over';
    this.#timer?.cancel();
    this.#deps.clock.after(FORCE_SETTLE_MS, this.#end);
  }

  #finish(): void {
    this.#state = 'over';
    this.#timer?.cancel();
    this.#end();
  }
}
