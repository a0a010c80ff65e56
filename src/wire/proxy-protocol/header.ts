/**
 * PROXY protocol version 2 (haproxy doc/proxy-protocol.txt §2.2): who a forwarded TCP connection is from and for, in
 * front of its first byte.
 *
 *   signature 12 | version, command 1 | family, protocol 1 | length 2 | source, destination | TLVs
 */
import { parseIp } from '#base/ip.ts';

export const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
/** The sender itself asks (health checks): the addresses are not looked at. */
export const VERSION_2_LOCAL = 0x20;
export const VERSION_2_PROXY = 0x21;
export const TCP_OVER_IPV4 = 0x11;
export const TCP_OVER_IPV6 = 0x21;
export const FIXED_BYTES = 16;

/** Of the range for applications: the SPIFFE URI that the client proved (ztunnel src/proxy.rs). */
export const TLV_SPIFFE_URI = 0xd0;

export interface ProxyEnd {
  readonly address: string;
  readonly port: number;
}

export interface ProxyHeader {
  readonly source: ProxyEnd;
  readonly destination: ProxyEnd;
  readonly tlvs?: readonly { readonly type: number; readonly value: string }[];
}

/** Undefined when an address is none. Ends of two families are both written as IPv6. */
export function encodeProxyHeader({ source, destination, tlvs = [] }: ProxyHeader) {
  const from = parseIp(source.address);
  const to = parseIp(destination.address);
  if (from === undefined || to === undefined) return undefined;
  const bytes = from.length === 4 && to.length === 4 ? 4 : 16;
  const values = tlvs.map(({ type, value }) => ({ type, value: new TextEncoder().encode(value) }));
  const tail = values.reduce((sum, { value }) => sum + 3 + value.length, 0);
  const length = bytes * 2 + 4 + tail;
  const header = new Uint8Array(FIXED_BYTES + length);
  header.set(SIGNATURE);
  header[12] = VERSION_2_PROXY;
  header[13] = bytes === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
  putUint16(header, 14, length);
  header.set(widened(from, bytes), FIXED_BYTES);
  header.set(widened(to, bytes), FIXED_BYTES + bytes);
  let at = FIXED_BYTES + bytes * 2;
  putUint16(header, at, source.port);
  putUint16(header, at + 2, destination.port);
  at += 4;
  for (const { type, value } of values) {
    header[at] = type;
    putUint16(header, at + 1, value.length);
    header.set(value, at + 3);
    at += 3 + value.length;
  }
  return header;
}

/** IPv4 as IPv4-mapped IPv6 where the header is of that family. */
function widened(address: Uint8Array, bytes: number): Uint8Array {
  if (address.length === bytes) return address;
  const mapped = new Uint8Array(16);
  mapped[10] = 0xff;
  mapped[11] = 0xff;
  mapped.set(address, 12);
  return mapped;
}

function putUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}
