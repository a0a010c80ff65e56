/**
 * Handler of a connection whose other side is not there yet: keeps what arrives, up to a bound, then hands it to
 * the pipe. Cheaper than pausing each new socket, and a server that speaks first is not held up.
 */
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import { ByteQueue } from './byte-queue.ts';
import { type BufferAccount, UNBOUNDED } from './outbox.ts';

export class EarlyData implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #bytesMax: number;
  readonly #account: BufferAccount;
  readonly #onGone: (error: MeshError | undefined) => void;
  #queue = new ByteQueue();
  #paused = false;
  #ended = false;

  /** `onGone`: the connection closed before there was anybody to talk to. */
  constructor(
    connection: Connection,
    options: {
      bytesMax: number;
      account?: BufferAccount;
      onGone: (error: MeshError | undefined) => void;
    },
  ) {
    this.#connection = connection;
    this.#bytesMax = options.bytesMax;
    this.#account = options.account ?? UNBOUNDED;
    this.#onGone = options.onGone;
  }

  /** Gives everything to the handler that took over. */
  replay(next: ConnectionHandler): void {
    const queue = this.#queue;
    this.#account.bytes -= queue.bytes;
    this.#queue = new ByteQueue();
    for (let chunk = queue.first; chunk !== undefined; chunk = queue.first) {
      queue.take(chunk.length);
      next.onData(chunk);
    }
    if (this.#ended) next.onEnd();
    if (this.#paused) this.#connection.resume();
  }

  onData(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#account.bytes += bytes.length;
    const full =
      this.#queue.bytes >= this.#bytesMax || this.#account.bytes >= this.#account.bytesMax;
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
    this.#account.bytes -= this.#queue.bytes;
    this.#queue.clear();
    this.#onGone(error);
  }
}
