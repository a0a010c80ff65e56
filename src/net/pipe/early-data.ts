/**
 * Handler of a connection whose other side is not there yet: keeps what arrives, up to a bound, then hands it to
 * the pipe. Cheaper than pausing each new socket, and a server that speaks first is not held up.
 */
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import { type BufferAccount, UNBOUNDED } from './outbox.ts';

export class EarlyData implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #bytesMax: number;
  readonly #account: BufferAccount;
  readonly #onGone: (error: MeshError | undefined) => void;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
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
    const chunks = this.#chunks;
    this.#forget();
    for (const chunk of chunks) next.onData(chunk);
    if (this.#ended) next.onEnd();
    if (this.#paused) this.#connection.resume();
  }

  onData(bytes: Uint8Array): void {
    // `slice` of a Buffer would share the runtime's memory.
    this.#chunks.push(new Uint8Array(bytes));
    this.#bytes += bytes.length;
    this.#account.bytes += bytes.length;
    const full = this.#bytes >= this.#bytesMax || this.#account.bytes >= this.#account.bytesMax;
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
    this.#forget();
    this.#onGone(error);
  }

  #forget(): void {
    this.#account.bytes -= this.#bytes;
    this.#chunks = [];
    this.#bytes = 0;
  }
}
