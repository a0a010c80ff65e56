/** A route's CORS policy on one request: what the proxies answer, or add to the answer. */
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { Cors } from '#model/route/route-table.ts';
import { corsDecision, decorateAnswer } from '#waypoint/phases/cors.ts';

export interface CorsEffect {
  readonly kind: 'preflight' | 'actual';
  /** Of a preflight. */
  readonly status: number;
  /** Fields of the response. */
  readonly set: Readonly<Record<string, string>>;
}

/** Undefined: the policy does nothing to this request. */
export function corsEffect(cors: Cors, request: MessageHead): CorsEffect | undefined {
  const decision = corsDecision(cors, request);
  if (decision.kind === 'pass') return undefined;
  const head = decision.kind === 'preflight' ? decision.head : MessageHead.response(200);
  if (decision.kind === 'actual') decorateAnswer(head, cors, decision.origin);
  const set: Record<string, string> = {};
  head.forEach((name, value) => {
    if (name !== 'content-length') set[name] = value;
  });
  return { kind: decision.kind, status: head.status, set };
}
