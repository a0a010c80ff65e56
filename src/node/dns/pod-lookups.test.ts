import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { silentLogger } from '#base/log.ts';
import type { SocketAddress } from '#net/connection.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { dnsUpstreams } from '#test/support/dns-upstreams.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { RCODE, TYPE } from '#wire/dns/codes.ts';
import { type DnsMessage, decodeMessage, encodeMessage, queryFor } from '#wire/dns/message.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { WORKLOAD_WAIT_MS } from '../limits.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { MeshState } from '../state/mesh-state.ts';
import { Meter } from '../usage/meter.ts';
import type { DnsProtocol } from './answer.ts';
import { DEFAULT_DNS_SETTINGS } from './decide.ts';
import { DnsMetrics } from './dns-metrics.ts';
import { UPSTREAM_DEADLINE_MS } from './limits.ts';
import { PodLookups } from './pod-lookups.ts';

const NETNS: NetworkNamespace = { fd: 9, inode: 9, close: () => undefined };
const NAMED = { address: '198.18.0.9', port: 53 };

const SNAPSHOT = new MeshSnapshot({
  version: 1,
  authorizations: [],
  addresses: [
    {
      kind: 'workload',
      workload: completeWorkload({ name: 'web', namespace: 'shop' }, 'cluster.local'),
    },
    {
      kind: 'service',
      service: completeService({
        name: 'product',
        namespace: 'shop',
        addresses: [{ network: '', address: '198.19.0.1' }],
      }),
    },
  ],
});

function rig({ known = true, podMax = 9, allMax = 9, nameservers = ['198.18.0.1'] } = {}) {
  const clock = new FakeClock();
  const upstreams = dnsUpstreams(clock);
  const state = new MeshState();
  if (known) state.replace(SNAPSHOT);
  const refused: string[] = [];
  const meter = (max: number, name: string) =>
    new Meter('dns-queries', max, () => void refused.push(name));
  const own = meter(podMax, 'pod');
  const all = meter(allMax, 'all');
  const context = {
    ...upstreams.deps,
    log: silentLogger,
    state,
    settings: DEFAULT_DNS_SETTINGS,
    nameservers: { current: () => nameservers },
    metrics: new DnsMetrics(new MetricRegistry()),
    pending: all,
  };
  const pod = { uid: 'u', namespace: 'shop', name: 'web', serviceAccount: 'web', netns: NETNS };
  const lookups = new PodLookups(context, pod, own);
  const replies: DnsMessage[] = [];
  let done = 0;
  const ask = (name: string, type: number = TYPE.A, server: SocketAddress | undefined = NAMED) =>
    lookups.handle(
      {
        query: encodeMessage(queryFor(1, name, type), 512),
        protocol: 'udp',
        server: () => server,
      },
      {
        onReply: (bytes) => void replies.push(decodeMessage(bytes) as DnsMessage),
        onDone: () => done++,
      },
    );
  const meters = () => [own.current, all.current];
  return { ...upstreams, clock, state, lookups, ask, replies, meters, refused, done: () => done };
}

