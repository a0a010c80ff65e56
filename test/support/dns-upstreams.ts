/** Name servers made of nothing, for tests of whoever asks them: what is sent is kept, what comes back is up to the test. */
import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { seededRandom } from '#base/random.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { DatagramHandler, DatagramOptions, Datagrams } from '#net/datagram.ts';
import type { ConnectHandler, ConnectOptions, Network } from '#net/network.ts';
import { type MemoryConnection, memoryPair } from './memory-connection.ts';

export interface AskedDatagram {
  readonly options: DatagramOptions;
  readonly handler: DatagramHandler;
  readonly sent: Uint8Array[];
  closed: boolean;
}

export interface AskedConnection {
  readonly options: ConnectOptions;
  readonly handler: ConnectHandler<Connection>;
}

export const failure = (message: string) =>
  new MeshError('NET_CONNECT_REFUSED', message, { side: 'upstream', hint: 'none' });

export function dnsUpstreams(clock: Clock) {
  const datagrams: AskedDatagram[] = [];
  const connections: AskedConnection[] = [];
  /** What the next `connect` of a datagram socket does. */
  const next = { throws: false, sends: true };
  const fake: Datagrams = {
    bind() {
      throw failure('not for this test');
    },
    connect(options, handler) {
      if (next.throws) throw failure('no route');
      const asked: AskedDatagram = { options, handler, sent: [], closed: false };
      datagrams.push(asked);
      return {
        send(bytes) {
          if (next.sends) asked.sent.push(Uint8Array.from(bytes));
          return next.sends;
        },
        close() {
          asked.closed = true;
        },
      };
    },
  };
  const network = {
    connect: (options: ConnectOptions, handler: ConnectHandler<Connection>) =>
      void connections.push({ options, handler }),
  } as Network;
  return {
    datagrams,
    connections,
    next,
    deps: { clock, random: seededRandom(7), network, datagrams: fake },
    /** Accepts a dialled connection; the server's end. */
    accept({ handler }: AskedConnection, serverHandler: ConnectionHandler): MemoryConnection {
      const [client, server] = memoryPair();
      server.handler = serverHandler;
      client.handler = handler.onOpen(client);
      return server;
    },
  };
}

/** Lets the microtasks of memory connections run out. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
