/**
 * Two pods in network namespaces of their own, captured by the real rules, over real mutual TLS:
 * client app → 15001 → HBONE → 15008 → server app. Needs root.
 */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import type { Authorization, AuthorizationMatch } from '#model/authorization/authorization.ts';
import { NO_MATCH } from '#model/authorization/authorization.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Connection } from '#net/connection.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { Redirection } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { missingFor } from '#test/support/lab.ts';
import {
  APP_PORT,
  CLIENT_IP,
  makePodPair,
  type PodPair,
  PRODUCT,
  pairAddresses,
  pairMesh,
  SERVER_IP,
  VIP,
  WEB,
} from '#test/support/pod-pair.ts';
import { type StaticNode, startStaticNode } from './static-node.ts';

const MARK = 0x539;

const skip = missingFor({ programs: ['ip', 'nft'], root: true }) !== undefined;

function deny(name: string, match: Partial<AuthorizationMatch>): Authorization {
  const clauses = [[{ ...NO_MATCH, ...match }]];
  return {
    name,
    namespace: 'shop',
    scope: 'namespace',
    action: 'deny',
    rules: [{ clauses }],
    dryRun: false,
  };
}

const STRICT = deny('strict', { notPrincipals: [{ kind: 'presence' }] });
const DENY_WEB = deny('deny-web', {
  principals: [{ kind: 'exact', value: 'cluster.local/ns/shop/sa/web' }],
});

/** An app end: what it read, and how it ended. */
interface Seen {
  connection: Connection;
  text: string;
  ended: Promise<void>;
  closed: Promise<MeshError | undefined>;
}

function watch(connection: Connection, onText: (seen: Seen) => void): Seen {
  const ended = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<MeshError | undefined>();
  const seen: Seen = { connection, text: '', ended: ended.promise, closed: closed.promise };
  connection.handler = {
    onData(bytes) {
      seen.text += Buffer.from(bytes).toString();
      onText(seen);
    },
    onDrain: () => undefined,
    onEnd: ended.resolve,
    onClose: closed.resolve,
  };
  return seen;
}

