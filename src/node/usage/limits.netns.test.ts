/**
 * Each limit of one pod on real sockets: what is beyond it is refused with its reason, a neighbour is not, and what is
 * given back can be used again. Needs root.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Connection } from '#net/connection.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import type { Listener, NetworkNamespace } from '#net/network.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { missingFor } from '#test/support/lab.ts';
import {
  APP_PORT,
  CLIENT_IP,
  makePodPair,
  type PodPair,
  pairMesh,
  SERVER_IP,
  VIP,
} from '#test/support/pod-pair.ts';
import { PROXY_MARK } from '../marks.ts';
import { type StaticNode, startStaticNode } from '../static-node.ts';
import type { PodLimits } from './pod-limits.ts';

/** Bun's read buffer. */
const READ_BYTES = 512 * 1024;
const skip = missingFor({ programs: ['ip', 'nft'], root: true }) !== undefined;

describe.skipIf(skip)('limits of a pod', () => {
  const network = new BunNetwork({ clock: systemClock });
  let pair: PodPair;
  let client: NetworkNamespace;
  let server: NetworkNamespace;
  let mesh: Awaited<ReturnType<typeof pairMesh>>;
  let node: StaticNode | undefined;
  let apps: Listener[];
  let logs = '';
  /** At the app: not read while it is told so. */
  let accepted: { connection: Connection; bytes: number }[] = [];
  let appReads = true;
  let open: Connection[] = [];

  beforeAll(async () => {
    pair = makePodPair('limits');
    client = openNamespace(pair.clientPath);
    server = openNamespace(pair.serverPath);
    for (const path of [pair.clientPath, pair.serverPath]) redirectOnce(path, DEFAULT_RULES);
    mesh = await pairMesh(pair);
    apps = [client, server].map((namespace) =>
      network.listen({ address: '0.0.0.0', port: APP_PORT, namespace }, (connection) => {
        const seen = { connection, bytes: 0 };
        accepted.push(seen);
        if (!appReads) connection.pause();
        return {
          onData(bytes) {
            seen.bytes += bytes.length;
            if (appReads) connection.write(bytes.subarray(0, 1));
          },
          onDrain: () => undefined,
          onEnd: () => connection.end(),
          onClose: () => undefined,
        };
      }),
    );
  });

  afterEach(() => {
    for (const connection of open) connection.reset();
    open = [];
    node?.stop();
    accepted = [];
    appReads = true;
    logs = '';
  });

  afterAll(() => {
    for (const app of apps ?? []) app.stop();
    pair?.remove();
  });

  async function start(podLimits: Partial<PodLimits>): Promise<StaticNode> {
    const started = startStaticNode(mesh, {
      log: silentLogger,
      logFormat: 'text',
      podLimits,
      write(text) {
        logs += text;
        return true;
      },
    });
    node = started;
    await Promise.all(
      started.proxies.map((proxy) => new Promise<void>((done) => proxy.whenReady(done))),
    );
    return started;
  }

  interface Dialled {
    connection: Connection;
    /** The app's first byte, or the end that came instead of it. */
    outcome: Promise<'answered' | 'reset'>;
    closed: Promise<void>;
  }

  function dial(
    from: NetworkNamespace,
    to: { address: string; port: number; mark?: number },
  ): Promise<Dialled> {
    const dialled = Promise.withResolvers<Dialled>();
    const outcome = Promise.withResolvers<'answered' | 'reset'>();
    const closed = Promise.withResolvers<void>();
    network.connect(
      { ...to, namespace: from, connectTimeoutMs: 5000 },
      {
        onOpen(connection) {
          open.push(connection);
          queueMicrotask(() => connection.write(Buffer.from('x')));
          dialled.resolve({ connection, outcome: outcome.promise, closed: closed.promise });
          return {
            onData: () => outcome.resolve('answered'),
            onDrain: () => undefined,
            onEnd: () => connection.end(),
            onClose: () => {
              outcome.resolve('reset');
              closed.resolve();
            },
          };
        },
        onFail: dialled.reject,
      },
    );
    return dialled.promise;
  }

  const toService = { address: VIP, port: 80 };
  const outcomeOf = async (dialled: Promise<Dialled>) => (await dialled).outcome;

  async function outcomes(count: number, from: NetworkNamespace, to = toService) {
    const all: string[] = [];
    for (let index = 0; index < count; index += 1) all.push(await outcomeOf(dial(from, to)));
    return all;
  }

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  const hits = (limit: string, pod: string) => {
    const text = node?.assembly.registry.expose() ?? '';
    const name = `tulle_limit_hits_total{limit="${limit}",namespace="shop",pod="${pod}"}`;
    return Number(text.split(`${name} `)[1]?.split('\n')[0] ?? 0);
  };
  const usage = (pod: string) =>
    node?.assembly.context.usages.report().find((each) => each.pod === pod);

  test('outbound connections: the one beyond is reset, its neighbour is served, and a closed one makes room', async () => {
    await start({ outboundConnectionsMax: 2 });
    expect(await outcomes(3, client)).toEqual(['answered', 'answered', 'reset']);
    expect(hits('outbound-connections', 'web')).toBe(1);
    const neighbour = { address: CLIENT_IP, port: APP_PORT };
    expect(await outcomes(1, server, neighbour)).toEqual(['answered']);
    open[0].reset();
    await until(() => usage('web')?.limits['outbound-connections'].current === 1);
    expect(await outcomes(2, client)).toEqual(['answered', 'reset']);
  });

  test('inbound connections: peers that only connect count, and the one beyond is reset before any handshake', async () => {
    await start({ inboundConnectionsMax: 2 });
    const hbone = { address: SERVER_IP, port: 15008, mark: PROXY_MARK };
    const idle = await Promise.all([dial(client, hbone), dial(client, hbone)]);
    await until(() => usage('product')?.limits['inbound-connections'].current === 2);
    const third = await dial(client, hbone);
    expect(await third.outcome).toBe('reset');
    expect(hits('inbound-connections', 'product')).toBe(1);
    // Those two still wait for a handshake; when they are gone a tunnel gets through.
    for (const { connection } of idle) connection.reset();
    await until(() => usage('product')?.limits['inbound-connections'].current === 0);
    expect(await outcomes(1, client)).toEqual(['answered']);
  });

  test('streams: the tunnel beyond gets 503, its client a reset, and the log says why', async () => {
    const { assembly } = await start({ streamsMax: 2 });
    expect(await outcomes(3, client)).toEqual(['answered', 'answered', 'reset']);
    expect(hits('streams', 'product')).toBe(1);
    assembly.accessLog.flush();
    expect(logs).toMatch(/error="http status: 503.*" closed_by="upstream" reason="tunnel refused"/);
  });

  test('streams of one peer connection: SETTINGS tells the limit and the peer opens another connection', async () => {
    const { assembly } = await start({ peerStreamsMax: 2 });
    expect(await outcomes(5, client)).toEqual(Array(5).fill('answered'));
    const [pool] = assembly.context.pool.status();
    expect(pool).toMatchObject({ streams: 5, connections: 3 });
  });

  test('pending connects: what waits for a dial counts until it is decided, others of the pod are reset meanwhile', async () => {
    await start({ pendingConnectsMax: 2 });
    // Nobody has the address: the dials wait for an answer to ARP.
    const nowhere = { address: '198.18.250.99', port: 9 };
    const waiting = await Promise.all([dial(client, nowhere), dial(client, nowhere)]);
    await until(() => usage('web')?.limits['pending-connects'].current === 2);
    expect(await outcomeOf(dial(client, toService))).toBe('reset');
    expect(hits('pending-connects', 'web')).toBe(1);
    for (const { connection } of waiting) connection.reset();
    await until(() => usage('web')?.limits['pending-connects'].current === 0);
    expect(await outcomes(1, client)).toEqual(['answered']);
  });

  test('buffered bytes: reading stops at the limit, nothing is lost, and the memory comes back', async () => {
    const limit = 512 * 1024;
    const connections = 6;
    // More than the kernel's buffers take.
    const each = 12 << 20;
    await start({ bufferedBytesMax: limit });
    appReads = false;
    const block = Buffer.alloc(each, 1);
    for (let index = 0; index < connections; index += 1) {
      const { connection } = await dial(client, toService);
      let sent = 0;
      const go = () => {
        sent += connection.write(block.subarray(sent));
      };
      connection.handler.onDrain = go;
      go();
    }
    await until(() => accepted.length === connections);
    await until(() => (usage('product')?.bufferedBytes ?? 0) >= limit);
    let highest = 0;
    for (let turn = 0; turn < 200; turn += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      for (const pod of ['web', 'product'])
        highest = Math.max(highest, usage(pod)?.bufferedBytes ?? 0);
    }
    // Beyond the limit each connection may hold the one read that met it.
    expect(highest).toBeLessThanOrEqual(limit + connections * READ_BYTES);
    for (const { connection } of accepted) connection.resume();
    await until(() => accepted.every(({ bytes }) => bytes === each + 1));
    expect([usage('web')?.bufferedBytes, usage('product')?.bufferedBytes]).toEqual([0, 0]);
  }, 60_000);
});
