/** `:authority` of a CONNECT: an address with a port, or the hostname form for services of other networks. */
import { isIpv6, parseHostPort, parseIp } from '#base/ip.ts';

export type Authority =
  | { readonly kind: 'address'; readonly address: string; readonly port: number }
  | { readonly kind: 'hostname'; readonly hostname: string; readonly port: number };

/** The longest host name (RFC 1035 §3.1), a colon and a port. */
export const AUTHORITY_CHARS_MAX = 259;

/** Undefined when host or port is missing: the tunnel gets a 400. */
export function parseAuthority(text: string): Authority | undefined {
  if (text.length > AUTHORITY_CHARS_MAX) return undefined;
  const parts = parseHostPort(text);
  if (parts === undefined) return undefined;
  const { host, port } = parts;
  if (isIpv6(host) || parseIp(host) !== undefined) return { kind: 'address', address: host, port };
  if (!/^[A-Za-z0-9*]([A-Za-z0-9._*-]*[A-Za-z0-9])?$/.test(host)) return undefined;
  return { kind: 'hostname', hostname: host.toLowerCase(), port };
}
