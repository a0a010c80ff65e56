/**
 * Whether a failed try may be made again: Envoy's retry_on tokens, as a pure function that says why.
 *
 * A request that an application may have seen is repeated only when a token asks for just that failure, whatever its method: who
 * writes `5xx` or `reset` says that repeating is safe. One that no application saw is repeated on `connect-failure` and
 * `refused-stream`, too. And retries do not multiply along a path of proxies: where a proxy before us repeats the request, or
 * one behind us did, only failures that no application saw are repeated here.
 */
import type { RetryPolicy } from '#model/route/route-table.ts';

export type TryFailure =
  /** Nothing of the request reached an application: connect refused, no tunnel, TLS failure. */
  | { readonly kind: 'connect-failure' }
  /** RST_STREAM REFUSED_STREAM or a GOAWAY that excluded the stream: not processed. */
  | { readonly kind: 'refused-stream' }
  /** The connection or stream broke; `requestStarted` false when no byte of the request was written. */
  | { readonly kind: 'reset'; readonly requestStarted: boolean }
  | { readonly kind: 'per-try-timeout' }
  /** A limit of ours refused the try: trying again would only add load. */
  | { readonly kind: 'overflow' }
  | {
      readonly kind: 'status';
      readonly status: number;
      /** Of a trailers-only response or of an HTTP mapping; undefined when not gRPC. */
      readonly grpcStatus?: number;
      /** `x-envoy-ratelimited` was there. */
      readonly rateLimited?: boolean;
      /** `x-envoy-overloaded` was there: another try would only add to the load. */
      readonly overloaded?: boolean;
      /** Which of the policy's retriable headers is there. */
      readonly header?: string;
      /** How often a proxy behind us had tried when it gave this answer (`x-envoy-attempt-count` of the answer). */
      readonly attempts?: number;
    };

export interface RetryDecision {
  readonly retry: boolean;
  /** One sentence part, for the log line. */
  readonly reason: string;
  /** Set when the failure was one to repeat and a bound forbade it: Envoy's flag for that, or `-`. */
  readonly flag?: string;
}

export interface Attempts {
  /** Tries here, the failed one included. */
  readonly tries: number;
  /** How often proxies before us sent the request, this time included; 1 for a first time. */
  readonly before: number;
}

const GRPC_TOKENS: Readonly<Record<number, string>> = {
  1: 'cancelled',
  4: 'deadline-exceeded',
  8: 'resource-exhausted',
  13: 'internal',
  14: 'unavailable',
};

export function retryDecision(
  failure: TryFailure,
  policy: RetryPolicy,
  { tries, before }: Attempts,
): RetryDecision {
  if (policy.attempts === 0) return no('retries are off');
  if (failure.kind === 'overflow') return no('a connection pool limit refused the try');
  if (failure.kind === 'status' && failure.overloaded) return no('the upstream is overloaded');
  const token = matchingToken(failure, policy);
  if (token === undefined) return no(`retryOn does not name ${describeFailure(failure)}`);
  if (!wasNeverSeen(failure)) {
    if (before > 1) return bounded(`a proxy before this one repeats it (attempt ${before})`, '-');
    const behind = failure.kind === 'status' ? (failure.attempts ?? 1) : 1;
    if (behind > 1) return bounded(`a proxy behind this one tried ${behind} times`, '-');
  }
  if (tries > policy.attempts) return bounded(`all ${policy.attempts} retries are used`, 'URX');
  return { retry: true, reason: `retryOn ${token}: ${describeFailure(failure)}` };
}

export function describeFailure(failure: TryFailure): string {
  switch (failure.kind) {
    case 'status':
      return failure.grpcStatus === undefined
        ? `status ${failure.status}`
        : `grpc-status ${failure.grpcStatus}`;
    case 'connect-failure':
      return 'connect failure';
    case 'refused-stream':
      return 'refused stream';
    case 'reset':
      return failure.requestStarted ? 'connection reset' : 'reset before the request was sent';
    case 'per-try-timeout':
      return 'per-try timeout';
    case 'overflow':
      return 'overflow';
  }
}

/** No application can have seen the request. */
function wasNeverSeen(failure: TryFailure): boolean {
  return (
    failure.kind === 'connect-failure' ||
    failure.kind === 'refused-stream' ||
    (failure.kind === 'reset' && !failure.requestStarted)
  );
}

function bounded(reason: string, flag: string): RetryDecision {
  return { retry: false, reason, flag };
}

function no(reason: string): RetryDecision {
  return { retry: false, reason };
}

function matchingToken(failure: TryFailure, policy: RetryPolicy): string | undefined {
  if (failure.kind === 'status') return statusToken(failure, policy);
  // Envoy counts every reset (connect failures and per-try timeouts too) as the 5xx it would become.
  for (const token of policy.on) {
    switch (token) {
      case '5xx':
      case 'gateway-error':
      case 'reset':
        return token;
      case 'connect-failure':
      case 'refused-stream':
        if (failure.kind === token) return token;
        break;
      case 'reset-before-request':
        if (failure.kind === 'connect-failure' || failure.kind === 'refused-stream') return token;
        if (failure.kind === 'reset' && !failure.requestStarted) return token;
        break;
    }
  }
  return undefined;
}

function statusToken(
  failure: Extract<TryFailure, { kind: 'status' }>,
  policy: RetryPolicy,
): string | undefined {
  const { status, grpcStatus } = failure;
  const grpcToken = grpcStatus === undefined ? undefined : GRPC_TOKENS[grpcStatus];
  // As Envoy: a rate-limited answer is retried only when asked for by name.
  if (failure.rateLimited) {
    return policy.on.includes('envoy-ratelimited') ? 'envoy-ratelimited' : undefined;
  }
  for (const token of policy.on) {
    if (token === '5xx' && status >= 500 && status <= 599) return token;
    if (token === 'gateway-error' && status >= 502 && status <= 504) return token;
    if (token === 'retriable-4xx' && status === 409) return token;
    if (token === 'retriable-status-codes' && policy.statusCodes.includes(status)) return token;
    if (token === 'retriable-headers' && failure.header !== undefined) return token;
    if (token === grpcToken) return token;
  }
  return undefined;
}
