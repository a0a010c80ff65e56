/**
 * Bodies of any size in bounded memory: a waypoint process carries 100 MiB each way and protocol, to a reader that stalls, and
 * its largest resident size hardly grows. What is taken from a sender whose receiver does not read is bounded as well.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as http from 'node:http';
import * as http2 from 'node:http2';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { peakMiBOf, usageOf } from '#test/bench/process-usage.ts';
import { type StaticWaypoint, staticWaypoint } from '#test/support/static-waypoint.ts';

const MIB = 1024 * 1024;
const BODY_MIB = 100;
const PIECE = Buffer.alloc(MIB, 'x');
/** Compiled code, and what the garbage collector lets gather, of a process that has carried nothing before. */
const WARM_MIB_MAX = 64;
/** The same bodies once more: buffers and windows of a connection are below 2 MiB, the rest is chance. */
const GROWTH_MIB_MAX = 24;
/** Of 100 MiB, what is gone into two connections whose end nobody reads: the kernel's buffers (tcp(7)) and the sender's own count. */
const HELD_MIB_MAX = 64;
/** The waypoint's own part of it: a window or a mark each way. */
const OWN_MIB_MAX = 16;

/** `GET /down` sends the body, `PUT /up` counts one, `GET /stall` sends until nobody takes more. */
function bodyServer() {
  let stalledMiB = 0;
  const server = http.createServer((request, response) => {
    if (request.method === 'PUT') {
      let bytes = 0;
      request.on('data', (piece: Buffer) => {
        bytes += piece.length;
      });
      request.on('end', () => response.end(String(bytes)));
      return;
    }
    const isLength = request.url === '/down?length';
    if (isLength) response.setHeader('content-length', BODY_MIB * MIB);
    let left = BODY_MIB;
    const more = () => {
      while (left > 0) {
        left -= 1;
        stalledMiB = BODY_MIB - left;
        if (!response.write(PIECE)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  });
  return { server, stalledMiB: () => stalledMiB };
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as { port: number }).port;
}

/** Reads with a stall now and then; the bytes that came. */
async function drain(stream: NodeJS.ReadableStream): Promise<number> {
  let bytes = 0;
  let stalls = 0;
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes < (stalls + 1) * 10 * MIB) return;
    stalls += 1;
    stream.pause();
    setTimeout(() => stream.resume(), 5);
  });
  await new Promise((resolve) => void stream.once('end', resolve));
  return bytes;
}

async function fill(stream: NodeJS.WritableStream): Promise<void> {
  for (let sent = 0; sent < BODY_MIB; sent++) {
    if (!stream.write(PIECE)) await new Promise((resolve) => void stream.once('drain', resolve));
  }
  stream.end();
}

describe('a waypoint process', () => {
  const upstream = bodyServer();
  let waypoint: StaticWaypoint;

  beforeAll(async () => {
    await new Promise<void>((done) => void upstream.server.listen(0, '127.0.0.1', done));
    waypoint = await staticWaypoint({ upstreamPort: portOf(upstream.server) });
  });
  afterAll(async () => {
    await waypoint[Symbol.asyncDispose]();
    upstream.server.closeAllConnections();
    upstream.server.close();
  });

  const h1Down = async (path: string) => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const where = { port: waypoint.port, host: '127.0.0.1', path, agent: false };
    http.get(where, (response) => resolve(drain(response)));
    return promise;
  };
  const h1Up = async (headers: http.OutgoingHttpHeaders) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const where = { port: waypoint.port, host: '127.0.0.1', method: 'PUT', headers, agent: false };
    const request = http.request(where, (response) =>
      response.once('data', (bytes: Buffer) => resolve(bytes.toString())),
    );
    await fill(request);
    return Number(await promise);
  };
  const h2 = async (method: 'GET' | 'PUT') => {
    const session = http2.connect(`http://127.0.0.1:${waypoint.port}`);
    const stream = session.request({ ':method': method, ':path': '/down' });
    if (method === 'GET') stream.end();
    else await fill(stream);
    let text = '';
    stream.on('data', (piece: Buffer) => {
      if (method === 'PUT') text += piece.toString();
    });
    const bytes = await drain(stream);
    session.close();
    return method === 'GET' ? bytes : Number(text);
  };

  test('carries 100 MiB each way in the memory that it has', async () => {
    const transfers: [title: string, run: () => Promise<number>][] = [
      ['HTTP/1.1 down, by length', () => h1Down('/down?length')],
      ['HTTP/1.1 down, in chunks', () => h1Down('/down')],
      ['HTTP/1.1 up, by length', () => h1Up({ 'content-length': BODY_MIB * MIB })],
      ['HTTP/1.1 up, in chunks', () => h1Up({})],
      ['HTTP/2 down', () => h2('GET')],
      ['HTTP/2 up', () => h2('PUT')],
    ];
    const round = async () => {
      for (const [, run] of transfers) expect(await run()).toBe(BODY_MIB * MIB);
      return peakMiBOf(waypoint.pid);
    };
    const start = peakMiBOf(waypoint.pid);
    const first = await round();
    const second = await round();
    const peaks = [start, first, second].map((each) => each.toFixed(1)).join(', ');
    console.log(`largest size in MiB at the start, after 600 MiB, after 1200 MiB: ${peaks}`);
    expect(first - start).toBeLessThan(WARM_MIB_MAX);
    expect(second - first).toBeLessThan(GROWTH_MIB_MAX);
  }, 120_000);

  test('takes little from an upstream whose client does not read', async () => {
    const socket = connect({ port: waypoint.port, host: '127.0.0.1' });
    socket.pause();
    const before = usageOf([waypoint.pid]).rssMiB;
    socket.write('GET /stall HTTP/1.1\r\nHost: a\r\n\r\n');
    const held = await untilStill(upstream.stalledMiB);
    expect(held).toBeLessThan(HELD_MIB_MAX);
    expect(usageOf([waypoint.pid]).rssMiB - before).toBeLessThan(OWN_MIB_MAX);
    socket.destroy();
  });
});

test('a waypoint process takes little from a client whose upstream does not read', async () => {
  const sockets = new Set<Socket>();
  const deaf: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.pause();
  });
  await new Promise<void>((done) => void deaf.listen(0, '127.0.0.1', done));
  await using waypoint = await staticWaypoint({ upstreamPort: portOf(deaf) });
  const before = usageOf([waypoint.pid]).rssMiB;
  const socket = connect({ port: waypoint.port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  socket.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY_MIB * MIB}\r\n\r\n`);
  let taken = 0;
  const more = () => {
    while (taken < BODY_MIB) {
      taken += 1;
      if (!socket.write(PIECE)) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
  expect(await untilStill(() => taken)).toBeLessThan(HELD_MIB_MAX);
  expect(usageOf([waypoint.pid]).rssMiB - before).toBeLessThan(OWN_MIB_MAX);
  socket.destroy();
  for (const each of sockets) each.destroy();
  deaf.close();
});

/** The value once it has moved and then stood still for a while. */
async function untilStill(value: () => number): Promise<number> {
  let last = -1;
  for (let still = 0; still < 10; ) {
    await Bun.sleep(30);
    still = value() === last && last > 0 ? still + 1 : 0;
    last = value();
  }
  return last;
}
