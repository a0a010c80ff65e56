/**
 * Field lists of HTTP/2 ↔ MessageHead (RFC 9113 §8, extended CONNECT RFC 8441). Reading checks everything that a later HTTP/1.1 hop could
 * take differently; a message that fails is malformed and costs its stream only.
 */
import type { HpackEncoder } from '#wire/hpack/encoder.ts';
import { FIELD_OVERHEAD_BYTES, UPDATE_BYTES_MAX } from '#wire/hpack/encoder.ts';
import { isAuthority } from '../dispatch/authority.ts';
import { fieldName, latin1 } from '../dispatch/field-name.ts';
import { MessageHead } from '../dispatch/message-head.ts';

export type BlockKind = 'request' | 'response' | 'trailers';

export class BlockReader {
  /** After `read`: Content-Length, or -1. */
  contentLength = -1;
  /** After `read`: Expect has something else than 100-continue. */
  unknownExpectation = false;
  /** Why `read` said undefined. */
  reason = '';
  private cookies = 0;
  private host = '';
  private readonly extendedConnect: boolean;

  /** `extendedConnect`: requests are HTTP's: they may have `:protocol`, and name a host. Tunnels judge their authority themselves. */
  constructor(extendedConnect = false) {
    this.extendedConnect = extendedConnect;
  }

  /** Makes a head of the decoded list; undefined when malformed. */
  read(list: readonly string[], kind: BlockKind): MessageHead | undefined {
    const head = new MessageHead();
    this.contentLength = -1;
    this.unknownExpectation = false;
    this.cookies = 0;
    this.host = '';
    this.reason = '';
    let at = 0;
    let seen = 0;
    for (; at < list.length && list[at].charCodeAt(0) === 0x3a; at += 2) {
      const bit = this.pseudo(head, list[at], list[at + 1], kind);
      if (bit === 0 || (seen & bit) !== 0)
        return this.bad(`pseudo-header ${list[at]} is not allowed here`);
      seen |= bit;
    }
    const missing = required(kind, seen, head);
    if (missing !== '') return this.bad(missing);
    let plain = true;
    for (let index = at; index < list.length; index += 2) {
      const verdict = this.field(list[index], list[index + 1], kind);
      if (verdict < 0)
        return this.bad(this.reason || `field ${list[index]} is not allowed in HTTP/2`);
      if (verdict > 0) plain = false;
    }
    if (this.host !== '') {
      if (head.authority === '') head.authority = this.host;
      else if (head.authority !== this.host) return this.bad('Host differs from :authority');
    }
    if (kind === 'request') {
      if (this.extendedConnect && (seen & AUTHORITY) !== 0 && !isAuthority(head.authority))
        return this.bad(':authority names no host');
      const wrong = checkTarget(head, seen);
      if (wrong !== '') return this.bad(wrong);
      if (head.method === 'CONNECT') {
        if (this.contentLength >= 0) return this.bad('CONNECT has a Content-Length');
        // To the application it is what an Upgrade of HTTP/1.1 is.
        if ((seen & PROTOCOL) !== 0) head.method = 'GET';
      }
    }
    head.adoptFields(plain ? list.slice(at) : this.rewrite(list, at));
    return head;
  }

  private bad(reason: string): undefined {
    this.reason = reason;
    return undefined;
  }

  /** The bit of the pseudo-header field, 0 when it is unknown or broken. */
  private pseudo(head: MessageHead, name: string, value: string, kind: BlockKind): number {
    if (kind === 'trailers') return 0;
    if (kind === 'response') {
      if (name !== ':status' || !/^[1-9]\d\d$/.test(value)) return 0;
      head.status = Number(value);
      return STATUS;
    }
    switch (name) {
      case ':method':
        head.method = value;
        return isToken(value) ? METHOD : 0;
      case ':scheme':
        head.scheme = value;
        return value === 'http' || value === 'https' || isToken(value) ? SCHEME : 0;
      case ':authority':
        head.authority = value;
        return isVisible(value) ? AUTHORITY : 0;
      case ':protocol':
        if (!this.extendedConnect || !isProtocol(value)) return 0;
        head.upgrade = value.toLowerCase();
        return PROTOCOL;
      case ':path':
        head.path = value;
        return value !== '' && isVisible(value) ? PATH : 0;
      default:
        return 0;
    }
  }

  /** 0: keep; 1: the list must be rewritten; -1: malformed. */
  private field(name: string, value: string, kind: BlockKind): number {
    // RFC 9113 §8.3: pseudo-header fields stand before all others.
    if (name.charCodeAt(0) === 0x3a) return -1;
    switch (name.length) {
      case 2:
        return name === 'te' && (value !== 'trailers' || kind !== 'request') ? -1 : 0;
      case 4:
        if (name !== 'host') return 0;
        if (this.host !== '' || kind !== 'request' || !isAuthority(value)) return -1;
        this.host = value;
        return 1;
      case 6:
        if (name === 'expect' && value.toLowerCase() !== '100-continue')
          this.unknownExpectation = true;
        return name === 'cookie' && ++this.cookies > 1 ? 1 : 0;
      case 7:
        return name === 'upgrade' ? -1 : 0;
      case 10:
        return name === 'connection' || name === 'keep-alive' ? -1 : 0;
      case 14:
        if (name !== 'content-length') return 0;
        // RFC 9110 §6.5.1: an HTTP/1.1 reader might merge trailers into the head.
        return kind === 'trailers' ? -1 : this.length(value);
      case 16:
        return name === 'proxy-connection' ? -1 : 0;
      case 17:
        return name === 'transfer-encoding' ? -1 : 0;
      default:
        return 0;
    }
  }

