/**
 * How something is, with the reason as a sentence. Requests and connections are judged only as far as their number allows: below it the answer is "too few to
 * judge", neither green nor red. What failed before its destination was there for the first time is a note and judges nobody. The worst of several judgements stands. Pure.
 */
import type { Health, HealthStatus } from '../api/health.ts';
import { lowerBound, upperBound } from './confidence.ts';
import { DEFAULT_TOLERANCES, type Outcomes, outcomesFrom, type Tolerance } from './tolerance.ts';

/** Fewer say nothing, however they ended. */
const SAMPLES_MIN = 5;
/** "More than none" of Kiali's limits, as far as one can be sure of it: one in a thousand. */
const NONE_SHARE = 0.001;

const HARM: Readonly<Record<HealthStatus, number>> = {
  failing: 4,
  degraded: 3,
  unknown: 2,
  healthy: 1,
  idle: 0,
};

/** The most harmful; of equal ones the first. Too few requests do not hide that all replicas are ready, nor the other way round. */
export function worst(parts: readonly Health[]): Health {
  return parts.reduce((left, right) => (HARM[right.status] > HARM[left.status] ? right : left));
}

export const QUIET: Health = {
  status: 'idle',
  reason: 'No traffic in the window.',
  samples: 0,
};

export interface Circumstances {
  /** All that failed did so before the destination had answered for the first time: it was not there yet. */
  readonly isEarly: boolean;
}

export function judgeOutcomes(
  outcomes: Outcomes,
  tolerances: readonly Tolerance[] = DEFAULT_TOLERANCES,
  { isEarly }: Circumstances = { isEarly: false },
): Health {
  const early = isEarly ? failedOf(outcomes) : 0;
  if (early === 0) return judgeAll(outcomes, tolerances);
  const { status, reason, samples } = judgeAll(withoutFailed(outcomes), tolerances);
  const note = `${early} failed before it first answered`;
  return samples === 0
    ? { status: 'unknown', reason: `${note}: too few to judge.`, samples: early }
    : { status, reason: `${reason} ${note}.`, samples: samples + early };
}

/** Of a waypoint: what it hands on is answered, and judged, elsewhere. */
export function judgePassage(outcomes: Outcomes): Health {
  const samples = samplesOf(outcomes);
  if (samples === 0) return QUIET;
  const reason = `${seen(outcomes)} reached it; how they ended is judged at their services.`;
  return { status: 'healthy', reason, samples };
}

function samplesOf({ http, grpc, connections }: Outcomes): number {
  return http + grpc + connections;
}

function failedOf({ http5xx, httpNone, grpcFailed, failures }: Outcomes): number {
  return http5xx + httpNone + grpcFailed + failures;
}

function withoutFailed(outcomes: Outcomes): Outcomes {
  const { http, http4xx, http5xx, httpNone, grpc, grpcFailed, connections, failures } = outcomes;
  return outcomesFrom({
    http: http - http5xx - httpNone,
    http4xx,
    grpc: grpc - grpcFailed,
    connections: connections - failures,
  });
}

const TOLERATED = DEFAULT_TOLERANCES.map(({ count }) => count);

function judgeAll(outcomes: Outcomes, tolerances: readonly Tolerance[]): Health {
  const samples = samplesOf(outcomes);
  if (samples === 0) return QUIET;
  let found: Health | undefined;
  let few: Health | undefined;
  let failedFew: Health | undefined;
  for (const tolerance of tolerances) {
    const of = outcomes[tolerance.of];
    if (of === 0) continue;
    const verdict = judgeShare(
      outcomes[tolerance.count],
      of,
      tolerance,
      nounsOf(outcomes, tolerance),
    );
    if (verdict.status === 'unknown') {
      if (outcomes[tolerance.count] > 0) failedFew ??= verdict;
      else few ??= verdict;
    } else if (
      verdict.status !== 'healthy' &&
      (!found || HARM[verdict.status] > HARM[found.status])
    )
      found = verdict;
  }
  if (found !== undefined) return { ...found, samples };
  few = failedFew ?? few;
  if (few !== undefined) return { ...few, samples };
  const borne = TOLERATED.some((count) => outcomes[count] > 0)
    ? 'failures within tolerance'
    : 'none failed';
  return { status: 'healthy', reason: `${seen(outcomes)}, ${borne}.`, samples };
}