describe.skipIf(skip)('a pair of captured pods', () => {
  const network = new BunNetwork({ clock: systemClock });
  let pair: PodPair;
  let client: NetworkNamespace;
  let server: NetworkNamespace;
  let rules: Redirection[] = [];
  let node: StaticNode;
  let logs = '';
  let accepted: Seen[] = [];

  beforeAll(async () => {
    pair = makePodPair('pair');
    client = openNamespace(pair.clientPath);
    server = openNamespace(pair.serverPath);
    rules = [client, server].map((namespace) => new Redirection(namespace));
    for (const each of rules) each.apply(DEFAULT_RULES);
    node = startStaticNode(await pairMesh(pair), {
      log: silentLogger,
      logFormat: 'text',
      write(text) {
        logs += text;
        return true;
      },
    });
    // Echoes; `RST` breaks off; after FIN it says goodbye and ends.
    network.listen({ address: '0.0.0.0', port: APP_PORT, namespace: server }, (connection) => {
      const seen = watch(connection, ({ text }) => {
        if (text.endsWith('RST')) connection.reset();
        else connection.write(Buffer.from(text));
      });
      seen.ended.then(() => {
        connection.write(Buffer.from('bye'));
        connection.end();
      });
      accepted.push(seen);
      return connection.handler;
    });
  });

  afterAll(() => {
    node?.stop();
    for (const each of rules) each.close();
    pair.remove();
  });

  function dial(address: string, port: number, mark?: number): Promise<Seen> {
    const opened = Promise.withResolvers<Seen>();
    network.connect(
      { address, port, namespace: client, mark, connectTimeoutMs: 5000 },
      {
        onOpen(connection) {
          opened.resolve(watch(connection, () => undefined));
          return connection.handler;
        },
        onFail: opened.reject,
      },
    );
    return opened.promise;
  }

  /** Once nothing of the test before is open or unlogged. */
  async function reset(authorizations: Authorization[] = []): Promise<void> {
    await until(() => node.assembly.context.telemetry.live.size === 0);
    node.assembly.accessLog.flush();
    logs = '';
    accepted = [];
    node.replace({ addresses: pairAddresses(), authorizations });
  }

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await Bun.sleep(1);
  }

  async function exchange(address: string, port: number, mark?: number): Promise<string> {
    const seen = await dial(address, port, mark);
    seen.connection.write(Buffer.from('hello'));
    await until(() => seen.text === 'hello');
    seen.connection.end();
    expect(await seen.closed).toBeUndefined();
    return seen.text;
  }

  function inPod(name: string, ...words: string[]): string {
    const done = Bun.spawnSync(['ip', 'netns', 'exec', name, ...words], { stderr: 'pipe' });
    if (!done.success) throw new Error(`${words.join(' ')}: ${done.stderr}`);
    return done.stdout.toString();
  }

  const tunnel = (direction: string) =>
    logs.split('\n').find((line) => line.includes(`direction="${direction}"`)) ?? '';

  test('bytes and both half-closes pass; the app sees the client pod, the logs both identities', async () => {
    await reset();
    expect(await exchange(VIP, 80)).toBe('hellobye');
    expect(accepted[0].connection.remoteAddress).toBe(CLIENT_IP);
    await until(() => tunnel('outbound') !== '' && tunnel('inbound') !== '');
    expect(tunnel('outbound')).toContain(
      `dst.addr=${SERVER_IP}:15008 dst.hbone_addr=${SERVER_IP}:${APP_PORT} dst.service="product.shop.svc.cluster.local"`,
    );
    expect(tunnel('outbound')).toContain(`dst.identity="${PRODUCT}"`);
    expect(tunnel('inbound')).toContain(`src.identity="${WEB}"`);
    expect(tunnel('inbound')).toContain('bytes_sent=8 bytes_recv=5');
    const metrics = node.assembly.registry.expose();
    expect(metrics).toMatch(
      /istio_tcp_connections_opened_total\{reporter="source",source_workload="web".*connection_security_policy="mutual_tls"\} 1/,
    );
  });

  test('a pod address works as a destination too, and one HBONE connection carries both', async () => {
    await reset();
    await exchange(SERVER_IP, APP_PORT);
    expect(node.assembly.context.pool.status()).toMatchObject([{ connections: 1, streams: 0 }]);
  });

  test('only the app’s answers to the proxy are routed by mark, not what an app sends into the mesh', async () => {
    const count =
      'table inet seen { chain out { type filter hook output priority 0; meta mark & 0xfff == 0x111 counter; }; }';
    for (const name of [pair.client, pair.server]) inPod(name, 'nft', count);
    await reset();
    await exchange(VIP, 80);
    const [byClient, byServer] = [pair.client, pair.server].map((name) =>
      Number(/packets (\d+)/.exec(inPod(name, 'nft', 'list table inet seen'))?.[1]),
    );
    expect(byClient).toBe(0);
    // At least: SYN and ACK, the echo, the last words with their FIN.
    expect(byServer).toBeGreaterThanOrEqual(3);
  });

  test('a denied identity gets 401 and the client a reset; the log names the policy', async () => {
    await reset([DENY_WEB]);
    const seen = await dial(VIP, 80);
    expect((await seen.closed)?.code).toBe('NET_RESET');
    await until(() => tunnel('outbound') !== '' && tunnel('inbound') !== '');
    expect(tunnel('outbound')).toContain('error="http status: 401');
    expect(tunnel('inbound')).toContain('explicitly denied by: shop/deny-web');
    expect(accepted).toEqual([]);
  });

  test('plaintext is admitted while PERMISSIVE, with the real source, and refused when STRICT', async () => {
    await reset();
    expect(await exchange(SERVER_IP, APP_PORT, MARK)).toBe('hellobye');
    expect(accepted[0].connection.remoteAddress).toBe(CLIENT_IP);
    await reset([STRICT]);
    const seen = await dial(SERVER_IP, APP_PORT, MARK);
    expect((await seen.closed)?.code).toBe('NET_RESET');
    await until(() => logs.includes('explicitly denied by: shop/strict'));
    expect(accepted).toEqual([]);
    expect(await exchange(VIP, 80)).toBe('hellobye');
  });

  test('plaintext from the very port that the proxy took for another one is a connection of its own', async () => {
    await reset();
    const first = await dial(SERVER_IP, APP_PORT, MARK);
    await until(() => accepted.length === 1);
    const { remotePort } = accepted[0].connection;
    const script = `table ip ports { chain out { type nat hook postrouting priority 100; meta mark ${MARK} tcp dport ${APP_PORT} snat to ${CLIENT_IP}:${remotePort}; }; }`;
    inPod(pair.client, 'nft', script);
    expect(await exchange(SERVER_IP, APP_PORT, MARK)).toBe('hellobye');
    inPod(pair.client, 'nft', 'delete table ip ports');
    first.connection.write(Buffer.from('still here'));
    await until(() => first.text === 'still here');
    first.connection.end();
    await first.closed;
  });

  test('a reset by the app is a reset at the client', async () => {
    await reset();
    const seen = await dial(VIP, 80);
    seen.connection.write(Buffer.from('RST'));
    expect((await seen.closed)?.code).toBe('NET_RESET');
  });

  test('a reset by the client is a reset at the app', async () => {
    await reset();
    const seen = await dial(VIP, 80);
    seen.connection.write(Buffer.from('hi'));
    await until(() => seen.text === 'hi');
    seen.connection.reset();
    expect((await accepted[0].closed)?.code).toBe('NET_RESET');
  });

  test('a policy that comes later closes the connection that it forbids', async () => {
    await reset();
    const seen = await dial(VIP, 80);
    seen.connection.write(Buffer.from('hi'));
    await until(() => seen.text === 'hi');
    node.replace({ addresses: pairAddresses(), authorizations: [DENY_WEB] });
    expect((await seen.closed)?.code).toBe('NET_RESET');
    await until(() => logs.includes('closed due to policy change'));
  });

  test('an app that does not listen gives the client a reset and the log the reason', async () => {
    await reset();
    const seen = await dial(SERVER_IP, 9999);
    expect((await seen.closed)?.code).toBe('NET_RESET');
    await until(() => tunnel('outbound') !== '' && tunnel('inbound') !== '');
    expect(tunnel('inbound')).toContain('refused');
    expect(tunnel('outbound')).toContain('http status: 503');
  });

  test('bulk passes unharmed in both directions at once', async () => {
    await reset();
    const seen = await dial(VIP, 80);
    const block = 'x'.repeat(1 << 20);
    // The echo answers with everything so far: 1 + 2 MiB for two blocks.
    seen.connection.write(Buffer.from('start'));
    await until(() => seen.text === 'start');
    const bytes = Buffer.from(block);
    let sent = seen.connection.write(bytes);
    seen.connection.handler.onDrain = () => {
      sent += seen.connection.write(bytes.subarray(sent));
    };
    await until(() => accepted[0].text.length === bytes.length + 5);
    seen.connection.reset();
  });

  test('removing redirection leaves nothing; the pod talks directly', async () => {
    await reset([STRICT]);
    for (const each of rules) each.remove();
    expect(rules.map((each) => each.inPlace)).toEqual([false, false]);
    expect(await exchange(SERVER_IP, APP_PORT)).toBe('hellobye');
    expect(logs).toBe('');
  });
});
