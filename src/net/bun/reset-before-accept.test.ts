/** A peer that connects and resets before it is accepted: nothing is known of it, and nothing may come of it. */
import { expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { createTestCa } from '#test/support/certificates.ts';
import type { ConnectionHandler } from '../connection.ts';
import { BunNetwork } from './bun-network.ts';

const network = new BunNetwork({ clock: systemClock });
const LOCAL = { address: '127.0.0.1', port: 0 };
const CLIENT = `
const [port] = process.argv.slice(1).map(Number);
await Bun.connect({ hostname: '127.0.0.1', port, socket: { open: (socket) => socket.terminate(), data() {} } });
process.exit(0);`;

/** This loop stands still meanwhile, so that the kernel has the connection and its end before anybody accepts. */
function connectAndReset(port: number): void {
  const { exitCode } = Bun.spawnSync([process.execPath, '-e', CLIENT, String(port)]);
  expect(exitCode).toBe(0);
}

function answering(): ConnectionHandler {
  return {
    onData: () => undefined,
    onDrain: () => undefined,
    onEnd: () => undefined,
    onClose: () => undefined,
  };
}

async function accepts(port: number): Promise<void> {
  const opened = Promise.withResolvers<void>();
  network.connect(
    { address: '127.0.0.1', port, connectTimeoutMs: 5000 },
    {
      onOpen(connection) {
        opened.resolve();
        setImmediate(() => connection.reset());
        return answering();
      },
      onFail: opened.reject,
    },
  );
  await opened.promise;
}

test('a plain listener drops it and goes on', async () => {
  let accepted = 0;
  const listener = network.listen(LOCAL, () => {
    accepted += 1;
    return answering();
  });
  connectAndReset(listener.port);
  await accepts(listener.port);
  while (accepted === 0) await Bun.sleep(1);
  expect(accepted).toBe(1);
  listener.stop();
});

test('a TLS listener drops it and goes on', async () => {
  const ca = await createTestCa('reset');
  const identity = await ca.issue('spiffe://cluster.local/ns/shop/sa/web');
  const refused: string[] = [];
  const listener = network.listenTls(
    {
      ...LOCAL,
      identity,
      clientCertificate: 'require',
      alpn: ['h2'],
      onRefused: (error) => refused.push(error.code),
    },
    () => answering(),
  );
  connectAndReset(listener.port);
  await accepts(listener.port);
  listener.stop();
});
