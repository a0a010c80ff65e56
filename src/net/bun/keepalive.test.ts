import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import type { ConnectOptions } from '../network.ts';
import { BunNetwork } from './bun-network.ts';

const QUIET: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};
/** proc(5): timer 02 is keepalive; it goes off after so many hundredths of a second. */
const KEEPALIVE_TIMER = '02';

function keepaliveSeconds({ localPort, remotePort }: Connection): number | undefined {
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .find((each) => each.includes(`:${hex(localPort)} 0100007F:${hex(remotePort)} `));
  const [timer, when] = line?.trim().split(/\s+/)[5].split(':') ?? [];
  return timer === KEEPALIVE_TIMER ? Number.parseInt(when, 16) / 100 : undefined;
}

type Wanted = Pick<ConnectOptions, 'local' | 'keepalive'>;

async function secondsOf(wanted: Wanted): Promise<number | undefined> {
  const network = new BunNetwork({ clock: systemClock });
  const listener = network.listen({ address: '127.0.0.1', port: 0 }, () => QUIET);
  const connection = await new Promise<Connection>((resolve, reject) => {
    const { port } = listener;
    network.connect(
      { address: '127.0.0.1', port, connectTimeoutMs: 10_000, ...wanted },
      {
        onOpen: (opened) => {
          resolve(opened);
          return QUIET;
        },
        onFail: reject,
      },
    );
  });
  try {
    return keepaliveSeconds(connection);
  } finally {
    connection.reset();
    listener.stop();
  }
}

test('connect sets keepalive as asked: none for a local peer, ours, or the given time', async () => {
  expect(await secondsOf({ local: true })).toBeUndefined();
  expect(await secondsOf({})).toBeGreaterThan(170);
  const keepalive = { timeMs: 7_000, intervalMs: 1_000, probes: 3 };
  const given = await secondsOf({ keepalive });
  expect(given).toBeGreaterThan(5);
  expect(given).toBeLessThanOrEqual(7);
});
