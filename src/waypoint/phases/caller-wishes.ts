/**
 * What a caller may ask for with Envoy's request fields: timeouts and retries of its own request. Only callers of the mesh are heard
 * (they proved who they are); from others the fields are taken off, so that no proxy behind us hears them either. Source:
 * Envoy's router filter, "HTTP headers (consumed)".
 */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { RetryPolicy } from '#model/route/route-table.ts';
import { CALLER_RETRIES_MAX } from '../limits.ts';
import type { Tunnel } from '../tunnel.ts';

export interface CallerWishes {
  /** 0 = no bound; undefined = as the route says. */
  readonly timeoutMs: number | undefined;
  readonly perTryTimeoutMs: number | undefined;
  readonly retries: RetryPolicy;
}

const TIMEOUT = 'x-envoy-upstream-rq-timeout-ms';
const PER_TRY_TIMEOUT = 'x-envoy-upstream-rq-per-try-timeout-ms';
const RETRY_ON = 'x-envoy-retry-on';
const GRPC_RETRY_ON = 'x-envoy-retry-grpc-on';
const MAX_RETRIES = 'x-envoy-max-retries';
const STATUS_CODES = 'x-envoy-retriable-status-codes';
const HEADER_NAMES = 'x-envoy-retriable-header-names';
const CONSUMED = [
  TIMEOUT,
  PER_TRY_TIMEOUT,
  RETRY_ON,
  GRPC_RETRY_ON,
  MAX_RETRIES,
  STATUS_CODES,
  HEADER_NAMES,
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-hedge-on-per-try-timeout',
];

/** One look at the field names tells most requests apart: they have none of these. */
export const WISHES_PREFIX = 'x-envoy-';

/** A caller of the mesh: its identity was proven. */
export function isTrusted(tunnel: Tunnel): boolean {
  return tunnel.security === 'mutual_tls' && tunnel.source.principal !== undefined;
}

/** Takes the fields off. Undefined when there are none, or none that count. */
export function takeWishes(
  head: MessageHead,
  policy: RetryPolicy,
  trusted: boolean,
): CallerWishes | undefined {
  const wishes = trusted ? readWishes(head, policy) : undefined;
  for (const name of CONSUMED) head.remove(name);
  return wishes;
}

/** How often the request was sent before it came here, 1 for a first time (`x-envoy-attempt-count`). */
export function attemptsBefore(head: MessageHead, trusted: boolean): number {
  return trusted ? (numberOf(head.get('x-envoy-attempt-count')) ?? 1) : 1;
}

function readWishes(head: MessageHead, policy: RetryPolicy): CallerWishes | undefined {
  const timeoutMs = numberOf(head.get(TIMEOUT));
  const perTryTimeoutMs = numberOf(head.get(PER_TRY_TIMEOUT));
  const retries = readRetries(head, policy);
  if (timeoutMs === undefined && perTryTimeoutMs === undefined && retries === policy) {
    return undefined;
  }
  return { timeoutMs, perTryTimeoutMs, retries };
}

/** Tokens add to the route's, numbers replace them (Envoy's RetryStateImpl). */
function readRetries(head: MessageHead, policy: RetryPolicy): RetryPolicy {
  const on = [...words(head.get(RETRY_ON)), ...words(head.get(GRPC_RETRY_ON))];
  const retriesMax = numberOf(head.get(MAX_RETRIES));
  const statusCodes = words(head.get(STATUS_CODES)).map(Number).filter(Number.isInteger);
  const retriableHeaders = words(head.get(HEADER_NAMES)).map((name) => name.toLowerCase());
  const isNothing =
    on.length === 0 &&
    retriesMax === undefined &&
    statusCodes.length === 0 &&
    retriableHeaders.length === 0;
  if (isNothing) return policy;
  const attempts = retriesMax ?? Math.max(policy.attempts, on.length > 0 ? 1 : 0);
  return {
    ...policy,
    attempts: Math.min(attempts, CALLER_RETRIES_MAX),
    on: [...policy.on, ...on],
    statusCodes: [...policy.statusCodes, ...statusCodes],
    retriableHeaders: [...(policy.retriableHeaders ?? []), ...retriableHeaders],
  };
}

function words(text: string | undefined): string[] {
  if (text === undefined) return [];
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** Digits only: what else is sent is not heard. */
function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
