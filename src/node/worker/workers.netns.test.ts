/** The pod pair with two data workers: traffic spreads over the threads and all of them obey. Needs root. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Connection } from '#net/connection.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { missingFor } from '#test/support/lab.ts';
import { APP_PORT, makePodPair, type PodPair, pairMesh, VIP } from '#test/support/pod-pair.ts';
import { type StaticNode, startStaticNode } from '../static-node.ts';

const WORKERS = 2;
const CONNECTIONS = 48;

const DENY_ALL: Authorization = {
  name: 'deny-all',
  namespace: 'shop',
  scope: 'namespace',
  action: 'deny',
  rules: [{ clauses: [] }],
  dryRun: false,
};

const skip = missingFor({ programs: ['ip', 'nft'], root: true }) !== undefined;

describe.skipIf(skip)('a pair of captured pods with two data workers', () => {
  const network = new BunNetwork({ clock: systemClock });
  let pair: PodPair;
  let client: NetworkNamespace;
  let server: NetworkNamespace;
  let node: StaticNode;
  let mesh: Awaited<ReturnType<typeof pairMesh>>;
  let logs = '';

  beforeAll(async () => {
    pair = makePodPair('workers');
    client = openNamespace(pair.clientPath);
    server = openNamespace(pair.serverPath);
    for (const path of [pair.clientPath, pair.serverPath]) redirectOnce(path, DEFAULT_RULES);
    mesh = await pairMesh(pair);
    node = startStaticNode(mesh, {
      log: silentLogger,
      logFormat: 'text',
      workers: WORKERS,
      write(text) {
        logs += text;
        return true;
      },
    });
    network.listen({ address: '0.0.0.0', port: APP_PORT, namespace: server }, (connection) => ({
      onData: (bytes) => void connection.write(bytes),
      onDrain: () => undefined,
      onEnd: () => connection.end(),
      onClose: () => undefined,
    }));
    await Promise.all(
      node.proxies.map((proxy) => new Promise<void>((done) => proxy.whenReady(done))),
    );
  });

  afterAll(() => {
    node?.stop();
    pair?.remove();
  });

  /** Resolves once the echo is back; `closed` when the connection ends. */
  function echo(): Promise<{ connection: Connection; closed: Promise<void> }> {
    const echoed = Promise.withResolvers<{ connection: Connection; closed: Promise<void> }>();
    const closed = Promise.withResolvers<void>();
    network.connect(
      { address: VIP, port: 80, namespace: client, connectTimeoutMs: 5000 },
      {
        onOpen(connection) {
          queueMicrotask(() => connection.write(Buffer.from('hello')));
          return {
            onData: () => echoed.resolve({ connection, closed: closed.promise }),
            onDrain: () => undefined,
            onEnd: () => connection.end(),
            onClose(error) {
              echoed.reject(error ?? new Error('closed without an answer'));
              closed.resolve();
            },
          };
        },
        onFail: echoed.reject,
      },
    );
    return echoed.promise;
  }

  const reports = async () => (await node.assembly.context.workers?.reports({}, 100)) ?? [];

  test('connections spread over all threads, and the metrics of all add up', async () => {
    const open = await Promise.all(Array.from({ length: CONNECTIONS }, echo));
    const counts = (await reports()).map(({ connectionsTotal }) => connectionsTotal);
    const own = node.assembly.context.telemetry.live.size;
    expect(counts).toHaveLength(WORKERS);
    for (const count of [own, ...counts]) expect(count).toBeGreaterThan(0);
    // Each is seen twice: going out of one pod and coming into the other.
    expect(own + counts[0] + counts[1]).toBe(2 * CONNECTIONS);
    const samples = (await reports()).flatMap((report) => report.samples);
    const opened = node.assembly.registry
      .expose(samples)
      .split('\n')
      .filter((line) => line.startsWith('istio_tcp_connections_opened_total{'))
      .map((line) => Number(line.slice(line.lastIndexOf(' '))));
    expect(opened.reduce((sum, value) => sum + value, 0)).toBe(2 * CONNECTIONS);
    // Workers hand over what flowed once a second.
    let flowed = 0;
    for (let second = 1; flowed < 2 * CONNECTIONS; second++) {
      for (const sample of node.assembly.context.telemetry.flows.take(second))
        flowed += sample.opened;
      await Bun.sleep(10);
    }
    expect(flowed).toBe(2 * CONNECTIONS);
    for (const { connection } of open) connection.end();
    await Promise.all(open.map(({ closed }) => closed));
  });

  test('a policy change closes the connections of every thread, and each is logged', async () => {
    const open = await Promise.all(Array.from({ length: CONNECTIONS }, echo));
    logs = '';
    node.replace({ addresses: mesh.addresses, authorizations: [DENY_ALL] });
    await Promise.all(open.map(({ closed }) => closed));
    const closedBy = () =>
      logs.split('policy change: explicitly denied by: shop/deny-all').length - 1;
    while (closedBy() < CONNECTIONS) {
      node.assembly.accessLog.flush();
      await Bun.sleep(1);
    }
    expect(closedBy()).toBe(CONNECTIONS);
    node.replace({ addresses: mesh.addresses, authorizations: [] });
    // A report answers behind the change: no thread refuses any more.
    await reports();
  });

  test('a proxy that leaves takes nothing new in any thread, and has ended when its last connection has', async () => {
    const open = await Promise.all(Array.from({ length: CONNECTIONS }, echo));
    for (const proxy of node.proxies) proxy.leave();
    // A report answers behind what was said before it.
    await reports();
    await expect(echo()).rejects.toMatchObject({ code: 'NET_CONNECT_REFUSED' });
    const remaining = () => node.proxies.reduce((sum, proxy) => sum + proxy.remaining, 0);
    expect(remaining()).toBeGreaterThanOrEqual(CONNECTIONS);
    for (const { connection } of open) connection.end();
    await Promise.all(open.map(({ closed }) => closed));
    while (remaining() > 0) await Bun.sleep(5);
    for (const proxy of node.proxies) proxy.stop('the pod is gone');
  });
});
