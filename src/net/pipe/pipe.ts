/**
 * Copies bytes both ways between two connections until both directions ended.
 *
 *   downstream ──onData──▶ outbox ──write──▶ upstream      (sent upstream: receivedBytes)
 *   downstream ◀──write── outbox ◀──onData── upstream      (sent downstream: sentBytes)
 *
 * FIN travels as FIN after the bytes before it, a reset as a reset, at once. A slow sink pauses its source. The
 * pipe becomes the handler of both connections.
 */
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import { type BufferAccount, Outbox } from './outbox.ts';

export interface PipeCounters {
  /** Bytes read from the downstream side. */
  receivedBytes: number;
  /** Bytes read from the upstream side. */
  sentBytes: number;
}

export interface PipeOptions {
  readonly counters: PipeCounters;
  /** Counts what waits in both directions. */
  readonly account?: BufferAccount;
  /**
   * Once, when both connections are closed: `error` is undefined when both directions ended in order, `side` whose connection
   * broke; without an error, who sent FIN first.
   */
  onFinished(error: MeshError | undefined, side: PipeSide | undefined): void;
}

export type PipeSide = 'downstream' | 'upstream';

export class Pipe {
  /** Handlers of the two connections. */
  readonly downstream: PipeEnd;
  readonly upstream: PipeEnd;
  readonly #options: PipeOptions;
  readonly #counters: PipeCounters;
  #open = 2;
  #error: MeshError | undefined = undefined;
  #side: PipeSide | undefined = undefined;

  constructor(downstream: Connection, upstream: Connection, options: PipeOptions) {
    this.#options = options;
    this.#counters = options.counters;
    const { account } = options;
    this.downstream = new PipeEnd(this, 'downstream', downstream, new Outbox(upstream, account));
    this.upstream = new PipeEnd(this, 'upstream', upstream, new Outbox(downstream, account));
    this.downstream.opposite = this.upstream;
    this.upstream.opposite = this.downstream;
    downstream.handler = this.downstream;
    upstream.handler = this.upstream;
  }

  /** Breaks both sides off; `error` is what `onFinished` reports. */
  abort(error: MeshError): void {
    this.#fail(error, undefined);
    this.downstream.breakOff();
    this.upstream.breakOff();
  }

  count(side: PipeSide, bytes: number): void {
    if (side === 'downstream') this.#counters.receivedBytes += bytes;
    else this.#counters.sentBytes += bytes;
  }

  ended(side: PipeSide): void {
    this.#side ??= side;
  }

  closed(side: PipeSide, error: MeshError | undefined): void {
    if (error !== undefined) this.#fail(error, side);
    this.#open--;
    if (this.#open > 0) return;
    this.downstream.discard();
    this.upstream.discard();
    this.#options.onFinished(this.#error, this.#side);
  }

  /** The first error is the reason. */
  #fail(error: MeshError, side: PipeSide | undefined): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#side = side;
  }
}

/** One connection's handler: forwards what its source reads to its sink. */
export class PipeEnd implements ConnectionHandler {
  opposite: PipeEnd;
  readonly #pipe: Pipe;
  readonly #side: PipeSide;
  readonly #source: Connection;
  /** To the source of the opposite end. */
  readonly #outbox: Outbox;
  #paused = false;
  #ended = false;
  #closed = false;

  constructor(pipe: Pipe, side: PipeSide, source: Connection, outbox: Outbox) {
    this.#pipe = pipe;
    this.#side = side;
    this.#source = source;
    this.#outbox = outbox;
    this.opposite = this;
  }

  onData(bytes: Uint8Array): void {
    this.#pipe.count(this.#side, bytes.length);
    if (this.#outbox.push(bytes) || this.#paused || !this.#outbox.full) return;
    this.#paused = true;
    this.#source.pause();
  }

  /** Our source has room again: the opposite direction writes there. */
  onDrain(): void {
    this.opposite.sinkDrained();
  }

  onEnd(): void {
    this.#ended = true;
    this.#pipe.ended(this.#side);
    if (this.#outbox.empty) this.opposite.end();
  }

  onClose(error: MeshError | undefined): void {
    this.#closed = true;
    // An orderly close comes after `onEnd`: the rest in our outbox is still on its way.
    if (error !== undefined) this.#outbox.clear();
    this.#pipe.closed(this.#side, error);
    if (error !== undefined) this.opposite.breakOff();
  }

  sinkDrained(): void {
    if (this.#outbox.empty) return;
    if (this.#outbox.flush() && this.#ended) this.opposite.end();
    if (!this.#paused || !this.#outbox.low) return;
    this.#paused = false;
    this.#source.resume();
  }

  /** What can no longer be sent. */
  discard(): void {
    this.#outbox.clear();
  }

  /** FIN to our source. */
  end(): void {
    this.#source.end();
  }

  breakOff(): void {
    if (!this.#closed) this.#source.reset();
  }
}
