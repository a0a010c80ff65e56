/** Peers and apps that do not read, or grant no window: what the proxy holds stays bounded, the source is held back. */
import { heapStats } from 'bun:jsc';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { STREAM_WINDOW_BYTES } from '#hbone/limits.ts';
import { OUTBOX_HIGH_BYTES } from '#net/limits.ts';
import { frame, headers, settings, uint32Frame } from '#test/support/h2-script.ts';
import {
  ECHO_PORT,
  HostileRig,
  MUTE_PORT,
  type Neighbour,
  type PeerEnd,
  SOURCE_PORT,
  until,
} from '#test/support/hostile-rig.ts';
import { missingFor } from '#test/support/lab.ts';
import { SERVER_IP } from '#test/support/pod-pair.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE } from '#wire/h2/frame.ts';
import { HpackDecoder } from '#wire/hpack/decoder.ts';

const PREFACE = CLIENT_PREFACE.toString('latin1');
const HELLO = PREFACE + settings();
const connect = (id: number, port: number) =>
  headers(id, false, ':method', 'CONNECT', ':authority', `${SERVER_IP}:${port}`);
/** What is alive, buffers included: resident memory would count what other tests of this process have left to collect. */
function liveBytes(): number {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
}
/** Status by stream; the blocks share one dynamic table and are read in order. */
function statusesOf(peer: PeerEnd): Map<number, string> {
  const decoder = new HpackDecoder(65_536);
  const statuses = new Map<number, string>();
  for (const { type, id, payload } of peer.frames) {
    if (type !== code.HEADERS) continue;
    const fields: string[] = [];
    decoder.decode(payload, 0, payload.length, fields);
    statuses.set(id, fields[fields.indexOf(':status') + 1]);
  }
  return statuses;
}
const status = (peer: PeerEnd, id: number) => statusesOf(peer).get(id);
const resetOf = (peer: PeerEnd, id: number) => {
  const found = peer.frames.find((each) => each.type === code.RST_STREAM && each.id === id);
  return found && code.errorCodeName(found.payload.readUInt32BE(0));
};
const dataBytes = (peer: PeerEnd) =>
  peer.frames
    .filter(({ type }) => type === code.DATA)
    .reduce((sum, { payload }) => sum + payload.length, 0);
/** Chosen for the pod here: what waits in tunnels for its app. */
const QUEUED_BYTES_MAX = 8 << 20;
const times = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => make(index)).join('');
/** An outbox is full at its mark; the runtime reads 512 KiB at once, and may read once more before a pause takes hold. */
const HELD_BYTES_MAX = OUTBOX_HIGH_BYTES + 2 * (512 << 10);
/** What an app can get rid of although nobody reads: the kernel's buffers between it and the proxy, both ways on loopback. */
const KERNEL_BYTES_MAX = 16 << 20;

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;

