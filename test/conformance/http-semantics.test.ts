/**
 * What a proxy owes both sides through a running engine: informational responses and expectations, trailers between the
 * protocols, HTTP/1.0 clients, responses without a body.
 */
import { describe, expect, test } from 'bun:test';
import * as http2 from 'node:http2';
import { connect } from 'node:net';
import { faultyUpstream } from '#test/support/faulty-upstream.ts';
import { type HttpEngine, httpEngine } from '#test/support/http-engine.ts';
import { sendRaw } from '#test/support/raw-client.ts';
import { h2Data, h2Head, sendH2 } from '#test/support/raw-h2-client.ts';
import { recordingUpstream } from '#test/support/recording-upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const POST: [string, string][] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'a'],
  [':path', '/'],
];

/** The answer's head and body as they came, the fields of the engine left out. */
function plain(text: string): string {
  return text.replace(/x-envoy-upstream-service-time: \d+\r\n/g, '');
}

describe('HTTP/1.0 clients', () => {
  const rows: [title: string, request: string, answer: string, want: string, closed: boolean][] = [
    [
      'a body of unknown length ends with the connection, never in chunks',
      'GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n',
      'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok',
      true,
    ],
    [
      'the connection closes unless they ask for more',
      'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
      OK,
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nok',
      true,
    ],
    [
      'it is kept when they ask for it and the length is known',
      'GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n',
      OK,
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: keep-alive\r\n\r\nok',
      false,
    ],
    [
      'they get no informational response',
      'POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx',
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`,
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nok',
      true,
    ],
  ];
  test.each(rows)('%s', async (_title, request, answer, want, closed) => {
    await using upstream = await recordingUpstream(answer);
    using mesh = httpEngine({ upstreamPort: upstream.port });
    const got = await sendRaw(mesh.port, request);
    expect([plain(got.text), got.closed]).toEqual([want, closed]);
    expect(upstream.faults).toEqual([]);
    expect(upstream.requests[0].fields.map(([name]) => name)).not.toContain('expect');
  });

  test('without Host, the upstream gets the service they came for', async () => {
    await using upstream = await recordingUpstream();
    using mesh = httpEngine({ upstreamPort: upstream.port });
    await sendRaw(mesh.port, 'GET / HTTP/1.0\r\n\r\n');
    expect(upstream.requests[0].fields[0]).toEqual(['host', 'p.shop.svc.cluster.local:80']);
  });
});

describe('responses without a body', () => {
  const head = 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n';
  const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  const rows: [title: string, request: string, answer: string, want: string][] = [
    ['HEAD with a length', head, OK.slice(0, -2), 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'],
    [
      'HEAD with a coding',
      head,
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      'HTTP/1.1 200 OK\r\n\r\n',
    ],
    ['204', get, 'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 204 No Content\r\n\r\n'],
    [
      '204 with a length',
      get,
      'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
    ],
    [
      '304 with a length',
      get,
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
    ],
    [
      '205',
      get,
      'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n',
    ],
  ];
  test.each(rows)('%s: the next answer follows at once', async (_title, request, answer, want) => {
    await using upstream = await faultyUpstream((socket) => void socket.write(answer));
    using mesh = httpEngine({ upstreamPort: upstream.port });
    const got = await sendRaw(mesh.port, [request, request]);
    expect([plain(got.text), got.closed]).toEqual([want + want, false]);
    expect(upstream.connections).toBe(1);
  });
});

describe('informational responses', () => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n';

  test('pass to HTTP/1.1 in order, before the answer', async () => {
    await using upstream = await recordingUpstream(hints + OK);
    using mesh = httpEngine({ upstreamPort: upstream.port });
    const got = await sendRaw(mesh.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(plain(got.text)).toBe(
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}`,
    );
  });

  test('pass to HTTP/2', async () => {
    await using upstream = await recordingUpstream(hints + OK);
    using mesh = httpEngine({ upstreamPort: upstream.port });
    const { fields } = await sendH2(mesh.port, [h2Head(POST, true)]);
    expect(fields.slice(0, 8)).toEqual([
      ...[':status', '103', 'link', '</a>', ':status', '102', ':status', '200'],
    ]);
  });

  /** A client that sends its body only when it was told to. */
  async function expecting(mesh: HttpEngine): Promise<string[]> {
    const socket = connect({ port: mesh.port, host: '127.0.0.1' });
    const events: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.on('data', (bytes) => {
      const text = plain(bytes.toString());
      events.push(text.slice(0, text.indexOf('\r\n')));
      if (text.startsWith('HTTP/1.1 100 ')) socket.write('abc');
      else resolve();
    });
    socket.on('close', () => events.push('closed'));
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
    await promise;
    if (events.length === 1) await new Promise((done) => void socket.once('close', done));
    socket.destroy();
    return events;
  }

  test('Expect reaches the upstream, whose 100 lets the body come', async () => {
    const seen: string[] = [];
    await using upstream = await faultyUpstream((socket) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      socket.once('data', (bytes) => {
        seen.push(bytes.toString());
        socket.write(OK);
      });
    });
    using mesh = httpEngine({ upstreamPort: upstream.port });
    expect(await expecting(mesh)).toEqual(['HTTP/1.1 100 Continue', 'HTTP/1.1 200 OK']);
    expect(seen).toEqual(['abc']);
  });

  test('a final answer instead of 100 ends the connection: the body may follow or not', async () => {
    await using upstream = await faultyUpstream(
      (socket) => void socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'),
    );
    using mesh = httpEngine({ upstreamPort: upstream.port });
    expect(await expecting(mesh)).toEqual(['HTTP/1.1 403 Forbidden', 'closed']);
  });

  test('an expectation that nobody knows is 417, over HTTP/2 too', async () => {
    await using upstream = await recordingUpstream();
    using mesh = httpEngine({ upstreamPort: upstream.port });
    const { statuses } = await sendRaw(
      mesh.port,
      'GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n',
    );
    const { fields } = await sendH2(mesh.port, [h2Head([...POST, ['expect', 'tea']], true)]);
    expect([statuses, fields.slice(0, 2)]).toEqual([[417], [':status', '417']]);
    expect(upstream.requests).toEqual([]);
    expect(mesh.log().match(/ 417 DPE /g)?.length).toBe(2);
  });
});

