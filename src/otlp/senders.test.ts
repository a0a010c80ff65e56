/** Collectors that are down, silent, rude or not what they should be: each is an outcome, in time. */
import { afterEach, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import { freePort } from '#test/support/guarded-process.ts';
import { grpcSender } from './grpc-sender.ts';
import { httpSender } from './http-sender.ts';

const REQUEST = new Uint8Array([1, 2, 3]);
/** Long enough for a loaded machine: who answers or resets does it at once. */
const PATIENT_MS = 10_000;
const deps = { clock: systemClock, network: new BunNetwork({ clock: systemClock }) };
let scope = new Scope();

afterEach(() => {
  scope.dispose();
  scope = new Scope();
});

/** Answers everything with these bytes; undefined: with nothing; `reset`: with a reset. */
function listen(answer: string | undefined | 'reset'): number {
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket) {
        if (answer === 'reset') socket.terminate();
        else if (answer !== undefined) socket.write(answer);
      },
    },
  });
  scope.add(() => server.stop(true));
  return server.port;
}

const viaHttp = (port: number, timeoutMs = PATIENT_MS) =>
  httpSender(systemClock, {
    collector: { host: '127.0.0.1', port },
    path: '/v1/traces',
    timeoutMs,
    headers: [{ name: 'authorization', value: 'Basic x' }],
    contentType: 'application/x-protobuf',
  })(REQUEST);

const viaGrpc = (port: number, timeoutMs = PATIENT_MS) => {
  const sender = grpcSender(deps, {
    collector: { host: '127.0.0.1', port },
    signal: 'traces',
    timeoutMs,
    headers: [],
  });
  scope.add(() => sender.close());
  return sender.send(REQUEST);
};

const PLAIN = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

describe.each([
  { way: 'HTTP', send: viaHttp },
  { way: 'gRPC', send: viaGrpc },
])('a collector that is spoken to by $way', ({ send }) => {
  test('and is not there', async () => {
    const outcome = await send(await freePort());
    expect(outcome).toMatchObject({ kind: 'again', reason: expect.stringContaining('127.0.0.1') });
  });

  test('and does not answer', async () => {
    const startedAt = systemClock.now();
    const outcome = await send(listen(undefined), 200);
    expect(outcome.kind).toBe('again');
    expect(systemClock.now() - startedAt).toBeLessThan(5000);
  });

  test('and resets', async () => {
    expect((await send(listen('reset'))).kind).toBe('again');
  });

  test('and answers what is neither HTTP/1.1 nor HTTP/2', async () => {
    expect((await send(listen('SSH-2.0-x\r\n'), 300)).kind).toBe('again');
  });
});

test('HTTP: a good answer, and what was posted', async () => {
  const seen: { path: string; headers: Headers; body: Uint8Array }[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const body = new Uint8Array(await request.arrayBuffer());
      seen.push({ path: new URL(request.url).pathname, headers: request.headers, body });
      return new Response(new Uint8Array(), {
        headers: { 'content-type': 'application/x-protobuf' },
      });
    },
  });
  scope.add(() => void server.stop(true));
  expect(await viaHttp(server.port ?? 0)).toMatchObject({ kind: 'accepted', rejected: 0 });
  const [{ path, headers, body }] = seen;
  expect([path, headers.get('content-type'), headers.get('authorization'), [...body]]).toEqual([
    ...['/v1/traces', 'application/x-protobuf', 'Basic x', [1, 2, 3]],
  ]);
});

test('HTTP: an answer without end is read as far as it matters', async () => {
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: () =>
      new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(16_384)) }),
      ),
  });
  scope.add(() => void server.stop(true));
  expect((await viaHttp(server.port ?? 0)).kind).toBe('accepted');
});

test('gRPC: a server of HTTP/1.1 is no collector', async () => {
  expect((await viaGrpc(listen(PLAIN))).kind).toBe('again');
});
