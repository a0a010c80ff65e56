/**
 * What the waypoint changes in heads, as Istio's proxies do by default. Hop-by-hop fields are the HTTP drivers' business
 * (RFC 9110 §7.6.1): they never show here.
 */
import type { Random } from '#base/random.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { RouteEntry } from '#model/route/compile.ts';
import { applyHeaderOperations, rewritePath } from '#model/route/transform.ts';
import type { Tunnel } from '../tunnel.ts';

/** Once per request, before the first try. */
export function prepareRequest(
  head: MessageHead,
  options: { entry: RouteEntry; tunnel: Tunnel; random: Random },
): void {
  const { entry, tunnel, random } = options;
  const { rewrite, headers } = entry.route.route;
  const forwardedFor = head.get('x-forwarded-for');
  const { address } = tunnel.source;
  if (forwardedFor === undefined) head.add('x-forwarded-for', address);
  else head.set('x-forwarded-for', `${head.getAll('x-forwarded-for')},${address}`);
  if (!head.has('x-forwarded-proto')) head.add('x-forwarded-proto', 'http');
  if (!head.has('x-request-id')) head.add('x-request-id', random.uuid());
  if (rewrite !== undefined) {
    const path = rewritePath(entry, head.path);
    if (path !== head.path) {
      head.set('x-envoy-original-path', head.path);
      head.path = path;
    }
    if (rewrite.authority !== undefined) {
      head.add('x-forwarded-host', head.authority);
      head.authority = rewrite.authority;
    }
  }
  if (headers?.request !== undefined) applyHeaderOperations(head, headers.request);
}

/** The head of one try. A destination with operations of its own gets a copy: another try may go elsewhere. */
export function headForTry(
  head: MessageHead,
  options: { attempt: number; operations: Parameters<typeof applyHeaderOperations>[1] | undefined },
): MessageHead {
  const { attempt, operations } = options;
  if (operations === undefined) {
    head.set('x-envoy-attempt-count', String(attempt));
    return head;
  }
  const copy = head.clone();
  copy.set('x-envoy-attempt-count', String(attempt));
  applyHeaderOperations(copy, operations);
  return copy;
}

export function prepareResponse(
  head: MessageHead,
  options: {
    entry: RouteEntry;
    operations: Parameters<typeof applyHeaderOperations>[1] | undefined;
    upstreamMs: number;
  },
): void {
  head.set('x-envoy-upstream-service-time', String(Math.round(options.upstreamMs)));
  const routeOperations = options.entry.route.route.headers?.response;
  if (routeOperations !== undefined) applyHeaderOperations(head, routeOperations);
  if (options.operations !== undefined) applyHeaderOperations(head, options.operations);
}

export function isGrpc(head: MessageHead): boolean {
  return head.get('content-type')?.startsWith('application/grpc') === true;
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