describe('PodLookups', () => {
  test('what the mesh knows is answered before it returns, even with every place taken', () => {
    const { ask, replies, meters } = rig({ podMax: 0 });
    expect(ask('product')).toBeUndefined();
    expect(replies).toMatchObject([{ authoritative: true, answers: [{ name: 'product' }] }]);
    expect(meters()).toEqual([0, 0]);
  });

  test('the server that was asked is asked in the network of the pod; it alone', () => {
    const { ask, datagrams, clock, replies, meters, done } = rig();
    ask('www.example.org');
    expect(meters()).toEqual([1, 1]);
    clock.advance(UPSTREAM_DEADLINE_MS);
    expect(datagrams.map(({ options }) => [options.address, options.namespace?.inode])).toEqual(
      new Array(3).fill(['198.18.0.9', 9]),
    );
    expect(replies).toMatchObject([
      { rcode: RCODE.serverFailure, questions: [{ name: 'www.example.org' }] },
    ]);
    expect([done(), ...meters()]).toEqual([1, 0, 0]);
  });

  test("where that is not known the proxy's own servers are, a loopback one in the proxy's network", () => {
    for (const server of [undefined, { address: '127.0.0.1', port: 15053 }]) {
      const { ask, datagrams, clock } = rig({ nameservers: ['198.18.0.1', '127.0.0.53'] });
      ask('www.example.org', TYPE.A, server ?? { address: '::1', port: 15053 });
      clock.advance(UPSTREAM_DEADLINE_MS);
      expect(
        datagrams.map(({ options }) => [options.address, options.port, options.namespace?.inode]),
      ).toEqual([
        ['198.18.0.1', 53, 9],
        ['127.0.0.53', 53, undefined],
        ['198.18.0.1', 53, 9],
      ]);
    }
  });

  test('a pod that discovery does not know yet waits for it, and is answered the moment it comes', () => {
    const { ask, state, replies, meters, done } = rig({ known: false });
    expect(ask('product')).toBeDefined();
    expect([replies.length, ...meters()]).toEqual([0, 1, 1]);
    state.replace(SNAPSHOT);
    expect(replies).toMatchObject([{ rcode: 0, answers: [{ value: { address: '198.19.0.1' } }] }]);
    expect([done(), ...meters()]).toEqual([1, 0, 0]);
  });

  test('a pod that stays unknown gets SERVFAIL, whatever it asks', () => {
    const { ask, clock, replies, meters } = rig({ known: false });
    ask('www.example.org');
    ask('product', TYPE.SRV);
    clock.advance(WORKLOAD_WAIT_MS);
    expect(replies.map(({ rcode }) => rcode)).toEqual([RCODE.serverFailure, RCODE.serverFailure]);
    expect(meters()).toEqual([0, 0]);
  });

  test.each([
    ['of the pod', { podMax: 1 }, 'pod'],
    ['of all pods', { allMax: 1 }, 'all'],
  ])(
    'above the limit %s the next is SERVFAIL at once and takes no place',
    (_title, limits, name) => {
      const { ask, replies, refused, meters } = rig(limits);
      ask('one.example.org');
      expect(ask('two.example.org')).toBeUndefined();
      expect(replies).toMatchObject([
        { rcode: RCODE.serverFailure, questions: [{ name: 'two.example.org' }] },
      ]);
      expect([refused, meters()]).toEqual([[name], [1, 1]]);
    },
  );

  test('cancelled, waiting for either, it gives its place back and says nothing', () => {
    for (const known of [true, false]) {
      const { ask, clock, state, replies, meters, done, datagrams } = rig({ known });
      const waiting = ask('www.example.org');
      waiting?.cancel();
      waiting?.cancel();
      state.replace(SNAPSHOT);
      clock.advance(WORKLOAD_WAIT_MS);
      expect([replies.length, done(), ...meters()]).toEqual([0, 0, 0, 0]);
      expect(datagrams.every(({ closed }) => closed)).toBe(true);
    }
  });

  test('no bytes make it throw, answer twice or keep a place', () => {
    const valid = encodeMessage(queryFor(1, 'product.shop.svc.cluster.local', TYPE.A), 512);
    const bent = fc
      .tuple(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.uint8Array(),
      )
      .map(([changes, tail]) => {
        const bytes = Uint8Array.from([...valid, ...tail]);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      });
    const protocols = fc.constantFrom<DnsProtocol>('udp', 'tcp');
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 80 }), bent),
        protocols,
        (query, protocol) => {
          const { lookups, meters, clock } = rig();
          let replies = 0;
          const waiting = lookups.handle(
            { query, protocol, server: () => NAMED },
            { onReply: () => replies++, onDone: () => undefined },
          );
          if (waiting === undefined) expect(replies).toBe(query.length < 12 ? 0 : 1);
          clock.advance(UPSTREAM_DEADLINE_MS);
          expect([replies, ...meters()]).toEqual([query.length < 12 ? 0 : 1, 0, 0]);
        },
      ),
    );
  });

  test('a server that cannot be asked at all is SERVFAIL before it returns', () => {
    const { ask, next, replies, meters, done } = rig();
    next.throws = true;
    expect(ask('www.example.org')).toBeUndefined();
    expect(replies).toMatchObject([{ rcode: RCODE.serverFailure }]);
    expect([done(), ...meters()]).toEqual([0, 0, 0]);
  });
});