describe('trailers', () => {
  const CHUNKED = '2\r\nok\r\n0\r\nx-sum: 9\r\n\r\n';

  test('of an HTTP/1.1 request reach an HTTP/1.1 upstream, with TE', async () => {
    await using upstream = await recordingUpstream();
    using mesh = httpEngine({ upstreamPort: upstream.port });
    const fields = 'Host: a\r\nTE: trailers\r\nConnection: TE\r\nTrailer: x-sum\r\n';
    await sendRaw(
      mesh.port,
      `POST / HTTP/1.1\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
    );
    const [{ body, trailers, fields: got }] = upstream.requests;
    expect([body, trailers]).toEqual(['ok', [['x-sum', '9']]]);
    expect(got).toContainEqual(['te', 'trailers']);
    expect(got).toContainEqual(['connection', 'te']);
    expect(got).toContainEqual(['trailer', 'x-sum']);
  });

  test('of an HTTP/1.1 response reach clients of both protocols', async () => {
    const answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`;
    await using upstream = await recordingUpstream(answer);
    using mesh = httpEngine({ upstreamPort: upstream.port });
    const one = await sendRaw(mesh.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(one.text).toEndWith(CHUNKED);
    const two = await sendH2(mesh.port, [h2Head(POST, false), h2Data('x', true)]);
    expect([two.body, two.fields.slice(-2)]).toEqual(['ok', ['x-sum', '9']]);
  });

  test('of HTTP/2 pass both ways between HTTP/1.1 and HTTP/2', async () => {
    const server = http2.createServer();
    const got = Promise.withResolvers<unknown>();
    server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      stream.on('trailers', (trailers) => got.resolve([headers.te, { ...trailers }['x-sum']]));
      stream.resume();
      stream.on('end', () => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }));
        stream.end('ok');
      });
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    using mesh = httpEngine({ upstreamPort: port, protocol: 'http2' });
    const fields = 'Host: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n';
    const answer = await sendRaw(mesh.port, `POST / HTTP/1.1\r\n${fields}\r\n${CHUNKED}`);
    expect(await got.promise).toEqual(['trailers', '9']);
    expect(answer.text).toEndWith('2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n');
    server.close();
  });
});
