/** What can be done to 15001 and 15006, which take any bytes: silence, floods of connections, slow ends, calls to themselves. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { STREAM_WINDOW_BYTES } from '#hbone/limits.ts';
import { OUTBOX_HIGH_BYTES } from '#net/limits.ts';
import { PROXY_MARK } from '#node/marks.ts';
import {
  ECHO_PORT,
  HostileRig,
  MUTE_PORT,
  type Neighbour,
  SOURCE_PORT,
  until,
} from '#test/support/hostile-rig.ts';
import { missingFor } from '#test/support/lab.ts';
import { SERVER_IP } from '#test/support/pod-pair.ts';

/** Kernel buffers of the four sockets on the way, and a tunnel's window. */
const ON_THE_WAY_BYTES_MAX = 48 << 20;
/** An outbox at its mark and two reads of the runtime, for each of the two proxies. */
const HELD_BYTES_MAX = OUTBOX_HIGH_BYTES + 2 * (512 << 10) + STREAM_WINDOW_BYTES;
const CONNECTIONS_MAX = 60;

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;

/** 15006: as a peer outside the mesh comes. 15001: as an app of the pod goes. */
const DOORS = [
  { title: 'on 15006', options: { mark: PROXY_MARK }, direction: 'inbound', pod: 1 },
  { title: 'on 15001', options: {}, direction: 'outbound', pod: 0 },
] as const;

for (const { title, options, direction, pod } of DOORS) {
  describe.skipIf(skip)(title, () => {
    let rig: HostileRig;
    let neighbour: Neighbour;
    beforeAll(async () => {
      const podLimits = {
        inboundConnectionsMax: CONNECTIONS_MAX,
        outboundConnectionsMax: CONNECTIONS_MAX,
      };
      rig = await HostileRig.open({ podLimits });
      neighbour = await rig.neighbour();
    });
    afterAll(() => rig[Symbol.dispose]());
    afterEach(async () => {
      await neighbour.echo('after');
      await until(() => sessions() === 1 && held() === 0);
    });
    /** The neighbour is one of each pod. */
    const sessions = () => rig.node.proxies[pod].live.sessions;
    const held = () => rig.usage.reduce((sum, each) => sum + each.bufferedBytes, 0);
    const ourLines = (name: string) =>
      rig
        .lines()
        .filter((line) => line.includes(`src.addr=${name} `) && line.includes(`"${direction}"`));

    test('garbage goes to the app and back as it is', async () => {
      const bytes = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString('latin1');
      const peer = await rig.tcp(ECHO_PORT, options);
      peer.send(bytes);
      await until(() => peer.received.length >= bytes.length);
      expect(peer.received).toBe(bytes);
      peer.connection.end();
      await until(() => peer.closed !== undefined);
      await until(() => ourLines(peer.name).length > 0);
      expect(ourLines(peer.name)).toHaveLength(1);
    });

    test('peers that say nothing cost one place each, are refused beyond the limit, and leave nothing behind', async () => {
      const peers = await Promise.all(
        Array.from({ length: CONNECTIONS_MAX * 2 }, () =>
          rig.tcp(ECHO_PORT, options).catch(() => undefined),
        ),
      );
      const shed = () => peers.filter((peer) => peer === undefined || peer.over).length;
      await until(() => shed() >= CONNECTIONS_MAX + 1);
      expect(shed()).toBe(CONNECTIONS_MAX + 1);
      await until(() => sessions() === CONNECTIONS_MAX);
      await neighbour.echo('with a full house');
      for (const peer of peers) peer?.connection.reset();
      await until(() => sessions() === 1);
      const next = await rig.tcp(ECHO_PORT, options);
      next.send('room again');
      await until(() => next.received === 'room again');
      next.connection.reset();
    });

    test('an app that does not read holds back the peer', async () => {
      using peer = await rig.tcp(MUTE_PORT, options);
      const block = 'x'.repeat(1 << 20);
      for (let count = 0; count < 64; count++) peer.send(block);
      await settled(() => peer.unsent);
      expect(peer.sent).toBeLessThan(ON_THE_WAY_BYTES_MAX);
      expect(held()).toBeLessThanOrEqual(2 * HELD_BYTES_MAX);
      await neighbour.echo('during');
    });

    test('a peer that does not read holds back the app', async () => {
      const start = rig.sourced;
      using peer = await rig.tcp(SOURCE_PORT, options);
      peer.connection.pause();
      await until(() => rig.sourced > start);
      await settled(() => rig.sourced);
      expect(rig.sourced - start).toBeLessThan(ON_THE_WAY_BYTES_MAX);
      expect(held()).toBeLessThanOrEqual(2 * HELD_BYTES_MAX);
      await neighbour.echo('during');
    });

    /** A number that has not changed for some turns. */
    async function settled(value: () => number): Promise<void> {
      let before = -1;
      for (let quiet = 0; quiet < 3; ) {
        quiet = value() === before ? quiet + 1 : 0;
        before = value();
        await neighbour.echo(`turn ${quiet}`);
        await Bun.sleep(20);
      }
    }
  });
}

describe.skipIf(skip)('calls to the proxy itself', () => {
  let rig: HostileRig;
  beforeAll(async () => {
    rig = await HostileRig.open();
  });
  afterAll(() => rig[Symbol.dispose]());
  const linesOf = (port: number, direction: string) =>
    rig
      .lines()
      .filter(
        (line) =>
          line.includes(`dst.hbone_addr=${SERVER_IP}:${port} `) && line.includes(`"${direction}"`),
      );

  test.each([15001, 15006, 15008])(
    'an app that calls %d of a pod is refused, with one line a side',
    async (port) => {
      const neighbour = await rig.neighbour();
      const peer = await rig.tcp(port);
      await until(() => peer.over);
      const calls = () =>
        linesOf(port, 'inbound').filter((line) => line.includes('recursive call'));
      const refusals = () =>
        linesOf(port, 'outbound').filter((line) => line.includes('status: 503'));
      await until(() => calls().length > 0 && refusals().length > 0);
      await neighbour.echo('after');
      expect([calls().length, refusals().length]).toEqual([1, 1]);
      expect(calls()[0]).toContain(`error="recursive call to ${SERVER_IP}:${port} (downstream)"`);
      expect(calls()[0]).toContain('closed_by="self" reason="loop"');
    },
  );

  test.each([15001, 15006])(
    'a peer outside the mesh that calls %d is refused, with one line',
    async (port) => {
      const peer = await rig.tcp(port, { mark: PROXY_MARK });
      await until(() => peer.over && rig.lines(peer).length > 0);
      expect(rig.lines(peer)).toHaveLength(1);
      expect(rig.lines(peer)[0]).toContain(`recursive call to ${SERVER_IP}:${port}`);
    },
  );
});
