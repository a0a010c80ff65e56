/**
 * IP ranges for policy matching. IPv4-mapped IPv6 counts as IPv4, because a dual-stack listener reports peers that way.
 */
import { parseIp } from '#base/ip.ts';
import type { AddressRange } from '#model/authorization/authorization.ts';

/** 4 or 16 bytes, or undefined when the text is no address. */
export function parseAddress(text: string): Uint8Array | undefined {
  const bytes = parseIp(text);
  return bytes !== undefined && isMappedIpv4(bytes) ? bytes.subarray(12) : bytes;
}

/** True when `address` lies in the range. An unreadable range contains nothing. */
export function rangeContains(range: AddressRange, address: Uint8Array): boolean {
  const network = parseAddress(range.address);
  if (network === undefined || network.length !== address.length) return false;
  // A mapped IPv4 range is written with an IPv6 prefix length.
  const isMapped = network.length === 4 && range.address.includes(':');
  return prefixContains(network, isMapped ? range.length - 96 : range.length, address);
}

/** Whether the first `prefix` bits are equal. Another family is never contained. */
export function prefixContains(network: Uint8Array, prefix: number, address: Uint8Array): boolean {
  if (network.length !== address.length || prefix < 0 || prefix > network.length * 8) return false;
  const whole = prefix >>> 3;
  for (let index = 0; index < whole; index += 1) {
    if (network[index] !== address[index]) return false;
  }
  const rest = prefix & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return (network[whole] & mask) === (address[whole] & mask);
}

function isMappedIpv4(bytes: Uint8Array): boolean {
  if (bytes.length !== 16) return false;
  for (let index = 0; index < 10; index += 1) if (bytes[index] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}
