/** The waypoint's 15008 over real mutual TLS on loopback: a tunnel in, HTTP through it, an HBONE tunnel or plain TCP out. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import { H1ClientConnection } from '#http/h1/client.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import { TEST_SELF } from '#test/support/tracing.ts';
import { endpoint, HOST, route, table, to, upstream, VIP } from '#test/support/waypoint-rig.ts';
import { createBase, createRuntime } from '../runtime.ts';
import { plainTransport } from '../transport/transport.ts';
import { HboneListener } from './hbone-listener.ts';

const WEB = 'spiffe://cluster.local/ns/shop/sa/web' as Principal;
const WAYPOINT = 'spiffe://cluster.local/ns/shop/sa/waypoint' as Principal;
const FOREIGN = 'spiffe://other.domain/ns/shop/sa/web' as Principal;

const origin = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch: (request) => new Response(`v1 ${new URL(request.url).pathname}`),
});
let ca: TestCa;
let listener: HboneListener;
let runtime: ReturnType<typeof createRuntime>;
const identities = new Map<Principal, TlsIdentity>();
const pools: TunnelPool[] = [];

beforeAll(async () => {
  ca = await createTestCa();
  for (const principal of [WEB, FOREIGN]) identities.set(principal, await ca.issue(principal));
  const base = createBase('error');
  const transport = plainTransport(base.network);
  runtime = createRuntime(base, {
    transport,
    accessLog: 'off',
    cluster: 'Kubernetes',
    self: () => TEST_SELF,
  });
  const local = {
    address: '127.0.0.1',
    protocol: 'none',
    ports: { 80: origin.port ?? 0 },
  } as const;
  const service = upstream({ endpoints: [endpoint('s1', 'v1', local)] });
  const routes = [route('r', [to('stable')])];
  const whole = table(routes);
  const ports = [...whole.ports, { port: 82, protocol: 'tcp', routes } as const];
  runtime.engine.configure({
    tables: [[`shop/${HOST}`, { ...whole, ports }]],
    upstream: () => service,
  });
  listener = new HboneListener(runtime, {
    address: '127.0.0.1',
    port: 0,
    identity: await ca.issue(WAYPOINT),
    trustDomain: 'cluster.local',
  });
});

afterAll(() => {
  for (const pool of pools) pool.close();
  listener.drain();
  listener.close();
  runtime.server.close();
  runtime.engine.close();
  void origin.stop(true);
});

/** A GET through one tunnel, or why there was none. */
function getThroughTunnel(authority: string, source: Principal): Promise<string> {
  const pool = new TunnelPool({ network: runtime.network, clock: systemClock, identities });
  pools.push(pool);
  const destination = { address: '127.0.0.1', port: listener.port };
  const head = { authority, baggage: '', forwarded: '', traceparent: '' };
  const client = { address: '127.0.0.1', port: 0 };
  const sourceAddress = '127.0.0.1';
  const request = {
    source,
    expected: [WAYPOINT],
    destination,
    sourceAddress,
    client,
    head,
    namespace: undefined,
  };
  return new Promise((resolve) => {
    pool.open(request, {
      onFail: (error: MeshError) => resolve(error.code),
      onOpen(connection) {
        const http = new H1ClientConnection(connection, { clock: systemClock });
        connection.handler = http;
        let text = '';
        http.dispatch(MessageHead.request('GET', 'product-service', '/x'), true, {
          onHead: (answer) => {
            text = `${answer.status} `;
          },
          onBody: (bytes) => {
            text += Buffer.from(bytes).toString();
          },
          onEnd: () => resolve(text),
          onError: (error) => resolve(error.code),
          onDrain: () => undefined,
        });
        return http;
      },
    });
  });
}

describe('HboneListener', () => {
  test('a tunnel to VIP:port is routed, and the request counted with the client’s proven identity', async () => {
    expect(await getThroughTunnel(`${VIP}:80`, WEB)).toBe('200 v1 /x');
    const metrics = runtime.registry.expose();
    expect(metrics).toContain(`source_principal="${WEB}"`);
    expect(metrics).toContain('connection_security_policy="mutual_tls"} 1');
  });

  test('the host name form of the authority works as well', async () => {
    expect(await getThroughTunnel(`${HOST}:80`, WEB)).toBe('200 v1 /x');
  });

  test('an address that no service has, and a port that the service lacks, are refused', async () => {
    expect(await getThroughTunnel('198.19.9.9:80', WEB)).toBe('HBONE_REFUSED');
    expect(await getThroughTunnel(`${VIP}:81`, WEB)).toBe('HBONE_REFUSED');
  });

  test('an identity of another trust domain gets no tunnel', async () => {
    expect(await getThroughTunnel(`${VIP}:80`, FOREIGN)).not.toStartWith('200');
  });

  test('a client whose certificate is revoked is cut off, and comes in no more', async () => {
    let revoked = false;
    const error = new MeshError('TRUST_REVOKED', 'revoked', { side: 'downstream', hint: 'none' });
    let chainLength = 0;
    const judged = new HboneListener(
      {
        ...runtime,
        revocations: {
          judge(chain) {
            chainLength = chain.length;
            return revoked ? error : undefined;
          },
          onChange: () => () => undefined,
          status: () => ({ path: '', lists: 0, revoked: 0, lastError: undefined }),
          stop: () => undefined,
        },
      },
      {
        address: '127.0.0.1',
        port: 0,
        identity: await ca.issue(WAYPOINT),
        trustDomain: 'cluster.local',
      },
    );
    const usual = listener;
    listener = judged;
    try {
      expect(await getThroughTunnel(`${VIP}:80`, WEB)).toBe('200 v1 /x');
      expect(chainLength).toBeGreaterThan(0);
      expect([judged.connections, judged.queuedBytes]).toEqual([1, 0]);
      // Bytes, which stay connected.
      expect(await getThroughTunnel(`${VIP}:82`, WEB)).toBe('200 v1 /x');
      revoked = true;
      judged.judgeAgain();
      while (judged.connections > 0) await new Promise((resolve) => setImmediate(resolve));
      const failed = runtime.registry
        .expose()
        .split('\n')
        .filter((line) => /^istio_tcp_connections_failed_total\{.* [1-9]/.test(line))
        .map((line) => line.slice(line.indexOf('closed_by=')));
      expect(failed).toEqual(['closed_by="self",reason="certificate revoked"} 1']);
      expect(await getThroughTunnel(`${VIP}:80`, WEB)).not.toStartWith('200');
    } finally {
      listener = usual;
      judged.drain();
    }
  });

  test('after a rotation new connections see the new certificate', async () => {
    listener.replaceIdentity(await ca.issue(WAYPOINT));
    expect(await getThroughTunnel(`${VIP}:80`, WEB)).toBe('200 v1 /x');
  });
});
