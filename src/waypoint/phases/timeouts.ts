/**
 * The timeouts of one request, from its route and from what its caller asks for. They run from the moment the whole request is here,
 * as Envoy's do: a slow upload is the stream idle timeout's business. Source: Envoy's FilterUtility::finalTimeout.
 */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { Route } from '#model/route/route-table.ts';
import type { CallerWishes } from './caller-wishes.ts';

/** Milliseconds until the whole answer must be there; 0 = no bound. */
export function requestTimeoutMs(
  route: Route,
  request: { readonly head: MessageHead; readonly isGrpc: boolean },
  wishes: CallerWishes | undefined,
): number {
  if (wishes?.timeoutMs !== undefined) return wishes.timeoutMs;
  const routeMs = route.timeoutMs ?? 0;
  if (!request.isGrpc) return routeMs;
  // A gRPC caller's deadline counts, up to the route's (Istio's max_grpc_timeout).
  const deadlineMs = grpcTimeoutMs(request.head.get('grpc-timeout'));
  if (deadlineMs === undefined) return routeMs;
  return routeMs === 0 ? deadlineMs : Math.min(routeMs, deadlineMs);
}

/** Milliseconds for one try; 0 = no bound. One that the request's own timeout precedes has no meaning. */
export function perTryTimeoutMs(
  route: Route,
  requestMs: number,
  wishes: CallerWishes | undefined,
): number {
  const perTryMs = wishes?.perTryTimeoutMs ?? route.retries.perTryTimeoutMs ?? 0;
  return requestMs !== 0 && perTryMs >= requestMs ? 0 : perTryMs;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** gRPC over HTTP/2, "Timeout": at most eight digits and a unit. Rounded up to a millisecond; undefined when malformed. */
export function grpcTimeoutMs(text: string | undefined): number | undefined {
  const found = text === undefined ? null : /^(\d{1,8})([HMSmun])$/.exec(text);
  if (found === null) return undefined;
  return Math.max(1, Math.ceil(Number(found[1]) * UNIT_MS[found[2]]));
}
