/** The HTTP drivers against other implementations over real sockets: node:http2 and Bun's own HTTP/1.1. */
import { expect, test } from 'bun:test';
import http2 from 'node:http2';
import { systemClock } from '#base/clock.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Connection } from '#net/connection.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  OnExchange,
  ResponseHandler,
  ServerExchange,
} from './dispatch/dispatch.ts';
import { MessageHead } from './dispatch/message-head.ts';
import { H1ClientConnection } from './h1/client.ts';
import { H1ServerConnection } from './h1/server.ts';
import { H2ClientConnection } from './h2/client.ts';
import { probeH2 } from './h2/probe.ts';
import { H2ServerConnection } from './h2/server.ts';

const deps = { clock: systemClock };
const network = new BunNetwork(deps);
const HERE = { address: '127.0.0.1', port: 0 };

/** Answers with method, path and the request body, which it takes at the pace it can send. */
const echo: OnExchange = (exchange: ServerExchange) => {
  const { request } = exchange;
  const head = MessageHead.response(200);
  head.set('x-path', `${request.method} ${request.authority} ${request.path}`);
  head.set('x-echo', request.get('x-echo') ?? '-');
  if (exchange.requestEnded) {
    const body = Buffer.from('no body');
    head.set('content-length', String(body.length));
    exchange.sendHead(head, false);
    exchange.sendBody(body);
    exchange.sendEnd();
    return;
  }
  exchange.handler = {
    onBody: (bytes) => {
      if (!exchange.sendBody(bytes)) exchange.pauseRequest();
    },
    onDrain: () => exchange.resumeRequest(),
    onEnd: () => exchange.sendEnd(),
    onAbort: () => undefined,
  };
  exchange.sendHead(head, false);
};

function serve(protocol: 'h1' | 'h2', onExchange: OnExchange = echo) {
  return network.listen(HERE, (connection) =>
    protocol === 'h1'
      ? new H1ServerConnection(connection, deps, {}, onExchange)
      : new H2ServerConnection(connection, deps, {}, onExchange),
  );
}

function dial(port: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    network.connect(
      { address: '127.0.0.1', port, connectTimeoutMs: 10_000 },
      {
        onOpen(connection) {
          queueMicrotask(() => resolve(connection));
          return connection.handler;
        },
        onFail: reject,
      },
    );
  });
}

async function client(protocol: 'h1' | 'h2', port: number) {
  const connection = await dial(port);
  const made =
    protocol === 'h1'
      ? new H1ClientConnection(connection, deps)
      : new H2ClientConnection(connection, deps);
  connection.handler = made;
  return made;
}

interface Answer {
  status: number;
  head: MessageHead;
  body: string;
}

function request(from: HttpClientConnection, head: MessageHead, body?: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let answer: MessageHead = head;
    let left = body ?? Buffer.alloc(0);
    let exchange: ClientExchange | undefined;
    const pump = () => {
      while (left.length > 0) {
        const piece = left.subarray(0, 50_000);
        left = left.subarray(piece.length);
        if (exchange?.sendBody(piece) === false) return;
      }
      exchange?.sendEnd();
    };
    const done = () =>
      resolve({ status: answer.status, head: answer, body: Buffer.concat(parts).toString() });
    const handler: ResponseHandler = {
      onHead(received, end) {
        answer = received.retain();
        if (end) done();
      },
      onBody: (bytes) => void parts.push(Buffer.from(bytes)),
      onEnd: done,
      onError: reject,
      onDrain: pump,
    };
    exchange = from.dispatch(head, body === undefined, handler);
    if (body !== undefined) pump();
  });
}

const BIG = Buffer.alloc(3_000_000, 'abcdefghij');

for (const protocol of ['h1', 'h2'] as const) {
  test(`${protocol} client and server carry requests one after the other, small and large`, async () => {
    const server = serve(protocol);
    const from = await client(protocol, server.port);
    for (let round = 0; round < 3; round++) {
      const head = MessageHead.request('GET', 'example.com', `/a?round=${round}`);
      head.set('x-echo', 'yes');
      const { status, head: answer, body } = await request(from, head);
      expect([status, answer.get('x-path'), answer.get('x-echo'), body]).toEqual([
        ...[200, `GET example.com /a?round=${round}`, 'yes', 'no body'],
      ]);
    }
    const large = await request(from, MessageHead.request('POST', 'example.com', '/big'), BIG);
    expect(large.body === BIG.toString()).toBe(true);
    expect([from.active, from.capacity > 0]).toEqual([0, true]);
    from.drain();
    server.stop();
  });
}

