/**
 * A keyed work queue: each key is worked on by one call at a time, a key added meanwhile runs once more, a call
 * that throws runs again after a back-off. The controllers' only loop.
 */
import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import {
  RECONCILE_BACKOFF_CAP_MS,
  RECONCILE_BACKOFF_INITIAL_MS,
  RECONCILE_CONCURRENCY,
} from '../limits.ts';

export interface ReconcilerDeps {
  clock: Clock;
  random: Random;
  log: Logger;
}

export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #work: (key: string) => Promise<void>;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  readonly #backoffs = new Map<string, Backoff>();

  constructor(deps: ReconcilerDeps, work: (key: string) => Promise<void>) {
    this.#deps = deps;
    this.#work = work;
  }

  add(key: string): void {
    this.#waiting.add(key);
    this.#next();
  }

  /** For conditions that only time brings. */
  addAfter(key: string, delayMs: number): void {
    this.#deps.clock.after(delayMs, () => this.add(key));
  }

  #next(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= RECONCILE_CONCURRENCY) return;
      if (this.#running.has(key)) continue;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#work(key);
      this.#backoffs.delete(key);
    } catch (error) {
      const backoff = this.#backoffOf(key);
      // A conflict is two writers meeting, or our cache being behind: the next event brings the newer object. No news for the log.
      const quiet = ['KUBE_CONFLICT', 'KUBE_NOT_FOUND', 'KUBE_ALREADY_EXISTS'].some((code) =>
        isMeshError(error, code),
      );
      if (!quiet) this.#deps.log.warn('will try again', { key, reason: messageOf(error) });
      this.addAfter(key, backoff.nextDelayMs());
    }
    this.#running.delete(key);
    this.#next();
  }

  #backoffOf(key: string): Backoff {
    const existing = this.#backoffs.get(key);
    if (existing !== undefined) return existing;
    const options = { initialMs: RECONCILE_BACKOFF_INITIAL_MS, capMs: RECONCILE_BACKOFF_CAP_MS };
    const backoff = new Backoff(this.#deps.random, options);
    this.#backoffs.set(key, backoff);
    return backoff;
  }
}

/** `namespace/name` back into its parts. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

export function keyOf(object: { metadata: { namespace?: string; name: string } }): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
