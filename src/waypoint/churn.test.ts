/** Upstreams over real sockets that end their connections all the time, in order: no request may notice, nothing may be left. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createServer, type Server } from 'node:http';
import { createServer as createH2Server, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TrafficPolicy } from '#model/route/route-table.ts';
import { TEST_SELF } from '#test/support/tracing.ts';
import { endpoint, HOST, POLICY, route, table, to, upstream } from '#test/support/waypoint-rig.ts';
import { parseStaticConfig } from './config/static-file.ts';
import { listenPlain } from './listener/plain-listener.ts';
import { createBase, createRuntime } from './runtime.ts';
import { plainTransport } from './transport/transport.ts';

const REQUESTS = 600;
const CLIENTS = 8;

/** A listener that has a port of its own. */
async function listening<S extends Server | Http2Server>(server: S): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function start(port: number, protocol: 'http' | 'http2', part: object = {}) {
  const base = createBase('error');
  const transport = plainTransport(base.network);
  const runtime = createRuntime(base, {
    transport,
    accessLog: 'off',
    cluster: 'static',
    self: () => TEST_SELF,
  });
  const { outlier: _none, ...plain } = POLICY;
  const policy: TrafficPolicy = { ...plain, connectionPool: { ...POLICY.connectionPool, ...part } };
  const config = parseStaticConfig({
    listen: { address: '127.0.0.1', port: 0 },
    service: `shop/${HOST}`,
    port: 80,
    tables: [table([route('r', [to('stable')])])],
    upstreams: [
      upstream({
        policy,
        ports: [{ port: 80, protocol }],
        subsets: [{ name: 'stable', labels: { version: 'v1' }, policy }],
        endpoints: [
          endpoint('s1', 'v1', { address: '127.0.0.1', protocol: 'none', ports: { 80: port } }),
        ],
      }),
    ],
  });
  runtime.engine.configure(config.input);
  const listener = listenPlain(runtime, config);
  const [group] = runtime.engine.upstreams.groups;
  const stop = () => {
    listener.stop();
    runtime.server.close();
    runtime.engine.close();
  };
  return { group, url: `http://127.0.0.1:${listener.port}`, stop };
}

/** How many requests got which status. */
async function load(url: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let left = REQUESTS;
  const client = async () => {
    while (left > 0) {
      left -= 1;
      const response = await fetch(url, { method: left % 3 === 0 ? 'POST' : 'GET' });
      await response.text();
      counts[response.status] = (counts[response.status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return counts;
}

describe('connections that end in order', () => {
  let closing: Server;
  let goingAway: Http2Server;
  let closingPort: number;
  let goingAwayPort: number;
  let connections = 0;

  beforeAll(async () => {
    const served = new WeakMap<object, number>();
    closing = createServer((request, response) => {
      const count = (served.get(request.socket) ?? 0) + 1;
      served.set(request.socket, count);
      if (count % 5 === 0) response.setHeader('connection', 'close');
      response.end('ok');
    });
    closing.on('connection', () => {
      connections += 1;
    });
    closingPort = await listening(closing);
    goingAway = createH2Server();
    goingAway.on('session', (session) => {
      connections += 1;
      let count = 0;
      session.on('stream', (stream) => {
        count += 1;
        stream.respond({ ':status': 200 });
        stream.end('ok');
        if (count === 25) session.close();
      });
    });
    goingAwayPort = await listening(goingAway);
  });
  afterAll(() => {
    closing.closeAllConnections();
    closing.close();
    goingAway.close();
  });

  test('Connection: close after every fifth answer', async () => {
    connections = 0;
    const mesh = start(closingPort, 'http');
    expect(await load(mesh.url)).toEqual({ 200: REQUESTS });
    expect(connections).toBeGreaterThanOrEqual(REQUESTS / 5);
    expect([mesh.group.active, mesh.group.share.pending]).toEqual([0, 0]);
    expect(mesh.group.share.connections).toBeLessThanOrEqual(CLIENTS);
    mesh.stop();
  });

  test('GOAWAY after every 25th stream, in the middle of others', async () => {
    connections = 0;
    const mesh = start(goingAwayPort, 'http2');
    expect(await load(mesh.url)).toEqual({ 200: REQUESTS });
    expect(connections).toBeGreaterThan(10);
    expect([mesh.group.active, mesh.group.share.pending]).toEqual([0, 0]);
    mesh.stop();
  });

  test('our own limits: three requests a connection, two connections at a time', async () => {
    connections = 0;
    const mesh = start(closingPort, 'http', { maxRequestsPerConnection: 3, maxConnections: 2 });
    expect(await load(mesh.url)).toEqual({ 200: REQUESTS });
    expect(connections).toBeGreaterThanOrEqual(REQUESTS / 3);
    expect(mesh.group.share.connections).toBeLessThanOrEqual(2);
    mesh.stop();
  });
});
