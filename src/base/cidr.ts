/** Address ranges. IPv4-mapped IPv6 counts as IPv4, because a dual-stack listener reports peers that way. */
import { parseIp } from './ip.ts';

export interface Cidr {
  /** 4 or 16 bytes. */
  readonly network: Uint8Array;
  /** Bits that count. */
  readonly length: number;
}

/** 4 or 16 bytes, or undefined when the text is no address. */
export function parseAddress(text: string): Uint8Array | undefined {
  const bytes = parseIp(text);
  return bytes !== undefined && isMappedIpv4(bytes) ? bytes.subarray(12) : bytes;
}

/** `10.0.0.0/8`, or an address alone; undefined when it is neither. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const network = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (network === undefined) return undefined;
  const bits = network.length * 8;
  if (slash === -1) return { network, length: bits };
  const digits = text.slice(slash + 1);
  if (!/^[0-9]{1,3}$/.test(digits)) return undefined;
  // A mapped IPv4 range is written with an IPv6 prefix length.
  const isMapped = network.length === 4 && text.includes(':');
  const length = isMapped ? Number(digits) - 96 : Number(digits);
  return length < 0 || length > bits ? undefined : { network, length };
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
