/** The epoll instance inside Bun's loop: who lives on for it, more sockets than a turn serves, numbers that are used again. */
import { expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { BunNetwork } from '../bun/bun-network.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import { EPOLL_EVENTS_MAX } from '../limits.ts';
import { EPOLLIN, O_CLOEXEC } from '../netns/constants.ts';
import { libc } from '../netns/libc.ts';
import { closeDescriptor, openPair, sendDatagram } from '../netns/raw-socket.ts';
import { epollLoop } from './epoll-loop.ts';

const network = new BunNetwork({ clock: systemClock });
const LOCAL = { address: '127.0.0.1', port: 0 };
const NETWORK = `${import.meta.dir}/../bun/bun-network.ts`;
const CLOCK = `${import.meta.dir}/../../base/clock.ts`;

const QUIET: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

function dial(port: number, handler: Partial<ConnectionHandler>): Promise<Connection> {
  const opened = Promise.withResolvers<Connection>();
  network.connect(
    { address: '127.0.0.1', port, connectTimeoutMs: 10_000 },
    {
      onOpen(connection) {
        opened.resolve(connection);
        return { ...QUIET, ...handler };
      },
      onFail: opened.reject,
    },
  );
  return opened.promise;
}

/** What is no end by itself: far more than its next turn needs, counted from the word that it has begun. */
const LIVES_ON_MS = 1_000;

/** The output of a program that has a network, and whether it ended; one that goes on behind the word `stays` is killed. */
async function run(program: string): Promise<{ text: string; endedItself: boolean }> {
  const code = `
    import { systemClock } from '${CLOCK}';
    import { BunNetwork } from '${NETWORK}';
    const network = new BunNetwork({ clock: systemClock });
    const QUIET = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
    ${program}`;
  const child = Bun.spawn([process.execPath, '-e', code], { stdout: 'pipe', stderr: 'inherit' });
  let text = '';
  let killed: Timer | undefined;
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes('stays\n')) killed ??= setTimeout(() => child.kill(), LIVES_ON_MS);
  }
  await child.exited;
  clearTimeout(killed);
  return { text, endedItself: child.exitCode === 0 };
}

test('who waits while descriptors have run out is accepted once there are some again, though nobody else comes', async () => {
  const code = `
    import { closeSync, openSync } from 'node:fs';
    import { systemClock } from '${CLOCK}';
    import { BunNetwork } from '${NETWORK}';
    const taken = [];
    const orders = {
      ping: () => console.log('pong'),
      free: () => { for (const fd of taken.splice(0)) closeSync(fd); },
    };
    process.stdin.on('data', (order) => orders[String(order).trim()]());
    const listener = new BunNetwork({ clock: systemClock }).listen({ address: '127.0.0.1', port: 0 }, () => {
      console.log('accepted, ' + taken.length + ' taken');
      return { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
    });
    await Bun.sleep(0);
    for (;;) try { taken.push(openSync('/dev/null')); } catch { break; }
    console.log(listener.port);`;
  const command = ['prlimit', '--nofile=256', process.execPath, '-e', code];
  const child = Bun.spawn(command, { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' });
  const killed = setTimeout(() => child.kill(), 5_000);
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number((await lines.read()).value);
  const client = await dial(port, {});
  child.stdin.write('ping\n');
  child.stdin.flush();
  // A turn of its loop is over: it has been told of the client.
  expect((await lines.read()).value).toBe('pong\n');
  child.stdin.write('free\n');
  child.stdin.flush();
  expect((await lines.read()).value).toBe('accepted, 0 taken\n');
  clearTimeout(killed);
  client.reset();
  child.kill();
  await child.exited;
});

test('a process lives as long as it has plain sockets, and ends by itself without', async () => {
  const [listening, done] = await Promise.all([
    run(`network.listen({ address: '127.0.0.1', port: 0 }, () => QUIET); console.log('stays');`),
    run(`
      const listener = network.listen({ address: '127.0.0.1', port: 0 }, (connection) => ({
        ...QUIET, onEnd: () => connection.end(),
      }));
      network.connect({ address: '127.0.0.1', port: listener.port, connectTimeoutMs: 1_000 }, {
        onOpen(connection) {
          connection.end();
          listener.stop();
          return { ...QUIET, onClose: (error) => console.log('closed', error) };
        },
        onFail: console.log,
      });`),
  ]);
  expect(listening).toEqual({ text: 'stays\n', endedItself: false });
  expect(done).toEqual({ text: 'closed undefined\n', endedItself: true });
});

test('an exception of a handler ends the process', async () => {
  const { text, endedItself } = await run(`
    process.on('uncaughtException', (error) => { console.log(error.message); process.exit(0); });
    const listener = network.listen({ address: '127.0.0.1', port: 0 }, (connection) => ({
      ...QUIET, onData() { throw new Error('a bug'); },
    }));
    network.connect({ address: '127.0.0.1', port: listener.port, connectTimeoutMs: 10_000 }, {
      onOpen: (connection) => { connection.write(Buffer.from('x')); return QUIET; },
      onFail: console.log,
    });`);
  expect({ text, endedItself }).toEqual({ text: 'a bug\n', endedItself: true });
});

test('more sockets than a turn serves have all their turn', async () => {
  const count = EPOLL_EVENTS_MAX + 100;
  const listener = network.listen(LOCAL, (connection) => ({
    ...QUIET,
    onData: (bytes) => void connection.write(bytes),
  }));
  let echoes = 0;
  const all = Promise.withResolvers<void>();
  const onData = () => {
    echoes += 1;
    if (echoes === count) all.resolve();
  };
  const connections: Connection[] = [];
  for (let index = 0; index < count; index++) {
    connections.push(await dial(listener.port, { onData }));
  }
  for (const connection of connections) connection.write(Buffer.from('x'));
  await all.promise;
  for (const connection of connections) connection.reset();
  listener.stop();
  expect(echoes).toBe(count);
});

test('what an event said of a descriptor is not said to the one that has its number since', async () => {
  const loop = epollLoop();
  const said: string[] = [];
  const open = new Set<number>();
  const watch = (name: string, fd: number, ready: () => void = () => undefined) => {
    const watched = {
      serial: loop.nextSerial(),
      ready() {
        said.push(name);
        ready();
      },
    };
    expect(loop.add(fd, EPOLLIN, watched)).toBe(0);
    open.add(fd);
  };
  const close = (fd: number) => {
    loop.remove(fd);
    closeDescriptor(fd);
    open.delete(fd);
  };
  const [first, firstFar] = openPair();
  const [second, secondFar] = openPair();
  const [quiet, quietFar] = openPair();
  // Both have a byte, and events of one turn.
  const swap = (own: number, other: number) => () => {
    close(own);
    close(other);
    expect(libc().dup3(quiet, other, O_CLOEXEC)).toBe(other);
    watch('successor', other);
  };
  watch('first', first, swap(first, second));
  watch('second', second, swap(second, first));
  for (const fd of [firstFar, secondFar]) sendDatagram(fd, Uint8Array.of(1));
  while (said.length === 0) await Bun.sleep(1);
  await Bun.sleep(5);
  for (const fd of open) close(fd);
  for (const fd of [firstFar, secondFar, quiet, quietFar]) closeDescriptor(fd);
  expect(said).toEqual(['first']);
});
