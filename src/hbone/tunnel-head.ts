/** The head of a CONNECT: pseudo-fields and the fields that ztunnel sends with it (src/proxy/outbound.rs). */
import { formatHostPort } from '#base/ip.ts';
import type { Random } from '#base/random.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';

export interface TunnelHead {
  readonly authority: string;
  /** Of the source workload; '' when unknown. */
  readonly baggage: string;
  /** The client's address, and the service it asked for when known. */
  readonly forwarded: string;
  readonly traceparent: string;
  /** Of the client; only inside another tunnel, where its addresses say nothing to the receiver. */
  readonly forwardedNetwork?: string;
}

export function connectHead(tunnel: TunnelHead): MessageHead {
  const head = MessageHead.request('CONNECT', tunnel.authority, '', '');
  if (tunnel.baggage !== '') head.add('baggage', tunnel.baggage);
  if (tunnel.forwarded !== '') head.add('forwarded', tunnel.forwarded);
  if (tunnel.traceparent !== '') head.add('traceparent', tunnel.traceparent);
  const { forwardedNetwork } = tunnel;
  if (forwardedNetwork !== undefined) head.add('x-forwarded-network', forwardedNetwork);
  return head;
}

/** RFC 7239 §4, as ztunnel spells it: the host is not quoted. */
export function forwardedOf(
  client: { address: string; port: number },
  serviceHost: string | undefined,
): string {
  const by = `for="${formatHostPort(client.address, client.port)}"`;
  return serviceHost === undefined ? by : `${by};host=${serviceHost}`;
}

/** W3C trace context, version 00, not sampled. */
export function newTraceparent(random: Random): string {
  return `00-${random.hex(32)}-${random.hex(16)}-00`;
}

/** The service that a peer says its client asked for; undefined when it says none. Once a tunnel: no parts are made. */
export function forwardedHost(field: string): string | undefined {
  const at = field.startsWith('host=')
    ? 0
    : Math.max(field.indexOf(';host='), field.indexOf('; host='));
  if (at < 0) return undefined;
  let start = field.indexOf('=', at) + 1;
  let end = field.indexOf(';', start);
  if (end < 0) end = field.length;
  if (field[start] === '"') start++;
  if (field[end - 1] === '"') end--;
  return start < end ? field.slice(start, end) : undefined;
}
