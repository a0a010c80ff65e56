/**
 * What follows on a try that brought no answer, or one that the policy does not accept: another endpoint of the same destination,
 * another destination of the rule, or the end. Made for a request with its first failure; most requests never have one.
 */

import type { HttpClientConnection } from '#http/dispatch/dispatch.ts';
import type { CompiledDestination, RouteEntry } from '#model/route/compile.ts';
import { pickOtherDestination } from '#model/route/match.ts';
import type { RetryPolicy } from '#model/route/route-table.ts';
import { retryDelayMs } from '#upstream/retry/backoff.ts';
import type { RetryBudget } from '#upstream/retry/budget.ts';
import { describeFailure, retryDecision, type TryFailure } from '#upstream/retry/decision.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Engine, HttpEndpoint } from '../engine.ts';
import { PRIORITY_UPDATE_FREQUENCY, STALE_CONNECTION_RETRIES_MAX } from '../limits.ts';
import type { UpstreamTry } from './upstream-try.ts';

const NO_ENDPOINTS: readonly HttpEndpoint[] = [];

export type NextStep =
  /** The same destination, after the delay. */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly note: string }
  | { readonly kind: 'reroute'; readonly destination: CompiledDestination; readonly note: string }
  | { readonly kind: 'give-up'; readonly note: string; readonly flag: string };

export interface RetriesDeps {
  readonly engine: Engine;
  readonly snapshot: Snapshot<HttpClientConnection> | undefined;
  readonly entry: RouteEntry;
  readonly policy: RetryPolicy;
  /** How often proxies before us sent the request, this time included. */
  readonly attemptsBefore: number;
}

const GIVE_UP: NextStep = { kind: 'give-up', note: '', flag: '' };

export class Retries {
  /** Endpoints of the destination in use that failed. */
  tried: readonly HttpEndpoint[] = NO_ENDPOINTS;
  /** All that failed, where retries may leave the locality. */
  #failed: readonly HttpEndpoint[] = NO_ENDPOINTS;
  readonly #deps: RetriesDeps;
  #excluded: readonly CompiledDestination[] = [];
  #stale = 0;
  /** Held while a retry of this request is under way. */
  #budget: RetryBudget | undefined = undefined;

  constructor(deps: RetriesDeps) {
    this.#deps = deps;
  }

  /** Endpoints whose priorities the next try avoids: none before some have failed, as Istio has Envoy do. */
  get elsewhereThan(): readonly HttpEndpoint[] | undefined {
    return this.#failed.length < PRIORITY_UPDATE_FREQUENCY ? undefined : this.#failed;
  }

  /**
   * RFC 9112 §9.3.1: an idle connection that closed under the request; RFC 9113 §6.8: a GOAWAY that came in between. Neither is one of
   * the policy's retries.
   */
  mayReplaceStale(): boolean {
    this.#stale += 1;
    return this.#stale <= STALE_CONNECTION_RETRIES_MAX;
  }

  /** `attempts` is the number of tries so far. `reason` is the failure in words. */
  afterFailure(
    attempt: UpstreamTry,
    failure: TryFailure,
    { attempts, reason }: { attempts: number; reason: string },
  ): NextStep {
    const neverSent = failure.kind === 'connect-failure' || failure.kind === 'refused-stream';
    if (neverSent) {
      const tried = [...this.tried, attempt.endpoint];
      const other = attempt.group.pick(tried, attempt.context);
      if (other === undefined || tried.includes(other)) {
        const elsewhere = this.reroute(attempt.destination, describeFailure(failure));
        if (elsewhere !== undefined) return elsewhere;
      }
    }
    const { engine, policy, attemptsBefore } = this.#deps;
    const decision = retryDecision(failure, policy, { tries: attempts, before: attemptsBefore });
    if (!decision.retry) {
      if (decision.flag === undefined) return GIVE_UP;
      return { kind: 'give-up', note: `not retried: ${decision.reason}`, flag: decision.flag };
    }
    // Requests that were never sent add no load, so they need no budget.
    if (!neverSent && !this.#acquireBudget(attempt)) {
      return { kind: 'give-up', note: 'not retried: the retry budget is used up', flag: 'UO' };
    }
    if (policy.remoteLocalities === true) this.#failed = [...this.#failed, attempt.endpoint];
    // As Istio (retry.go): where the same key is to lead to the same endpoint, a retry keeps to it. But an endpoint that cannot be
    // reached keeps nobody: then the key's next choice is asked.
    const isSticky = attempt.group.config.policy.hash !== undefined && !neverSent;
    if (policy.ignorePreviousHosts ?? !isSticky) this.tried = [...this.tried, attempt.endpoint];
    const { backoffBaseMs: baseMs, backoffMaxMs: maxMs } = policy;
    const delayMs = retryDelayMs({ baseMs, maxMs, retry: attempts }, engine.random);
    return { kind: 'retry', delayMs, note: `retried: ${reason}` };
  }

  /**
   * A request that was never sent may go to another destination of its rule when retries are on: the rule's author
   * wants it answered, and no application saw it yet. The Gateway API says what becomes of the share of a backend that is
   * not there (500, 503), so its routes keep to that.
   */
  reroute(from: CompiledDestination, reason: string): NextStep | undefined {
    const { engine, entry, snapshot, policy } = this.#deps;
    if (policy.attempts === 0 || entry.route.route.fixedShares === true) return undefined;
    this.#excluded = [...this.#excluded, from];
    let next = pickOtherDestination(entry.route, engine.random, this.#excluded);
    while (next !== undefined && snapshot?.target(next)?.group?.pick() === undefined) {
      this.#excluded = [...this.#excluded, next];
      next = pickOtherDestination(entry.route, engine.random, this.#excluded);
    }
    if (next === undefined) return undefined;
    this.tried = NO_ENDPOINTS;
    this.#failed = NO_ENDPOINTS;
    const note = `rerouted from ${nameOf(from)} to ${nameOf(next)}: ${reason}`;
    return { kind: 'reroute', destination: next, note };
  }

  /** The request is over. */
  release(): void {
    this.#budget?.release();
    this.#budget = undefined;
  }

  #acquireBudget({ group }: UpstreamTry): boolean {
    if (this.#budget !== undefined) return true;
    const { engine } = this.#deps;
    if (!group.retries.acquire(group.active + 1, engine.clock.now())) return false;
    this.#budget = group.retries;
    return true;
  }
}

function nameOf({ destination }: CompiledDestination): string {
  return destination.subset ?? destination.host;
}
