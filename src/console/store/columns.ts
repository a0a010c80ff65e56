/**
 * Numbers as bytes, column by column: LEB128, small negative ones folded beside small positive ones, each column compressed by itself (one statistic a
 * column is what makes it small). Used by block.ts. Reading stops at the end of a column and says so; it never throws and never reads past it.
 */

const COLUMN_BYTES_AT_FIRST = 256;
/** Below it a compressed frame is larger than what is in it. */
const COMPRESS_BYTES_MIN = 48;
/** Beyond level 3 the figures of docs/decisions/024 gain 1 % for ten times the time. */
const LEVEL = 3;
const CHECK_BYTES = 4;
/** What a column of a whole mesh can have, and then some: a broken length must not ask for the machine's memory. */
const COLUMN_BYTES_MAX = 64 * 1024 * 1024;

export class ColumnWriter {
  #bytes = new Uint8Array(COLUMN_BYTES_AT_FIRST);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  /** A whole number from 0 up to 2^53. */
  put(value: number): void {
    if (this.#length + 8 > this.#bytes.length) this.#grow();
    let rest = value;
    while (rest > 0x7fffffff) {
      this.#bytes[this.#length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  /** 0, -1, 1, -2, 2 … as 0, 1, 2, 3, 4 … */
  putSigned(value: number): void {
    this.put(value < 0 ? -value * 2 - 1 : value * 2);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

export class ColumnReader {
  #bytes: Uint8Array;
  #at = 0;
  /** More was asked for than there is. */
  isShort = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (this.#at >= this.#bytes.length) {
        this.isShort = true;
        return 0;
      }
      const byte = this.#bytes[this.#at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  }

  takeSigned(): number {
    const folded = this.take();
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }
}

/** `[columns] { [raw bytes] [stored bytes, 0: not compressed] }…`, the columns, and a check sum over it all: a disk may give back anything. */
export function packColumns(columns: readonly ColumnWriter[]): Uint8Array {
  const head = new ColumnWriter();
  head.put(columns.length);
  const parts = columns.map((column) => {
    const raw = column.bytes();
    if (raw.length < COMPRESS_BYTES_MIN) {
      head.put(raw.length);
      head.put(0);
      return raw;
    }
    const compressed = Bun.zstdCompressSync(raw, { level: LEVEL });
    const isSmaller = compressed.length < raw.length;
    head.put(raw.length);
    head.put(isSmaller ? compressed.length : 0);
    return isSmaller ? compressed : raw;
  });
  const bytes = Buffer.concat([head.bytes(), ...parts, new Uint8Array(CHECK_BYTES)]);
  const end = bytes.length - CHECK_BYTES;
  bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(0, end)), end);
  return bytes;
}

/** Undefined when it is not what packColumns makes. */
export function unpackColumns(packed: Uint8Array, columns: number): ColumnReader[] | undefined {
  if (packed.length < CHECK_BYTES) return undefined;
  const bytes = packed.subarray(0, packed.length - CHECK_BYTES);
  const check = new DataView(packed.buffer, packed.byteOffset + bytes.length);
  if (Bun.hash.crc32(bytes) !== check.getUint32(0, true)) return undefined;
  const head = new ColumnReader(bytes);
  let headBytes = 1;
  if (head.take() !== columns) return undefined;
  const lengths: { raw: number; stored: number }[] = [];
  for (let index = 0; index < columns; index++) {
    const raw = head.take();
    const stored = head.take();
    if (head.isShort || raw > COLUMN_BYTES_MAX) return undefined;
    headBytes += sizeOf(raw) + sizeOf(stored);
    lengths.push({ raw, stored });
  }
  const readers: ColumnReader[] = [];
  let at = headBytes;
  for (const { raw, stored } of lengths) {
    const end = at + (stored === 0 ? raw : stored);
    if (end > bytes.length) return undefined;
    const part = bytes.subarray(at, end);
    const column = stored === 0 ? part : inflated(part, raw);
    if (column === undefined) return undefined;
    readers.push(new ColumnReader(column));
    at = end;
  }
  return readers;
}

function sizeOf(value: number): number {
  let size = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size++;
  return size;
}

function inflated(part: Uint8Array, raw: number): Uint8Array | undefined {
  try {
    const bytes = Bun.zstdDecompressSync(part);
    return bytes.length === raw ? bytes : undefined;
  } catch (error) {
    // The library throws on broken frames; here they are told like every other broken block.
    return void error;
  }
}
