/**
 * One HTTP/2 connection (RFC 9113), client or server, over any `Connection`. Return it as the handler of the
 * socket. HBONE uses CONNECT streams as byte tunnels; h2/client.ts and h2/server.ts make HTTP of it.
 *
 * All frames of an event-loop turn leave in one write. Received bytes are credited to the peer's windows when
 * `onData` got them; while a stream is paused its bytes wait here, uncredited, bounded by its window.
 */
import { asBuffer } from '#base/bytes.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { type BufferAccount, UNBOUNDED } from '#net/pipe/outbox.ts';
import * as code from '#wire/h2/codes.ts';
import { STREAM_ID_MAX, WINDOW_BYTES_DEFAULT } from '#wire/h2/limits.ts';
import { HEADER_LIST_BYTES_MAX } from '#wire/hpack/limits.ts';
import { isTunnel, type MessageHead } from '../dispatch/message-head.ts';
import { httpFault } from '../fault.ts';
import * as limits from '../limits.ts';
import { H2Receiver } from './receiver.ts';
import { H2Sender, isDrainPing } from './sender.ts';
import type { H2Stream, H2StreamHandler, Initiator } from './stream.ts';
import { StreamTable } from './stream-table.ts';

export type { H2Stream, H2StreamHandler, Initiator } from './stream.ts';

export interface H2Options {
  role: 'client' | 'server';
  /** Window we grant each stream, and the whole connection; 65535 at least. */
  streamWindowBytes?: number;
  connectionWindowBytes?: number;
  /** Largest frame we accept (16384 to 16777215). */
  frameBytesMax?: number;
  /** Streams the peer may have open (server), and a ceiling on those we open (client). */
  concurrentStreamsMax?: number;
  headerListBytesMax?: number;
  /** Server role: take extended CONNECT (RFC 8441). */
  connectProtocol?: boolean;
  /**
   * Counts what waits for paused readers of streams, which the peer may send as long as its windows last. At its limit the
   * connections that hold most of it are not read any more.
   */
  account?: BufferAccount;
  /** Probe an inactive peer; no answer within `timeoutMs` closes the connection. */
  keepAlive?: { intervalMs: number; timeoutMs: number };
}

export interface H2ConnectionHandler {
  /** Server role: a new request. Set `stream.handler` before returning, or `reset` it. */
  onStream(stream: H2Stream, head: MessageHead, end: boolean): void;
  /** Server role: a request whose head is refused; it never becomes a stream. `answered` with a status, or 0 for a reset. */
  onBadRequest?(reason: string, answered: number): void;
  /** `capacity`, `draining` or `active` may have changed: settings, GOAWAY, a stream ended. */
  onChange(): void;
  /** Once, after every stream got `onReset`. Undefined after an orderly end. */
  onClose(error: MeshError | undefined): void;
}

export interface H2Deps {
  clock: Clock;
}

export interface ResolvedOptions {
  isServer: boolean;
  streamWindowBytes: number;
  connectionWindowBytes: number;
  frameBytesMax: number;
  concurrentStreamsMax: number;
  headerListBytesMax: number;
  connectProtocol: boolean;
}

/** The peer of this end in errors: a server's peer is downstream. */
export type PeerSide = 'downstream' | 'upstream';

export class H2Connection implements ConnectionHandler {
  readonly options: ResolvedOptions;
  readonly side: PeerSide;
  readonly handler: H2ConnectionHandler;
  readonly clock: Clock;
  private readonly account: BufferAccount;
  readonly streams = new StreamTable();
  readonly sender: H2Sender;
  readonly receiver: H2Receiver;
  closed = false;
  draining = false;
  private readonly connection: Connection;
  private ticker: Timer | undefined;
  private pongTimer: Timer | undefined;
  private lingerTimer: Timer | undefined;
  /** Between our first GOAWAY and the one that names the last stream. */
  private drainTimer: Timer | undefined;
  private nextStreamId = 1;
  private heard = true;
  private queuedBytes = 0;
  private holding = false;
  private awaitingPong = false;

  constructor(
    connection: Connection,
    deps: H2Deps,
    options: H2Options,
    handler: H2ConnectionHandler,
  ) {
    this.connection = connection;
    this.clock = deps.clock;
    this.handler = handler;
    this.options = resolveOptions(options);
    this.account = options.account ?? UNBOUNDED;
    this.side = this.options.isServer ? 'downstream' : 'upstream';
    this.sender = new H2Sender(this, connection);
    this.receiver = new H2Receiver(this, this.sender);
    this.sender.preface();
    if (options.keepAlive !== undefined) this.startKeepAlive(options.keepAlive);
  }

