/**
 * Whether a request is traced from its beginning (head sampling), as Istio's proxies decide. Pure. Who came before us has decided, if
 * he said so; then the request's id, which applications pass on with all requests that it causes; then chance.
 */
import { hexValue } from './hex.ts';

export interface SamplingFacts {
  /** Of the trace that the request came with. */
  readonly parent: boolean | undefined;
  /** `x-envoy-force-trace`; heads from outside have lost it by now. */
  readonly isForced: boolean;
  readonly requestId: string | undefined;
  /** 0 to 100. */
  readonly percent: number;
  /** Uniform in [0, 1). */
  readonly fraction: number;
}

export type SamplingReason = 'parent' | 'forced' | 'request-id' | 'chance';

export interface SamplingVerdict {
  readonly sampled: boolean;
  readonly reason: SamplingReason;
}

export function decideSampling(facts: SamplingFacts): SamplingVerdict {
  const { parent, isForced, requestId, percent, fraction } = facts;
  if (parent !== undefined) return { sampled: parent, reason: 'parent' };
  if (isForced) return { sampled: true, reason: 'forced' };
  const share = requestId === undefined ? -1 : shareOf(requestId);
  if (requestId !== undefined && share >= 0) {
    const decided = requestId.charCodeAt(DECISION_AT);
    const sampled = SAYS_TRACED.includes(decided) || share < percent;
    return { sampled, reason: 'request-id' };
  }
  return { sampled: fraction * 100 < percent, reason: 'chance' };
}

/** Envoy keeps what was decided in the version digit of the id: 4 = nothing, 9 = sampled, a = forced by the service, b = by the client. */
const DECISION_AT = 14;
const UNDECIDED = 0x34;
const SAMPLED = '9';
const SAYS_TRACED = [0x39, 0x61, 0x62];
const DASH = 0x2d;

/** The id as it goes on when the request is traced: proxies behind us, Envoy's too, trace it as well. */
export function markSampled(requestId: string): string {
  if (shareOf(requestId) < 0 || requestId.charCodeAt(DECISION_AT) !== UNDECIDED) return requestId;
  return `${requestId.slice(0, DECISION_AT)}${SAMPLED}${requestId.slice(DECISION_AT + 1)}`;
}

/**
 * In percent, two decimals: the same for the same id at every proxy. Envoy takes the first eight digits by 10,000. -1: it has not the form of
 * a UUID; digits that say nothing are not looked at.
 */
function shareOf(requestId: string): number {
  const isUuid =
    requestId.length === 36 &&
    requestId.charCodeAt(8) === DASH &&
    requestId.charCodeAt(13) === DASH &&
    requestId.charCodeAt(18) === DASH &&
    requestId.charCodeAt(23) === DASH;
  const first = isUuid ? hexValue(requestId, 0, 8) : -1;
  return first < 0 ? -1 : (first % 10_000) / 100;
}
