/**
 * One TCP connection of an app's resolver (RFC 7766): queries in a stream, replies in any order, each in a frame.
 *
 *   read ──► frames ──► backlog ──► at most TCP_PIPELINED_MAX at once ──► outbox ──► write
 *     ▲                    │                                                 │
 *     └── paused while it holds any ◄───── a full outbox holds it back ◄──────┘
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Connection, ConnectionHandler, SocketAddress } from '#net/connection.ts';
import { Outbox } from '#net/pipe/outbox.ts';
import { framed, MessageReader } from '#wire/dns/framing.ts';
import { TCP_IDLE_MS, TCP_PIPELINED_MAX } from './limits.ts';
import type { PodLookups, Waiting } from './pod-lookups.ts';

export interface TcpClientDeps {
  readonly clock: Clock;
  readonly lookups: Pick<PodLookups, 'handle'>;
  readonly onGone: () => void;
}

export class TcpClient implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #deps: TcpClientDeps;
  readonly #server: SocketAddress | undefined;
  readonly #reader = new MessageReader();
  readonly #outbox: Outbox;
  readonly #waiting = new Set<Waiting>();
  #backlog: Uint8Array[] = [];
  #idle: Timer | undefined = undefined;
  #clientEnded = false;
  #ended = false;

  constructor(connection: Connection, server: SocketAddress | undefined, deps: TcpClientDeps) {
    this.#connection = connection;
    this.#server = server;
    this.#deps = deps;
    this.#outbox = new Outbox(connection);
    this.#restartIdle();
  }

  onData(bytes: Uint8Array): void {
    // Copies: the chunk belongs to the connection, and what does not fit in now waits.
    for (const message of this.#reader.read(bytes)) this.#backlog.push(new Uint8Array(message));
    this.#work();
  }

  onDrain(): void {
    if (!this.#outbox.flush() && !this.#outbox.low) return;
    for (const waiting of this.#waiting) waiting.resume();
    this.#work();
  }

  onEnd(): void {
    this.#clientEnded = true;
    this.#finish();
  }

  onClose(): void {
    this.#idle?.cancel();
    this.#ended = true;
    this.#backlog = [];
    for (const waiting of this.#waiting) waiting.cancel();
    this.#waiting.clear();
    this.#deps.onGone();
  }

  /** The pod is gone or another proxy serves it. */
  stop(): void {
    this.#connection.reset();
  }

  #work(): void {
    while (
      this.#backlog.length > 0 &&
      this.#waiting.size < TCP_PIPELINED_MAX &&
      !this.#outbox.full
    ) {
      this.#restartIdle();
      const query = this.#backlog.shift();
      if (query !== undefined) this.#handle(query);
    }
    if (this.#backlog.length > 0) this.#connection.pause();
    else this.#connection.resume();
    this.#finish();
  }

  #handle(query: Uint8Array): void {
    const waiting = this.#deps.lookups.handle(
      { query, protocol: 'tcp', server: () => this.#server },
      {
        onReply: (bytes) => this.#reply(bytes),
        onDone: () => {
          if (waiting !== undefined) this.#waiting.delete(waiting);
          this.#work();
        },
      },
    );
    if (waiting !== undefined) this.#waiting.add(waiting);
  }

  #reply(bytes: Uint8Array): void {
    const frame = framed(bytes);
    if (this.#ended || frame === undefined) return;
    this.#outbox.push(frame);
    this.#restartIdle();
    if (this.#outbox.full) for (const waiting of this.#waiting) waiting.pause();
  }

  #finish(): void {
    const quiet = this.#waiting.size === 0 && this.#backlog.length === 0 && this.#outbox.empty;
    if (!this.#clientEnded || !quiet || this.#ended) return;
    this.#ended = true;
    this.#connection.end();
  }

  #restartIdle(): void {
    this.#idle?.cancel();
    this.#idle = this.#deps.clock.after(TCP_IDLE_MS, () => this.#idled());
  }

  /** Ends it in good order first; a client that then does not close is reset. Slow answers are not the client's fault. */
  #idled(): void {
    if (this.#waiting.size > 0 && this.#outbox.empty) {
      this.#restartIdle();
      return;
    }
    if (this.#ended || !this.#outbox.empty) {
      this.#connection.reset();
      return;
    }
    this.#ended = true;
    this.#connection.end();
    this.#restartIdle();
  }
}
