/**
 * Reads the PROXY protocol header, version 1 or 2 (haproxy doc/proxy-protocol.txt §2), in front of a connection's first
 * byte. Ask again with all bytes so far when it says `more`; a peer that is not whole in PROXY_HEADER_TIMEOUT_MS is closed,
 * one that sends anything else as well (§2: a receiver must not guess).
 */
import { formatIp, parseIp } from '#base/ip.ts';
import { crc32c } from './crc32c.ts';
import {
  FIXED_BYTES,
  type ProxyEnd,
  SIGNATURE,
  TCP_OVER_IPV4,
  TCP_OVER_IPV6,
  VERSION_2_LOCAL,
  VERSION_2_PROXY,
} from './header.ts';
import { V1_BYTES_MAX, V2_BYTES_MAX } from './limits.ts';

export type ProxyHeaderReading =
  | { readonly kind: 'more' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | {
      readonly kind: 'header';
      readonly version: 1 | 2;
      /** Undefined both, where the sender speaks for itself (LOCAL, UNKNOWN, UNSPEC): the socket's own ends count. */
      readonly source: ProxyEnd | undefined;
      readonly destination: ProxyEnd | undefined;
      /** What came behind the header. */
      readonly rest: Uint8Array;
    };

const V1_START = Buffer.from('PROXY ');
const UNSPECIFIED = 0x00;
/** §2.2.4: CRC32c over the header with this value zero. */
const TLV_CRC32C = 0x03;
const CR = 0x0d;
const LF = 0x0a;
const MORE: ProxyHeaderReading = { kind: 'more' };

export function readProxyHeader(bytes: Uint8Array): ProxyHeaderReading {
  if (bytes.length === 0) return MORE;
  if (bytes[0] === V1_START[0]) return readV1(bytes);
  if (bytes[0] === SIGNATURE[0]) return readV2(bytes);
  return invalid('the connection does not begin with a PROXY protocol header');
}

function invalid(reason: string): ProxyHeaderReading {
  return { kind: 'invalid', reason };
}

function beginsWith(bytes: Uint8Array, start: ArrayLike<number>): boolean {
  const length = Math.min(bytes.length, start.length);
  for (let index = 0; index < length; index++) if (bytes[index] !== start[index]) return false;
  return true;
}

function readV1(bytes: Uint8Array): ProxyHeaderReading {
  if (!beginsWith(bytes, V1_START)) {
    return invalid('the connection does not begin with a PROXY protocol header');
  }
  const limit = Math.min(bytes.length, V1_BYTES_MAX);
  for (let at = V1_START.length; at < limit; at++) {
    const byte = bytes[at];
    if (byte === CR) {
      if (at + 1 === V1_BYTES_MAX) break;
      if (at + 1 === bytes.length) return MORE;
      if (bytes[at + 1] !== LF) return invalid('the PROXY line does not end in CR LF');
      return parseV1(Buffer.from(bytes.subarray(0, at)).toString('latin1'), bytes.subarray(at + 2));
    }
    if (byte < 0x20 || byte > 0x7e) return invalid('the PROXY line has a control character');
  }
  return limit === V1_BYTES_MAX ? invalid('the PROXY line is too long') : MORE;
}

function parseV1(line: string, rest: Uint8Array): ProxyHeaderReading {
  const words = line.split(' ');
  const [, family] = words;
  const unknown = { source: undefined, destination: undefined };
  // §2.1: what follows UNKNOWN is ignored.
  if (family === 'UNKNOWN') return { kind: 'header', version: 1, ...unknown, rest };
  if (family !== 'TCP4' && family !== 'TCP6') {
    return invalid('the PROXY line is for neither TCP4, TCP6 nor UNKNOWN');
  }
  if (words.length !== 6)
    return invalid('the PROXY line does not have two addresses and two ports');
  const bytes = family === 'TCP4' ? 4 : 16;
  const source = textEnd(words[2], words[4], bytes);
  const destination = textEnd(words[3], words[5], bytes);
  if (source === undefined || destination === undefined) {
    return invalid(`the PROXY line has an address or port that is none of ${family}`);
  }
  return { kind: 'header', version: 1, source, destination, rest };
}

function textEnd(address: string, port: string, bytes: number): ProxyEnd | undefined {
  const ip = parseIp(address);
  // IPv6 text may spell a mapped IPv4 address: parseIp gives its 16 bytes.
  if (ip?.length !== bytes || !/^(0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65535) {
    return undefined;
  }
  return { address: formatIp(ip) ?? address, port: Number(port) };
}

function readV2(bytes: Uint8Array): ProxyHeaderReading {
  if (!beginsWith(bytes, SIGNATURE)) {
    return invalid('the connection does not begin with a PROXY protocol header');
  }
  if (bytes.length < FIXED_BYTES) return MORE;
  const command = bytes[12];
  if (command !== VERSION_2_PROXY && command !== VERSION_2_LOCAL) {
    return invalid('the PROXY header is not of version 2, or has an unknown command');
  }
  const length = uint16(bytes, 14);
  if (length > V2_BYTES_MAX) return invalid('the PROXY header is too long');
  const whole = FIXED_BYTES + length;
  if (bytes.length < whole) return MORE;
  const header = bytes.subarray(0, whole);
  const rest = bytes.subarray(whole);
  const family = bytes[13];
  // §2.2: of a LOCAL connection nothing is looked at; of an unspecified one the ends are unknown.
  if (command === VERSION_2_LOCAL || family === UNSPECIFIED) {
    return { kind: 'header', version: 2, source: undefined, destination: undefined, rest };
  }
  if (family !== TCP_OVER_IPV4 && family !== TCP_OVER_IPV6) {
    return invalid('the PROXY header is for neither TCP over IPv4 nor TCP over IPv6');
  }
  const size = family === TCP_OVER_IPV4 ? 4 : 16;
  const tlvs = FIXED_BYTES + size * 2 + 4;
  if (whole < tlvs) return invalid('the PROXY header is too short for its addresses');
  const reason = checkTlvs(header, tlvs);
  if (reason !== undefined) return invalid(reason);
  const source = binaryEnd(header, FIXED_BYTES, size, FIXED_BYTES + size * 2);
  const destination = binaryEnd(header, FIXED_BYTES + size, size, FIXED_BYTES + size * 2 + 2);
  return { kind: 'header', version: 2, source, destination, rest };
}

function binaryEnd(header: Uint8Array, at: number, size: number, portAt: number): ProxyEnd {
  const address = formatIp(header.subarray(at, at + size)) ?? '';
  return { address, port: uint16(header, portAt) };
}

/** Each TLV must fit; a checksum must be right. Undefined when all is well. */
function checkTlvs(header: Uint8Array, from: number): string | undefined {
  let at = from;
  while (at < header.length) {
    const valueAt = at + 3;
    const next = valueAt + (valueAt <= header.length ? uint16(header, at + 1) : 0);
    if (valueAt > header.length || next > header.length) {
      return 'a TLV of the PROXY header goes beyond its end';
    }
    if (header[at] === TLV_CRC32C && !isChecksumRight(header, valueAt, next)) {
      return 'the checksum of the PROXY header is wrong';
    }
    at = next;
  }
  return undefined;
}

function isChecksumRight(header: Uint8Array, at: number, end: number): boolean {
  if (end - at !== 4) return false;
  const blank = new Uint8Array(header);
  blank.fill(0, at, end);
  return crc32c(blank) === ((uint16(header, at) << 16) | uint16(header, at + 2)) >>> 0;
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}
