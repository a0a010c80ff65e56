/** Answers that the waypoint gives itself: what the rule says (a redirect, a fixed response), and what went wrong. */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { RouteEntry } from '#model/route/compile.ts';
import type { Redirect, Route } from '#model/route/route-table.ts';
import { redirectLocation } from '#model/route/transform.ts';
import { type Fault, type Reply, replyFor, replyHead } from '../respond.ts';
import { FormatFacts } from './format-facts.ts';
import { applyOperations } from './header-operations.ts';
import type { RequestRun } from './request-run.ts';

export interface Answer {
  readonly head: MessageHead;
  readonly body: Uint8Array;
  readonly flags: string;
  readonly details: string;
}

const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array(0);

/** Undefined when the rule forwards. */
export function answerOfRule(run: RequestRun, entry: RouteEntry): Answer | undefined {
  const { action } = entry.route.route;
  if (action.kind === 'forward') return undefined;
  if (action.kind === 'respond') {
    const body = bodyOf(action);
    const head = replyHead(action, body);
    if (action.contentType !== undefined) head.set('content-type', action.contentType);
    applyRouteOperations(head, run, entry);
    return { head, body, flags: '-', details: 'direct_response' };
  }
  const answer = redirectAnswer(action, run);
  applyRouteOperations(answer.head, run, entry);
  return answer;
}

export function redirectAnswer(redirect: Redirect, run: RequestRun): Answer {
  const head = replyHead(redirect, NO_BYTES);
  head.remove('content-type');
  const { scheme, authority } = run.request;
  const request = { scheme, authority, path: run.originalPath };
  head.set('location', redirectLocation(redirect, request, run.entry?.pathMatch));
  return { head, body: NO_BYTES, flags: '-', details: 'direct_response' };
}

function applyRouteOperations(head: MessageHead, run: RequestRun, entry: RouteEntry): void {
  const operations = entry.route.route.headers?.response;
  if (operations !== undefined) applyOperations(head, operations, new FormatFacts(run, head));
}

type RespondAction = Extract<Route['action'], { kind: 'respond' }>;
const bodies = new WeakMap<RespondAction, Uint8Array>();

/** Made once for each rule. */
function bodyOf(action: RespondAction): Uint8Array {
  let body = bodies.get(action);
  if (body === undefined) {
    const { bodyBytes } = action;
    body =
      bodyBytes === undefined
        ? encoder.encode(action.body ?? '')
        : new Uint8Array(Buffer.from(bodyBytes, 'base64'));
    bodies.set(action, body);
  }
  return body;
}

/** The same URL by https, on its own port: this one speaks plaintext. */
export function answerWithHttps(request: MessageHead): Answer {
  const { status, flag, details } = replyFor('https-redirect');
  const head = replyHead({ status }, NO_BYTES);
  head.remove('content-type');
  const host = request.authority.replace(/:\d*$/, '');
  head.set('location', `https://${host}${request.path}`);
  return { head, body: NO_BYTES, flags: flag, details };
}

/** gRPC callers get the text in the head. `as` replaces parts of the reply. */
export function answerOfFault(
  fault: Fault,
  options: { reason: string; isGrpc: boolean; as?: Partial<Reply> },
): Answer {
  const { reason, isGrpc, as } = options;
  const reply = as === undefined ? replyFor(fault) : { ...replyFor(fault), ...as };
  const { status, flag, details } = reply;
  const text = `${reply.text}: ${reason}`;
  const body = isGrpc ? NO_BYTES : encoder.encode(`${text}\n`);
  const head = replyHead({ status }, body, isGrpc ? text : undefined);
  // Envoy's mark: whoever retries knows that another try would not help.
  if (fault === 'overflow' || fault === 'overloaded') head.set('x-envoy-overloaded', 'true');
  return { head, body, flags: flag, details };
}
