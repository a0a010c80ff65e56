/**
 * Log lines as the bytes that are written, one behind the other: a line that is put together here is not joined out of strings and
 * encoded later. Text from outside goes through `field`, which lets nobody forge a line.
 *
 *      0                     length            capacity: doubles when a line wants more
 *      │ line\n line\n line\n│                 │
 */
import { ACCESS_LOG_FIELD_CHARS_MAX } from '../limits.ts';
import { clean } from './format.ts';

/** What waits at most in a proxy whose output is read: a batch, and the lines of one turn of the loop. */
const CAPACITY = 64 * 1024;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DASH = 0x2d;
const ZERO = 0x30;
/** Integers of nine digits and fewer are written digit by digit; what is longer is rare. */
const DIGITS_MAX = 9;
/** A call of `set` takes as long as so many bytes one by one (bench micro-log). */
const LOOP_BYTES_MAX = 24;
const POWERS = Array.from({ length: DIGITS_MAX + 1 }, (_, digits) => 10 ** digits);

export class LineBuffer {
  #bytes = Buffer.allocUnsafe(CAPACITY);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Takes back what came after. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Empties it. The bytes are the caller's; a string of them would cost five times as much. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.#length);
    taken.set(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    if (this.#bytes.length > CAPACITY) this.#bytes = Buffer.allocUnsafe(CAPACITY);
    return taken;
  }

  byte(code: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = code;
  }

  part(part: Uint8Array): void {
    const { length } = part;
    this.#reserve(length);
    const bytes = this.#bytes;
    const at = this.#length;
    if (length > LOOP_BYTES_MAX) bytes.set(part, at);
    else for (let index = 0; index < length; index++) bytes[at + index] = part[index];
    this.#length = at + length;
  }

  /** As it is. */
  text(text: string): void {
    // A character is three bytes of UTF-8 at most, a pair of surrogates four.
    this.#reserve(text.length * 3);
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** `-` for nothing; what is long is cut, quotes and control characters are escaped (`clean`). */
  field(text: string | undefined): void {
    if (text === undefined || text === '') this.byte(DASH);
    else if (!this.#plain(text)) this.text(clean(text));
  }

  /** As JSON writes a string. */
  quoted(text: string): void {
    const before = this.#length;
    this.byte(QUOTE);
    if (this.#plain(text)) this.byte(QUOTE);
    else {
      this.#length = before;
      this.text(JSON.stringify(text));
    }
  }

  integer(value: number): void {
    if (!(value >= 0 && value < POWERS[DIGITS_MAX])) {
      this.text(String(value));
      return;
    }
    let digits = 1;
    while (value >= POWERS[digits]) digits += 1;
    this.#reserve(digits);
    const bytes = this.#bytes;
    this.#length += digits;
    let rest = value;
    for (let at = this.#length - 1; digits > 0; digits -= 1, at -= 1) {
      const tens = (rest / 10) | 0;
      bytes[at] = ZERO + rest - tens * 10;
      rest = tens;
    }
  }

  /** Nearly all fields are short and of ASCII that needs no escape: looked at and copied in one pass. False: not written. */
  #plain(text: string): boolean {
    const { length } = text;
    if (length > ACCESS_LOG_FIELD_CHARS_MAX) return false;
    this.#reserve(length);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code < 0x20 || code >= 0x7f || code === QUOTE || code === BACKSLASH) return false;
      bytes[at++] = code;
    }
    this.#length = at;
    return true;
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(wanted, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
