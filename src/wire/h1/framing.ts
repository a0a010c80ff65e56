/**
 * What the fields of a head say about framing and about this hop: body length, persistence, upgrade, Host.
 * Filled field by field while a head is parsed. Anything two readers could take differently is refused
 * (RFC 9112 §6.3, §11.2).
 */
import { HTAB, SP, spells } from './ascii.ts';
import { CONTENT_LENGTH_DIGITS_MAX } from './limits.ts';
import * as reason from './reasons.ts';

const COMMA = 0x2c;

export class Framing {
  /** Minor version of the message: 0 or 1. */
  minor = 1;
  /** -1 when there is none. */
  contentLength = -1;
  chunked = false;
  /** Connection options. */
  close = false;
  keepAlive = false;
  upgrade = false;
  /** Expect: 100-continue, and an expectation that nobody knows. */
  continue = false;
  unknownExpectation = false;
  /** TE: trailers (RFC 9110 §10.1.4). */
  trailers = false;
  /** Index of the Host and of the Upgrade field, -1 when absent. */
  hostIndex = -1;
  upgradeIndex = -1;
  /** Fields (first 32) that end at this hop, or frame the message: the bit of each is set. Content-Length is not. */
  hopByHop = 0;
  /** The same for fields from the 33rd on, by index. */
  hopByHopBeyond: number[] = [];
  /** The Connection field names further fields; they are in `hopByHop` after `finish`. */
  private nominates = false;
  /** After `token`: the offset behind it. */
  private tokenEnd = 0;

  reset(): void {
    this.minor = 1;
    this.contentLength = -1;
    this.chunked = false;
    this.close = false;
    this.keepAlive = false;
    this.upgrade = false;
    this.continue = false;
    this.unknownExpectation = false;
    this.trailers = false;
    this.hostIndex = -1;
    this.upgradeIndex = -1;
    this.hopByHop = 0;
    if (this.hopByHopBeyond.length > 0) this.hopByHopBeyond = [];
    this.nominates = false;
  }

  /** Whether the connection may carry another message (RFC 9112 §9.3). */
  get persistent(): boolean {
    return !this.close && (this.minor === 1 || this.keepAlive);
  }

  /** Looks at field `index`. NEED_MORE to go on, or a negative reason. */
  field(bytes: Uint8Array, base: number, spans: Int32Array, index: number): number {
    const start = base + spans[index * 4];
    const end = base + spans[index * 4 + 1];
    switch (end - start) {
      case 2:
        if (spells(bytes, start, end, 'te')) this.te(bytes, base, spans, index);
        return reason.NEED_MORE;
      case 4:
        if (!spells(bytes, start, end, 'host')) return reason.NEED_MORE;
        if (this.hostIndex >= 0) return reason.TWO_HOSTS;
        this.hostIndex = index;
        return reason.NEED_MORE;
      case 6:
        if (spells(bytes, start, end, 'expect')) return this.expect(bytes, base, spans, index);
        return reason.NEED_MORE;
      case 7:
        if (spells(bytes, start, end, 'upgrade')) {
          this.upgradeIndex = index;
          this.hide(index);
        }
        return reason.NEED_MORE;
      case 10:
        if (spells(bytes, start, end, 'connection'))
          return this.connection(bytes, base, spans, index);
        if (spells(bytes, start, end, 'keep-alive')) this.hide(index);
        return reason.NEED_MORE;
      case 14:
        // RFC 7540 §3.2.1: for an upgrade to HTTP/2 on this hop, which nobody offers any more (RFC 9113).
        if (spells(bytes, start, end, 'http2-settings')) this.hide(index);
        if (!spells(bytes, start, end, 'content-length')) return reason.NEED_MORE;
        return this.length(bytes, base + spans[index * 4 + 2], base + spans[index * 4 + 3]);
      case 16:
        if (spells(bytes, start, end, 'proxy-connection')) this.hide(index);
        return reason.NEED_MORE;
      case 17:
        if (!spells(bytes, start, end, 'transfer-encoding')) return reason.NEED_MORE;
        return this.coding(bytes, base, spans, index);
      default:
        return reason.NEED_MORE;
    }
  }

  finish(bytes: Uint8Array, base: number, spans: Int32Array, count: number): number {
    // RFC 9112 §6.1: both is an attack or a broken peer; §6.1: a coding in HTTP/1.0 is faulty framing.
    if (this.chunked && this.contentLength >= 0) return reason.LENGTH_AND_CODING;
    if (this.chunked && this.minor === 0) return reason.BAD_TRANSFER_CODING;
    if (this.nominates) this.hideNominated(bytes, base, spans, count);
    return reason.NEED_MORE;
  }

