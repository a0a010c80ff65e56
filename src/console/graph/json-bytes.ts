/**
 * JSON text as bytes in one buffer that is used again: a text of 14 MB in one string is as much garbage, and slow to put together. Numbers are written digit by digit:
 * of a large graph they are half a million, and each would be a string first.
 */

const BYTES_AT_FIRST = 64 * 1024;
/** UTF-8 of one UTF-16 unit. */
const UNIT_BYTES_MAX = 3;
/** Larger ones are seldom, and slower to divide. */
const INTEGER_MAX = 0x7fff_ffff;
/** Its digits and a point. */
const NUMBER_BYTES_MAX = 12;
/** Shorter ones are copied faster in a loop than by a call. */
const LOOP_BYTES_MAX = 48;
const ZERO = 48;
const POINT = 46;
/** Two digits at a time: a division is what a digit costs. */
const TENS = Uint8Array.from({ length: 100 }, (_, pair) => ZERO + Math.floor(pair / 10));
const ONES = Uint8Array.from({ length: 100 }, (_, pair) => ZERO + (pair % 10));

export class JsonBytes {
  #bytes = Buffer.allocUnsafeSlow(BYTES_AT_FIRST);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  /** Back to what it was when it had this length. */
  cut(length: number): void {
    this.#length = Math.min(length, this.#length);
  }

  put(text: string): void {
    this.#room(text.length * UNIT_BYTES_MAX);
    this.#length += this.#bytes.write(text, this.#length, 'utf8');
  }

  /** Text that is often put, encoded once. */
  putBytes(piece: Uint8Array): void {
    this.#room(piece.length);
    const bytes = this.#bytes;
    if (piece.length > LOOP_BYTES_MAX) bytes.set(piece, this.#length);
    else for (let at = 0; at < piece.length; at++) bytes[this.#length + at] = piece[at];
    this.#length += piece.length;
  }

  /** `scaled` / 10^`decimals` as JSON.stringify writes it; `scaled` is whole and not negative. */
  putNumber(scaled: number, decimals = 0): void {
    if (scaled > INTEGER_MAX) {
      this.put(String(scaled / 10 ** decimals));
      return;
    }
    let rest = scaled | 0;
    let places = decimals;
    while (places > 0 && rest % 10 === 0) {
      rest = (rest / 10) | 0;
      places--;
    }
    const digits = Math.max(digitsOf(rest), places + 1);
    this.#room(NUMBER_BYTES_MAX);
    const bytes = this.#bytes;
    let at = this.#length + digits + (places > 0 ? 1 : 0);
    this.#length = at;
    if (places > 0) {
      for (let left = places; left > 0; left--) {
        const next = (rest / 10) | 0;
        bytes[--at] = ZERO + rest - next * 10;
        rest = next;
      }
      bytes[--at] = POINT;
    }
    let left = digits - places;
    for (; left > 1; left -= 2) {
      const next = (rest / 100) | 0;
      bytes[--at] = ONES[rest - next * 100];
      bytes[--at] = TENS[rest - next * 100];
      rest = next;
    }
    if (left === 1) bytes[--at] = ZERO + rest;
  }

  /** A stretch of another's. */
  putFrom(other: JsonBytes, start: number, end: number): void {
    this.#room(end - start);
    this.#length += other.#bytes.copy(this.#bytes, this.#length, start, end);
  }

  /** A copy of what was put, of its own. */
  taken(): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(this.#length);
    taken.set(this.peek());
    this.clear();
    return taken;
  }

  /** The same without a copy: good until something else is put. */
  peek(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

function digitsOf(whole: number): number {
  if (whole < 10_000) return whole < 100 ? (whole < 10 ? 1 : 2) : whole < 1000 ? 3 : 4;
  let digits = 4;
  for (let rest = (whole / 10_000) | 0; rest > 0; rest = (rest / 10) | 0) digits++;
  return digits;
}
