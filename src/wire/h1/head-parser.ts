/**
 * Splits an HTTP/1.1 head into an offset table (RFC 9112 §2-5), strictly: no bare LF, no space before a
 * colon, no line folding. One per connection, reused by `start`.
 *
 * Resumable: all offsets are relative to the head's first byte, so a caller whose chunk ended early copies what
 * it has into a buffer of its own and calls `parse` again on that buffer with more bytes behind. No byte is
 * looked at twice, except one at the cut.
 *
 *   METHOD → TARGET → VERSION ─┐
 *   STATUS_LINE → REASON ──────┴→ LINE_LF → NAME → VALUE → LINE_LF → … → END_LF
 */
import { COLON, CR, FIELD_TEXT, HTAB, LF, SP, TOKEN } from './ascii.ts';
import { Framing } from './framing.ts';
import { HEAD_BYTES_MAX, HEADERS_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX } from './limits.ts';
import * as reason from './reasons.ts';

const METHOD = 1;
const TARGET = 2;
const VERSION = 3;
const STATUS_LINE = 4;
const REASON = 5;
const LINE_LF = 6;
const NAME = 7;
const VALUE = 8;
const END_LF = 9;

/** Most heads have fewer fields, and each connection has a parser. */
const FIRST_HEADERS = 24;
/** Result of `skipEmptyLines` when the start line's first byte is there. */
const AT_START_LINE = 1;
const VERSION_BYTES = Buffer.from('HTTP/1.');

export type HeadKind = 'request' | 'response' | 'trailers';

export class HeadParser {
  /** Four a field: name start, name end, value start, value end. */
  spans = new Int32Array(FIRST_HEADERS * 4);
  count = 0;
  readonly framing = new Framing();
  /** Request: method is [methodStart, methodEnd), target is [targetStart, targetEnd). */
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** Response. */
  status = 0;
  /** Offset of the first field line and of the empty line. */
  fieldsStart = 0;
  fieldsEnd = 0;
  private state = METHOD;
  private at = 0;
  private mark = 0;
  private bytesMax = HEAD_BYTES_MAX;

  start(kind: HeadKind, bytesMax: number = HEAD_BYTES_MAX): void {
    this.state = kind === 'request' ? METHOD : kind === 'response' ? STATUS_LINE : NAME;
    this.at = 0;
    this.mark = 0;
    this.count = 0;
    this.status = 0;
    this.fieldsStart = 0;
    this.fieldsEnd = 0;
    this.bytesMax = bytesMax;
    this.framing.reset();
  }

  /** `base` is the head's first byte. Returns the head's length, NEED_MORE, or a negative reason. */
  parse(bytes: Uint8Array, base: number, end: number): number {
    const limit = Math.min(end, base + this.bytesMax);
    let result = reason.NEED_MORE;
    while (result === reason.NEED_MORE) {
      const before = this.at;
      const state = this.state;
      result = this.step(bytes, base, limit);
      if (result === reason.NEED_MORE && before === this.at && state === this.state) break;
    }
    if (result === reason.NEED_MORE && end - base >= this.bytesMax) return reason.HEAD_TOO_LARGE;
    return result;
  }

  private step(bytes: Uint8Array, base: number, limit: number): number {
    switch (this.state) {
      case METHOD:
        return this.method(bytes, base, limit);
      case TARGET:
        return this.target(bytes, base, limit);
      case VERSION:
        return this.version(bytes, base, limit);
      case STATUS_LINE:
        return this.statusLine(bytes, base, limit);
      case REASON:
        return this.reasonPhrase(bytes, base, limit);
      case LINE_LF:
        if (base + this.at >= limit) return reason.NEED_MORE;
        if (bytes[base + this.at] !== LF) return reason.BAD_LINE_END;
        this.at += 1;
        if (this.fieldsStart === 0) this.fieldsStart = this.at;
        this.mark = this.at;
        this.state = NAME;
        return reason.NEED_MORE;
      case NAME:
        return this.name(bytes, base, limit);
      case VALUE:
        return this.value(bytes, base, limit);
      default:
        if (base + this.at >= limit) return reason.NEED_MORE;
        if (bytes[base + this.at] !== LF) return reason.BAD_LINE_END;
        this.at += 1;
        return this.finish(bytes, base);
    }
  }

