/**
 * `Connection` over a Bun socket: TLS, or accepted and looked at before it was known which (look.ts); other plain ones are
 * net/epoll's. Bun calls the shared callbacks (socket-callbacks.ts); they find the connection in `socket.data`. Nothing here
 * allocates per chunk.
 */
import { assert } from '#base/assert.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { ConnectionHandler, SocketAddress, TlsConnection } from '../connection.ts';
import { NET_ERRORS } from '../errors.ts';
import { deliver, drained, type Holdable, type LoopShare } from '../fair/fair-loop.ts';
import { FREED_CHUNK_BYTES_MIN, READ_BYTES, READS_IN_A_ROW_MAX } from '../limits.ts';
import { localName, receive } from '../netns/raw-socket.ts';
import type { AcceptGate } from '../network.ts';

/** What a connection needs of a Bun socket. */
export interface RawSocket {
  write(bytes: Uint8Array): number;
  end(): unknown;
  shutdown(): unknown;
  terminate(): unknown;
  pause(): unknown;
  resume(): unknown;
  readonly fd: number;
}

export interface ConnectionOrigin {
  role: 'accepted' | 'dialled';
  tls: boolean;
  remote: SocketAddress;
  /** Hears of the end of an accepted connection. */
  gate?: AcceptGate;
  /** Whose part of the loop its events use. */
  share?: LoopShare;
}

const NOBODY: ConnectionHandler = {
  onData: () => assert(false, 'data before a handler was set'),
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

const LOST_UNSENT = new Error('it closed before it took all that was sent');

/** Of all sockets: what is in it is used before the next read. */
let readOnBuffer: Buffer | undefined;

const NO_CHAIN: readonly Uint8Array[] = [];

export class SocketConnection implements TlsConnection, Holdable {
  handler: ConnectionHandler = NOBODY;
  peerChain: readonly Uint8Array[] = NO_CHAIN;
  peerUris: readonly string[] = [];
  alpn: string | undefined = undefined;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly share: LoopShare | undefined;
  /** An accepted connection that has to wait for its turn: what begins it. */
  begin: (() => void) | undefined = undefined;
  readonly #socket: RawSocket;
  readonly #origin: ConnectionOrigin;
  #local: SocketAddress | undefined = undefined;
  #peerEnded = false;
  #endSent = false;
  /** The last write was not taken whole. */
  #short = false;
  #closed = false;
  #paused = false;
  #held = false;
  #error: MeshError | undefined = undefined;

  constructor(socket: RawSocket, origin: ConnectionOrigin) {
    this.#socket = socket;
    this.#origin = origin;
    this.share = origin.share;
    this.remoteAddress = origin.remote.address;
    this.remotePort = origin.remote.port;
  }

  get fd(): number {
    return this.#socket.fd;
  }

  get localAddress(): string {
    return this.#localName().address;
  }

  get localPort(): number {
    return this.#localName().port;
  }

  write(bytes: Uint8Array): number {
    if (this.#closed || this.#endSent) return 0;
    const taken = Math.max(this.#socket.write(bytes), 0);
    this.#short = taken < bytes.length;
    return taken;
  }

  end(): void {
    if (this.#closed || this.#endSent) return;
    this.#endSent = true;
    // Bun's `end` closes both ways at once: right only when the peer is done as well.
    if (this.#peerEnded) this.#socket.end();
    else this.#socket.shutdown();
  }

  reset(): void {
    if (this.#closed) return;
    this.#error ??= new MeshError('NET_RESET_LOCAL', `we reset ${this.#peer()}`, {
      side: 'self',
      hint: NET_ERRORS.NET_RESET_LOCAL,
    });
    this.#socket.terminate();
  }

  pause(): void {
    this.#paused = true;
    if (!this.#held && !this.#closed) this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (!this.#held && !this.#closed) this.#socket.resume();
  }

  /** Not read until `release`, whatever its handler wants. */
  hold(): void {
    if (this.#held || this.#closed) return;
    this.#held = true;
    if (!this.#paused) this.#socket.pause();
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    if (this.#closed) return;
    if (!this.#paused) this.#socket.resume();
    const { begin } = this;
    if (begin === undefined) return;
    this.begin = undefined;
    begin();
  }

  /** Bun has read. */
  deliver(bytes: Uint8Array): void {
    deliver(this, bytes, this.share);
  }

  drained(): void {
    drained(this.handler, this.share);
  }

  /**
   * After a large chunk of a plain socket: reads what came meanwhile past Bun, which would copy each chunk into a buffer of its
   * own. Nothing else may be in the way: Bun reads the socket itself when this returns, and reports its end.
   */
  readOn(): void {
    if (this.#origin.tls) return;
    readOnBuffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
    for (let reads = 0; reads < READS_IN_A_ROW_MAX; reads++) {
      if (this.#closed || this.#paused || this.#held) return;
      const count = receive(this.#socket.fd, readOnBuffer);
      if (typeof count === 'string') {
        // The kernel says it once: Bun would take the rest for an orderly end.
        this.failed(new Error(`read ${count}`));
        this.#socket.terminate();
        return;
      }
      if (count <= 0) return;
      this.deliver(count === READ_BYTES ? readOnBuffer : readOnBuffer.subarray(0, count));
      // Nearly all that was there: more of it is worth a turn of the loop.
      if (count < FREED_CHUNK_BYTES_MIN) return;
    }
  }

  /** The peer's FIN, from Bun's `end`. */
  peerEnded(): void {
    if (this.#peerEnded || this.#closed) return;
    this.#peerEnded = true;
    this.handler.onEnd();
  }

  /** From Bun's `error`: kept, because `close` follows without it. */
  failed(error: unknown): void {
    this.#error ??= this.#resetBy(error);
  }

  /** From Bun's `close`. */
  closed(error: unknown): void {
    if (this.#closed) return;
    if (error !== undefined && error !== null) this.failed(error);
    // The kernel tells a reset once. When it told our write, which Bun reports as a short one, this looks like an orderly end.
    if (this.#error === undefined && this.#short && !this.#endSent) this.failed(LOST_UNSENT);
    // After our own FIN Bun reports the peer's FIN only as the close.
    if (this.#error === undefined) this.peerEnded();
    this.#closed = true;
    this.#origin.gate?.leave();
    this.handler.onClose(this.#error);
  }

  #resetBy(error: unknown): MeshError {
    const side = this.#origin.role === 'dialled' ? 'upstream' : 'downstream';
    const message = `${this.#peer()} broke the connection off: ${messageOf(error)}`;
    return new MeshError('NET_RESET', message, { side, hint: NET_ERRORS.NET_RESET, cause: error });
  }

  #peer(): string {
    return formatHostPort(this.remoteAddress, this.remotePort);
  }

  #localName(): SocketAddress {
    this.#local ??= this.#closed ? undefined : localName(this.#socket.fd);
    return this.#local ?? { address: '', port: 0 };
  }
}
