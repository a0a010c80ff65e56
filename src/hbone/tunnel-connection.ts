/**
 * One CONNECT stream as a `Connection`: DATA is its bytes, END_STREAM its FIN, RST_STREAM its reset. Made by the
 * pool (client) and by the tunnel server; it is the handler of its HTTP/2 stream.
 */
import { MeshError } from '#base/errors.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { H2Stream, H2StreamHandler, Initiator } from '#http/h2/connection.ts';
import type { Connection, ConnectionHandler, SocketAddress } from '#net/connection.ts';
import { HBONE_ERRORS } from './errors.ts';

/** RFC 9113 §7. */
const NO_ERROR = 0x0;
const CANCEL = 0x8;

const NOBODY: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

export interface TunnelNames {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
}

export interface AnswerHandler {
  onAnswer(head: MessageHead): void;
}

export class TunnelConnection implements Connection, H2StreamHandler {
  handler: ConnectionHandler = NOBODY;
  /** Client role: gets the peer's answers to CONNECT. */
  answered: AnswerHandler | undefined = undefined;
  readonly #side: 'downstream' | 'upstream';
  readonly #names: TunnelNames;
  #stream: H2Stream | undefined = undefined;
  #ended = false;
  #peerEnded = false;
  #closed = false;
  #onRetiring: (() => void) | undefined = undefined;
  #retiring = false;

  constructor(side: 'downstream' | 'upstream', names: TunnelNames) {
    this.#side = side;
    this.#names = names;
  }

  attach(stream: H2Stream): void {
    this.#stream = stream;
  }

  get remoteAddress(): string {
    return this.#names.remote.address;
  }
  get remotePort(): number {
    return this.#names.remote.port;
  }
  get localAddress(): string {
    return this.#names.local.address;
  }
  get localPort(): number {
    return this.#names.local.port;
  }

  write(bytes: Uint8Array): number {
    if (this.#closed || this.#ended || this.#stream === undefined) return 0;
    return this.#stream.write(bytes);
  }

  end(): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.#stream?.end();
    if (this.#peerEnded) this.#closeSoon(undefined);
  }

  reset(): void {
    this.resetWith(CANCEL);
  }

  resetWith(code: number): void {
    if (this.#closed) return;
    this.#stream?.reset(code);
    this.#closeSoon(
      new MeshError('HBONE_TUNNEL_RESET_LOCAL', 'we reset the tunnel', {
        side: 'self',
        hint: HBONE_ERRORS.HBONE_TUNNEL_RESET_LOCAL,
      }),
    );
  }

  pause(): void {
    if (!this.#closed) this.#stream?.pause();
  }

  resume(): void {
    if (!this.#closed) this.#stream?.resume();
  }

  onHead(head: MessageHead, end: boolean): void {
    this.answered?.onAnswer(head);
    if (end) this.onEnd();
  }

  onData(bytes: Uint8Array): void {
    this.handler.onData(bytes);
  }

  onDrain(): void {
    this.handler.onDrain();
  }

  onEnd(): void {
    if (this.#peerEnded || this.#closed) return;
    this.#peerEnded = true;
    this.handler.onEnd();
    if (this.#ended) this.#closeSoon(undefined);
  }

  get onRetiring(): (() => void) | undefined {
    return this.#onRetiring;
  }

  /** Called at once when the connection was draining before the tunnel was open. */
  set onRetiring(callback: (() => void) | undefined) {
    this.#onRetiring = callback;
    if (this.#retiring) callback?.();
  }

  onDraining(): void {
    this.#retiring = true;
    this.#onRetiring?.();
  }

  onReset(error: MeshError, code: number, initiator: Initiator): void {
    if (this.#closed) return;
    this.#closed = true;
    // After both ends finished, a NO_ERROR reset only frees the stream (RFC 9113 §8.1).
    const orderly = code === NO_ERROR && initiator === 'them' && this.#ended && this.#peerEnded;
    this.handler.onClose(orderly ? undefined : this.#lost(error, initiator));
  }

  #lost(error: MeshError, initiator: Initiator): MeshError {
    if (error.code === 'HBONE_TUNNEL_RESET' || error.code === 'TRUST_REVOKED') return error;
    const code = initiator === 'connection' ? 'HBONE_CONNECTION_LOST' : 'HBONE_TUNNEL_RESET';
    return new MeshError(code, `tunnel broken off: ${error.message}`, {
      side: this.#side,
      hint: HBONE_ERRORS[code],
      retry: error.retry,
      cause: error,
    });
  }

  /** Never inside the caller's own call: handlers expect `onClose` to come from below. */
  #closeSoon(error: MeshError | undefined): void {
    this.#closed = true;
    queueMicrotask(() => this.handler.onClose(error));
  }
}
