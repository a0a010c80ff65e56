import { expect, test } from 'bun:test';
import { createServer } from 'node:net';
import { QUIET_MS, sendRaw } from './raw-client.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** The machine is busy with something else, and nothing of this process runs. */
function standStill(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test('sendRaw does not take a process that stood still for a peer that is done', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(OK);
      setTimeout(() => {
        standStill(3 * QUIET_MS);
        // By way of others, as an answer comes through a proxy.
        setImmediate(() => setImmediate(() => socket.write(OK)));
      }, QUIET_MS / 2);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const { statuses, closed } = await sendRaw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect({ statuses, closed }).toEqual({ statuses: [200, 200], closed: false });
  server.close();
});
