/**
 * IP addresses and ranges as bytes, for policy matching. Accepts what Kubernetes and Istio write: dotted IPv4, IPv6 with
 * `::` and an embedded IPv4 tail. IPv4-mapped IPv6 counts as IPv4, because a dual-stack listener reports peers that way.
 */
import type { AddressRange } from '#model/authorization/authorization.ts';

/** 4 or 16 bytes, or undefined when the text is no address. */
export function parseAddress(text: string): Uint8Array | undefined {
  if (!text.includes(':')) return parseIpv4(text);
  const bytes = parseIpv6(text);
  return bytes !== undefined && isMappedIpv4(bytes) ? bytes.subarray(12) : bytes;
}

/** True when `address` lies in the range. An unreadable range contains nothing. */
export function rangeContains(range: AddressRange, address: Uint8Array): boolean {
  const network = parseAddress(range.address);
  if (network === undefined || network.length !== address.length) return false;
  // A mapped IPv4 range is written with an IPv6 prefix length.
  const isMapped = network.length === 4 && range.address.includes(':');
  const prefix = isMapped ? range.length - 96 : range.length;
  if (prefix < 0 || prefix > network.length * 8) return false;
  const whole = prefix >>> 3;
  for (let index = 0; index < whole; index += 1) {
    if (network[index] !== address[index]) return false;
  }
  const rest = prefix & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return (network[whole] & mask) === (address[whole] & mask);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (let index = 0; index < 4; index += 1) {
    if (!/^\d{1,3}$/.test(parts[index])) return undefined;
    const value = Number(parts[index]);
    if (value > 255) return undefined;
    bytes[index] = value;
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0]);
  const tail = halves.length === 2 ? groupsOf(halves[1]) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  groups.forEach((group, index) => {
    bytes[index * 2] = group >>> 8;
    bytes[index * 2 + 1] = group & 0xff;
  });
  return bytes;
}

function groupsOf(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (let index = 0; index < parts.length; index += 1) {
    const part = parts[index];
    if (index === parts.length - 1 && part.includes('.')) {
      const tail = parseIpv4(part);
      if (tail === undefined) return undefined;
      groups.push((tail[0] << 8) | tail[1], (tail[2] << 8) | tail[3]);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

function isMappedIpv4(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index += 1) if (bytes[index] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}
