/** IP addresses as text and bytes. Text is canonical (RFC 5952 for IPv6); IPv4-mapped IPv6 becomes plain IPv4. */

const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/** 4 or 16 bytes, or undefined when the text is not an address. Zones (`%eth0`) are refused. */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/** Canonical text of 4 or 16 bytes; undefined for any other length. */
export function formatIp(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  if (bytes.length !== 16) return undefined;
  if (isMapped(bytes)) return formatIp(bytes.subarray(12));
  return formatIpv6(bytes);
}

/** The one spelling of an address; text that is no address comes back unchanged. */
export function canonicalIp(text: string): string {
  if (!text.includes(':')) return text;
  const bytes = parseIpv6(text);
  return bytes === undefined ? text : (formatIp(bytes) ?? text);
}

export function isIpv6(text: string): boolean {
  return text.includes(':');
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(text: string): boolean {
  return text === '::1' || text.startsWith('127.');
}

/** `1.2.3.4:80`, `[::1]:80`. */
export function formatHostPort(address: string, port: number): string {
  return isIpv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Splits `host:port` and `[v6]:port`; undefined when host or port is missing or the port is no port. */
export function parseHostPort(text: string): { host: string; port: number } | undefined {
  const colon = text.lastIndexOf(':');
  const port = portOf(text, colon + 1);
  if (colon <= 0 || port === 0) return undefined;
  const host = text.slice(0, colon);
  if (host.startsWith('[')) {
    if (!host.endsWith(']')) return undefined;
    const bytes = parseIpv6(host.slice(1, -1));
    return bytes === undefined ? undefined : { host: formatIp(bytes) ?? host, port };
  }
  return host.includes(':') ? undefined : { host, port };
}

/** The port that the text from `start` on is; 0 when it is none. */
function portOf(text: string, start: number): number {
  if (text.length - start > 5) return 0;
  let port = 0;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < ZERO || code > NINE) return 0;
    port = port * 10 + code - ZERO;
  }
  return port > 65_535 ? 0 : port;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** By the character: it runs several times a connection, and pieces of the text would cost ten times as much. */
function parseIpv4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let parts = 0;
  let digits = 0;
  let value = 0;
  for (let at = 0; at <= text.length; at++) {
    const code = at === text.length ? DOT : text.charCodeAt(at);
    if (code === DOT) {
      if (digits === 0 || value > 255 || parts === 4) return undefined;
      bytes[parts++] = value;
      digits = 0;
      value = 0;
    } else {
      if (code < ZERO || code > NINE || (digits > 0 && value === 0) || digits === 3)
        return undefined;
      value = value * 10 + code - ZERO;
      digits++;
    }
  }
  return parts === 4 ? bytes : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0]);
  const tail = halves.length === 2 ? groupsOf(halves[1]) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  groups.forEach((group, index) => {
    bytes[index * 2] = group >> 8;
    bytes[index * 2 + 1] = group & 255;
  });
  return bytes;
}

function groupsOf(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index];
    if (index === parts.length - 1 && part.includes('.')) {
      const v4 = parseIpv4(part);
      if (v4 === undefined) return undefined;
      groups.push((v4[0] << 8) | v4[1], (v4[2] << 8) | v4[3]);
      continue;
    }
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
    groups.push(Number.parseInt(part, 16));
  }
  return groups;
}

function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[index * 2] << 8) | bytes[index * 2 + 1]).toString(16),
  );
  // RFC 5952 §4.2: shorten the first longest run of at least two zero groups.
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === '0') length++;
    if (length > best.length) best = { start, length };
  }
  if (best.start < 0) return groups.join(':');
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`;
}
