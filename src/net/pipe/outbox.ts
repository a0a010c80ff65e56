/**
 * Keeps what a short `write` left over and sends it on `drain`. One per direction of a pipe, or per connection
 * that a protocol driver writes to; while it holds bytes nobody else may write to the sink.
 */
import { OUTBOX_HIGH_BYTES, OUTBOX_LOW_BYTES } from '../limits.ts';
import { ByteQueue } from './byte-queue.ts';
import { giveBack } from './give-back.ts';

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
  /** Made when something has to wait: most sinks take all at once. */
  #queue: ByteQueue | undefined = undefined;

  constructor(sink: Sink, account: BufferAccount = UNBOUNDED) {
    this.#sink = sink;
    this.#account = account;
  }

  /** Bytes waiting. */
  get bytes(): number {
    return this.#queue?.bytes ?? 0;
  }

  get empty(): boolean {
    return this.bytes === 0;
  }

  /** Above the mark at which the source should pause. */
  get full(): boolean {
    return this.bytes >= OUTBOX_HIGH_BYTES || this.#account.bytes >= this.#account.bytesMax;
  }

  /** Down to the mark at which a paused source may go on. */
  get low(): boolean {
    if (this.#account.bytes >= this.#account.bytesMax) return this.empty;
    return this.bytes <= OUTBOX_LOW_BYTES;
  }

  /** Sends now or keeps a copy of the rest; true when everything left at once. */
  push(bytes: Uint8Array): boolean {
    let taken = 0;
    if (this.empty) {
      taken = this.#sink.write(bytes);
      if (taken === bytes.length) return true;
    }
    this.#queue ??= new ByteQueue();
    this.#queue.push(bytes.subarray(taken));
    this.#account.bytes += bytes.length - taken;
    return false;
  }

  /** True when nothing is left. */
  flush(): boolean {
    const queue = this.#queue;
    for (let chunk = queue?.first; chunk !== undefined; chunk = queue?.first) {
      const taken = this.#sink.write(chunk);
      this.#account.bytes -= taken;
      queue?.take(taken);
      if (taken < chunk.length) return false;
      giveBack(chunk);
    }
    return true;
  }

  clear(): void {
    this.#account.bytes -= this.bytes;
    this.#queue = undefined;
  }
}
