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
  const name = new Uint8Array(family === AF_INET ? 16 : SOCKET_NAME_BYTES_MAX);
  name[0] = family & 255; // host order; both ABIs we run on are little endian
  name[1] = family >> 8;
  name[2] = target.port >> 8;
  name[3] = target.port & 255;
  if (family === AF_INET) {
    name.set(address, 4);
  } else if (address.length === 16) {
    name.set(address, 8);
  } else {
    name[18] = 0xff;
    name[19] = 0xff;
    name.set(address, 20);
  }
  return name;
}

export function decodeSocketName(name: Uint8Array): SocketAddress | undefined {
  const family = name[0] | (name[1] << 8);
  const port = (name[2] << 8) | name[3];
  const bytes =
    family === AF_INET
      ? name.subarray(4, 8)
      : family === AF_INET6
        ? name.subarray(8, 24)
        : undefined;
  const address = bytes && formatIp(bytes);
  return address === undefined ? undefined : { address, port };
}
