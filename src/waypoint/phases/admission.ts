/**
 * Whether a request is let in at all: load shedding before anything is judged, rates once it is known that the caller may ask. The
 * answers tell clients when to come back.
 */
import type { LoadShedding, RateLimit } from '#model/route/traffic-limits.ts';
import type { Admission } from '#policy/load-shedding/load-shedder.ts';
import { type Answer, answerOfFault } from './answer.ts';
import type { RequestRun } from './request-run.ts';

/** The answer that refuses, or what to give back when the request is over. */
export function admit(run: RequestRun, policies: readonly LoadShedding[]): Answer | Admission {
  const { engine, request, isGrpc } = run;
  const admission = engine.shedder.admit(policies, (name) => request.get(name));
  if (!admission.refused) return admission;
  const { reason, retryAfterSeconds } = admission;
  run.engine.recorder.metrics.shed(run.serviceHost);
  const answer = answerOfFault('overloaded', { reason, isGrpc });
  answer.head.set('retry-after', String(retryAfterSeconds));
  run.note = reason;
  return answer;
}

/** Undefined when every limit lets the request pass. */
export function rateLimited(run: RequestRun, limits: readonly RateLimit[]): Answer | undefined {
  const { engine, request, tunnel, isGrpc } = run;
  const refusal = engine.limiter.take(limits, {
    principal: tunnel.source.principal,
    // The edge phase wrote down who is behind the proxies in front of a gateway.
    address: (tunnel.gateway && request.get('x-envoy-external-address')) ?? tunnel.source.address,
    header: (name) => request.getAll(name),
  });
  if (refusal === undefined) return undefined;
  const { reason } = refusal;
  run.engine.recorder.metrics.limited(run.serviceHost);
  const answer = answerOfFault('rate-limited', { reason, isGrpc });
  const { head } = answer;
  head.set('retry-after', String(refusal.retryAfterSeconds));
  // draft-polli-ratelimit-headers-03, as Envoy writes them.
  head.set('x-ratelimit-limit', String(refusal.limit));
  head.set('x-ratelimit-remaining', String(refusal.remaining));
  head.set('x-ratelimit-reset', String(refusal.resetSeconds));
  head.set('x-envoy-ratelimited', 'true');
  run.note = reason;
  return answer;
}
