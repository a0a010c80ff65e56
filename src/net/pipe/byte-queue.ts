/**
 * Bytes that wait for a slow taker, copied, in the order they came. However small the pieces are in which a peer sends
 * them, they cost no more memory than about twice their sum: small pieces are gathered in a buffer.
 *
 *   [ ······ ][ ···· ] … [ ····▒▒▒▒ ]      ▒ room
 *    └ chunks, head first   └ gathered
 */
import { QUEUE_CHUNK_BYTES } from '../limits.ts';

const GATHER_BYTES_MIN = 256;
/** Taken chunks that may lie before the first one until they are let go; also half of all. */
const COMPACT_MIN = 8;

/** Of all queues that hold no chunk, which is nearly all. */
const NO_CHUNKS: Uint8Array[] = [];

export class ByteQueue {
  bytes = 0;
  private chunks = NO_CHUNKS;
  /** Index of the first chunk that waits; avoids `shift` on long queues. */
  private head = 0;
  /** Behind the chunks: [gatheredFrom, gatheredTo) of it waits. */
  private gathered: Uint8Array | undefined = undefined;
  private gatheredFrom = 0;
  private gatheredTo = 0;

  push(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length === 0) return;
    this.bytes += length;
    if (length >= QUEUE_CHUNK_BYTES) {
      this.closeGathered();
      // The chunk is the runtime's: copy what outlives this call (`slice` of a Buffer would share its memory).
      this.addChunk(new Uint8Array(bytes));
      return;
    }
    if (this.gathered === undefined) {
      // As it is: often it is all that ever waits, and a part of so small an array costs more than the array.
      this.gathered = new Uint8Array(bytes);
      this.gatheredTo = length;
      return;
    }
    if (this.gatheredTo + length > this.gathered.length) {
      // Buffers double, so that few bytes on many connections stay few.
      const wanted = Math.max(GATHER_BYTES_MIN, length, 2 * this.gathered.length);
      this.closeGathered();
      this.gathered = new Uint8Array(Math.min(QUEUE_CHUNK_BYTES, wanted));
    }
    this.gathered.set(bytes, this.gatheredTo);
    this.gatheredTo += length;
  }

  /** The oldest bytes; `take` what was used of them. */
  get first(): Uint8Array | undefined {
    if (this.head < this.chunks.length) return this.chunks[this.head];
    return this.gathered === undefined ? undefined : this.waitingOf(this.gathered);
  }

  /** Drops the first `count` bytes of `first`. */
  take(count: number): void {
    this.bytes -= count;
    if (this.bytes === 0) {
      this.clear();
      return;
    }
    const chunk = this.chunks[this.head];
    if (chunk === undefined) this.gatheredFrom += count;
    else if (count < chunk.length) this.chunks[this.head] = chunk.subarray(count);
    else this.dropFirst();
  }

  clear(): void {
    this.chunks = NO_CHUNKS;
    this.head = 0;
    this.gathered = undefined;
    this.gatheredFrom = 0;
    this.gatheredTo = 0;
    this.bytes = 0;
  }

  /** A queue that never runs empty must not keep what is gone. */
  private dropFirst(): void {
    this.head++;
    if (this.head < COMPACT_MIN || this.head * 2 < this.chunks.length) return;
    this.chunks.splice(0, this.head);
    this.head = 0;
  }

  private waitingOf(gathered: Uint8Array): Uint8Array {
    const { gatheredFrom: from, gatheredTo: to } = this;
    return from === 0 && to === gathered.length ? gathered : gathered.subarray(from, to);
  }

  private addChunk(chunk: Uint8Array): void {
    if (this.chunks === NO_CHUNKS) this.chunks = [chunk];
    else this.chunks.push(chunk);
  }

  private closeGathered(): void {
    if (this.gathered === undefined) return;
    this.addChunk(this.waitingOf(this.gathered));
    this.gathered = undefined;
    this.gatheredFrom = 0;
    this.gatheredTo = 0;
  }
}
