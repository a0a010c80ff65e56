/** struct sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)) as bytes. */
import { assert } from '#base/assert.ts';
import { formatIp, parseIp } from '#base/ip.ts';
import type { SocketAddress } from '../connection.ts';
import { AF_INET, AF_INET6 } from './constants.ts';

export const SOCKET_NAME_BYTES_MAX = 28;

/** `family` decides the layout: an IPv4 address in an AF_INET6 name is written IPv4-mapped. */
export function encodeSocketName(target: SocketAddress, family: number): Uint8Array {
  const address = parseIp(target.address);
  assert(address !== undefined, `not an IP address: ${target.address}`);
  const name = new Uint8Array(SOCKET_NAME_BYTES_MAX);
  return name.subarray(0, putSocketName(name, { address, port: target.port }, family));
}

/** Writes the name over what is there, and returns its length; `name` has room for any. */
export function putSocketName(
  name: Uint8Array,
  { address, port }: { address: Uint8Array; port: number },
  family: number,
): number {
  name.fill(0);
  name[0] = family & 255; // host order; both ABIs we run on are little endian
  name[1] = family >> 8;
  name[2] = port >> 8;
  name[3] = port & 255;
  if (family === AF_INET) {
    name.set(address, 4);
    return 16;
  }
  if (address.length === 4) {
    name[18] = 0xff;
    name[19] = 0xff;
  }
  name.set(address, 24 - address.length);
  return SOCKET_NAME_BYTES_MAX;
}

export function decodeSocketName(name: Uint8Array): SocketAddress | undefined {
  const family = name[0] | (name[1] << 8);
  const port = (name[2] << 8) | name[3];
  if (family === AF_INET) return { address: `${name[4]}.${name[5]}.${name[6]}.${name[7]}`, port };
  const address = family === AF_INET6 ? formatIp(name.subarray(8, 24)) : undefined;
  return address === undefined ? undefined : { address, port };
}
