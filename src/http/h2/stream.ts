/**
 * One stream of an H2Connection: its windows, its half-closed state (RFC 9113 §5.1), and the bytes that wait
 * while its reader is paused.
 *
 *   open ── our END_STREAM ──→ LOCAL bit gone ─┐
 *   open ── their END_STREAM → REMOTE bit gone ┼─→ no bit left: closed
 *           … delivered to the handler → UNREAD bit gone
 */
import { assert } from '#base/assert.ts';
import type { MeshError } from '#base/errors.ts';
import { ByteQueue } from '#net/pipe/byte-queue.ts';
import type { MessageHead } from '../dispatch/message-head.ts';

/** Who broke a stream off: our own checks, the peer's RST_STREAM, or the loss of the whole connection. */
export type Initiator = 'us' | 'them' | 'connection';

export interface H2StreamHandler {
  /** Client role: an informational or the final response head. With `end`, neither onData nor onEnd follows. */
  onHead(head: MessageHead, end: boolean): void;
  /** `bytes` belongs to the connection: copy what must outlive the call. */
  onData(bytes: Uint8Array): void;
  /** Room again after a short `write`. */
  onDrain(): void;
  /** The peer's END_STREAM; our side may still write. */
  onEnd(trailers: MessageHead | undefined): void;
  /** Client role: the connection takes no new streams, this one goes on. May come more than once. */
  onDraining?(): void;
  /** At most once, last; not after our own `reset`, nor after both sides ended. */
  onReset(error: MeshError, code: number, initiator: Initiator): void;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  sendHead(stream: H2Stream, head: MessageHead, end: boolean): void;
  sendData(stream: H2Stream, bytes: Uint8Array): number;
  sendEnd(stream: H2Stream, trailers: MessageHead | undefined): void;
  sendReset(stream: H2Stream, code: number): void;
  /** The consumer took `bytes` of the stream. */
  credit(stream: H2Stream, bytes: number): void;
  /** So many bytes more (or fewer) wait for the paused consumer. */
  queued(change: number): void;
  /** The stream has no state bit left. */
  finished(stream: H2Stream): void;
}

export const LOCAL_OPEN = 1;
export const REMOTE_OPEN = 2;
/** The peer's end has not been told to the handler yet. */
export const UNREAD = 4;

/** `respond`, `write`, `end`, `reset`, `pause`, `resume` are for users; the rest is the connection's. */
export class H2Stream {
  readonly id: number;
  handler: H2StreamHandler;
  bits: number;
  sendWindow: number;
  receiveWindow: number;
  /** Taken by the consumer and not yet granted again. */
  uncredited = 0;
  /** Our (final) head was sent; the peer's final head has come. */
  headSent = false;
  headReceived = false;
  /** Body bytes that Content-Length still announces; -1 for unknown. */
  expectedBytes = -1;
  /** A response to it has no body whatever its fields say (HEAD). */
  toHead = false;
  /** It asked for a tunnel: a 2xx to it has no length. */
  toTunnel = false;
  private readonly owner: StreamOwner;
  private paused = false;
  /** While the consumer is behind. */
  private queue: ByteQueue | undefined;
  private ended = false;
  private trailers: MessageHead | undefined;

  constructor(
    owner: StreamOwner,
    id: number,
    handler: H2StreamHandler,
    windows: { send: number; receive: number },
  ) {
    this.owner = owner;
    this.id = id;
    this.handler = handler;
    this.bits = LOCAL_OPEN | REMOTE_OPEN | UNREAD;
    this.sendWindow = windows.send;
    this.receiveWindow = windows.receive;
  }

  /** Both directions ended, or reset. */
  get closed(): boolean {
    return this.bits === 0;
  }

  /** Our END_STREAM has not left yet. */
  get localOpen(): boolean {
    return (this.bits & LOCAL_OPEN) !== 0;
  }

  /** Server role: 1xx, or the final head. */
  respond(head: MessageHead, end: boolean): void {
    if ((this.bits & LOCAL_OPEN) === 0) return;
    assert(!this.headSent, 'one final head a stream');
    this.owner.sendHead(this, head, end);
  }

  /** Frames what windows and buffer allow, returns how many bytes were taken; on less, `onDrain` follows. */
  write(bytes: Uint8Array): number {
    if ((this.bits & LOCAL_OPEN) === 0 || !this.headSent) return 0;
    return this.owner.sendData(this, bytes);
  }

  /** END_STREAM after what `write` took. */
  end(trailers?: MessageHead): void {
    if ((this.bits & LOCAL_OPEN) === 0) return;
    this.owner.sendEnd(this, trailers);
  }

  /** RST_STREAM; no callback follows. */
  reset(code: number): void {
    if (this.bits === 0) return;
    this.owner.sendReset(this, code);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    const { queue } = this;
    while (queue !== undefined && !this.paused && this.bits !== 0) {
      const bytes = queue.first;
      if (bytes === undefined) break;
      // Out of the queue first: a consumer that resets now must not have these bytes credited twice.
      queue.take(bytes.length);
      this.owner.queued(-bytes.length);
      this.handler.onData(bytes);
      this.owner.credit(this, bytes.length);
    }
    if (queue?.bytes === 0) this.queue = undefined;
    this.deliverEnd();
  }

  /** DATA came. It waits (copied: the chunk is the connection's) while the consumer is paused. */
  deliver(bytes: Buffer): void {
    if (this.paused || this.queue !== undefined) {
      this.queue ??= new ByteQueue();
      this.queue.push(bytes);
      this.owner.queued(bytes.length);
      return;
    }
    this.handler.onData(bytes);
    this.owner.credit(this, bytes.length);
  }

  /** The peer's END_STREAM came, behind all data. */
  remoteEnded(trailers: MessageHead | undefined): void {
    this.bits &= ~REMOTE_OPEN;
    this.ended = true;
    this.trailers = trailers;
    this.deliverEnd();
  }

  /** The peer's END_STREAM came with the head: the handler was told by `end`. */
  remoteEndedWithHead(): void {
    this.bits &= ~(REMOTE_OPEN | UNREAD);
    if (this.bits === 0) this.owner.finished(this);
  }

  localEnded(): void {
    this.bits &= ~LOCAL_OPEN;
    if (this.bits === 0) this.owner.finished(this);
  }

  /** Drops everything; returns the bytes that were never read (the connection's window gets them back). */
  abandon(): number {
    const unread = this.queue?.bytes ?? 0;
    this.queue = undefined;
    if (unread > 0) this.owner.queued(-unread);
    this.bits = 0;
    return unread;
  }

  private deliverEnd(): void {
    if (!this.ended || this.paused || this.queue !== undefined || (this.bits & UNREAD) === 0)
      return;
    this.bits &= ~UNREAD;
    this.handler.onEnd(this.trailers);
    if (this.bits === 0) this.owner.finished(this);
  }
}
