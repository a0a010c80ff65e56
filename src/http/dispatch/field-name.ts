/** Field names and values between bytes and strings. Names are ASCII tokens (RFC 9110 §5.1), values Latin-1. */

/** Bun's native calls that @types/bun leaves out; `toString('latin1')` and `write(…, 'latin1')` cost twice as much. */
interface LatinBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, offset: number, length: number): number;
}

export function latin1(bytes: Buffer, start: number, end: number): string {
  return (bytes as LatinBuffer).latin1Slice(start, end);
}

/** Writes a Latin-1 string; `out` has room. */
export function putLatin1(out: Buffer, text: string, offset: number): void {
  (out as LatinBuffer).latin1Write(text, offset, text.length);
}

/** Whether the bytes at `start` spell `name` (lower case) in any case; the caller compared the lengths. */
export function equalsIgnoreCase(bytes: Uint8Array, start: number, name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const byte = bytes[start + index];
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== name.charCodeAt(index)) return false;
  }
  return true;
}

/** Names that most messages have: found by length and first letter, so they cost no new string. */
const COMMON = [
  ...['accept', 'accept-encoding', 'accept-language', 'authorization', 'cache-control'],
  ...[
    'content-encoding',
    'content-length',
    'content-type',
    'cookie',
    'date',
    'etag',
    'last-modified',
  ],
  ...[
    'location',
    'origin',
    'referer',
    'server',
    'set-cookie',
    'traceparent',
    'tracestate',
    'user-agent',
  ],
  ...[
    'vary',
    'x-envoy-upstream-service-time',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-request-id',
  ],
];
const INTERNED: (string[] | undefined)[] = [];
for (const name of COMMON) {
  const slot = name.length * 32 + (name.charCodeAt(0) & 31);
  INTERNED[slot] = [...(INTERNED[slot] ?? []), name];
}

/** The name in lower case. */
export function fieldName(bytes: Buffer, start: number, end: number): string {
  const candidates = INTERNED[(end - start) * 32 + (bytes[start] & 31)];
  if (candidates !== undefined) {
    for (const name of candidates) if (equalsIgnoreCase(bytes, start, name)) return name;
  }
  return latin1(bytes, start, end).toLowerCase();
}

/**
 * A value as it may go on the wire: characters above Latin-1 become UTF-8 bytes; control characters, which would
 * split a message, become spaces (values come from configuration and decoded URLs, not only from parsed heads).
 */
export function fieldValue(value: string): string {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if ((code >= 0x20 && code <= 0xff && code !== 0x7f) || code === 0x09) continue;
    const wide = [...value].some((char) => char.charCodeAt(0) > 0xff);
    const text = wide ? Buffer.from(value, 'utf8').toString('latin1') : value;
    return Array.from(text, (char) => (isControl(char.charCodeAt(0)) ? ' ' : char)).join('');
  }
  return value;
}

function isControl(code: number): boolean {
  return (code < 0x20 && code !== 0x09) || code === 0x7f;
}
