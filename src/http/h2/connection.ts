/**
 * One HTTP/2 connection (RFC 9113), client or server, over any `Connection`. Return it as the handler of the
 * socket. HBONE uses CONNECT streams as byte tunnels; h2/client.ts and h2/server.ts make HTTP of it.
 *
 * All frames of an event-loop turn leave in one write. Received bytes are credited to the peer's windows when
 * `onData` got them; while a stream is paused its bytes wait here, uncredited, bounded by its window.
 */
import type { Clock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
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
  /** At most once, last; not after our own `reset`, nor after both sides ended. */
  onReset(error: MeshError, code: number, initiator: Initiator): void;
}

export interface H2Stream {
  readonly id: number;
  /** Set it before the first callback can come, i.e. in `onStream` or through `openStream`. */
  handler: H2StreamHandler;
  /** Server role: 1xx or the final head. */
  respond(head: MessageHead, end: boolean): void;
  /** Frames what the windows and the buffer allow, returns how many bytes were taken; on less, `onDrain` follows. */
  write(bytes: Uint8Array): number;
  /** END_STREAM after what `write` took. */
  end(trailers?: MessageHead): void;
  /** RST_STREAM; no callback follows. */
  reset(code: number): void;
  pause(): void;
  resume(): void;
  /** Both directions ended, or reset. */
  readonly closed: boolean;
}

export interface H2Options {
  role: 'client' | 'server';
  /** Window we grant each stream, and the whole connection. */
  streamWindowBytes?: number;
  connectionWindowBytes?: number;
  /** Largest frame we accept (16384 to 16777215). */
  frameBytesMax?: number;
  /** Streams the peer may have open (server), and a ceiling on those we open (client). */
  concurrentStreamsMax?: number;
  headerListBytesMax?: number;
  /** Probe an inactive peer; no answer within `timeoutMs` closes the connection. */
  keepAlive?: { intervalMs: number; timeoutMs: number };
}

export interface H2ConnectionHandler {
  /** Server role: a new request. Set `stream.handler` before returning, or `reset` it. */
  onStream(stream: H2Stream, head: MessageHead, end: boolean): void;
  /** `capacity`, `draining` or `active` may have changed: settings, GOAWAY, a stream ended. */
  onChange(): void;
  /** Once, after every stream got `onReset`. Undefined after an orderly end. */
  onClose(error: MeshError | undefined): void;
}

export interface H2ConnectionApi extends ConnectionHandler {
  /** Client role. Undefined when `capacity` is 0. With `end` the request has no body. */
  openStream(head: MessageHead, end: boolean, handler: H2StreamHandler): H2Stream | undefined;
  /** Streams that may be opened now. 0 when draining or closed, or for a server. */
  readonly capacity: number;
  readonly active: number;
  readonly draining: boolean;
  readonly closed: boolean;
  /** GOAWAY; running streams finish, then the connection closes. */
  drain(): void;
  /** GOAWAY with `code` and close at once; streams get `onReset`. */
  close(code?: number, reason?: string): void;
}

export interface H2Deps {
  clock: Clock;
}

/** The class H2Connection has exactly this constructor and the members of `H2ConnectionApi`. */
export type H2ConnectionConstructor = new (
  connection: Connection,
  deps: H2Deps,
  options: H2Options,
  handler: H2ConnectionHandler,
) => H2ConnectionApi;
export declare const H2Connection: H2ConnectionConstructor;