  private hide(index: number): void {
    if (index < 32) this.hopByHop |= 1 << index;
    else this.hopByHopBeyond.push(index);
  }

  private expect(bytes: Uint8Array, base: number, spans: Int32Array, index: number): number {
    const [start, end] = [base + spans[index * 4 + 2], base + spans[index * 4 + 3]];
    // RFC 9110 §10.1.1: HTTP/1.0 knows no expectation.
    if (this.minor === 0) this.hide(index);
    else if (spells(bytes, start, end, '100-continue')) this.continue = true;
    else if (start < end) this.unknownExpectation = true;
    return reason.NEED_MORE;
  }

  private te(bytes: Uint8Array, base: number, spans: Int32Array, index: number): void {
    this.hide(index);
    const valueEnd = base + spans[index * 4 + 3];
    let start = this.token(bytes, base + spans[index * 4 + 2], valueEnd);
    while (start >= 0) {
      if (spells(bytes, start, this.tokenEnd, 'trailers')) this.trailers = true;
      start = this.token(bytes, this.tokenEnd, valueEnd);
    }
  }

  private length(bytes: Uint8Array, start: number, end: number): number {
    if (this.contentLength >= 0) return reason.TWO_CONTENT_LENGTHS;
    if (end === start || end - start > CONTENT_LENGTH_DIGITS_MAX) return reason.BAD_CONTENT_LENGTH;
    let value = 0;
    for (let at = start; at < end; at++) {
      const digit = bytes[at] - 0x30;
      if (digit < 0 || digit > 9) return reason.BAD_CONTENT_LENGTH;
      value = value * 10 + digit;
    }
    this.contentLength = value;
    return reason.NEED_MORE;
  }

  private coding(bytes: Uint8Array, base: number, spans: Int32Array, index: number): number {
    if (this.contentLength >= 0) return reason.LENGTH_AND_CODING;
    const [start, end] = [base + spans[index * 4 + 2], base + spans[index * 4 + 3]];
    if (this.chunked || !spells(bytes, start, end, 'chunked')) return reason.BAD_TRANSFER_CODING;
    this.chunked = true;
    this.hide(index);
    return reason.NEED_MORE;
  }

  private connection(bytes: Uint8Array, base: number, spans: Int32Array, index: number): number {
    this.hide(index);
    const valueEnd = base + spans[index * 4 + 3];
    let start = this.token(bytes, base + spans[index * 4 + 2], valueEnd);
    while (start >= 0) {
      const end = this.tokenEnd;
      if (spells(bytes, start, end, 'close')) this.close = true;
      else if (spells(bytes, start, end, 'keep-alive')) this.keepAlive = true;
      else if (spells(bytes, start, end, 'upgrade')) this.upgrade = true;
      else this.nominates = true;
      start = this.token(bytes, end, valueEnd);
    }
    return reason.NEED_MORE;
  }

  /** Rare, so a plain double loop. End-to-end fields that framing or routing needs cannot be nominated away. */
  private hideNominated(bytes: Uint8Array, base: number, spans: Int32Array, count: number): void {
    for (let index = 0; index < count; index++) {
      const nameStart = base + spans[index * 4];
      const nameEnd = base + spans[index * 4 + 1];
      if (!spells(bytes, nameStart, nameEnd, 'connection')) continue;
      const valueEnd = base + spans[index * 4 + 3];
      let start = this.token(bytes, base + spans[index * 4 + 2], valueEnd);
      while (start >= 0) {
        const end = this.tokenEnd;
        const token = String.fromCharCode(...bytes.subarray(start, end)).toLowerCase();
        start = this.token(bytes, end, valueEnd);
        if (token === 'host' || token === 'content-length') continue;
        for (let other = 0; other < count; other++) {
          const otherStart = base + spans[other * 4];
          if (spells(bytes, otherStart, base + spans[other * 4 + 1], token)) this.hide(other);
        }
      }
    }
  }

  /** Next element of a comma-separated list without surrounding white space: [result, tokenEnd), or -1. */
  private token(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    while (at < end && (bytes[at] === SP || bytes[at] === HTAB || bytes[at] === COMMA)) at++;
    if (at === end) return -1;
    let last = at + 1;
    for (let stop = last; stop < end && bytes[stop] !== COMMA; stop++) {
      if (bytes[stop] !== SP && bytes[stop] !== HTAB) last = stop + 1;
    }
    this.tokenEnd = last;
    return at;
  }
}