test('H1ServerConnection serves Bun’s fetch: bodies both ways, keep-alive, HEAD', async () => {
  const server = serve('h1');
  const url = `http://127.0.0.1:${server.port}`;
  const empty = await fetch(`${url}/x?y=1`, { headers: { 'X-Echo': 'a b' } });
  expect([empty.status, empty.headers.get('x-echo'), await empty.text()]).toEqual([
    200,
    'a b',
    'no body',
  ]);
  expect(empty.headers.get('x-path')).toBe(`GET 127.0.0.1:${server.port} /x?y=1`);
  const large = await fetch(url, { method: 'POST', body: BIG });
  expect((await large.text()) === BIG.toString()).toBe(true);
  const head = await fetch(url, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([
    200,
    '7',
    '',
  ]);
  server.stop();
});

test('H1ClientConnection speaks to Bun.serve: chunked and empty answers on one connection', async () => {
  using origin = Bun.serve({
    ...{ hostname: '127.0.0.1', port: 0 },
    async fetch(received) {
      if (received.method === 'DELETE') return new Response(null, { status: 204 });
      const body = await received.text();
      const stream = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(`${received.method}:`));
          controller.enqueue(new TextEncoder().encode(body));
          controller.close();
        },
      });
      return new Response(stream, { headers: { 'x-url': new URL(received.url).pathname } });
    },
  });
  const from = await client('h1', origin.port ?? 0);
  const answer = await request(from, MessageHead.request('PUT', 'a', '/p/q'), Buffer.from('hello'));
  expect([answer.body, answer.head.get('x-url')]).toEqual(['PUT:hello', '/p/q']);
  const gone = await request(from, MessageHead.request('DELETE', 'a', '/'));
  expect([gone.status, gone.body, from.capacity]).toEqual([204, '', 1]);
  from.close();
});

test('H2ServerConnection serves node:http2: parallel streams, trailers of none, large bodies', async () => {
  const server = serve('h2');
  const session = http2.connect(`http://127.0.0.1:${server.port}`);
  const ask = (path: string, body?: Buffer) =>
    new Promise<string>((resolve, reject) => {
      const stream = session.request({ ':method': body ? 'POST' : 'GET', ':path': path });
      let echoed = '';
      let text = '';
      stream.on('response', (headers) => {
        echoed = String(headers['x-path']);
      });
      stream.on('data', (bytes) => {
        text += bytes;
      });
      stream.on('end', () => resolve(`${echoed.split(' ')[2]} ${text}`));
      stream.on('error', reject);
      stream.end(body);
    });
  const small = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(`/s/${i}`)));
  expect(small).toEqual(Array.from({ length: 20 }, (_, i) => `/s/${i} no body`));
  expect((await ask('/big', BIG)) === `/big ${BIG}`).toBe(true);
  await new Promise<void>((resolve) => session.close(() => resolve()));
  server.stop();
});

test('H2ClientConnection speaks to node:http2, and probeH2 tells it from an HTTP/1.1 server', async () => {
  const origin = http2.createServer();
  origin.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.respond({ ':status': 200, 'x-path': headers[':path'] ?? '' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'done' }));
    stream.pipe(stream);
  });
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  const { port } = origin.address() as { port: number };
  const from = await client('h2', port);
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      request(from, MessageHead.request('POST', 'a', `/${i}`), Buffer.from(`body ${i}`)),
    ),
  );
  expect(answers.map(({ body }) => body)).toEqual(
    Array.from({ length: 10 }, (_, i) => `body ${i}`),
  );
  const large = await request(from, MessageHead.request('POST', 'a', '/'), BIG);
  expect(large.body.length).toBe(BIG.length);
  from.close();

  const outcomeOf = async (to: number) => {
    const connection = await dial(to);
    return new Promise<string>((resolve) => {
      connection.handler = probeH2(
        connection,
        deps,
        { timeoutMs: 10_000 },
        {
          onH2(found) {
            found.close();
            resolve('h2');
          },
          onH1: () => resolve('h1'),
        },
      );
    });
  };
  const h1 = serve('h1');
  expect([await outcomeOf(port), await outcomeOf(h1.port)]).toEqual(['h2', 'h1']);
  h1.stop();
  origin.close();
});