  private length(value: string): number {
    if (this.contentLength >= 0 || !/^\d{1,15}$/.test(value)) {
      this.reason = 'Content-Length is repeated or not a number';
      return -1;
    }
    this.contentLength = Number(value);
    return 0;
  }

  /** Drops Host and joins the crumbs of Cookie (RFC 9113 §8.2.3). */
  private rewrite(list: readonly string[], from: number): string[] {
    const fields: string[] = [];
    let cookieAt = -1;
    for (let index = from; index < list.length; index += 2) {
      if (list[index] === 'host') continue;
      if (list[index] === 'cookie' && cookieAt >= 0) fields[cookieAt] += `; ${list[index + 1]}`;
      else {
        if (list[index] === 'cookie') cookieAt = fields.length + 1;
        fields.push(list[index], list[index + 1]);
      }
    }
    return fields;
  }
}

const METHOD = 1;
const SCHEME = 2;
const AUTHORITY = 4;
const PATH = 8;
const STATUS = 16;
const PROTOCOL = 32;

/** RFC 9113 §8.3: what must be there; '' when it is. */
function required(kind: BlockKind, seen: number, head: MessageHead): string {
  if (kind === 'trailers') return '';
  if (kind === 'response') return seen === STATUS ? '' : ':status is missing';
  if ((seen & PROTOCOL) !== 0) {
    // RFC 8441 §4.
    const all = METHOD | SCHEME | AUTHORITY | PATH | PROTOCOL;
    if (head.method !== 'CONNECT' || seen !== all) return ':protocol is for a whole CONNECT only';
  } else if (head.method === 'CONNECT') {
    return seen === (METHOD | AUTHORITY) ? '' : 'CONNECT must have :method and :authority only';
  }
  if ((seen & (METHOD | SCHEME | PATH)) !== (METHOD | SCHEME | PATH)) {
    return ':method, :scheme or :path is missing';
  }
  if (head.path.charCodeAt(0) === 0x2f || (head.path === '*' && head.method === 'OPTIONS'))
    return '';
  return ':path does not begin with "/"';
}

/** RFC 9113 §8.3.1: http and https have an authority, here or in Host. */
function checkTarget(head: MessageHead, seen: number): string {
  if (head.authority !== '' || (seen & SCHEME) === 0) return '';
  return head.scheme === 'http' || head.scheme === 'https' ? ':authority is missing' : '';
}

/** Visible ASCII: anything else would break, or forge, an HTTP/1.1 start line. */
function isVisible(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code <= 0x20 || code >= 0x7f) return false;
  }
  return true;
}

function isToken(text: string): boolean {
  return text === 'GET' || text === 'POST' || /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text);
}

/** RFC 9110 §7.8: a name, or a name and its version. */
function isProtocol(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash === -1) return isToken(text);
  return isToken(text.slice(0, slash)) && isToken(text.slice(slash + 1));
}

const STATUS_TEXT: string[] = [];
for (let status = 100; status < 1000; status++) STATUS_TEXT[status] = String(status);

/** Upper bound of what `writeBlock` writes. */
export function blockBytesMax(head: MessageHead): number {
  const { raw, fields } = head.parts;
  let bytes = UPDATE_BYTES_MAX + raw.fieldsEnd + (raw.count + 5) * FIELD_OVERHEAD_BYTES + 64;
  bytes +=
    head.upgrade.length +
    head.method.length +
    head.scheme.length +
    head.authority.length +
    head.path.length;
  for (let index = 0; index < fields.length; index += 2) {
    bytes += fields[index].length + fields[index + 1].length + FIELD_OVERHEAD_BYTES;
  }
  return bytes;
}

/** Encodes the head at `offset`; `out` has `blockBytesMax` of room. Returns the offset behind the block. */
export function writeBlock(
  encoder: HpackEncoder,
  head: MessageHead,
  out: Buffer,
  offset: number,
): number {
  let at = encoder.begin(out, offset);
  if (head.status !== 0) at = encoder.field(':status', STATUS_TEXT[head.status], out, at);
  else if (head.method !== '') {
    const extended = head.upgrade !== '';
    at = encoder.field(':method', extended ? 'CONNECT' : head.method, out, at);
    if (extended) at = encoder.field(':protocol', head.upgrade, out, at);
    if (head.method !== 'CONNECT') {
      at = encoder.field(':scheme', head.scheme, out, at);
      at = encoder.field(':path', head.path, out, at);
    }
    if (head.authority !== '') at = encoder.field(':authority', head.authority, out, at);
  }
  const { raw, hidden, fields } = head.parts;
  const { bytes, spans } = raw;
  for (let index = 0, span = 0; index < raw.count; index++, span += 4) {
    if ((hidden >>> index) & 1) continue;
    const name = fieldName(bytes, spans[span], spans[span + 1]);
    at = encoder.field(name, latin1(bytes, spans[span + 2], spans[span + 3]), out, at);
  }
  for (let index = 0; index < fields.length; index += 2) {
    at = encoder.field(fields[index], fields[index + 1], out, at);
  }
  return at;
}
