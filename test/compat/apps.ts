/** Apps in pods, and clients of them: plain TCP in a namespace, so that each way for a connection to end can be tried. */
import { systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Connection } from '#net/connection.ts';
import type { Listener, NetworkNamespace } from '#net/network.ts';
import { EarlyData } from '#net/pipe/early-data.ts';
import { Pipe } from '#net/pipe/pipe.ts';
import { until } from '#test/support/apiserver.ts';

export const network = new BunNetwork({ clock: systemClock });

export const PORTS = { echo: 8080, greeter: 8081, source: 8082, sink: 8083 } as const;
export const BULK_BYTES = 10 * 1024 * 1024;

/** One end of a connection: what it read, and how it ended. */
export interface Seen {
  readonly connection: Connection;
  text: string;
  bytes: number;
  readonly ended: Promise<void>;
  readonly closed: Promise<MeshError | undefined>;
}

function watch(connection: Connection, onBytes: (seen: Seen) => void = () => undefined): Seen {
  const ended = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<MeshError | undefined>();
  const seen: Seen = {
    connection,
    text: '',
    bytes: 0,
    ended: ended.promise,
    closed: closed.promise,
  };
  connection.handler = {
    onData(chunk) {
      seen.bytes += chunk.length;
      if (seen.bytes < 1024) seen.text += Buffer.from(chunk).toString();
      onBytes(seen);
    },
    onDrain: () => undefined,
    onEnd: ended.resolve,
    onClose: closed.resolve,
  };
  return seen;
}

/** Pushes `BULK_BYTES` with back-pressure, then FIN. */
export function pour(seen: Seen): void {
  const block = Buffer.alloc(BULK_BYTES, 'x');
  let sent = 0;
  const more = () => {
    sent += seen.connection.write(block.subarray(sent));
    if (sent === block.length) seen.connection.end();
  };
  seen.connection.handler.onDrain = () => {
    if (sent < block.length) more();
  };
  more();
}

export interface Apps {
  /** Every connection that reached an app, in order. */
  readonly accepted: Seen[];
  stop(): void;
}

/**
 * echo: what comes goes back, `RST` breaks off, after FIN it says goodbye and ends. greeter: speaks first. source: pours
 * bytes. sink: says how many came when its client ends.
 */
export function startApps(namespace: NetworkNamespace): Apps {
  const accepted: Seen[] = [];
  const listeners: Listener[] = [];
  const serve = (port: number, app: (connection: Connection) => Seen) => {
    listeners.push(
      network.listen({ address: '::', port, namespace }, (connection) => {
        accepted.push(app(connection));
        return connection.handler;
      }),
    );
  };
  serve(PORTS.echo, (connection) => {
    let answered = 0;
    const seen = watch(connection, ({ text }) => {
      if (text.endsWith('RST')) connection.reset();
      else connection.write(Buffer.from(text.slice(answered)));
      answered = text.length;
    });
    seen.ended.then(() => {
      connection.write(Buffer.from('bye'));
      connection.end();
    });
    return seen;
  });
  serve(PORTS.greeter, (connection) => {
    const seen = watch(connection);
    queueMicrotask(() => connection.write(Buffer.from('220 welcome\n')));
    seen.ended.then(() => connection.end());
    return seen;
  });
  serve(PORTS.source, (connection) => {
    const seen = watch(connection);
    queueMicrotask(() => pour(seen));
    return seen;
  });
  serve(PORTS.sink, (connection) => {
    const seen = watch(connection);
    seen.ended.then(() => {
      connection.write(Buffer.from(`${seen.bytes} bytes`));
      connection.end();
    });
    return seen;
  });
  return {
    accepted,
    stop() {
      for (const listener of listeners) listener.stop();
    },
  };
}

export function dial(namespace: NetworkNamespace, address: string, port: number): Promise<Seen> {
  const opened = Promise.withResolvers<Seen>();
  network.connect(
    { address, port, namespace, connectTimeoutMs: 5_000 },
    {
      onOpen(connection) {
        const seen = watch(connection);
        opened.resolve(seen);
        return connection.handler;
      },
      onFail: opened.reject,
    },
  );
  return opened.promise;
}

/** Makes a port of the host's loopback reachable on the loopback of a namespace, as bytes. */
export function relayInto(namespace: NetworkNamespace, port: number, hostPort: number): Listener {
  return network.listen({ address: '::', port, namespace }, (connection) => {
    const early = new EarlyData(connection, { bytesMax: 1 << 20, onGone: () => undefined });
    network.connect(
      { address: '127.0.0.1', port: hostPort, connectTimeoutMs: 5_000 },
      {
        onOpen(upstream) {
          const counters = { receivedBytes: 0, sentBytes: 0 };
          const pipe = new Pipe(connection, upstream, { counters, onFinished: () => undefined });
          early.replay(pipe.downstream);
          return pipe.upstream;
        },
        onFail: () => connection.reset(),
      },
    );
    return early;
  });
}

/** The first line that has all the words, once it is there. */
export function lineWith(output: () => string, ...words: string[]): Promise<string> {
  return until(() =>
    output()
      .split('\n')
      .find((line) => words.every((word) => line.includes(word))),
  );
}
