/**
 * Reads which server and protocol a TLS client asks for, before anything answers it (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301 §3.1).
 * Ask again with all bytes so far when it says NEED_MORE. Nothing is trusted and nothing copied but the names; what the
 * handshake itself will check (versions, ciphers, signatures) is passed over.
 *
 *   record: type 22 | version 2 | length 2 | fragment …        one message may span several records
 *   message: type 1 | length 3 | version 2 | random 32 | session id 8+ | ciphers 16+ | compressions 8+ | extensions 16+
 */
import { CLIENT_HELLO_BYTES_MAX } from './limits.ts';

export const NEED_MORE = -1;
/** The first byte is not that of a TLS handshake record. */
export const NOT_TLS = -2;
/** A record or the message in it is malformed. */
export const MALFORMED = -3;
/** Longer than CLIENT_HELLO_BYTES_MAX. */
export const TOO_LONG = -4;

export const CLIENT_HELLO_REASON: Readonly<Record<number, string>> = {
  [NOT_TLS]: 'the first bytes are no TLS handshake',
  [MALFORMED]: 'the ClientHello is malformed',
  [TOO_LONG]: `the ClientHello is longer than ${CLIENT_HELLO_BYTES_MAX} bytes`,
};

export interface ClientHello {
  /** Lower case, without a trailing dot; undefined when the client names no server. */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
/** RFC 8446 §5.1. */
const FRAGMENT_BYTES_MAX = 1 << 14;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;
const HOST_NAME = 0;

/** The hello, or one of the codes above. */
export function readClientHello(bytes: Uint8Array): ClientHello | number {
  const message = new Uint8Array(Math.min(bytes.length, CLIENT_HELLO_BYTES_MAX));
  let filled = 0;
  let wanted = -1;
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== HANDSHAKE) return at === 0 ? NOT_TLS : MALFORMED;
    // Every version of TLS writes 3.x here (RFC 8446 §5.1).
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return at === 0 ? NOT_TLS : MALFORMED;
    if (at + RECORD_HEADER_BYTES > bytes.length) break;
    const length = (bytes[at + 3] << 8) | bytes[at + 4];
    // RFC 8446 §5.1: handshake fragments are never empty.
    if (length === 0 || length > FRAGMENT_BYTES_MAX) return MALFORMED;
    const start = at + RECORD_HEADER_BYTES;
    const end = Math.min(start + length, bytes.length);
    if (filled + (end - start) > message.length) return TOO_LONG;
    message.set(bytes.subarray(start, end), filled);
    filled += end - start;
    if (filled > 0 && message[0] !== CLIENT_HELLO) return MALFORMED;
    if (filled >= MESSAGE_HEADER_BYTES) {
      wanted = MESSAGE_HEADER_BYTES + ((message[1] << 16) | (message[2] << 8) | message[3]);
      if (wanted > CLIENT_HELLO_BYTES_MAX) return TOO_LONG;
      if (filled >= wanted) {
        return readMessage(message.subarray(MESSAGE_HEADER_BYTES, wanted)) ?? MALFORMED;
      }
    }
    at = start + length;
  }
  return bytes.length >= CLIENT_HELLO_BYTES_MAX ? TOO_LONG : NEED_MORE;
}

/** Undefined when a length does not add up. */
function readMessage(body: Uint8Array): ClientHello | undefined {
  let at = 2 + 32;
  if (at >= body.length) return undefined;
  at += 1 + body[at];
  if (at + 2 > body.length) return undefined;
  at += 2 + uint16(body, at);
  if (at >= body.length) return undefined;
  at += 1 + body[at];
  // RFC 8446 §4.1.2: before TLS 1.3 a hello may end without extensions.
  if (at === body.length) return { serverName: undefined, alpn: [] };
  if (at + 2 > body.length || at + 2 + uint16(body, at) !== body.length) return undefined;
  return readExtensions(body.subarray(at + 2));
}

function readExtensions(bytes: Uint8Array): ClientHello | undefined {
  let serverName: string | undefined;
  let alpn: string[] | undefined;
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) return undefined;
    const type = uint16(bytes, at);
    const end = at + 4 + uint16(bytes, at + 2);
    if (end > bytes.length) return undefined;
    const value = bytes.subarray(at + 4, end);
    if (type === EXTENSION_SERVER_NAME) {
      // RFC 8446 §4.2: no extension comes twice. What is judged here must be what the handshake goes by.
      if (serverName !== undefined) return undefined;
      serverName = readServerName(value);
      if (serverName === undefined) return undefined;
    } else if (type === EXTENSION_ALPN) {
      if (alpn !== undefined) return undefined;
      alpn = readAlpn(value);
      if (alpn === undefined) return undefined;
    }
    at = end;
  }
  return { serverName, alpn: alpn ?? [] };
}

/** RFC 6066 §3: a list of names, in practice one, of the only type there is. */
function readServerName(bytes: Uint8Array): string | undefined {
  if (bytes.length < 5 || uint16(bytes, 0) !== bytes.length - 2 || bytes[2] !== HOST_NAME) {
    return undefined;
  }
  if (uint16(bytes, 3) !== bytes.length - 5) return undefined;
  let name = '';
  for (const byte of bytes.subarray(5)) {
    // Printable ASCII only: a NUL or a space in a name means that two readers may read two names.
    if (byte <= 0x20 || byte >= 0x7f) return undefined;
    name += String.fromCharCode(byte);
  }
  if (name.length > 255) return undefined;
  // RFC 6066 §3: without a trailing dot; many clients send one. What is left must be a name.
  return name.toLowerCase().replace(/\.$/, '') || undefined;
}

function readAlpn(bytes: Uint8Array): string[] | undefined {
  if (bytes.length < 2 || uint16(bytes, 0) !== bytes.length - 2) return undefined;
  const names: string[] = [];
  for (let at = 2; at < bytes.length; ) {
    const end = at + 1 + bytes[at];
    if (bytes[at] === 0 || end > bytes.length) return undefined;
    names.push(Buffer.from(bytes.subarray(at + 1, end)).toString('latin1'));
    at = end;
  }
  return names;
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}
