/**
 * What the waypoint changes in heads, as Istio's proxies do by default. Hop-by-hop fields are the HTTP drivers' business
 * (RFC 9110 §7.6.1): they never show here.
 */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { RouteEntry } from '#model/route/compile.ts';
import { rewritePath } from '#model/route/transform.ts';
import { FormatFacts } from './format-facts.ts';
import type { Forwarding } from './forwarding.ts';
import { applyOperations, authorityOf } from './header-operations.ts';
import type { RequestRun } from './request-run.ts';
import type { UpstreamTry } from './upstream-try.ts';

/** Once per request, before the first try. */
export function prepareRequest(run: RequestRun, entry: RouteEntry): void {
  const { request: head, tunnel } = run;
  const { rewrite, headers } = entry.route.route;
  const forwardedFor = head.get('x-forwarded-for');
  const { address } = tunnel.source;
  if (forwardedFor === undefined) head.add('x-forwarded-for', address);
  else head.set('x-forwarded-for', `${head.getAll('x-forwarded-for')},${address}`);
  if (!head.has('x-forwarded-proto')) head.add('x-forwarded-proto', 'http');
  if (rewrite !== undefined) {
    setPath(head, rewritePath(entry, head.path), head.path);
    if (rewrite.authority !== undefined) setAuthority(head, rewrite.authority);
  }
  if (headers?.request === undefined) return;
  const facts = new FormatFacts(run, undefined);
  const authority = authorityOf(headers.request, facts);
  if (authority !== undefined) setAuthority(head, authority);
  applyOperations(head, headers.request, facts);
}

/** The head of one try. A destination with changes of its own gets a copy: another try may go elsewhere. */
export function headForTry(forwarding: Forwarding, attempt: UpstreamTry): MessageHead {
  const { run } = forwarding;
  const { rewrite, headers } = attempt.destination.destination;
  const isOwn = rewrite !== undefined || headers?.request !== undefined;
  const head = isOwn ? run.request.clone() : run.request;
  // Tries at the proxies before us count, too: who gets it knows that it may see a request twice.
  head.set('x-envoy-attempt-count', String(forwarding.attemptsBefore + forwarding.attempt - 1));
  run.trace?.tell(head, attempt.spanId);
  if (forwarding.timeoutMs > 0 || forwarding.perTryTimeoutMs > 0) tellTimeouts(head, forwarding);
  if (isOwn) prepareForDestination(head, run, attempt);
  return head;
}

function prepareForDestination(head: MessageHead, run: RequestRun, attempt: UpstreamTry): void {
  const { destination } = attempt.destination;
  const { rewrite } = destination;
  const { entry } = run;
  if (rewrite !== undefined && entry !== undefined) {
    const path = rewritePath(entry, run.originalPath, attempt.destination);
    setPath(head, path, run.originalPath);
    if (rewrite.authority !== undefined) setAuthority(head, rewrite.authority);
  }
  const operations = destination.headers?.request;
  if (operations === undefined) return;
  const facts = new FormatFacts(run, undefined);
  const authority = authorityOf(operations, facts);
  // As Istio: the host that the route sets wins over its destinations'.
  if (authority !== undefined && !setsAuthority(entry)) setAuthority(head, authority);
  applyOperations(head, operations, facts);
}

function setsAuthority(entry: RouteEntry | undefined): boolean {
  const route = entry?.route.route;
  if (route?.rewrite?.authority !== undefined) return true;
  const set = route?.headers?.request?.set;
  return set !== undefined && Object.keys(set).some((name) => /^(host|:authority)$/i.test(name));
}

/** How long we wait, for applications and proxies that would give up in time (Envoy's router does the same). */
function tellTimeouts(head: MessageHead, forwarding: Forwarding): void {
  const { timeoutMs, perTryTimeoutMs, waitedMs, run } = forwarding;
  const leftMs = timeoutMs === 0 ? 0 : Math.max(1, Math.ceil(timeoutMs - waitedMs));
  const expectedMs =
    leftMs === 0 || (perTryTimeoutMs > 0 && perTryTimeoutMs < leftMs) ? perTryTimeoutMs : leftMs;
  head.set('x-envoy-expected-rq-timeout-ms', String(expectedMs));
  if (run.isGrpc && leftMs > 0) head.set('grpc-timeout', `${Math.min(leftMs, 99_999_999)}m`);
}

export function prepareResponse(head: MessageHead, run: RequestRun, attempt: UpstreamTry): void {
  head.set('x-envoy-upstream-service-time', String(Math.round(run.upstreamMs)));
  tellAttempts(head, run);
  const setCookie = run.forwarding?.setCookie;
  if (setCookie !== undefined) head.add('set-cookie', setCookie);
  const ofRoute = run.entry?.route.route.headers?.response;
  const ofDestination = attempt.destination.destination.headers?.response;
  if (ofRoute === undefined && ofDestination === undefined) return;
  const facts = new FormatFacts(run, head);
  if (ofRoute !== undefined) applyOperations(head, ofRoute, facts);
  if (ofDestination !== undefined) applyOperations(head, ofDestination, facts);
}

/** That tries were repeated here: a proxy before us must not repeat all of them. */
export function tellAttempts(head: MessageHead, run: RequestRun): void {
  if (run.attempt < 2) return;
  const before = Number(head.get('x-envoy-attempt-count') ?? 0);
  if (!(before > run.attempt)) head.set('x-envoy-attempt-count', String(run.attempt));
}

function setPath(head: MessageHead, path: string, original: string): void {
  if (path === head.path) return;
  head.set('x-envoy-original-path', original);
  head.path = path;
}

function setAuthority(head: MessageHead, authority: string): void {
  if (authority === head.authority) return;
  head.set('x-envoy-original-host', head.authority);
  head.add('x-forwarded-host', head.authority);
  head.authority = authority;
}

/** `application/grpc` and `application/grpc+proto`; gRPC-Web is HTTP to us (Envoy's isGrpcContentType). */
export function isGrpc(head: MessageHead): boolean {
  const type = head.get('content-type');
  if (type?.startsWith('application/grpc') !== true) return false;
  return type.length === 16 || type[16] === '+' || type[16] === ';';
}

/** RFC 9110 §9.2.2: these may be repeated without asking. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true;
    default:
      return false;
  }
}
