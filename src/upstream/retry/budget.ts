/**
 * Bounds the retries in flight of one group, so that retries cannot multiply an outage. Retries of requests that were never sent are
 * free: they add no work anywhere. On without any configuration; DestinationRule.trafficPolicy.retryBudget sets its numbers.
 */
import type { RetryBudgetPolicy } from '#model/route/route-table.ts';
import { RETRY_BUDGET_MIN, RETRY_BUDGET_PERCENT } from '../limits.ts';

export class RetryBudget {
  #active = 0;
  #percent = RETRY_BUDGET_PERCENT;
  #min = RETRY_BUDGET_MIN;
  #intervalMs = 0;
  /** DestinationRule connectionPool.http.maxRetries; undefined leaves only the share. */
  #retriesMax: number | undefined = undefined;
  /** Requests of the running interval, and of the one before it. */
  #intervalStart = 0;
  #requests = 0;
  #requestsBefore = 0;

  get active(): number {
    return this.#active;
  }

  /** Requests of an interval count, not only those in flight: each must be told by `request`. */
  get countsRequests(): boolean {
    return this.#intervalMs > 0;
  }

  configure(policy: RetryBudgetPolicy | undefined, retriesMax: number | undefined): void {
    this.#percent = policy?.percent ?? RETRY_BUDGET_PERCENT;
    this.#min = policy?.minRetryConcurrency ?? RETRY_BUDGET_MIN;
    this.#intervalMs = policy?.intervalMs ?? 0;
    this.#retriesMax = retriesMax;
  }

  request(nowMs: number): void {
    this.#turn(nowMs);
    this.#requests += 1;
  }

  /** True and counted, or false; balance with `release`. `activeRequests` includes the one that asks. */
  acquire(activeRequests: number, nowMs: number): boolean {
    let requests = activeRequests;
    if (this.#intervalMs > 0) {
      this.#turn(nowMs);
      // The part of the last interval that is not yet an interval ago.
      const rest = 1 - (nowMs - this.#intervalStart) / this.#intervalMs;
      requests = Math.max(requests, this.#requests + this.#requestsBefore * rest);
    }
    const share = Math.floor((requests * this.#percent) / 100);
    const allowed = Math.max(this.#min, share);
    if (this.#active >= Math.min(allowed, this.#retriesMax ?? allowed)) return false;
    this.#active += 1;
    return true;
  }

  release(): void {
    this.#active -= 1;
  }

  #turn(nowMs: number): void {
    const passed = nowMs - this.#intervalStart;
    if (passed < this.#intervalMs) return;
    this.#requestsBefore = passed < 2 * this.#intervalMs ? this.#requests : 0;
    this.#requests = 0;
    this.#intervalStart = nowMs;
  }
}