  /** RFC 9112 §2.2: an empty line before the start line is skipped. METHOD → TARGET on ' '. */
  private method(bytes: Uint8Array, base: number, limit: number): number {
    if (this.at === this.mark) {
      const skipped = this.skipEmptyLines(bytes, base, limit);
      if (skipped !== AT_START_LINE) return skipped;
    }
    let at = base + this.at;
    while (at < limit && TOKEN[bytes[at]] === 1) at++;
    this.at = at - base;
    if (this.at - this.mark > METHOD_BYTES_MAX) return reason.BAD_METHOD;
    if (at === limit) return reason.NEED_MORE;
    if (bytes[at] !== SP || this.at === this.mark) return reason.BAD_METHOD;
    this.methodStart = this.mark;
    this.methodEnd = this.at;
    this.at += 1;
    this.targetStart = this.at;
    this.state = TARGET;
    return reason.NEED_MORE;
  }

  private skipEmptyLines(bytes: Uint8Array, base: number, limit: number): number {
    let at = base + this.at;
    while (at < limit && bytes[at] === CR) {
      if (at + 1 === limit) return reason.NEED_MORE;
      if (bytes[at + 1] !== LF) return reason.BAD_LINE_END;
      at += 2;
      this.at = at - base;
      this.mark = this.at;
    }
    return at === limit ? reason.NEED_MORE : AT_START_LINE;
  }

  /** Visible ASCII only. TARGET → VERSION on ' '. */
  private target(bytes: Uint8Array, base: number, limit: number): number {
    let at = base + this.at;
    while (at < limit && bytes[at] > SP && bytes[at] < 0x7f) at++;
    this.at = at - base;
    if (this.at - this.targetStart > TARGET_BYTES_MAX) return reason.TARGET_TOO_LONG;
    if (at === limit) return reason.NEED_MORE;
    if (bytes[at] !== SP || this.at === this.targetStart) return reason.BAD_TARGET;
    this.targetEnd = this.at;
    this.at += 1;
    this.state = VERSION;
    return reason.NEED_MORE;
  }

  /** VERSION → LINE_LF on CR. */
  private version(bytes: Uint8Array, base: number, limit: number): number {
    const start = base + this.at;
    for (let index = 0; index < 9 && start + index < limit; index++) {
      const byte = bytes[start + index];
      if (index < 7 ? byte !== VERSION_BYTES[index] : index === 7 && (byte & 0xfe) !== 0x30) {
        return reason.BAD_VERSION;
      }
      if (index === 8 && byte !== CR) return byte === LF ? reason.BAD_LINE_END : reason.BAD_VERSION;
    }
    if (start + 9 > limit) return reason.NEED_MORE;
    this.framing.minor = bytes[start + 7] - 0x30;
    this.at += 9;
    this.state = LINE_LF;
    return reason.NEED_MORE;
  }

  /** "HTTP/1.1 200 " or, from servers that leave the space away, "HTTP/1.1 200" and CR. */
  private statusLine(bytes: Uint8Array, base: number, limit: number): number {
    const skipped = this.skipEmptyLines(bytes, base, limit);
    if (skipped !== AT_START_LINE) return skipped;
    const start = base + this.at;
    let status = 0;
    for (let index = 0; index < 13 && start + index < limit; index++) {
      const byte = bytes[start + index];
      if (index < 7 ? byte !== VERSION_BYTES[index] : index === 7 && (byte & 0xfe) !== 0x30) {
        return reason.BAD_VERSION;
      }
      if (index === 8 && byte !== SP) return reason.BAD_VERSION;
      if (index > 8 && index < 12) {
        if (byte < 0x30 || byte > 0x39) return reason.BAD_STATUS;
        status = status * 10 + byte - 0x30;
      }
      if (index === 12 && byte !== SP && byte !== CR) return reason.BAD_STATUS;
    }
    if (start + 13 > limit) return reason.NEED_MORE;
    if (status < 100) return reason.BAD_STATUS;
    this.status = status;
    this.framing.minor = bytes[start + 7] - 0x30;
    this.at += bytes[start + 12] === CR ? 12 : 13;
    this.state = REASON;
    return reason.NEED_MORE;
  }

