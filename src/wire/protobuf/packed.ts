/**
 * Columns of small whole numbers as protobuf packs repeated varints: one number a row, whole tables without an object for each row. Message
 * tables hold a column as `bytes`, which is the same on the wire. A column of nothing but zeros is left out.
 */

/** Reasons below zero why a column cannot be read. */
export const PACKED_REASON = { cut: -1, large: -2, count: -3 } as const;

const PACKED_TEXT: Readonly<Record<number, string>> = {
  [PACKED_REASON.cut]: 'is cut short',
  [PACKED_REASON.large]: 'holds a number above 2^53',
  [PACKED_REASON.count]: 'has another number of rows',
};

export function packedReason(reason: number): string {
  return PACKED_TEXT[reason] ?? 'is malformed';
}

const FIRST_BYTES = 64;
/** Longest varint of a number up to 2^53. */
const VARINT_BYTES_MAX = 8;
const NOTHING = new Uint8Array(0);

export class PackedWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;
  #isZero = true;

  /** A whole number from 0 to 2^53 - 1. */
  add(value: number): void {
    if (this.#length + VARINT_BYTES_MAX > this.#bytes.length) this.#grow();
    const bytes = this.#bytes;
    let length = this.#length;
    let rest = value;
    if (rest !== 0) this.#isZero = false;
    // Shifts know 32 bits only.
    while (rest > 0x7fffffff) {
      bytes[length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      bytes[length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[length++] = rest;
    this.#length = length;
  }

  /** What was added, and begins anew. */
  take(): Uint8Array {
    const taken = this.#isZero ? NOTHING : this.#bytes.slice(0, this.#length);
    this.#length = 0;
    this.#isZero = true;
    return taken;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** Rows of a column that is not left out. */
export function countPacked(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] < 0x80) count++;
  return count;
}

/** Reads `count` rows, which must be all; 0, or a reason below. `into` has room for them. */
export function readPacked(bytes: Uint8Array, count: number, into: Float64Array): number {
  const { length } = bytes;
  if (length === 0) {
    into.fill(0, 0, count);
    return 0;
  }
  let at = 0;
  for (let row = 0; row < count; row++) {
    if (at === length) return PACKED_REASON.count;
    let byte = bytes[at++];
    let value = byte & 0x7f;
    let scale = 128;
    for (let size = 1; byte >= 0x80; size++) {
      if (at === length) return PACKED_REASON.cut;
      if (size === VARINT_BYTES_MAX) return PACKED_REASON.large;
      byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      scale *= 128;
    }
    if (value > Number.MAX_SAFE_INTEGER) return PACKED_REASON.large;
    into[row] = value;
  }
  return at === length ? 0 : PACKED_REASON.count;
}
