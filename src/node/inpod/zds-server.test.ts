import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { fstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '#base/log.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import { connectPackets, type Packet, type PacketConnection } from '#net/netns/packet-socket.ts';
import { closeDescriptor } from '#net/netns/raw-socket.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { INPOD_RETRY_MS, ZDS_ANSWER_TIMEOUT_MS } from '../limits.ts';
import { ZdsServer } from './zds-server.ts';

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const HELLO = hex('0801');
const ACK = hex('0a00');
const NACK = hex('0a04 0a026e6f');
// Written by protoc from the published definitions.
const ADD = '0a150a027531120f0a03776562120473686f701a027361';
const DEL = '120412027531';
const SNAPSHOT = '1a00';
const POD = { uid: 'u1', name: 'web', namespace: 'shop', serviceAccount: 'sa' };

/** A proxy by hand: what it was told, and whether it still may talk. */
class HandProxy {
  readonly packets: Packet[] = [];
  closed = false;
  readonly connection: PacketConnection;

  constructor(path: string, clock: FakeClock) {
    this.connection = connectPackets(path, clock, {
      onPacket: (packet) => void this.packets.push(packet),
      onClose: () => {
        this.closed = true;
      },
    });
  }

  get told(): string[] {
    return this.packets.map(({ bytes }) => Buffer.from(bytes).toString('hex'));
  }

  async hears(count: number): Promise<void> {
    while (this.packets.length < count) await Bun.sleep(1);
  }

  /** Answers as many messages as come until `count` are told. */
  async answers(count: number, answer = ACK): Promise<void> {
    for (let index = 1; index <= count; index++) {
      await this.hears(index);
      this.connection.send(answer);
    }
  }
}

describe('ZdsServer', () => {
  let folder: string;
  let path: string;
  let clock: FakeClock;
  let server: ZdsServer;
  let netns: NetworkNamespace;
  let proxies: HandProxy[];
  let lines: string[];
  let served: string[];

  const dial = () => {
    const proxy = new HandProxy(path, clock);
    proxies.push(proxy);
    return proxy;
  };
  const greet = () => {
    const proxy = dial();
    proxy.connection.send(HELLO);
    return proxy;
  };
  const until = async (done: () => boolean) => {
    while (!done()) await Bun.sleep(1);
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tulle-zds-'));
    path = join(folder, 'zds.sock');
    clock = new FakeClock();
    lines = [];
    const log = createLogger('zds', { clock, write: (line) => lines.push(line) });
    server = new ZdsServer({ clock, log }, path);
    netns = openNamespace('/proc/self/ns/net');
    proxies = [];
    served = [];
  });

  afterEach(() => {
    server.stop();
    for (const proxy of proxies) {
      for (const { descriptors } of proxy.packets) descriptors.forEach(closeDescriptor);
      proxy.connection.close();
    }
    netns.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('tells who says hello the pods, one after each answer, then that it was all; then changes', async () => {
    server.add(POD, netns, () => served.push('u1'));
    const proxy = greet();
    await proxy.hears(1);
    expect(proxy.told).toEqual([ADD]);
    expect(fstatSync(proxy.packets[0].descriptors[0]).ino).toBe(netns.inode);
    await proxy.answers(2);
    expect(served).toEqual(['u1']);
    expect(proxy.told).toEqual([ADD, SNAPSHOT]);
    server.delete('u1');
    await proxy.hears(3);
    expect(proxy.told[2]).toBe(DEL);
    expect(proxy.packets.slice(1).map(({ descriptors }) => descriptors.length)).toEqual([0, 0]);
  });

  test('new pods go to the newest proxy only, those that go to all', async () => {
    const old = greet();
    await old.answers(1);
    await until(() => server.proxies === 1);
    const fresh = greet();
    await fresh.answers(1);
    server.add(POD, netns, () => served.push('u1'));
    await fresh.hears(2);
    fresh.connection.send(ACK);
    await until(() => served.length === 1);
    server.delete('u1');
    await Promise.all([old.hears(2), fresh.hears(3)]);
    expect(old.told).toEqual([SNAPSHOT, DEL]);
    expect(fresh.told).toEqual([SNAPSHOT, ADD, DEL]);
  });

  test('a pod that the proxy could not take is asked for again, until it can', async () => {
    const proxy = greet();
    await proxy.answers(1);
    server.add(POD, netns, () => served.push('u1'));
    await proxy.hears(2);
    proxy.connection.send(NACK);
    await until(() => lines.some((line) => line.includes('refused what="shop/web" error="no"')));
    expect(served).toEqual([]);
    clock.advance(INPOD_RETRY_MS);
    await proxy.hears(3);
    expect(proxy.told).toEqual([SNAPSHOT, ADD, ADD]);
    proxy.connection.send(ACK);
    await until(() => served.length === 1);
  });

  test('one that says or answers nothing, another version, or what nobody asked, is left', async () => {
    const silent = dial();
    // The looks of listener and both ends, and the wait for its hello.
    await until(() => clock.pending === 4);
    clock.advance(ZDS_ANSWER_TIMEOUT_MS);
    await until(() => silent.closed);
    const other = dial();
    other.connection.send(hex('0802'));
    await until(() => other.closed);
    const talkative = greet();
    await talkative.answers(1);
    talkative.connection.send(ACK);
    talkative.connection.send(ACK);
    await until(() => talkative.closed);
    const slow = greet();
    await slow.hears(1);
    clock.advance(ZDS_ANSWER_TIMEOUT_MS);
    await until(() => slow.closed);
    expect(server.proxies).toBe(0);
  });

  test('a proxy that comes back is told everything again', async () => {
    server.add(POD, netns, () => served.push('u1'));
    const first = greet();
    await first.answers(2);
    first.connection.close();
    await until(() => server.proxies === 0);
    const second = greet();
    await second.answers(2);
    expect(second.told).toEqual([ADD, SNAPSHOT]);
  });
});
