/**
 * Decides whether a proxy takes one more request: bounds on requests in flight, fixed or self-finding, and on the lateness of its event
 * loop. Less important requests are refused first. Who was let in is counted until `Admission.release`.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { LoadShedding } from '#model/route/traffic-limits.ts';
import { ADAPTIVE_REQUESTS_MAX, LAG_SAMPLE_MS, LAST_CLASS_PERCENT } from '../limits.ts';
import { AdaptiveBound } from './adaptive-bound.ts';

export interface SheddingRefusal {
  readonly refused: true;
  readonly reason: string;
  readonly retryAfterSeconds: number;
}

interface Load {
  active: number;
  bound: AdaptiveBound | undefined;
}

export class LoadShedder {
  readonly #clock: Clock;
  readonly #loads = new Map<string, Load>();
  readonly #lag: LagMeter;

  constructor(clock: Clock, lag: LagMeter = new LagMeter(clock)) {
    this.#clock = clock;
    this.#lag = lag;
  }

  /** `header` reads one of the request. */
  admit(
    policies: readonly LoadShedding[],
    header: (name: string) => string | undefined,
  ): Admission | SheddingRefusal {
    for (const policy of policies) {
      const refusal = this.#check(policy, header);
      if (refusal !== undefined) return refusal;
    }
    const loads = policies.map((policy) => this.#loadOf(policy));
    for (const load of loads) load.active += 1;
    return new Admission({ clock: this.#clock, policies, loads });
  }

  /** Forgets policies that are configured no more, and measures only what one of the others asks for. */
  configure(policies: readonly LoadShedding[]): void {
    const ids = new Set(policies.map(({ id }) => id));
    for (const id of this.#loads.keys()) if (!ids.has(id)) this.#loads.delete(id);
    this.#lag.measure(policies.some(({ eventLoopLagMs }) => eventLoopLagMs !== undefined));
  }

  close(): void {
    this.#lag.measure(false);
  }

  #check(
    policy: LoadShedding,
    header: (name: string) => string | undefined,
  ): SheddingRefusal | undefined {
    const { active, bound } = this.#loadOf(policy);
    const share = shareOf(policy, header);
    const { kind, namespace, name } = policy.provenance;
    const refuse = (why: string): SheddingRefusal => ({
      refused: true,
      reason: `${kind} ${namespace}/${name}: ${why}${share < 1 ? ` (its class may use ${Math.round(share * 100)} %)` : ''}`,
      retryAfterSeconds: policy.retryAfterSeconds,
    });
    const requestsMax = bound?.requests ?? policy.maxRequests;
    // One request of each class is let in however small the share.
    if (requestsMax !== undefined && active >= Math.max(1, Math.floor(requestsMax * share))) {
      return refuse(`${active} requests are in flight, ${Math.floor(requestsMax)} may be`);
    }
    const { eventLoopLagMs } = policy;
    if (eventLoopLagMs === undefined) return undefined;
    const { lagMs } = this.#lag;
    if (lagMs < eventLoopLagMs * share) return undefined;
    return refuse(`the proxy is ${Math.round(lagMs)} ms late, ${eventLoopLagMs} ms are borne`);
  }

  #loadOf(policy: LoadShedding): Load {
    let load = this.#loads.get(policy.id);
    if (load === undefined) {
      load = { active: 0, bound: undefined };
      this.#loads.set(policy.id, load);
    }
    if (policy.adaptive === undefined) load.bound = undefined;
    else load.bound ??= new AdaptiveBound(rangeOf(policy), this.#clock.now());
    return load;
  }
}

/** One request that was let in. */
export class Admission {
  readonly refused = false;
  readonly #clock: Clock;
  readonly #policies: readonly LoadShedding[];
  readonly #loads: readonly Load[];
  readonly #startedAt: number;

  constructor(parts: {
    clock: Clock;
    policies: readonly LoadShedding[];
    loads: readonly Load[];
  }) {
    this.#clock = parts.clock;
    this.#policies = parts.policies;
    this.#loads = parts.loads;
    this.#startedAt = parts.clock.now();
  }

  /** `isSample`: how long it took says something about load; of a failure or a long stream it does not. */
  release(isSample: boolean): void {
    const nowMs = this.#clock.now();
    for (const [at, load] of this.#loads.entries()) {
      if (isSample) {
        const sample = { nowMs, tookMs: nowMs - this.#startedAt, active: load.active };
        load.bound?.observe(rangeOf(this.#policies[at]), sample);
      }
      load.active -= 1;
    }
  }
}

/** How late timers are: the worst of the last moments, forgotten by a fifth in each. */
export class LagMeter {
  lagMs = 0;
  readonly #clock: Clock;
  #timer: Timer | undefined = undefined;
  #lastAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  measure(isWanted: boolean): void {
    if (isWanted === (this.#timer !== undefined)) return;
    this.#timer?.cancel();
    this.lagMs = 0;
    this.#lastAt = this.#clock.now();
    this.#timer = isWanted ? this.#clock.every(LAG_SAMPLE_MS, () => this.#sample()) : undefined;
  }

  #sample(): void {
    const now = this.#clock.now();
    const lateMs = Math.max(0, now - this.#lastAt - LAG_SAMPLE_MS);
    this.#lastAt = now;
    this.lagMs = Math.max(lateMs, this.lagMs * 0.8);
  }
}

function rangeOf(policy: LoadShedding) {
  return {
    minRequests: policy.adaptive?.minRequests ?? 1,
    tolerancePercent: policy.adaptive?.tolerancePercent ?? 100,
    maxRequests: policy.maxRequests ?? ADAPTIVE_REQUESTS_MAX,
  };
}

/** Of each bound, what the request's class may use: all for the first class, `LAST_CLASS_PERCENT` for the last. */
function shareOf({ priority }: LoadShedding, header: (name: string) => string | undefined): number {
  if (priority === undefined || priority.classes.length < 2) return 1;
  const { classes } = priority;
  const last = classes.length - 1;
  const value = header(priority.header);
  const found = value === undefined ? -1 : classes.indexOf(value);
  const rank = found === -1 ? last : found;
  return 1 - ((1 - LAST_CLASS_PERCENT / 100) * rank) / last;
}