describe.skipIf(skip)('on 15008', () => {
  let rig: HostileRig;
  let neighbour: Neighbour;
  beforeAll(async () => {
    rig = await HostileRig.open({ podLimits: { bufferedBytesMax: QUEUED_BYTES_MAX } });
    neighbour = await rig.neighbour();
  });
  afterAll(() => rig[Symbol.dispose]());
  afterEach(async () => {
    await neighbour.echo('after');
    await until(() => rig.peers === 1 && held() === 0);
  });

  const held = () => rig.usage[1].bufferedBytes;

  /** Waits until the source app has not got rid of a byte for some turns of everybody. */
  async function stalled(): Promise<number> {
    let before = -1;
    for (let quiet = 0; quiet < 3; ) {
      quiet = rig.sourced === before ? quiet + 1 : 0;
      before = rig.sourced;
      await neighbour.echo(`turn ${quiet}`);
      await Bun.sleep(20);
    }
    return before;
  }

  test('a peer with a window of zero gets no byte, and its app is held back', async () => {
    const start = rig.sourced;
    using peer = await rig.tls();
    peer.send(PREFACE + settings(code.SETTINGS_INITIAL_WINDOW_SIZE, 0) + connect(1, SOURCE_PORT));
    await until(() => status(peer, 1) !== undefined);
    expect((await stalled()) - start).toBeLessThan(KERNEL_BYTES_MAX);
    expect(held()).toBeLessThanOrEqual(HELD_BYTES_MAX);
    expect(dataBytes(peer)).toBe(0);
    // Window for ten bytes brings ten bytes.
    peer.send(uint32Frame(code.WINDOW_UPDATE, 1, 10));
    await until(() => dataBytes(peer) === 10);
  });

  test('a peer with endless windows that does not read its socket holds back its app', async () => {
    const start = rig.sourced;
    using peer = await rig.tls();
    peer.send(PREFACE + settings(code.SETTINGS_INITIAL_WINDOW_SIZE, 0x7fffffff));
    peer.send(uint32Frame(code.WINDOW_UPDATE, 0, 0x7fff0000 - 65_535) + connect(1, SOURCE_PORT));
    peer.connection.pause();
    await until(() => rig.sourced > start);
    expect((await stalled()) - start).toBeLessThan(2 * KERNEL_BYTES_MAX);
    expect(held()).toBeLessThanOrEqual(HELD_BYTES_MAX);
  });

  test('an app that does not read stops its peer at the stream window; other streams of the connection go on', async () => {
    using peer = await rig.tls();
    peer.send(HELLO + connect(1, MUTE_PORT) + connect(3, ECHO_PORT));
    await until(() => status(peer, 1) !== undefined && status(peer, 3) !== undefined);
    const block = Buffer.alloc(1 << 19);
    for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += block.length) {
      peer.send(frame(code.DATA, 0, 1, block));
    }
    await until(() => peer.unsent === 0);
    peer.send(frame(code.DATA, 0, 3, Buffer.from('still here')));
    await until(() => dataBytes(peer) === 10);
    expect(held()).toBeLessThanOrEqual(STREAM_WINDOW_BYTES);
  });

  test('peers that fill every window of many tunnels to an app that does not read are not read themselves', async () => {
    const peers = await Promise.all(Array.from({ length: 8 }, () => rig.tls()));
    const block = Buffer.alloc(1 << 20);
    for (const peer of peers) {
      peer.send(HELLO + times(4, (index) => connect(index * 2 + 1, MUTE_PORT)));
    }
    await until(() => peers.every((peer) => statusesOf(peer).size === 4));
    // 15 MiB each: within all that was granted, 120 MiB together.
    for (const peer of peers) {
      for (let index = 0; index < 15; index++) {
        peer.send(frame(code.DATA, 0, (index % 4) * 2 + 1, block));
      }
    }
    const unsent = () => peers.reduce((sum, peer) => sum + peer.unsent, 0);
    let before = -1;
    for (let quiet = 0; quiet < 3; ) {
      quiet = unsent() === before ? quiet + 1 : 0;
      before = unsent();
      await neighbour.echo('meanwhile');
      await Bun.sleep(20);
    }
    const { queuedBytes } = rig.usage[1];
    expect(queuedBytes).toBeGreaterThan(QUEUED_BYTES_MAX / 2);
    expect(queuedBytes).toBeLessThan(QUEUED_BYTES_MAX + peers.length * (1 << 20));
    for (const peer of peers) peer.connection.reset();
    await until(() => rig.usage[1].queuedBytes === 0);
  });

  test('a window full of DATA frames of one byte costs no more memory than the window', async () => {
    using peer = await rig.tls();
    peer.send(HELLO + connect(1, MUTE_PORT));
    await until(() => status(peer, 1) !== undefined);
    const crumbs = frame(code.DATA, 0, 1, Buffer.from('x')).repeat(1 << 16);
    const before = liveBytes();
    for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += 1 << 16) {
      peer.send(crumbs);
      await until(() => peer.unsent === 0);
    }
    // In a buffer of its own each byte costs 100 and more: 400 MiB for this window.
    expect(liveBytes() - before).toBeLessThan(4 * STREAM_WINDOW_BYTES);
  });

  test('a peer that sends past the window loses the stream with FLOW_CONTROL_ERROR, and no memory is spent on it', async () => {
    using peer = await rig.tls();
    peer.send(HELLO + connect(1, MUTE_PORT));
    await until(() => status(peer, 1) !== undefined);
    const block = Buffer.alloc(1 << 20);
    for (let index = 0; index < 15; index++) peer.send(frame(code.DATA, 0, 1, block));
    await until(() => resetOf(peer, 1) !== undefined);
    expect(resetOf(peer, 1)).toBe('FLOW_CONTROL_ERROR');
    peer.send(connect(3, ECHO_PORT) + frame(code.DATA, 1, 3, Buffer.from('next')));
    await until(() => dataBytes(peer) === 4);
    const lines = rig.lines(peer).filter((line) => line.includes('stream 1: it sent more than'));
    expect(lines).toHaveLength(1);
  });

  test('a stream window above 2^31-1 costs the stream only', async () => {
    using peer = await rig.tls();
    peer.send(HELLO + connect(1, ECHO_PORT) + uint32Frame(code.WINDOW_UPDATE, 1, 0x7fffffff));
    peer.send(connect(3, ECHO_PORT) + frame(code.DATA, 1, 3, Buffer.from('next')));
    await until(() => dataBytes(peer) === 4);
    expect(resetOf(peer, 1)).toBe('FLOW_CONTROL_ERROR');
    const lines = rig.lines(peer).filter((line) => line.includes('stream window over 2^31-1'));
    expect(lines).toHaveLength(1);
  });

  test('a flood of WINDOW_UPDATE is read and changes nothing', async () => {
    using peer = await rig.tls();
    peer.send(HELLO + connect(1, ECHO_PORT));
    await until(() => status(peer, 1) !== undefined);
    const flood = uint32Frame(code.WINDOW_UPDATE, 0, 1) + uint32Frame(code.WINDOW_UPDATE, 1, 1);
    peer.send(flood.repeat(20_000));
    await neighbour.echo('during');
    peer.send(frame(code.DATA, 0, 1, Buffer.from('alive')));
    await until(() => dataBytes(peer) === 5);
  });

  test('an HPACK bomb is answered with 431, however often it is repeated', async () => {
    using peer = await rig.tls();
    const big = headers(1, false, ':method', 'CONNECT', ':authority', 'a:1', 'x', 'y'.repeat(4000));
    // Each byte stands for the 4 KB field that the first block put into the table.
    const bomb = (id: number) => frame(code.HEADERS, 4, id, Buffer.alloc(16_000, 0xbe));
    peer.send(HELLO + big);
    for (let id = 3; id < 203; id += 2) peer.send(bomb(id));
    await until(() => status(peer, 201) !== undefined);
    expect([...statusesOf(peer)].filter(([id]) => id >= 3)).toEqual(
      Array.from({ length: 100 }, (_, index) => [index * 2 + 3, '431']),
    );
    await neighbour.echo('bomb');
    peer.send(connect(203, ECHO_PORT) + frame(code.DATA, 1, 203, Buffer.from('alive')));
    await until(() => dataBytes(peer) === 5);
  });
});
