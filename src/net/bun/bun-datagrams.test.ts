import { describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { MeshError } from '#base/errors.ts';
import type { SocketAddress } from '../connection.ts';
import type { DatagramHandler } from '../datagram.ts';
import { BunDatagrams } from './bun-datagrams.ts';

const datagrams = new BunDatagrams();

interface Got {
  bytes: Uint8Array;
  from: SocketAddress;
}

/** Hands out what arrives, in order; an error rejects the next wait. */
function inbox(): { handler: DatagramHandler; next(): Promise<Got> } {
  let waiting = Promise.withResolvers<Got>();
  const queue = [waiting.promise];
  const settle = (act: () => void) => {
    act();
    waiting = Promise.withResolvers<Got>();
    queue.push(waiting.promise);
  };
  const handler: DatagramHandler = {
    onDatagram: (bytes, from) =>
      settle(() => waiting.resolve({ bytes: Uint8Array.from(bytes), from })),
    onError: (error) => settle(() => waiting.reject(error)),
  };
  return { handler, next: () => queue.shift() ?? waiting.promise };
}

for (const address of ['127.0.0.1', '::1']) {
  describe(`BunDatagrams on ${address}`, () => {
    test('a datagram sent before the event loop has the socket arrives, and the answer comes back', async () => {
      const server = inbox();
      const bound = datagrams.bind({ address, port: 0 }, server.handler);
      const client = inbox();
      const connected = datagrams.connect({ address, port: bound.port }, client.handler);
      expect(connected.send(Buffer.from('question'))).toBe(true);
      const { bytes, from } = await server.next();
      expect(Buffer.from(bytes).toString()).toBe('question');
      expect(bound.send(Buffer.from('answer'), from)).toBe(true);
      const answer = await client.next();
      expect(Buffer.from(answer.bytes).toString()).toBe('answer');
      expect(answer.from).toEqual({ address, port: bound.port });
      connected.close();
      bound.close();
    });

    test('a connected socket hears its peer alone', async () => {
      const server = inbox();
      const bound = datagrams.bind({ address, port: 0 }, server.handler);
      const stranger = datagrams.bind({ address, port: 0 }, inbox().handler);
      const client = inbox();
      const connected = datagrams.connect({ address, port: bound.port }, client.handler);
      connected.send(Buffer.from('question'));
      const { from } = await server.next();
      expect(stranger.send(Buffer.from('forged'), from)).toBe(true);
      bound.send(Buffer.from('real'), from);
      expect(Buffer.from((await client.next()).bytes).toString()).toBe('real');
      for (const socket of [bound, stranger, connected]) socket.close();
    });

    test('a port where nobody listens is an error at once', async () => {
      const free = datagrams.bind({ address, port: 0 }, inbox().handler);
      free.close();
      const client = inbox();
      const connected = datagrams.connect({ address, port: free.port }, client.handler);
      await Bun.sleep(0);
      connected.send(Buffer.from('anybody?'));
      await expect(client.next()).rejects.toMatchObject({ code: 'NET_CONNECT_REFUSED' });
      connected.close();
    });
  });
}

test('an address that is taken is refused', () => {
  const bound = datagrams.bind({ address: '127.0.0.1', port: 0 }, inbox().handler);
  const again = () => datagrams.bind({ address: '127.0.0.1', port: bound.port }, inbox().handler);
  expect(again).toThrow(MeshError);
  bound.close();
});

test('with reusePort a successor binds while the predecessor is still there', () => {
  const place = { address: '127.0.0.1', reusePort: true };
  const first = datagrams.bind({ ...place, port: 0 }, inbox().handler);
  const second = datagrams.bind({ ...place, port: first.port }, inbox().handler);
  expect(second.port).toBe(first.port);
  first.close();
  second.close();
});

for (const address of ['127.0.0.1', '::1']) {
  test(`detached on ${address}, a socket hands out what it holds, and what comes is its successor's`, async () => {
    const old = inbox();
    const first = datagrams.bind({ address, port: 0, reusePort: true }, old.handler);
    const client = inbox();
    const asker = datagrams.connect({ address, port: first.port }, client.handler);
    // It waits in the kernel: the event loop has not run.
    asker.send(Buffer.from('before'));
    const fresh = inbox();
    const second = datagrams.bind({ address, port: first.port, reusePort: true }, fresh.handler);
    first.detach();
    const held = await old.next();
    expect(Buffer.from(held.bytes).toString()).toBe('before');
    expect(first.send(Buffer.from('late answer'), held.from)).toBe(true);
    expect(Buffer.from((await client.next()).bytes).toString()).toBe('late answer');
    // Many: by chance each could have gone to the right one.
    for (let index = 0; index < 32; index++) {
      const other = datagrams.connect({ address, port: first.port }, inbox().handler);
      other.send(Buffer.from(`after ${index}`));
      expect(Buffer.from((await fresh.next()).bytes).toString()).toBe(`after ${index}`);
      other.close();
    }
    for (const socket of [first, second, asker]) socket.close();
  });
}

test('closed sockets send nothing and leave no descriptor, whenever they are closed', async () => {
  const count = () => readdirSync('/proc/self/fd').length;
  const peer = datagrams.bind({ address: '127.0.0.1', port: 0 }, inbox().handler);
  // The first adoption may open what the runtime keeps.
  datagrams.connect({ address: '127.0.0.1', port: peer.port }, inbox().handler).close();
  await Bun.sleep(0);
  const before = count();
  for (let index = 0; index < 20; index++) {
    const socket = datagrams.connect({ address: '127.0.0.1', port: peer.port }, inbox().handler);
    if (index % 2 === 0) await Bun.sleep(0);
    socket.close();
    socket.close();
    expect(socket.send(Buffer.from('late'))).toBe(false);
  }
  await Bun.sleep(0);
  expect(count()).toBeLessThanOrEqual(before);
  peer.close();
});