  /** Client role. Undefined when `capacity` is 0. With `end` the request has no body. */
  openStream(head: MessageHead, end: boolean, handler: H2StreamHandler): H2Stream | undefined {
    if (this.capacity === 0) return undefined;
    const stream = this.receiver.makeStream(this.nextStreamId, handler);
    this.nextStreamId += 2;
    stream.toHead = head.method === 'HEAD';
    stream.toTunnel = isTunnel(head);
    this.streams.add(stream);
    this.sender.sendHead(stream, head, end);
    return stream;
  }

  /** Streams that may be opened now. 0 when draining or closed, or for a server. */
  get capacity(): number {
    if (this.closed || this.draining || this.options.isServer) return 0;
    if (this.nextStreamId > 0x7ffffff0) return 0;
    const allowed = Math.min(this.sender.peerStreamsMax, this.options.concurrentStreamsMax);
    return Math.max(0, allowed - this.streams.size);
  }

  get active(): number {
    return this.streams.size;
  }

  /** Our streams have numbers below it. */
  get streamIdBound(): number {
    return this.options.isServer ? 2 : this.nextStreamId;
  }

  /** Client role: the peer takes extended CONNECT. */
  get connectProtocol(): boolean {
    return this.sender.peer.connectProtocol === 1;
  }

  /** Names the head, or other frame than DATA, that is only partly here; 0 when there is none. */
  get unfinishedHead(): number {
    return this.receiver.unfinishedHead;
  }

  /** The peer's SETTINGS have come. */
  get established(): boolean {
    return this.receiver.settingsSeen;
  }

  /**
   * GOAWAY; running streams finish, then the connection closes. A server says it twice (RFC 9113 §6.8): the first names no
   * stream, so what the peer had sent before it read that is still served; its PING tells when the peer has.
   */
  drain(): void {
    if (this.closed || this.draining) return;
    this.draining = true;
    if (this.options.isServer) {
      this.sender.goAway(STREAM_ID_MAX, code.NO_ERROR, '');
      this.sender.drainPing();
      this.drainTimer = this.clock.after(limits.DRAIN_ANSWER_MS, () => this.refuseLater());
      this.handler.onChange();
    } else {
      this.sender.goAway(this.receiver.lastStreamId, code.NO_ERROR, '');
      this.tellDraining();
      this.handler.onChange();
      this.closeWhenIdle();
    }
  }

  /** Client role. */
  tellDraining(): void {
    for (const stream of this.streams.all()) stream.handler.onDraining?.();
  }

  /** GOAWAY and close at once; streams get `onReset`. */
  close(): void {
    const text = 'closed by this side';
    this.shut(code.NO_ERROR, text, httpFault('HTTP_CLOSED_BY_US', text, { side: 'self' }), 'us');
  }

  /** The peer may not be connected (any more): GOAWAY, streams and `onClose` get `error`. */
  banish(error: MeshError): void {
    this.shut(code.INADEQUATE_SECURITY, error.message, error, 'us');
  }

  onData(bytes: Uint8Array): void {
    if (this.closed) return;
    this.heard = true;
    this.receiver.reader.feed(asBuffer(bytes));
  }

  onDrain(): void {
    this.sender.drained();
  }

  onEnd(): void {
    if (this.closed) {
      this.connection.end();
      return;
    }
    this.lost(undefined);
  }

  onClose(error: MeshError | undefined): void {
    this.lingerTimer?.cancel();
    this.lost(error);
  }

  /** The peer broke the rules of the connection: GOAWAY with `errorCode`, then close. */
  fail(errorCode: number, reason: string): void {
    const flood = errorCode === code.ENHANCE_YOUR_CALM;
    const error = httpFault(flood ? 'H2_CALM' : 'H2_PROTOCOL', `HTTP/2 peer: ${reason}`, {
      side: this.side,
    });
    this.shut(errorCode, reason, error, 'us');
  }

  /** A stream ended on both sides, or was reset. */
  remove(stream: H2Stream): void {
    if (!this.streams.remove(stream)) return;
    this.sender.forget(stream);
    if (this.closed) return;
    this.handler.onChange();
    if (this.draining) this.closeWhenIdle();
  }

  /** So many bytes more (or fewer) wait for paused readers of streams. */
  queued(change: number): void {
    this.queuedBytes += change;
    this.account.bytes += change;
    const tooMuch = this.account.bytes >= this.account.bytesMax;
    const hold = tooMuch && this.queuedBytes > limits.QUEUED_FREE_BYTES;
    if (hold === this.holding) return;
    this.holding = hold;
    if (hold) this.connection.pause();
    else this.connection.resume();
  }

