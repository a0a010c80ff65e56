/**
 * Reads one head at a time into a buffer of its own, whatever the cuts, so that it outlives the chunk: the head
 * is valid until `start` is called for the next one.
 */
import { type HeadKind, HeadParser } from '#wire/h1/head-parser.ts';
import { HEAD_BYTES_MAX } from '#wire/h1/limits.ts';
import { HEAD_TOO_LARGE } from '#wire/h1/reasons.ts';

/** Most heads are shorter, and each connection has a reader. */
const FIRST_BYTES = 512;

export class HeadReader {
  readonly parser = new HeadParser();
  /** The head is [0, length) after `read` returned a positive offset. */
  bytes = Buffer.allocUnsafe(FIRST_BYTES);
  length = 0;
  private kept = 0;
  private readonly bytesMax: number;

  constructor(bytesMax: number = HEAD_BYTES_MAX) {
    this.bytesMax = bytesMax;
  }

  start(kind: HeadKind): void {
    this.parser.start(kind, this.bytesMax);
    this.kept = 0;
  }

  /** A part of a head has come. */
  get begun(): boolean {
    return this.kept > 0;
  }

  /** The offset behind the head, 0 when it goes on in the next chunk, or a negative reason. */
  read(chunk: Buffer, at: number, end: number): number {
    if (this.kept === 0) {
      const length = this.parser.parse(chunk, at, end);
      if (length < 0) return length;
      this.keep(chunk, at, length > 0 ? at + length : end);
      if (length === 0) return 0;
      this.length = length;
      this.kept = 0;
      return at + length;
    }
    const before = this.kept;
    const room = this.bytesMax + 1 - before;
    if (room <= 0) return HEAD_TOO_LARGE;
    this.keep(chunk, at, Math.min(end, at + room));
    const length = this.parser.parse(this.bytes, 0, this.kept);
    if (length <= 0) return length;
    this.length = length;
    this.kept = 0;
    return at + length - before;
  }

  /** What came of a head that `read` refused. */
  seen(chunk: Buffer, at: number): Buffer {
    return this.kept > 0 ? this.bytes.subarray(0, this.kept) : chunk.subarray(at);
  }

  private keep(chunk: Buffer, from: number, to: number): void {
    const count = to - from;
    if (this.kept + count > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max((this.kept + count) * 2, this.bytes.length));
      this.bytes.copy(larger, 0, 0, this.kept);
      this.bytes = larger;
    }
    chunk.copy(this.bytes, this.kept, from, to);
    this.kept += count;
  }
}
