/** A foreign source address with few ports, in a namespace of its own. Needs root. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { missingFor } from '#test/support/lab.ts';
import { BunNetwork } from '../bun/bun-network.ts';
import type { Connection } from '../connection.ts';
import type { Listener, NetworkNamespace } from '../network.ts';
import { openNamespace } from './namespace.ts';

const skip = missingFor({ programs: ['ip'], root: true }) !== undefined;
const NAME = `tulle-ports-${process.pid}`;
const CLIENT = '198.18.77.1';
const PORTS = 4;
const SERVERS = 3;

function run(...command: string[]): void {
  const done = Bun.spawnSync(command, { stderr: 'pipe' });
  if (!done.success) throw new Error(`${command.join(' ')}: ${done.stderr}`);
}

describe.skipIf(skip)('connections from a foreign source address', () => {
  const network = new BunNetwork({ clock: systemClock });
  const listeners: Listener[] = [];
  let namespace: NetworkNamespace;

  beforeAll(() => {
    run('ip', 'netns', 'add', NAME);
    run('ip', '-n', NAME, 'link', 'set', 'lo', 'up');
    run('ip', '-n', NAME, 'address', 'add', `${CLIENT}/32`, 'dev', 'lo');
    const range = `net.ipv4.ip_local_port_range=50000 ${50000 + PORTS - 1}`;
    run('ip', 'netns', 'exec', NAME, 'sysctl', '-qw', range);
    namespace = openNamespace(`/run/netns/${NAME}`);
  });

  afterAll(() => {
    for (const listener of listeners) listener.stop();
    namespace?.close();
    Bun.spawnSync(['ip', 'netns', 'del', NAME]);
  });

  test('share its ports between destinations: each destination has all of them', async () => {
    const quiet = {
      onData: () => undefined,
      onDrain: () => undefined,
      onEnd: () => undefined,
      onClose: () => undefined,
    };
    const dial = (port: number) =>
      new Promise<Connection>((resolve, reject) => {
        const place = { address: '127.0.0.1', port, namespace, sourceAddress: CLIENT };
        network.connect(
          { ...place, connectTimeoutMs: 10_000 },
          {
            onOpen(connection) {
              resolve(connection);
              return quiet;
            },
            onFail: reject,
          },
        );
      });
    const open: Connection[] = [];
    for (let server = 0; server < SERVERS; server++) {
      const place = { address: '127.0.0.1', port: 8001 + server, namespace };
      const listener = network.listen(place, () => quiet);
      listeners.push(listener);
      for (let index = 0; index < PORTS; index++) open.push(await dial(listener.port));
    }
    expect(open).toHaveLength(SERVERS * PORTS);
    for (const connection of open) connection.reset();
  });
});
