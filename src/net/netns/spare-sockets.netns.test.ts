/** Sockets made ahead in a namespace of its own. Needs root. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readlinkSync } from 'node:fs';
import { FakeClock } from '#test/support/fake-clock.ts';
import { missingFor } from '#test/support/lab.ts';
import { SPARE_SOCKETS_MAX, SPARE_SOCKETS_PERIOD_MS } from '../limits.ts';
import type { NetworkNamespace } from '../network.ts';
import { AF_INET } from './constants.ts';
import { libc, ptr } from './libc.ts';
import { openNamespace } from './namespace.ts';
import { closeDescriptor } from './raw-socket.ts';
import { encodeSocketName } from './socket-name.ts';
import { SpareSockets } from './spare-sockets.ts';

const skip = missingFor({ programs: ['ip'], root: true }) !== undefined;
const NAME = `tulle-spare-${process.pid}`;
const ADDRESS = '198.18.78.1';

function run(...command: string[]): void {
  const done = Bun.spawnSync(command, { stderr: 'pipe' });
  if (!done.success) throw new Error(`${command.join(' ')}: ${done.stderr}`);
}

/** Sockets of this process, each with its inode. The garbage collector may close some that other tests have left: only new ones count. */
function openSockets(): Set<string> {
  const open = new Set<string>();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`);
      if (target.startsWith('socket:')) open.add(target);
    } catch (error) {
      // What reads the folder is in it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return open;
}

const newSockets = (before: Set<string>) => openSockets().difference(before).size;

describe.skipIf(skip)('SpareSockets', () => {
  const clock = new FakeClock();
  const spares = new SpareSockets(clock);
  let namespace: NetworkNamespace;

  beforeAll(() => {
    run('ip', 'netns', 'add', NAME);
    run('ip', '-n', NAME, 'link', 'set', 'lo', 'up');
    run('ip', '-n', NAME, 'address', 'add', `${ADDRESS}/32`, 'dev', 'lo');
    namespace = openNamespace(`/run/netns/${NAME}`);
    closeDescriptor(spares.open(namespace, AF_INET));
    clock.advance(2 * SPARE_SOCKETS_PERIOD_MS);
  });

  afterAll(() => {
    namespace?.close();
    Bun.spawnSync(['ip', 'netns', 'del', NAME]);
  });

  /** The address is of that namespace alone. */
  function isInside(fd: number): boolean {
    const name = encodeSocketName({ address: ADDRESS, port: 0 }, AF_INET);
    return libc().bind(fd, ptr(name), name.length) === 0;
  }

  function use(count: number): boolean[] {
    return Array.from({ length: count }, () => {
      const fd = spares.open(namespace, AF_INET);
      const inside = isInside(fd);
      closeDescriptor(fd);
      return inside;
    });
  }

  test('makes none ahead for a pod with one connection in a period', () => {
    const before = openSockets();
    for (let period = 0; period < 3; period += 1) {
      expect(use(1)).toEqual([true]);
      expect(newSockets(before)).toBe(0);
      clock.advance(SPARE_SOCKETS_PERIOD_MS);
    }
    clock.advance(2 * SPARE_SOCKETS_PERIOD_MS);
  });

  test('gives a busy pod sockets of its namespace, few ahead, and closes them after a period without use', () => {
    const before = openSockets();
    expect(use(200)).toEqual(Array(200).fill(true));
    const ahead = newSockets(before);
    expect(ahead).toBeGreaterThan(0);
    expect(ahead).toBeLessThanOrEqual(SPARE_SOCKETS_MAX);
    clock.advance(SPARE_SOCKETS_PERIOD_MS);
    expect(newSockets(before)).toBe(ahead);
    clock.advance(SPARE_SOCKETS_PERIOD_MS);
    expect(newSockets(before)).toBe(0);
  });

  test('makes sockets of its own namespace and of none one by one', () => {
    const before = openSockets();
    const own = openNamespace('/proc/thread-self/ns/net');
    for (const place of [own, undefined]) {
      for (let index = 0; index < 20; index += 1) closeDescriptor(spares.open(place, AF_INET));
    }
    own.close();
    expect(newSockets(before)).toBe(0);
  });
});
