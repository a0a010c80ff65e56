/** The whole engine over real loopback sockets: HTTP/1.1 and HTTP/2 in, HTTP/1.1 out, raw TCP, status and metrics. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect } from 'node:http2';
import type { Upstream } from '#model/route/route-table.ts';
import { TEST_SELF } from '#test/support/tracing.ts';
import { endpoint, HOST, POLICY, route, table, to, upstream } from '#test/support/waypoint-rig.ts';
import { statusOf } from './admin/status.ts';
import { parseStaticConfig } from './config/static-file.ts';
import { listenPlain } from './listener/plain-listener.ts';
import { createBase, createRuntime } from './runtime.ts';
import { plainTransport } from './transport/transport.ts';

let hits = 0;
const origin = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request) {
    hits += 1;
    const url = new URL(request.url);
    if (url.pathname === '/echo') return new Response(await request.arrayBuffer());
    if (url.pathname === '/big') return new Response(new Uint8Array(5_000_000).fill(7));
    return Response.json({
      path: url.pathname + url.search,
      forwardedFor: request.headers.get('x-forwarded-for'),
      attempt: request.headers.get('x-envoy-attempt-count'),
      hop: request.headers.get('x-hop'),
    });
  },
});
const rawOrigin = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: { data: (socket, bytes) => void socket.write(`raw:${bytes}`) },
});

function upstreams(h2Upgrade: 'default' | 'upgrade'): Upstream[] {
  const local = { address: '127.0.0.1', protocol: 'none' } as const;
  const policy = { ...POLICY, connectionPool: { ...POLICY.connectionPool, h2Upgrade } };
  const ports = { 80: origin.port ?? 0, 90: rawOrigin.port };
  return [
    upstream({
      policy,
      subsets: [{ name: 'stable', labels: { version: 'v1' }, policy }],
      ports: [
        { port: 80, protocol: 'http' },
        { port: 90, protocol: 'tcp' },
      ],
      endpoints: [endpoint('s1', 'v1', { ...local, ports })],
    }),
  ];
}

function start(h2Upgrade: 'default' | 'upgrade') {
  const base = createBase('error');
  const transport = plainTransport(base.network);
  const runtime = createRuntime(base, {
    transport,
    accessLog: 'off',
    cluster: 'static',
    self: () => TEST_SELF,
  });
  const http = table([route('r', [to('stable')])]);
  const tcp = { ...to('stable'), port: 90 };
  const tables = [
    {
      ...http,
      ports: [...http.ports, { port: 90, protocol: 'tcp' as const, routes: [route('t', [tcp])] }],
    },
  ];
  const listen = { address: '127.0.0.1', port: 0 };
  const service = `shop/${HOST}`;
  const config = parseStaticConfig({
    listen,
    service,
    port: 80,
    tables,
    upstreams: upstreams(h2Upgrade),
  });
  runtime.engine.configure(config.input);
  const listener = listenPlain(runtime, config);
  const rawListener = listenPlain(runtime, { ...config, port: 90 });
  const stop = () => {
    listener.stop();
    rawListener.stop();
    runtime.server.close();
    runtime.engine.close();
  };
  return { runtime, url: `http://127.0.0.1:${listener.port}`, rawPort: rawListener.port, stop };
}

describe('the engine over sockets', () => {
  let mesh: ReturnType<typeof start>;
  beforeAll(() => {
    mesh = start('default');
  });
  afterAll(() => mesh.stop());

  test('a GET passes with its query and gets the forwarded fields, hop-by-hop fields stay behind', async () => {
    const response = await fetch(`${mesh.url}/a?b=c`, {
      headers: { connection: 'x-hop', 'x-hop': '1' },
    });
    expect(response.status).toBe(200);
    expect(response.headers.has('x-envoy-upstream-service-time')).toBe(true);
    expect(await response.json()).toEqual({
      path: '/a?b=c',
      forwardedFor: '127.0.0.1',
      attempt: '1',
      hop: null,
    });
  });

  test('bodies of some megabytes pass both ways unchanged', async () => {
    const sent = new Uint8Array(3_000_000).map((_, index) => index % 251);
    const response = await fetch(`${mesh.url}/echo`, { method: 'POST', body: sent });
    expect(Bun.hash(await response.arrayBuffer())).toBe(Bun.hash(sent));
    const big = await (await fetch(`${mesh.url}/big`)).arrayBuffer();
    expect(big.byteLength).toBe(5_000_000);
  });

  test('many requests share few upstream connections', async () => {
    const before = hits;
    for (let count = 0; count < 50; count += 1) await (await fetch(`${mesh.url}/`)).text();
    expect(hits - before).toBe(50);
    const [group] = [...mesh.runtime.engine.upstreams.groups].filter(
      ({ config }) => config.port === 80,
    );
    expect(group.share.connections).toBeLessThan(5);
    expect([group.active, group.share.pending, mesh.runtime.engine.active]).toEqual([0, 0, 0]);
  });

  test('HTTP/2 with prior knowledge is recognised on the same port', async () => {
    const session = connect(mesh.url);
    const body = await new Promise<string>((resolve, reject) => {
      const stream = session.request({ ':path': '/h2' });
      let text = '';
      stream.setEncoding('utf8');
      stream.on('data', (piece) => {
        text += piece;
      });
      stream.on('end', () => resolve(text));
      stream.on('error', reject);
    });
    session.close();
    expect(JSON.parse(body).path).toBe('/h2');
  });

  test('a tcp port is piped raw, and counted', async () => {
    const answer = await new Promise<string>((resolve) => {
      void Bun.connect({
        hostname: '127.0.0.1',
        port: mesh.rawPort,
        socket: {
          open: (socket) => void socket.write('hello'),
          data: (socket, bytes) => {
            resolve(bytes.toString());
            socket.end();
          },
        },
      });
    });
    expect(answer).toBe('raw:hello');
    expect(mesh.runtime.registry.expose()).toContain(
      'istio_tcp_connections_opened_total{reporter="waypoint"',
    );
  });

  test('status names endpoints with state and protocol', () => {
    const none = { xds: () => undefined, certificates: () => [] };
    const status = statusOf(mesh.runtime, 'shop/waypoint', none).status();
    const [endpointStatus] = status.upstreams[0].endpoints;
    expect(endpointStatus).toMatchObject({ name: 's1', state: 'admitting', protocol: 'h1' });
    expect(status.ejections).toEqual([]);
  });
});

test('h2UpgradePolicy UPGRADE to an app that speaks only HTTP/1.1 is learned once and works', async () => {
  const mesh = start('upgrade');
  try {
    for (let count = 0; count < 3; count += 1) {
      expect((await fetch(`${mesh.url}/x`)).status).toBe(200);
    }
    const [group] = [...mesh.runtime.engine.upstreams.groups].filter(
      ({ config }) => config.port === 80,
    );
    expect(group.states[0].pool.protocol).toBe('h1');
  } finally {
    mesh.stop();
  }
});

afterAll(() => {
  void origin.stop(true);
  rawOrigin.stop(true);
});
