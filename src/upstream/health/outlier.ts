/**
 * Outlier detection, Envoy's algorithm (facts: DestinationRule.outlierDetection). An endpoint that answers N times in a row with
 * 5xx (or 502/503/504) is ejected at once, for base time × number of its ejections; each interval tick restores those whose
 * time is over. At most `maxEjectionPercent` of the endpoints are out, but one always may be.
 *
 *   admitting ──N consecutive errors──▶ ejected ──time over, at a tick──▶ probing ──first success──▶ admitting
 *                                          ▲───────────N errors again───────────┘
 *
 * `probing` takes requests like `admitting`; the word tells the operator that the proof is still out.
 */
import type { Clock } from '#base/clock.ts';
import type { OutlierPolicy } from '#model/route/route-table.ts';
import { EJECTION_TIME_MAX_MS } from '../limits.ts';

export type HealthState = 'admitting' | 'ejected' | 'probing';

export interface Ejection {
  /** One sentence: what the endpoint did. */
  readonly reason: string;
  /** Wall time, milliseconds since the epoch. */
  readonly atMs: number;
  /** Not restored before; the next interval tick after it does. */
  readonly untilMs: number;
}

/** Health of one endpoint; survives configuration changes with it. */
export class EndpointHealth {
  readonly name: string;
  state: HealthState = 'admitting';
  /** The running ejection, or the last one. */
  ejection: Ejection | undefined = undefined;
  ejectionsTotal = 0;
  consecutive5xx = 0;
  consecutiveGatewayErrors = 0;
  consecutiveLocalOrigin = 0;
  /** Envoy's eject time back-off: grows by one with each ejection, shrinks by one with each healthy interval. */
  multiplier = 0;
  /** Monotonic; only while ejected. */
  restoreAt = 0;

  constructor(name: string) {
    this.name = name;
  }
}

export interface OutlierDeps {
  clock: Clock;
  /** The set of endpoints that take requests changed. */
  onChange: () => void;
  /** For log lines and counters. */
  onEvent?: (event: 'ejected' | 'restored', health: EndpointHealth) => void;
}

const STATUS_OF = { connect: 503, timeout: 504, reset: 500 };
const WORDS = { connect: 'connect failed', timeout: 'timed out', reset: 'connection reset' };

export class OutlierDetector {
  readonly #deps: OutlierDeps;
  #policy: OutlierPolicy | undefined;
  #members: readonly EndpointHealth[] = [];

  constructor(deps: OutlierDeps) {
    this.#deps = deps;
  }

  get policy(): OutlierPolicy | undefined {
    return this.#policy;
  }

  /** New configuration: members keep their state; without a policy everyone comes back. */
  configure(policy: OutlierPolicy | undefined, members: readonly EndpointHealth[]): void {
    this.#policy = policy;
    this.#members = members;
    if (policy !== undefined) return;
    for (const member of members) {
      if (member.state === 'ejected') this.#restore(member);
      member.state = 'admitting';
      member.multiplier = 0;
    }
  }

  /** An HTTP status that the endpoint answered with. */
  reportStatus(health: EndpointHealth, status: number): void {
    health.consecutiveLocalOrigin = 0;
    const codes = this.#policy?.errorCodes;
    const isError = codes === undefined ? status >= 500 : codes.includes(status);
    if (isError) this.#failure(health, status, `answered ${status}`);
    else this.#success(health);
  }

  /** A connection came about that carries only bytes: all that can be said of its endpoint. */
  reportConnected(health: EndpointHealth): void {
    health.consecutiveLocalOrigin = 0;
    if (this.#policy?.splitExternalLocalOriginErrors !== true) this.#success(health);
  }

  /**
   * What never became an answer. Counted apart when the policy splits; else a connect failure counts as 503, a timeout as 504, a
   * reset as 500 (Envoy: DetectorHostMonitorImpl::putResult).
   */
  reportFailure(health: EndpointHealth, failure: 'connect' | 'timeout' | 'reset'): void {
    if (this.#policy?.splitExternalLocalOriginErrors === true) this.#localOrigin(health, failure);
    else this.#failure(health, STATUS_OF[failure], WORDS[failure]);
  }

  /** Call every `policy.intervalMs`. */
  tick(): void {
    const now = this.#deps.clock.now();
    let changed = false;
    for (const member of this.#members) {
      if (member.state === 'ejected') {
        if (now < member.restoreAt) continue;
        this.#restore(member);
        changed = true;
      } else if (member.multiplier > 0) member.multiplier -= 1;
    }
    if (changed) this.#deps.onChange();
  }

  #localOrigin(health: EndpointHealth, failure: keyof typeof WORDS): void {
    const limit = this.#policy?.consecutiveLocalOriginFailures ?? 0;
    if (limit === 0 || health.state === 'ejected') return;
    health.consecutiveLocalOrigin += 1;
    if (health.consecutiveLocalOrigin < limit) return;
    health.consecutiveLocalOrigin = 0;
    this.#eject(health, `${limit} consecutive local origin failures (last: ${WORDS[failure]})`);
  }

  #success(health: EndpointHealth): void {
    health.consecutive5xx = 0;
    health.consecutiveGatewayErrors = 0;
    if (health.state === 'probing') health.state = 'admitting';
  }

  #failure(health: EndpointHealth, status: number, what: string): void {
    const policy = this.#policy;
    // Answers that were on their way when it was ejected say nothing new.
    if (policy === undefined || health.state === 'ejected') return;
    if (status >= 502 && status <= 504) {
      health.consecutiveGatewayErrors += 1;
      if (health.consecutiveGatewayErrors === policy.consecutiveGatewayErrors) {
        health.consecutiveGatewayErrors = 0;
        this.#eject(
          health,
          `${policy.consecutiveGatewayErrors} consecutive gateway errors (last: ${what})`,
        );
      }
    } else health.consecutiveGatewayErrors = 0;
    health.consecutive5xx += 1;
    if (health.consecutive5xx === policy.consecutive5xx) {
      health.consecutive5xx = 0;
      this.#eject(health, `${policy.consecutive5xx} consecutive 5xx errors (last: ${what})`);
    }
  }

  #eject(health: EndpointHealth, reason: string): void {
    const policy = this.#policy;
    if (policy === undefined || health.state === 'ejected') return;
    const ejected = this.#members.filter((member) => member.state === 'ejected').length;
    const share = ((ejected + 1) / Math.max(1, this.#members.length)) * 100;
    if (ejected > 0 && share > policy.maxEjectionPercent) return;
    const { clock } = this.#deps;
    const longest = Math.max(EJECTION_TIME_MAX_MS, policy.baseEjectionTimeMs);
    // Beyond the longest time it grows no further, so that it also shrinks again in reasonable time (Envoy).
    if (policy.baseEjectionTimeMs * health.multiplier < longest) health.multiplier += 1;
    const durationMs = Math.min(policy.baseEjectionTimeMs * health.multiplier, longest);
    health.state = 'ejected';
    health.ejectionsTotal += 1;
    health.restoreAt = clock.now() + durationMs;
    const atMs = clock.wallTime();
    health.ejection = { reason, atMs, untilMs: atMs + durationMs };
    this.#deps.onEvent?.('ejected', health);
    this.#deps.onChange();
  }

  #restore(health: EndpointHealth): void {
    health.state = 'probing';
    health.consecutive5xx = 0;
    health.consecutiveGatewayErrors = 0;
    health.consecutiveLocalOrigin = 0;
    this.#deps.onEvent?.('restored', health);
  }
}
