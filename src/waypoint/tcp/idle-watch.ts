/** Ends a connection on which nothing moved for a time, and one that lasted too long. Looks now and then instead of at each byte. */
import { Deadline, type DeadlineWheel } from '../deadlines.ts';
import { STREAM_IDLE_LOOKS } from '../limits.ts';

export class IdleWatch extends Deadline {
  readonly #wheel: DeadlineWheel;
  readonly #idleMs: number;
  readonly #activity: () => number;
  readonly #onIdle: () => void;
  #seen = 0;
  #quietLooks = 0;

  constructor(
    wheel: DeadlineWheel,
    options: { idleMs: number; activity: () => number; onIdle: () => void },
  ) {
    super();
    this.#wheel = wheel;
    this.#idleMs = options.idleMs;
    this.#activity = options.activity;
    this.#onIdle = options.onIdle;
    wheel.set(this, this.#idleMs / STREAM_IDLE_LOOKS);
  }

  override onDeadline(): void {
    const activity = this.#activity();
    this.#quietLooks = activity === this.#seen ? this.#quietLooks + 1 : 0;
    this.#seen = activity;
    if (this.#quietLooks >= STREAM_IDLE_LOOKS) this.#onIdle();
    else this.#wheel.set(this, this.#idleMs / STREAM_IDLE_LOOKS);
  }
}

export class LifeLimit extends Deadline {
  readonly #onEnd: () => void;

  constructor(wheel: DeadlineWheel, lifeMs: number, onEnd: () => void) {
    super();
    this.#onEnd = onEnd;
    wheel.set(this, lifeMs);
  }

  override onDeadline(): void {
    this.#onEnd();
  }
}