  /** PING with ACK came; its payload is `bytes` from `at`. */
  pong(bytes: Buffer, at: number): void {
    if (this.drainTimer !== undefined && isDrainPing(bytes, at)) this.refuseLater();
    this.awaitingPong = false;
    this.pongTimer?.cancel();
  }

  closeWhenIdle(): void {
    if (this.streams.size > 0 || this.closed || this.drainTimer !== undefined) return;
    this.finish(undefined);
    this.endSocket();
  }

  /** Second step of a server's drain: streams above the last one are refused, hence safe to retry. */
  private refuseLater(): void {
    this.drainTimer?.cancel();
    this.drainTimer = undefined;
    this.sender.goAway(this.receiver.lastStreamId, code.NO_ERROR, '');
    this.receiver.refuseAbove = this.receiver.lastStreamId;
    this.closeWhenIdle();
  }

  private shut(errorCode: number, text: string, error: MeshError, initiator: Initiator): void {
    if (this.closed) return;
    this.draining = true;
    this.sender.goAway(this.receiver.lastStreamId, errorCode, text);
    this.resetAll(error, errorCode, initiator);
    this.finish(errorCode === code.NO_ERROR ? undefined : error);
    this.endSocket();
  }

  /** The connection is gone under us. */
  private lost(cause: MeshError | undefined): void {
    if (this.closed) return;
    const orderly = cause === undefined && this.streams.size === 0;
    const error = httpFault('H2_CONNECTION_LOST', 'the HTTP/2 connection was closed by the peer', {
      side: this.side,
      cause,
    });
    this.draining = true;
    this.resetAll(error, code.CANCEL, 'connection');
    this.finish(orderly ? undefined : error);
    if (cause === undefined) this.sender.output.finish();
  }

  private resetAll(error: MeshError, errorCode: number, initiator: Initiator): void {
    for (const stream of this.streams.all()) {
      if (stream.closed) continue;
      stream.abandon();
      this.streams.remove(stream);
      stream.handler.onReset(error, errorCode, initiator);
    }
  }

  private finish(error: MeshError | undefined): void {
    this.closed = true;
    // What came in one piece with the frame that ended the connection is not read any more.
    this.receiver.reader.stop();
    this.ticker?.cancel();
    this.pongTimer?.cancel();
    this.drainTimer?.cancel();
    this.drainTimer = undefined;
    this.handler.onChange();
    this.handler.onClose(error);
  }

  /** FIN behind what was written. A peer that does not close in its turn must not keep the socket. */
  private endSocket(): void {
    this.lingerTimer = this.clock.after(limits.CLOSE_LINGER_MS, () => this.connection.reset());
    this.sender.output.finish();
  }

  private startKeepAlive(options: { intervalMs: number; timeoutMs: number }): void {
    const { intervalMs, timeoutMs } = options;
    this.ticker = this.clock.every(intervalMs, () => {
      // Others may have let go of enough. A peer that we do not read cannot be heard.
      this.queued(0);
      if (this.heard || this.holding) {
        this.heard = false;
        return;
      }
      if (this.awaitingPong) return;
      this.awaitingPong = true;
      this.sender.ping();
      this.pongTimer = this.clock.after(timeoutMs, () => {
        if (this.awaitingPong && !this.heard) this.keepAliveExpired(timeoutMs);
        this.awaitingPong = false;
      });
    });
  }

  private keepAliveExpired(timeoutMs: number): void {
    const text = `no answer to a PING within ${timeoutMs} ms`;
    const error = httpFault('H2_KEEPALIVE_TIMEOUT', text, { side: this.side });
    // Not NO_ERROR: that would be an orderly end, and the reason would be lost.
    this.shut(code.CANCEL, text, error, 'connection');
  }
}

function resolveOptions(options: H2Options): ResolvedOptions {
  return {
    isServer: options.role === 'server',
    streamWindowBytes: Math.max(
      WINDOW_BYTES_DEFAULT,
      options.streamWindowBytes ?? limits.STREAM_WINDOW_BYTES,
    ),
    connectionWindowBytes: Math.max(
      WINDOW_BYTES_DEFAULT,
      options.connectionWindowBytes ?? limits.CONNECTION_WINDOW_BYTES,
    ),
    frameBytesMax: options.frameBytesMax ?? limits.FRAME_BYTES_ACCEPTED,
    concurrentStreamsMax: options.concurrentStreamsMax ?? limits.CONCURRENT_STREAMS_MAX,
    headerListBytesMax: options.headerListBytesMax ?? HEADER_LIST_BYTES_MAX,
    connectProtocol: options.connectProtocol ?? false,
  };
}
