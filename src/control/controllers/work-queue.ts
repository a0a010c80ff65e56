/**
 * Reconciles keys one at a time. A key asked for again while it is being worked on is worked on once more; a failure
 * is tried again with back-off of its own.
 */
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { RECONCILE_RETRY_CAP_MS, RECONCILE_RETRY_INITIAL_MS } from '../limits.ts';

export interface WorkQueueDeps {
  clock: Clock;
  random: Random;
  log: Logger;
}

export class WorkQueue {
  readonly #deps: WorkQueueDeps;
  readonly #reconcile: (key: string) => Promise<void>;
  readonly #waiting = new Set<string>();
  readonly #retries = new Map<string, { backoff: Backoff; timer: Timer | undefined }>();
  #working = false;
  #stopped = false;

  constructor(deps: WorkQueueDeps, reconcile: (key: string) => Promise<void>) {
    this.#deps = deps;
    this.#reconcile = reconcile;
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#waiting.add(key);
    if (!this.#working) void this.#work();
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
    for (const { timer } of this.#retries.values()) timer?.cancel();
    this.#retries.clear();
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (const key of this.#waiting) {
      this.#waiting.delete(key);
      try {
        await this.#reconcile(key);
        this.#retries.get(key)?.timer?.cancel();
        this.#retries.delete(key);
      } catch (error) {
        this.#retry(key, error);
      }
    }
    this.#working = false;
  }

  #retry(key: string, error: unknown): void {
    if (this.#stopped) return;
    const { clock, random, log } = this.#deps;
    const options = { initialMs: RECONCILE_RETRY_INITIAL_MS, capMs: RECONCILE_RETRY_CAP_MS };
    const retry = this.#retries.get(key) ?? {
      backoff: new Backoff(random, options),
      timer: undefined,
    };
    const delayMs = retry.backoff.nextDelayMs();
    // Somebody wrote between our reading and our writing: no fault, and the next reading sees it.
    const level = isMeshError(error, 'KUBE_CONFLICT') ? 'debug' : 'warn';
    log[level]('reconcile failed, trying again', {
      key,
      reason: messageOf(error),
      delayMs: Math.round(delayMs),
    });
    retry.timer?.cancel();
    retry.timer = clock.after(delayMs, () => this.add(key));
    this.#retries.set(key, retry);
  }
}