  /** REASON → LINE_LF on CR. */
  private reasonPhrase(bytes: Uint8Array, base: number, limit: number): number {
    let at = base + this.at;
    while (at < limit && FIELD_TEXT[bytes[at]] === 1) at++;
    this.at = at - base;
    if (at === limit) return reason.NEED_MORE;
    if (bytes[at] !== CR) return bytes[at] === LF ? reason.BAD_LINE_END : reason.BAD_REASON_PHRASE;
    this.at += 1;
    this.state = LINE_LF;
    return reason.NEED_MORE;
  }

  /** NAME → VALUE on ':', → END_LF on CR at the line's beginning. */
  private name(bytes: Uint8Array, base: number, limit: number): number {
    let at = base + this.at;
    while (at < limit && TOKEN[bytes[at]] === 1) at++;
    this.at = at - base;
    if (at === limit) return reason.NEED_MORE;
    const byte = bytes[at];
    if (this.at === this.mark) {
      if (byte === CR) {
        this.fieldsEnd = this.at;
        this.at += 1;
        this.state = END_LF;
        return reason.NEED_MORE;
      }
      // RFC 9112 §5.2: a server must reject obs-fold, a proxy reading a response may.
      if (byte === SP || byte === HTAB) return reason.LINE_FOLDING;
      return byte === LF ? reason.BAD_LINE_END : reason.BAD_FIELD_NAME;
    }
    // RFC 9112 §5.1: no white space between the name and the colon.
    if (byte !== COLON) return reason.BAD_FIELD_NAME;
    if (this.count === HEADERS_MAX) return reason.TOO_MANY_FIELDS;
    const slot = this.count * 4;
    if (slot === this.spans.length) this.makeRoom();
    this.spans[slot] = this.mark;
    this.spans[slot + 1] = this.at;
    this.at += 1;
    this.mark = this.at;
    this.state = VALUE;
    return this.value(bytes, base, limit);
  }

  /** VALUE → LINE_LF on CR; surrounding white space is not part of the value. */
  private value(bytes: Uint8Array, base: number, limit: number): number {
    let at = base + this.at;
    while (at < limit && FIELD_TEXT[bytes[at]] === 1) at++;
    this.at = at - base;
    if (at === limit) return reason.NEED_MORE;
    if (bytes[at] !== CR) return bytes[at] === LF ? reason.BAD_LINE_END : reason.BAD_FIELD_VALUE;
    let first = base + this.mark;
    let last = at;
    while (first < last && (bytes[first] === SP || bytes[first] === HTAB)) first++;
    while (last > first && (bytes[last - 1] === SP || bytes[last - 1] === HTAB)) last--;
    const slot = this.count * 4;
    this.spans[slot + 2] = first - base;
    this.spans[slot + 3] = last - base;
    this.count += 1;
    this.at += 1;
    this.state = LINE_LF;
    return this.framing.field(bytes, base, this.spans, this.count - 1);
  }

  private makeRoom(): void {
    const larger = new Int32Array(HEADERS_MAX * 4);
    larger.set(this.spans);
    this.spans = larger;
  }

  private finish(bytes: Uint8Array, base: number): number {
    const verdict = this.framing.finish(bytes, base, this.spans, this.count);
    return verdict < 0 ? verdict : this.at;
  }
}
