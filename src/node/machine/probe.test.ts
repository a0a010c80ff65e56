/** Probes against real servers on loopback. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { systemClock } from '#base/clock.ts';
import type { ProbeSpec } from '#config/compile/service-entry-kinds.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import { runProbe } from './probe.ts';

const deps = { clock: systemClock, network: new BunNetwork({ clock: systemClock }) };
/** Long enough for a loaded machine; those that fail answer at once. */
const PATIENT_MS = 10_000;

describe('runProbe', () => {
  let web: ReturnType<typeof Bun.serve>;
  let rpc: Http2Server;
  let closed: number;
  const rpcPort = () => (rpc.address() as AddressInfo).port;

  beforeAll(async () => {
    web = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === '/silent') return new Promise<Response>(() => undefined);
        if (pathname === '/named') {
          return new Response('', { status: request.headers.get('x-probe') === 'yes' ? 204 : 400 });
        }
        return new Response('', { status: Number(pathname.slice(1)) });
      },
    });
    const gone = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('') });
    closed = gone.port ?? 0;
    await gone.stop(true);
    rpc = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        // Message of one field: the service's name starts after the frame's 5 bytes, a tag and a length.
        const service = Buffer.concat(chunks).subarray(7).toString();
        response.writeHead(200, { 'content-type': 'application/grpc' });
        response.addTrailers({ 'grpc-status': '0' });
        response.end(Buffer.from([0, 0, 0, 0, 2, 8, service === 'sick' ? 2 : 1]));
      });
    });
    await new Promise<void>((resolve) => rpc.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    await web.stop(true);
    rpc.close();
  });

  const rows: [string, () => ProbeSpec, string | undefined][] = [
    ['HTTP 200', () => ({ httpGet: { path: '/200', port: web.port } }), undefined],
    ['HTTP 302 is not followed', () => ({ httpGet: { path: '/302', port: web.port } }), undefined],
    ['HTTP 400', () => ({ httpGet: { path: '/400', port: web.port } }), 'status 400'],
    [
      'HTTP with a header',
      () => {
        const httpHeaders = [{ name: 'x-probe', value: 'yes' }];
        return { httpGet: { path: '/named', port: web.port, httpHeaders } };
      },
      undefined,
    ],
    ['TCP', () => ({ tcpSocket: { port: web.port } }), undefined],
    ['TCP that nobody listens on', () => ({ tcpSocket: { port: closed } }), 'refused'],
    ['a command', () => ({ exec: { command: ['true'] } }), undefined],
    [
      'a command that fails says why',
      () => ({ exec: { command: ['sh', '-c', 'echo worn out >&2; exit 3'] } }),
      'worn out',
    ],
    ['a command that is not there', () => ({ exec: { command: ['/no/such'] } }), '/no/such'],
    ['gRPC serving', () => ({ grpc: { port: rpcPort() } }), undefined],
    ['gRPC not serving', () => ({ grpc: { port: rpcPort(), service: 'sick' } }), 'status 2'],
    ['nothing to do', () => ({}), 'neither httpGet'],
  ];
  for (const [title, probe, complaint] of rows) {
    test(title, async () => {
      const answer = await runProbe(deps, probe(), PATIENT_MS);
      expect(answer.ok).toBe(complaint === undefined);
      expect(answer.detail).toContain(complaint ?? '');
    });
  }

  test('who says nothing fails when the time is up', async () => {
    const probe = { httpGet: { path: '/silent', port: web.port } };
    expect((await runProbe(deps, probe, 50)).ok).toBe(false);
  });
});
