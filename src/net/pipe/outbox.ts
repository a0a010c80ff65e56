/**
 * Keeps what a short `write` left over and sends it on `drain`. One per direction of a pipe, or per connection
 * that a protocol driver writes to; while it holds bytes nobody else may write to the sink.
 */
import { OUTBOX_HIGH_BYTES, OUTBOX_LOW_BYTES } from '../limits.ts';

export interface Sink {
  write(bytes: Uint8Array): number;
}

/** What many connections hold together; at `bytesMax` each of them reads no more than it can pass on. */
export interface BufferAccount {
  bytes: number;
  readonly bytesMax: number;
}

export const UNBOUNDED: BufferAccount = { bytes: 0, bytesMax: Number.POSITIVE_INFINITY };

export class Outbox {
  readonly #sink: Sink;
  readonly #account: BufferAccount;
  #chunks: Uint8Array[] = [];
  /** Index of the first chunk not yet sent whole; avoids `shift` on long queues. */
  #head = 0;
  #bytes = 0;

  constructor(sink: Sink, account: BufferAccount = UNBOUNDED) {
    this.#sink = sink;
    this.#account = account;
  }

  /** Bytes waiting. */
  get bytes(): number {
    return this.#bytes;
  }

  get empty(): boolean {
    return this.#bytes === 0;
  }

  /** Above the mark at which the source should pause. */
  get full(): boolean {
    return this.#bytes >= OUTBOX_HIGH_BYTES || this.#account.bytes >= this.#account.bytesMax;
  }

  /** Down to the mark at which a paused source may go on. */
  get low(): boolean {
    if (this.#account.bytes >= this.#account.bytesMax) return this.#bytes === 0;
    return this.#bytes <= OUTBOX_LOW_BYTES;
  }

  /** Sends now or keeps a copy of the rest; true when everything left at once. */
  push(bytes: Uint8Array): boolean {
    let taken = 0;
    if (this.#bytes === 0) {
      taken = this.#sink.write(bytes);
      if (taken === bytes.length) return true;
    }
    // The chunk is the runtime's: copy what outlives this call (`slice` of a Buffer would share its memory).
    const rest = new Uint8Array(bytes.subarray(taken));
    this.#chunks.push(rest);
    this.#bytes += rest.length;
    this.#account.bytes += rest.length;
    return false;
  }

  /** True when nothing is left. */
  flush(): boolean {
    while (this.#head < this.#chunks.length) {
      const chunk = this.#chunks[this.#head];
      const taken = this.#sink.write(chunk);
      this.#bytes -= taken;
      this.#account.bytes -= taken;
      if (taken < chunk.length) {
        if (taken > 0) this.#chunks[this.#head] = chunk.subarray(taken);
        return false;
      }
      this.#head++;
    }
    this.#chunks = [];
    this.#head = 0;
    return true;
  }

  clear(): void {
    this.#account.bytes -= this.#bytes;
    this.#chunks = [];
    this.#head = 0;
    this.#bytes = 0;
  }
}
