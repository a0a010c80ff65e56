/**
 * Bounds the retries in flight of one group, so that retries cannot multiply an outage. Retries of requests that were never sent are
 * free: they add no work anywhere.
 */
import { RETRY_BUDGET_MIN, RETRY_BUDGET_PERCENT } from '../limits.ts';

export class RetryBudget {
  #active = 0;
  /** DestinationRule connectionPool.http.maxRetries; undefined leaves only the share. */
  retriesMax: number | undefined = undefined;

  get active(): number {
    return this.#active;
  }

  /** True and counted, or false; balance with `release`. `activeRequests` includes the one that asks. */
  acquire(activeRequests: number): boolean {
    const share = Math.floor((activeRequests * RETRY_BUDGET_PERCENT) / 100);
    const allowed = Math.max(RETRY_BUDGET_MIN, share);
    if (this.#active >= Math.min(allowed, this.retriesMax ?? allowed)) return false;
    this.#active += 1;
    return true;
  }

  release(): void {
    this.#active -= 1;
  }
}
