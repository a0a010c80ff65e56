/** Frames an outgoing HTTP/1.1 body: by length, in chunks, raw, or not at all; keeps to the length announced. */
import { CHUNK_SIZE_BYTES_MAX, writeChunkSize } from '#wire/h1/chunked.ts';
import type { MessageHead } from '../dispatch/message-head.ts';
import type { Output } from '../output.ts';
import { writeTrailers } from './head-writer.ts';

/** Body bytes are dropped: HEAD, 204, 304. */
export const WRITE_NOTHING = 0;
export const WRITE_LENGTH = 1;
export const WRITE_CHUNKED = 2;
/** Until the end of the connection, or of a tunnel. */
export const WRITE_RAW = 3;

const LAST_CHUNK = Buffer.from('0\r\n');
const CR = 0x0d;
const LF = 0x0a;

export class BodyWriter {
  private kind = WRITE_NOTHING;
  private left = 0;
  private readonly output: Output;

  constructor(output: Output) {
    this.output = output;
  }

  start(kind: number, length: number): void {
    this.kind = kind;
    this.left = length;
  }

  /** A client can tell a body that was cut from a whole one without the connection's end. */
  get endsItself(): boolean {
    return this.kind !== WRITE_RAW;
  }

  /** False when there is more than the length announced: nothing of `bytes` was written then. */
  write(bytes: Uint8Array): boolean {
    if (bytes.length === 0 || this.kind === WRITE_NOTHING) return true;
    const { output } = this;
    if (this.kind === WRITE_CHUNKED) {
      let at = output.reserve(CHUNK_SIZE_BYTES_MAX + bytes.length + 2);
      at = writeChunkSize(bytes.length, output.bytes, at);
      output.bytes.set(bytes, at);
      at += bytes.length;
      output.bytes[at] = CR;
      output.bytes[at + 1] = LF;
      output.commit(at + 2);
      return true;
    }
    if (this.kind === WRITE_LENGTH) {
      if (bytes.length > this.left) return false;
      this.left -= bytes.length;
    }
    output.writeThrough(bytes);
    return true;
  }

  /** False when there was less than the length announced. */
  end(trailers: MessageHead | undefined): boolean {
    if (this.kind === WRITE_LENGTH) return this.left === 0;
    if (this.kind === WRITE_CHUNKED) {
      this.output.append(LAST_CHUNK);
      writeTrailers(trailers, this.output);
    }
    return true;
  }
}
