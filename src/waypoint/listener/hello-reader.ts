/** Reads the server name of a TLS client that is passed through, then lets the connection go its way with the bytes so far. */
import type { Clock, Timer } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import type { ConnectionHandler } from '#net/connection.ts';
import { NEED_MORE, readClientHello } from '#wire/tls/client-hello.ts';
import { HELLO_TIMEOUT_MS } from '../limits.ts';

export interface Hello {
  /** Undefined: the client is silent, speaks no TLS, or names no server. */
  readonly serverName: string | undefined;
  readonly early: Uint8Array;
}

export class HelloReader implements ConnectionHandler {
  readonly #onHello: (hello: Hello) => ConnectionHandler;
  readonly #timer: Timer;
  #seen: Uint8Array;

  /** `early`: what was read already. `onHello` sets and returns the connection's next handler. */
  constructor(
    clock: Clock,
    options: { early: Uint8Array; onHello: (hello: Hello) => ConnectionHandler },
  ) {
    this.#onHello = options.onHello;
    this.#seen = options.early;
    this.#timer = clock.after(HELLO_TIMEOUT_MS, () => this.#become(undefined));
  }

  /** Undefined while more bytes are needed. */
  look(): ConnectionHandler | undefined {
    const hello = readClientHello(this.#seen);
    if (hello === NEED_MORE) return undefined;
    return this.#become(typeof hello === 'number' ? undefined : hello.serverName);
  }

  onData(bytes: Uint8Array): void {
    this.#seen = new Uint8Array(Buffer.concat([this.#seen, bytes]));
    this.look();
  }

  onDrain(): void {
    // Nothing was written yet.
  }

  onEnd(): void {
    this.#become(undefined).onEnd();
  }

  onClose(_error: MeshError | undefined): void {
    this.#timer.cancel();
  }

  #become(serverName: string | undefined): ConnectionHandler {
    this.#timer.cancel();
    return this.#onHello({ serverName, early: this.#seen });
  }
}
