/** Listeners of one port in a network namespace of its own: counted, and one leaves without losing what waits. Needs root. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { missingFor } from '#test/support/lab.ts';
import { BunNetwork } from '../bun/bun-network.ts';
import type { NetworkNamespace } from '../network.ts';
import { listenersOn, setQueueMigration } from './listeners.ts';
import { openNamespace } from './namespace.ts';
import { closeDescriptor, openListener } from './raw-socket.ts';

const skip = missingFor({ programs: ['ip'], root: true }) !== undefined;
const NAME = `tulle-test-l${process.pid}`;
const PORT = 15001;
/** More than one of two sockets gets when the kernel shares them out by chance. */
const CONNECTIONS = 40;

describe.skipIf(skip)('listeners of a namespace', () => {
  let namespace: NetworkNamespace;
  const network = new BunNetwork({ clock: systemClock });
  const place = { address: '::', port: PORT, reusePort: true };

  beforeAll(() => {
    Bun.spawnSync(['ip', 'netns', 'add', NAME]);
    Bun.spawnSync(['ip', '-n', NAME, 'link', 'set', 'lo', 'up']);
    namespace = openNamespace(`/run/netns/${NAME}`);
  });

  afterAll(() => {
    namespace?.close();
    Bun.spawnSync(['ip', 'netns', 'del', NAME]);
  });

  const listen = (onOpen: () => void) =>
    network.listen({ ...place, namespace }, (connection) => {
      onOpen();
      connection.end();
      return {
        onData: () => undefined,
        onDrain: () => undefined,
        onEnd: () => undefined,
        onClose: () => undefined,
      };
    });

  /** Resolves with how it ended; `begun` when the kernel has answered the SYN. */
  const dial = () => {
    const begun = Promise.withResolvers<void>();
    const ended = new Promise<string>((resolve) => {
      network.connect(
        { address: '127.0.0.1', port: PORT, namespace, connectTimeoutMs: 5000 },
        {
          onOpen(connection) {
            begun.resolve();
            return {
              onData: () => undefined,
              onDrain: () => undefined,
              onEnd: () => connection.end(),
              onClose: (error) => resolve(error?.code ?? 'in order'),
            };
          },
          onFail(error) {
            begun.resolve();
            resolve(error.code);
          },
        },
      );
    });
    return { begun: begun.promise, ended };
  };

  test('listenersOn counts the sockets of the port, in that namespace only', () => {
    expect(listenersOn(namespace, PORT)).toBe(0);
    const first = listen(() => undefined);
    const second = listen(() => undefined);
    expect([listenersOn(namespace, PORT), listenersOn(namespace, PORT + 1)]).toEqual([2, 0]);
    expect(listenersOn(undefined, PORT)).toBe(0);
    first.stop();
    expect(listenersOn(namespace, PORT)).toBe(1);
    second.stop();
  });

  /** One listener never accepts and closes; another is there, with or without migration. */
  const leave = async (migrate: boolean) => {
    expect(setQueueMigration(namespace, migrate)).toBeUndefined();
    const fd = openListener({ ...place, namespace });
    const waiting = Array.from({ length: CONNECTIONS }, dial);
    await Promise.all(waiting.map(({ begun }) => begun));
    let accepted = 0;
    const successor = listen(() => accepted++);
    closeDescriptor(fd);
    const outcomes = await Promise.all(waiting.map(({ ended }) => ended));
    successor.stop();
    return { accepted, outcomes: [...new Set(outcomes)] };
  };

  test('connections in the queue of a listener that closes are reset', async () => {
    expect(await leave(false)).toEqual({ accepted: 0, outcomes: ['NET_RESET'] });
  });

  test('setQueueMigration: they move to the other listener', async () => {
    expect(await leave(true)).toEqual({ accepted: CONNECTIONS, outcomes: ['in order'] });
  });
});
