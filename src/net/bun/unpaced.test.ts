import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import { PlainConnection } from '../epoll/plain-connection.ts';
import { SOL_TCP, TCP_CONGESTION } from '../netns/constants.ts';
import { libc, ptr } from '../netns/libc.ts';
import { BunNetwork } from './bun-network.ts';

const QUIET: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};
/** linux/tcp.h TCP_CA_NAME_MAX. */
const NAME_BYTES_MAX = 16;

function congestionControlOf(connection: Connection): string {
  if (!(connection instanceof PlainConnection)) throw new Error('not a socket');
  const name = Buffer.alloc(NAME_BYTES_MAX);
  const length = new Uint32Array([NAME_BYTES_MAX]);
  const { getsockopt } = libc();
  expect(getsockopt(connection.fd, SOL_TCP, TCP_CONGESTION, ptr(name), ptr(length))).toBe(0);
  return name.toString('latin1').replace(/\0.*$/s, '');
}

/** Of the dialled and of the accepted end. */
async function congestionControls(local: boolean): Promise<string[]> {
  const network = new BunNetwork({ clock: systemClock });
  const accepted = Promise.withResolvers<Connection>();
  const dialled = Promise.withResolvers<Connection>();
  const listener = network.listen({ address: '127.0.0.1', port: 0, local }, (connection) => {
    accepted.resolve(connection);
    return QUIET;
  });
  const { port } = listener;
  network.connect(
    { address: '127.0.0.1', port, local, connectTimeoutMs: 10_000 },
    {
      onOpen: (opened) => {
        dialled.resolve(opened);
        return QUIET;
      },
      onFail: dialled.reject,
    },
  );
  const ends = await Promise.all([dialled.promise, accepted.promise]);
  try {
    return ends.map(congestionControlOf);
  } finally {
    for (const end of ends) end.reset();
    listener.stop();
  }
}

test('connections within the machine are not paced, others as the machine does', async () => {
  const usual = readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
  expect(await congestionControls(false)).toEqual([usual, usual]);
  expect(await congestionControls(true)).toEqual(['reno', 'reno']);
});