interface Nouns {
  /** Of what there were so many. */
  readonly one: string;
  readonly many: string;
  /** What became of those that failed. */
  readonly words: string;
}

const REQUESTS = { one: 'request', many: 'requests' };
const CONNECTIONS = { one: 'connection', many: 'connections' };
const ATTEMPTS: Nouns = {
  one: 'request or connection',
  many: 'requests and connections',
  words: 'requests and connections found nobody who took them',
};

function nounsOf({ connections, attempts }: Outcomes, { of, words }: Tolerance): Nouns {
  if (of !== 'attempts') return { ...REQUESTS, words };
  return attempts > connections ? ATTEMPTS : { ...CONNECTIONS, words };
}

function judgeShare(
  count: number,
  of: number,
  { degraded, failing }: Tolerance,
  { one, many, words }: Nouns,
): Health {
  // Not made before it is said: thousands of edges are judged a second, and most are well.
  const share = () => `${percent(count / of)} of ${of} ${words}`;
  const isSure = of >= SAMPLES_MIN;
  if (isSure && count > 0 && lowerBound(count, of) >= failing)
    return { status: 'failing', reason: `${share()} (limit ${percent(failing)}).`, samples: of };
  if (upperBound(0, of) > Math.max(failing, NONE_SHARE)) {
    const seenToFail =
      count === 0 ? `${of} ${of === 1 ? one : many}` : `${count} of ${of} ${words}`;
    return { status: 'unknown', reason: `${seenToFail}: too few to judge.`, samples: of };
  }
  if (count > 0 && lowerBound(count, of) > Math.max(degraded, NONE_SHARE)) {
    const limit = degraded === 0 ? 'more than none' : `limit ${percent(degraded)}`;
    return { status: 'degraded', reason: `${share()} (${limit}).`, samples: of };
  }
  return { status: 'healthy', reason: '', samples: of };
}

export interface Replicas {
  readonly ready: number;
  readonly desired: number;
}

export function judgeReplicas({ ready, desired }: Replicas): Health {
  const samples = 0;
  if (desired === 0) return { status: 'idle', reason: 'Scaled to no replicas.', samples };
  if (ready >= desired)
    return { status: 'healthy', reason: `${ready} of ${desired} replicas ready.`, samples };
  return {
    status: ready === 0 ? 'failing' : 'degraded',
    reason: `${ready} of ${desired} replicas ready.`,
    samples,
  };
}

/** Endpoints that outlier detection has ejected, of all there are. */
export function judgeEjections(ejected: number, endpoints: number): Health | undefined {
  if (ejected === 0) return undefined;
  const isAll = endpoints > 0 && ejected >= endpoints;
  const reason =
    endpoints > 0
      ? `${ejected} of ${endpoints} endpoints ejected.`
      : `${ejected} endpoints ejected.`;
  return { status: isAll ? 'failing' : 'degraded', reason, samples: 0 };
}

export function judgeCertificate(
  state: 'valid' | 'expiring' | 'expired',
  notAfter: string,
): Health | undefined {
  if (state === 'valid') return undefined;
  return state === 'expired'
    ? { status: 'failing', reason: `Its certificate expired at ${notAfter}.`, samples: 0 }
    : {
        status: 'degraded',
        reason: `Its certificate expires at ${notAfter} and was not renewed.`,
        samples: 0,
      };
}

/** One decimal where it says something. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.1) return '< 0.1 %';
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} %`;
}

function seen({ http, grpc, connections }: Outcomes): string {
  const requests = http + grpc;
  const parts: string[] = [];
  if (requests > 0) parts.push(`${requests} ${requests === 1 ? REQUESTS.one : REQUESTS.many}`);
  if (connections > 0)
    parts.push(`${connections} ${connections === 1 ? CONNECTIONS.one : CONNECTIONS.many}`);
  return parts.join(' and ');
}
