import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { PACKET_BYTES_MAX } from '../limits.ts';
import {
  connectPackets,
  listenPackets,
  type Packet,
  type PacketConnection,
  type PacketListener,
} from './packet-socket.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (packet: Packet) => new TextDecoder().decode(packet.bytes);

class End {
  readonly packets: Packet[] = [];
  readonly closed = Promise.withResolvers<MeshError | undefined>();
  connection!: PacketConnection;
  onPacket(packet: Packet): void {
    this.packets.push(packet);
  }
  onClose(error: MeshError | undefined): void {
    this.closed.resolve(error);
  }
}

describe('packet sockets', () => {
  let folder: string;
  let path: string;
  let listener: PacketListener;
  let server: End;
  let client: End;
  // Real signals; a clock that never looks around by itself.
  const clock = new FakeClock();

  const until = async (done: () => boolean) => {
    while (!done()) await Bun.sleep(1);
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tulle-packet-'));
    path = join(folder, 'p.sock');
    server = new End();
    client = new End();
    const accepted = Promise.withResolvers<void>();
    listener = listenPackets(path, clock, (connection) => {
      server.connection = connection;
      accepted.resolve();
      return server;
    });
    client.connection = connectPackets(path, clock, client);
    await accepted.promise;
  });

  afterEach(() => {
    client.connection.close();
    server.connection.close();
    listener.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('keep the bounds of messages, both ways', async () => {
    client.connection.send(bytes('one'));
    client.connection.send(bytes('two'));
    await until(() => server.packets.length === 2);
    expect(server.packets.map(text)).toEqual(['one', 'two']);
    server.connection.send(bytes('x'.repeat(PACKET_BYTES_MAX)));
    await until(() => client.packets.length === 1);
    expect(client.packets[0].bytes.length).toBe(PACKET_BYTES_MAX);
  });

  test('carry descriptors: what arrives is another number for the same file', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const mine = openSync(file, 'r');
    client.connection.send(bytes('with'), mine);
    client.connection.send(bytes('without'));
    await until(() => server.packets.length === 2);
    const [theirs] = server.packets[0].descriptors;
    expect(theirs).not.toBe(mine);
    expect(fstatSync(theirs).ino).toBe(fstatSync(mine).ino);
    expect(server.packets[1].descriptors).toEqual([]);
    closeSync(mine);
    closeSync(theirs);
  });

  test('a message that is too long ends the connection with an error', async () => {
    client.connection.send(bytes('x'.repeat(PACKET_BYTES_MAX + 1)));
    expect((await server.closed.promise)?.message).toContain('longer than 1024');
    expect(await client.closed.promise).toBeUndefined();
  });

  test('the end of one side is heard by the other; after our own close nothing is', async () => {
    client.connection.close();
    expect(await server.closed.promise).toBeUndefined();
    client.connection.send(bytes('nothing'));
    expect(client.packets).toEqual([]);
  });

  test('sending to who is gone ends the connection', async () => {
    server.connection.close();
    client.connection.send(bytes('a'));
    await client.closed.promise;
  });

  test('a second listener replaces what is left of the first, and nobody listens after stop', () => {
    listener.stop();
    expect(() => connectPackets(path, systemClock, client)).toThrow('cannot connect');
    writeFileSync(path, '');
    listener = listenPackets(path, clock, () => server);
    connectPackets(path, clock, new End()).close();
  });

  test('a path that does not fit into a socket name is refused', () => {
    expect(() => connectPackets(`/${'x'.repeat(120)}`, clock, client)).toThrow('107 bytes');
  });
});
