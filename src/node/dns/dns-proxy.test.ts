import { expect, test } from 'bun:test';
import type { Clock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type { DatagramHandler } from '#net/datagram.ts';
import type { Network } from '#net/network.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { RCODE, TYPE } from '#wire/dns/codes.ts';
import { encodeMessage, queryFor } from '#wire/dns/message.ts';
import { MeshState } from '../state/mesh-state.ts';
import { podLimitsFor } from '../usage/pod-limits.ts';
import { Usages } from '../usage/usages.ts';
import { dnsContext } from './dns-context.ts';
import { DnsProxy } from './dns-proxy.ts';
import { DATAGRAMS_PER_TURN_MAX, DATAGRAMS_WAITING_MAX } from './limits.ts';

const FROM = { address: '127.0.0.1', port: 40000 };

test('of a flood only so many datagrams are looked at in one turn of the event loop', () => {
  const turns: (() => void)[] = [];
  const clock = new FakeClock();
  const eachTurn: Clock = {
    now: () => clock.now(),
    wallTime: () => clock.wallTime(),
    every: (periodMs, callback) => clock.every(periodMs, callback),
    after(_delayMs, callback) {
      turns.push(callback);
      return { cancel: () => undefined };
    },
  };
  const registry = new MetricRegistry();
  const usages = new Usages({ clock, log: silentLogger, registry }, podLimitsFor(1024));
  const identity = { uid: 'u', namespace: 'shop', name: 'web', serviceAccount: 'web' };
  const handlers: DatagramHandler[] = [];
  const replies: Uint8Array[] = [];
  const context = {
    ...dnsContext({
      clock: eachTurn,
      registry,
      usages,
      log: silentLogger,
      random: seededRandom(1),
      state: new MeshState(),
      network: {
        listen: () => ({ address: '', port: 0, alive: true, stop: () => undefined }),
      } as unknown as Network,
    }),
    datagrams: {
      bind(place: { address: string; port: number }, handler: DatagramHandler) {
        handlers.push(handler);
        const { address, port } = place;
        const send = (bytes: Uint8Array) => replies.push(Uint8Array.from(bytes)) > 0;
        return { address, port, send, detach: () => undefined, close: () => undefined };
      },
      connect() {
        throw new Error('nothing is passed on');
      },
    },
  };
  const usage = usages.open(identity);
  const proxy = new DnsProxy(context, { ...identity, netns: undefined }, usage);
  proxy.start(0);
  const [handler] = handlers;
  // Refused without waiting for anything: another operation.
  const query = encodeMessage({ ...queryFor(1, 'a', TYPE.A), opcode: 4 }, 512);
  const flood = (count: number) => {
    for (let index = 0; index < count; index++) handler.onDatagram(query, FROM);
  };
  /** One at a time: a callback that is due at once belongs to the next turn. */
  const turn = () => {
    const due = turns.splice(0);
    for (const callback of due) callback();
  };
  flood(DATAGRAMS_PER_TURN_MAX + DATAGRAMS_WAITING_MAX + 10);
  expect(replies.length).toBe(DATAGRAMS_PER_TURN_MAX);
  expect(replies[0][3] & 15).toBe(RCODE.notImplemented);
  expect(registry.expose()).toContain(
    'tulle_limit_hits_total{limit="dns-datagrams",namespace="shop",pod="web"} 10',
  );
  turn();
  expect(replies.length).toBe(DATAGRAMS_PER_TURN_MAX * 2);
  // In order: what comes now waits behind what waits already.
  flood(1);
  expect(replies.length).toBe(DATAGRAMS_PER_TURN_MAX * 2);
  for (let more = 0; more < DATAGRAMS_WAITING_MAX / DATAGRAMS_PER_TURN_MAX; more++) turn();
  expect(replies.length).toBe(DATAGRAMS_PER_TURN_MAX + DATAGRAMS_WAITING_MAX + 1);
  turn();
  expect([usage.dnsDatagrams.current, turns.length]).toEqual([0, 0]);
  flood(1);
  expect(replies.length).toBe(DATAGRAMS_PER_TURN_MAX + DATAGRAMS_WAITING_MAX + 2);
  flood(DATAGRAMS_PER_TURN_MAX);
  proxy.stop();
  expect(usage.dnsDatagrams.current).toBe(0);
});
