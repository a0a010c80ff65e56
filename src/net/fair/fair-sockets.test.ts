/** Real sockets that are held and released all the time lose nothing: not a byte, not a connection, not a FIN. */
import { expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { BunNetwork } from '../bun/bun-network.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import { FairLoop } from './fair-loop.ts';

const network = new BunNetwork({ clock: systemClock });
const LOCAL = { address: '127.0.0.1', port: 0 };
const CLIENT = 'spiffe://cluster.local/ns/shop/sa/web';

/** Two workloads, the second of which is always active. */
function busyShares() {
  const loop = new FairLoop({ clock: systemClock });
  const share = loop.share();
  const other = loop.share();
  const socket = { hold: () => undefined, release: () => undefined };
  const timer = systemClock.every(0, () => other.took(socket, 0, other.now() - 0.01));
  return { share, [Symbol.dispose]: () => timer.cancel() };
}

function handlerOf(connection: Connection, done: (bytes: number) => void): ConnectionHandler {
  let bytes = 0;
  return {
    onData: (chunk) => {
      bytes += chunk.length;
    },
    onDrain: () => undefined,
    onEnd: () => {
      done(bytes);
      connection.end();
    },
    onClose: () => undefined,
  };
}

/** Sends so many bytes, then FIN. */
function sender(connection: Connection, total: number): ConnectionHandler {
  const block = Buffer.alloc(256 * 1024, 7);
  let sent = 0;
  const go = () => {
    while (sent < total) {
      const taken = connection.write(block.subarray(0, Math.min(block.length, total - sent)));
      sent += taken;
      if (taken === 0) return;
    }
    connection.end();
  };
  queueMicrotask(go);
  return { onData: () => undefined, onDrain: go, onEnd: () => undefined, onClose: () => undefined };
}

test('a flood of plain connections is served whole, each exactly once', async () => {
  using busy = busyShares();
  const count = 200;
  const lengths: number[] = [];
  const all = Promise.withResolvers<void>();
  const listener = network.listen({ ...LOCAL, share: busy.share }, (connection) =>
    handlerOf(connection, (bytes) => {
      lengths.push(bytes);
      if (lengths.length === count) all.resolve();
    }),
  );
  for (let index = 0; index < count; index += 1) {
    network.connect(
      { address: '127.0.0.1', port: listener.port, connectTimeoutMs: 10_000 },
      { onOpen: (connection) => sender(connection, 1000 + index), onFail: all.reject },
    );
  }
  await all.promise;
  listener.stop();
  const want = Array.from({ length: count }, (_, index) => 1000 + index);
  expect(lengths.sort((a, b) => a - b)).toEqual(want);
});

test('bulk over TLS, read in turns at both ends, arrives whole', async () => {
  using busy = busyShares();
  const identity = await (await createTestCa()).issue(CLIENT);
  const total = 24 << 20;
  const received = Promise.withResolvers<number>();
  const alpn = ['h2'];
  const listener = network.listenTls(
    { ...LOCAL, identity, clientCertificate: 'require', alpn, share: busy.share },
    (connection) => handlerOf(connection, received.resolve),
  );
  const { share } = busy;
  network.connectTls(
    { address: '127.0.0.1', port: listener.port, identity, alpn, share, connectTimeoutMs: 10_000 },
    { onOpen: (connection) => sender(connection, total), onFail: received.reject },
  );
  expect(await received.promise).toBe(total);
  listener.stop();
});
