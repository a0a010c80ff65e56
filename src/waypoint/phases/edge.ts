/**
 * What a gateway does with the head of a request before anything reads it: nobody outside may speak in the voice of the mesh. As
 * Envoy at an edge (use_remote_address, docs "HTTP header sanitizing"), with Istio's numTrustedProxies.
 */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { GatewayPart } from '../tunnel.ts';

/** Fields that steer or describe our proxies; from outside they are removed. */
const INTERNAL = [
  'x-envoy-attempt-count',
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-external-address',
  'x-envoy-force-trace',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-internal',
  'x-envoy-ip-tags',
  'x-envoy-is-timeout-retry',
  'x-envoy-max-retries',
  'x-envoy-original-host',
  'x-envoy-original-path',
  'x-envoy-retriable-header-names',
  'x-envoy-retriable-status-codes',
  'x-envoy-retry-grpc-on',
  'x-envoy-retry-on',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-upstream-rq-timeout-ms',
  'x-forwarded-client-cert',
  'x-istio-attributes',
] as const;

export function prepareAtEdge(
  head: MessageHead,
  options: { gateway: GatewayPart; address: string; trustedProxies: number },
): void {
  const { gateway, trustedProxies } = options;
  for (const name of INTERNAL) if (head.has(name)) head.remove(name);
  const isTrusted = trustedProxies > 0;
  // Envoy starts a trace of its own at the edge: an id from outside is not to be believed.
  if (!isTrusted) head.remove('x-request-id');
  if (!isTrusted || !head.has('x-forwarded-proto')) head.set('x-forwarded-proto', gateway.scheme);
  head.set('x-envoy-external-address', clientAddress(head.getAll('x-forwarded-for'), options));
  if (gateway.clientCertificate !== undefined) {
    head.set('x-forwarded-client-cert', gateway.clientCertificate);
  }
}

/**
 * Who sent the request, by what the proxies in front of us say: each of them appended whom it got the request from, so the client is
 * as many places from the right. Too few entries: the list was not written by them, and the connection's own address counts.
 */
export function clientAddress(
  forwardedFor: string | undefined,
  { address, trustedProxies }: { address: string; trustedProxies: number },
): string {
  if (trustedProxies === 0 || forwardedFor === undefined) return address;
  const entries = forwardedFor.split(',');
  return entries.at(-trustedProxies)?.trim() || address;
}
