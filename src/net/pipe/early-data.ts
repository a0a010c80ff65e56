/**
 * Handler of a connection whose other side is not there yet: keeps what arrives, up to a bound, then hands it to
 * the pipe. Cheaper than pausing each new socket, and a server that speaks first is not held up.
 */
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import { ByteQueue } from './byte-queue.ts';
import { type BufferAccount, UNBOUNDED } from './outbox.ts';

export interface EarlyOptions {
  readonly bytesMax: number;
  readonly account?: BufferAccount;
  /** The connection closed before there was anybody to talk to. */
  onGone(error: MeshError | undefined): void;
}

export class EarlyData implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #options: EarlyOptions;
  readonly #account: BufferAccount;
  #queue: ByteQueue | undefined = undefined;
  #paused = false;
  #ended = false;

  constructor(connection: Connection, options: EarlyOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#account = options.account ?? UNBOUNDED;
  }

  /** Gives everything to the handler that took over. */
  replay(next: ConnectionHandler): void {
    const queue = this.#queue;
    this.#drop();
    for (let chunk = queue?.first; chunk !== undefined; chunk = queue?.first) {
      queue?.take(chunk.length);
      next.onData(chunk);
    }
    if (this.#ended) next.onEnd();
    if (this.#paused) this.#connection.resume();
  }

  onData(bytes: Uint8Array): void {
    this.#queue ??= new ByteQueue();
    this.#queue.push(bytes);
    this.#account.bytes += bytes.length;
    const full =
      this.#queue.bytes >= this.#options.bytesMax || this.#account.bytes >= this.#account.bytesMax;
    if (this.#paused || !full) return;
    this.#paused = true;
    this.#connection.pause();
  }

  onDrain(): void {
    return;
  }

  onEnd(): void {
    this.#ended = true;
  }

  onClose(error: MeshError | undefined): void {
    this.#drop();
    this.#options.onGone(error);
  }

  #drop(): void {
    this.#account.bytes -= this.#queue?.bytes ?? 0;
    this.#queue = undefined;
  }
}
