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
  counters: PipeCounters;
  /** Counts what waits in both directions. */
  account?: BufferAccount;
  /** Once, when both connections are closed. */
  onFinished(outcome: PipeOutcome): void;
}

export interface PipeOutcome {
  /** Undefined when both directions ended in order. */
  error: MeshError | undefined;
  /** Whose connection broke; without an error, who sent FIN first. */
  side: 'downstream' | 'upstream' | undefined;
}

export class Pipe {
  /** Handlers of the two connections. */
  readonly downstream: PipeEnd;
  readonly upstream: PipeEnd;
  readonly #options: PipeOptions;
  #open = 2;
  #outcome: PipeOutcome = { error: undefined, side: undefined };

  constructor(downstream: Connection, upstream: Connection, options: PipeOptions) {
    this.#options = options;
    const { account } = options;
    this.downstream = new PipeEnd(this, 'downstream', {
      source: downstream,
      sink: upstream,
      account,
    });
    this.upstream = new PipeEnd(this, 'upstream', { source: upstream, sink: downstream, account });
    this.downstream.opposite = this.upstream;
    this.upstream.opposite = this.downstream;
    downstream.handler = this.downstream;
    upstream.handler = this.upstream;
  }

  /** Breaks both sides off; `error` is what `onFinished` reports. */
  abort(error: MeshError): void {
    if (this.#outcome.error === undefined) this.#outcome = { error, side: undefined };
    this.downstream.breakOff();
    this.upstream.breakOff();
  }

  count(side: 'downstream' | 'upstream', bytes: number): void {
    if (side === 'downstream') this.#options.counters.receivedBytes += bytes;
    else this.#options.counters.sentBytes += bytes;
  }

  ended(side: 'downstream' | 'upstream'): void {
    if (this.#outcome.side === undefined) this.#outcome = { error: this.#outcome.error, side };
  }

  closed(side: 'downstream' | 'upstream', error: MeshError | undefined): void {
    if (error !== undefined && this.#outcome.error === undefined) this.#outcome = { error, side };
    this.#open--;
    if (this.#open > 0) return;
    this.downstream.discard();
    this.upstream.discard();
    this.#options.onFinished(this.#outcome);
  }
}

/** One connection's handler: forwards what its source reads to its sink. */
export class PipeEnd implements ConnectionHandler {
  opposite: PipeEnd;
  readonly #pipe: Pipe;
  readonly #side: 'downstream' | 'upstream';
  readonly #source: Connection;
  readonly #sink: Connection;
  readonly #outbox: Outbox;
  #paused = false;
  #ended = false;
  #closed = false;

  constructor(
    pipe: Pipe,
    side: 'downstream' | 'upstream',
    ends: { source: Connection; sink: Connection; account: BufferAccount | undefined },
  ) {
    this.#pipe = pipe;
    this.#side = side;
    this.#source = ends.source;
    this.#sink = ends.sink;
    this.#outbox = new Outbox(ends.sink, ends.account);
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
    if (this.#outbox.empty) this.#sink.end();
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
    if (this.#outbox.flush() && this.#ended) this.#sink.end();
    if (!this.#paused || !this.#outbox.low) return;
    this.#paused = false;
    this.#source.resume();
  }

  /** What can no longer be sent. */
  discard(): void {
    this.#outbox.clear();
  }

  breakOff(): void {
    if (!this.#closed) this.#source.reset();
  }
}
