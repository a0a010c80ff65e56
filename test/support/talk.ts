/** The simplest app and its client, in any network namespace: it says who called, then sends back what it gets. */
import { systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Connection, SocketAddress } from '#net/connection.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { Outbox } from '#net/pipe/outbox.ts';

const network = new BunNetwork({ clock: systemClock });
const DIAL_TIMEOUT_MS = 5_000;

/** One end of a connection: what it got, and how it ended. */
export class Talk {
  readonly connection: Connection;
  readonly closed: Promise<MeshError | undefined>;
  receivedBytes = 0;
  /** The first of it. */
  text = '';
  readonly #outbox: Outbox;
  #wake = Promise.withResolvers<void>();

  constructor(connection: Connection, onBytes?: (talk: Talk, bytes: Uint8Array) => void) {
    this.connection = connection;
    this.#outbox = new Outbox(connection);
    const { promise, resolve } = Promise.withResolvers<MeshError | undefined>();
    this.closed = promise;
    connection.handler = {
      onData: (bytes) => {
        this.receivedBytes += bytes.length;
        if (this.text.length < 1024) this.text += Buffer.from(bytes).toString('latin1');
        onBytes?.(this, bytes);
        this.#wakeUp();
      },
      onDrain: () => this.#outbox.flush(),
      onEnd: () => connection.end(),
      onClose: (error) => {
        resolve(error);
        this.#wakeUp();
      },
    };
  }

  send(bytes: Uint8Array | string): void {
    this.#outbox.push(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
  }

  /** Waits for more until `condition` holds; the test's own deadline ends it. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await this.#wake.promise;
    }
  }

  #wakeUp(): void {
    const { resolve } = this.#wake;
    this.#wake = Promise.withResolvers<void>();
    resolve();
  }
}

export interface App extends Disposable {
  /** Who called, in order. */
  readonly callers: string[];
}

export function serveApp(
  namespace: NetworkNamespace,
  port: number,
  onBytes = (talk: Talk, bytes: Uint8Array) => talk.send(bytes),
): App {
  const callers: string[] = [];
  const listener = network.listen({ address: '::', port, namespace }, (connection) => {
    callers.push(connection.remoteAddress);
    const talk = new Talk(connection, onBytes);
    talk.send(`${connection.remoteAddress}\n`);
    return connection.handler;
  });
  return { callers, [Symbol.dispose]: () => listener.stop() };
}

export function dial(
  namespace: NetworkNamespace,
  to: SocketAddress,
  options: { sourceAddress?: string; connectTimeoutMs?: number } = {},
): Promise<Talk> {
  const { promise, resolve, reject } = Promise.withResolvers<Talk>();
  network.connect(
    { ...to, connectTimeoutMs: DIAL_TIMEOUT_MS, ...options, namespace },
    {
      onOpen(connection) {
        const talk = new Talk(connection);
        resolve(talk);
        return connection.handler;
      },
      onFail: reject,
    },
  );
  return promise;
}

/** Who the app says is calling, or the code of what went wrong instead. */
export async function call(namespace: NetworkNamespace, to: SocketAddress): Promise<string> {
  try {
    const talk = await dial(namespace, to);
    talk.send('ping');
    let failure: string | undefined;
    talk.closed.then((error) => {
      failure = error?.code ?? 'closed';
    });
    await talk.until(() => talk.text.endsWith('\nping') || failure !== undefined);
    if (failure !== undefined) return failure;
    talk.connection.end();
    await talk.closed;
    return talk.text.slice(0, talk.text.indexOf('\n'));
  } catch (error) {
    return (error as MeshError).code;
  }
}
