/** Exponential back-off with jitter and a cap; `reset` after success. Delays are milliseconds. */
import type { Random } from './random.ts';

export interface BackoffOptions {
  initialMs: number;
  capMs: number;
  factor?: number;
  /** Share of the delay that is random, 0 to 1. */
  jitter?: number;
}

export class Backoff {
  readonly #random: Random;
  readonly #options: Required<BackoffOptions>;
  #nextMs: number;

  constructor(random: Random, options: BackoffOptions) {
    this.#random = random;
    this.#options = { factor: 2, jitter: 0.2, ...options };
    this.#nextMs = options.initialMs;
  }

  nextDelayMs(): number {
    const { capMs, factor, jitter } = this.#options;
    const delay = this.#nextMs;
    this.#nextMs = Math.min(capMs, this.#nextMs * factor);
    return delay * (1 - jitter * this.#random.fraction());
  }

  reset(): void {
    this.#nextMs = this.#options.initialMs;
  }
}
