/** H1ServerConnection on a scripted connection: order, framing, refusals, timeouts, upgrade, breaking off. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { ScriptedConnection, turn } from '#test/support/scripted-connection.ts';
import type { ServerExchange } from '../dispatch/dispatch.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import * as limits from '../limits.ts';
import { H1ServerConnection, type H1ServerOptions } from './server.ts';

interface Seen {
  exchange: ServerExchange;
  body: string;
  events: string[];
}

function serve(
  options: H1ServerOptions & { onExchange?: (exchange: ServerExchange) => void } = {},
) {
  const clock = new FakeClock();
  const socket = new ScriptedConnection();
  const seen: Seen[] = [];
  const closes: (string | undefined)[] = [];
  const server = new H1ServerConnection(
    socket,
    { clock },
    { ...options, onClose: (error) => closes.push(error?.code) },
    (exchange) => {
      const record: Seen = { exchange, body: '', events: [] };
      seen.push(record);
      exchange.handler = {
        onBody: (bytes) => {
          record.body += Buffer.from(bytes).toString('latin1');
        },
        onEnd: (trailers) => record.events.push(`end ${trailers?.get('x-sum') ?? ''}`.trim()),
        onAbort: (error) => record.events.push(`abort ${error.code}`),
        onDrain: () => record.events.push('drain'),
      };
      options.onExchange?.(exchange);
    },
  );
  socket.handler = server;
  return { clock, socket, server, seen, closes };
}

function answer(exchange: ServerExchange, status: number, text = ''): void {
  const head = MessageHead.response(status);
  head.set('content-length', String(text.length));
  exchange.sendHead(head, text === '');
  if (text === '') return;
  exchange.sendBody(Buffer.from(text));
  exchange.sendEnd();
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (extra: string, body = '') => `POST / HTTP/1.1\r\nHost: a\r\n${extra}\r\n${body}`;

describe('H1ServerConnection order', () => {
  test('answers pipelined requests one after the other, however the bytes are cut', async () => {
    const requests = [
      'GET /1 HTTP/1.1\r\nHost: a\r\n\r\n',
      'POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
      'POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n',
      'HEAD /4 HTTP/1.1\r\nHost: a\r\n\r\n',
    ].join('');
    const run = async (cuts: number[], later: boolean) => {
      const { socket, seen, server, clock } = serve();
      let at = 0;
      const pieces: string[] = [];
      for (const cut of [...cuts, requests.length]) {
        pieces.push(requests.slice(at, at + cut));
        at += cut;
      }
      for (const piece of pieces) {
        if (piece !== '') socket.receive(piece);
        const last = seen.at(-1);
        const whole = last?.exchange.requestEnded || last?.events.length === 1;
        if (!later && whole && seen.length < 5) answer(seen[seen.length - 1].exchange, 200, 'ok');
      }
      for (let index = 0; index < seen.length && index < 4; index++) {
        answer(seen[index].exchange, 200, 'ok');
      }
      await turn();
      expect(seen.map(({ exchange, body }) => [exchange.request.path, body])).toEqual([
        ['/1', ''],
        ['/2', 'abc'],
        ['/3', 'de'],
        ['/4', ''],
      ]);
      const answers = socket.take().split('HTTP/1.1 200 OK').slice(1);
      expect(answers.map((text) => text.endsWith('ok'))).toEqual([true, true, true, false]);
      expect(socket.paused).toBe(false);
      server.drain();
      socket.close();
      expect(clock.pending).toBe(0);
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 12 }),
        fc.boolean(),
        run,
      ),
      { numRuns: 60 },
    );
  });

  test('answers synchronously inside a pipelined chunk', async () => {
    const { socket, seen } = serve({ onExchange: (exchange) => answer(exchange, 200, 'x') });
    socket.receive(GET + GET + GET);
    await turn();
    expect(seen.length).toBe(3);
    expect(socket.take().match(/200 OK/g)?.length).toBe(3);
    expect(socket.paused).toBe(false);
  });

  test('holds the socket while an exchange runs and bytes wait, and lets it go afterwards', async () => {
    const { socket, seen } = serve();
    socket.receive(GET + GET);
    expect([seen.length, socket.paused]).toEqual([1, true]);
    answer(seen[0].exchange, 200);
    expect([seen.length, socket.paused]).toEqual([2, false]);
  });

  test('pauseRequest and resumeRequest within one callback leave the socket running', () => {
    const { socket, seen } = serve({
      onExchange: (exchange) => {
        exchange.pauseRequest();
        exchange.resumeRequest();
      },
    });
    socket.receive(post('Content-Length: 4\r\n', 'ab'));
    expect(socket.paused).toBe(false);
    socket.receive('cd');
    expect([seen[0].body, seen[0].events]).toEqual(['abcd', ['end']]);
  });

  test('pauseRequest keeps the rest of the body back until resumeRequest', () => {
    const { socket, seen } = serve({ onExchange: (exchange) => exchange.pauseRequest() });
    socket.receive(post('Content-Length: 4\r\n', 'abcd'));
    expect([seen[0].body, socket.paused]).toEqual(['', true]);
    seen[0].exchange.resumeRequest();
    expect([seen[0].body, seen[0].events, socket.paused]).toEqual(['abcd', ['end'], false]);
  });
});

describe('H1ServerConnection framing of responses', () => {
  const rows: {
    title: string;
    request: string;
    respond: (exchange: ServerExchange) => void;
    want: string;
    ended: boolean;
  }[] = [
    {
      title: 'unknown length is chunked, with trailers',
      request: GET,
      respond: (exchange) => {
        exchange.sendHead(MessageHead.response(200), false);
        exchange.sendBody(Buffer.from('abc'));
        const trailers = new MessageHead();
        trailers.add('x-sum', '6');
        exchange.sendEnd(trailers);
      },
      want: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n',
      ended: false,
    },
    {
      title: 'unknown length to HTTP/1.0 ends with the connection',
      request: 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      respond: (exchange) => {
        exchange.sendHead(MessageHead.response(200), false);
        exchange.sendBody(Buffer.from('abc'));
        exchange.sendEnd();
      },
      want: 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc',
      ended: true,
    },
    {
      title: 'HTTP/1.0 with keep-alive and a length stays open and says so',
      request: 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      respond: (exchange) => answer(exchange, 200, 'abc'),
      want: 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\nabc',
      ended: false,
    },
    {
      title: 'HTTP/1.0 without keep-alive is closed',
      request: 'GET / HTTP/1.0\r\n\r\n',
      respond: (exchange) => answer(exchange, 200, 'abc'),
      want: 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc',
      ended: true,
    },
    {
      title: 'HTTP/1.0 is told nothing informational',
      request: 'GET / HTTP/1.0\r\n\r\n',
      respond: (exchange) => {
        exchange.sendHead(MessageHead.response(103), false);
        answer(exchange, 200, 'a');
      },
      want: 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na',
      ended: true,
    },
    {
      title: 'an informational head before the final one',
      request: GET,
      respond: (exchange) => {
        const hints = MessageHead.response(103);
        hints.add('link', '</a>');
        exchange.sendHead(hints, false);
        answer(exchange, 204);
      },
      want: 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
      ended: false,
    },
    {
      title: 'HEAD gets the length and no body',
      request: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
      respond: (exchange) => answer(exchange, 200, 'abc'),
      want: 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n',
      ended: false,
    },
    {
      title: '304 gets no body',
      request: GET,
      respond: (exchange) => answer(exchange, 304, 'abc'),
      want: 'HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n',
      ended: false,
    },
    {
      title: 'a head with no body and no length says length 0',
      request: GET,
      respond: (exchange) => exchange.sendHead(MessageHead.response(404), true),
      want: 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n',
      ended: false,
    },
    {
      title: 'Connection: close of the request is honoured',
      request: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
      respond: (exchange) => answer(exchange, 200, 'a'),
      want: 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na',
      ended: true,
    },
  ];
  for (const { title, request, respond, want, ended } of rows) {
    test(title, async () => {
      const { socket, seen, server } = serve();
      socket.receive(request);
      respond(seen[0].exchange);
      await turn();
      expect(socket.take()).toBe(want);
      expect([socket.ended, server.closed]).toEqual([ended, ended]);
      expect(seen[0].events).toEqual([]);
    });
  }

  test('a body longer or shorter than its Content-Length ends the connection', async () => {
    for (const text of ['abcd', 'ab']) {
      const { socket, seen, closes } = serve();
      socket.receive(GET);
      const head = MessageHead.response(200);
      head.set('content-length', '3');
      seen[0].exchange.sendHead(head, false);
      seen[0].exchange.sendBody(Buffer.from(text));
      seen[0].exchange.sendEnd();
      await turn();
      expect([socket.ended, closes]).toEqual([true, ['H1_BODY_LENGTH']]);
    }
  });

  test('sendBody says false when the socket takes no more, and onDrain follows', async () => {
    const { socket, seen } = serve();
    socket.receive(GET);
    socket.room = 100;
    seen[0].exchange.sendHead(MessageHead.response(200), false);
    expect(seen[0].exchange.sendBody(Buffer.alloc(limits.BODY_HIGH_BYTES, 'a'))).toBe(false);
    await turn();
    expect(seen[0].events).toEqual([]);
    socket.drain();
    expect(seen[0].events).toEqual(['drain']);
    seen[0].exchange.sendEnd();
    await turn();
    expect(socket.take().endsWith('a\r\n0\r\n\r\n')).toBe(true);
  });
});

describe('H1ServerConnection requests with a body', () => {
  test('hands on trailers, without those that frame or route', () => {
    const { socket, seen } = serve();
    socket.receive(post('Transfer-Encoding: chunked\r\n', '1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n'));
    expect([seen[0].body, seen[0].events]).toEqual(['a', ['end 1']]);
  });

  test('leaves 100 Continue to the application, which sees the expectation', async () => {
    const { socket, seen } = serve();
    socket.receive(post('Content-Length: 1\r\nExpect: 100-continue\r\n'));
    await turn();
    expect(socket.take()).toBe('');
    seen[0].exchange.sendHead(MessageHead.response(100), false);
    await turn();
    expect(socket.take()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    socket.receive('a');
    expect(seen[0].exchange.request.get('expect')).toBe('100-continue');
    answer(seen[0].exchange, 200);
    await turn();
    expect(seen[0].body).toBe('a');
    expect([socket.take(), socket.ended]).toEqual([
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
      false,
    ]);
  });

  test('closes when the answer came instead of 100 Continue: the body may or may not follow', async () => {
    const { socket } = serve({ onExchange: (exchange) => answer(exchange, 403) });
    socket.receive(post('Content-Length: 1\r\nExpect: 100-continue\r\n'));
    await turn();
    expect([socket.take(), socket.ended]).toEqual([
      'HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
      true,
    ]);
  });

  test('after an early answer drops the rest of a small body and goes on', async () => {
    const { socket, seen } = serve();
    socket.receive(post('Content-Length: 6\r\n', 'abc'));
    answer(seen[0].exchange, 413, 'no');
    socket.receive(`def${GET}`);
    await turn();
    expect([seen.length, seen[0].body, socket.ended]).toEqual([2, 'abc', false]);
  });

  test('after an early answer closes before a large body', async () => {
    const { socket, seen } = serve();
    socket.receive(post(`Content-Length: ${limits.DISCARD_BYTES_MAX + 1}\r\n`));
    answer(seen[0].exchange, 413, 'no');
    await turn();
    expect([socket.take().endsWith('no'), socket.ended]).toEqual([true, true]);
  });

  test('after an early answer bounds a chunked body', async () => {
    const { socket, seen, server } = serve();
    socket.receive(post('Transfer-Encoding: chunked\r\n'));
    answer(seen[0].exchange, 413, 'no');
    const count = limits.DISCARD_BYTES_MAX + 1;
    socket.receive(`${count.toString(16)}\r\n${'a'.repeat(count)}`);
    expect([seen[0].events, server.closed]).toEqual([[], true]);
  });

  test('a broken chunk costs the connection: 400 before the answer, the end inside it', async () => {
    const { socket, seen } = serve();
    socket.receive(post('Transfer-Encoding: chunked\r\n', 'zz\r\n'));
    await turn();
    expect(socket.take()).toStartWith('HTTP/1.1 400 Bad Request\r\n');
    expect([seen[0].events, socket.ended]).toEqual([['abort H1_BAD_MESSAGE'], true]);
    const other = serve();
    other.socket.receive(post('Transfer-Encoding: chunked\r\n'));
    other.seen[0].exchange.sendHead(MessageHead.response(200), false);
    other.socket.receive('zz\r\n');
    await turn();
    expect([other.seen[0].events, other.socket.ended]).toEqual([['abort H1_BAD_MESSAGE'], true]);
  });
});

describe('H1ServerConnection refusals', () => {
  const many = Array.from({ length: 200 }, (_, index) => `a${index}: b\r\n`).join('');
  const BAD = '400 Bad Request';
  const rows: [title: string, bytes: string, want: string][] = [
    ['no HTTP', '\x16\x03\x01 hello\r\n\r\n', BAD],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', BAD],
    ['a Host with a forbidden character', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', BAD],
    ['a target of no known form', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n', BAD],
    [
      'length and coding together',
      post('Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'),
      BAD,
    ],
    [
      'a head that is too large',
      post(`a: ${'b'.repeat(100_000)}\r\n`),
      '431 Request Header Fields Too Large',
    ],
    ['too many fields', post(many), '431 Request Header Fields Too Large'],
    ['CONNECT without a port', 'CONNECT a HTTP/1.1\r\nHost: a:1\r\n\r\n', BAD],
    ['CONNECT for a path', 'CONNECT / HTTP/1.1\r\nHost: a:1\r\n\r\n', BAD],
    ['CONNECT with a body', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 0\r\n\r\n', BAD],
    [
      'an unknown expectation',
      'GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n',
      '417 Expectation Failed',
    ],
    [
      'a target over its limit',
      `GET /${'a'.repeat(33_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      '414 URI Too Long',
    ],
    ['a user in Host', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', BAD],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', BAD],
    ['a user in the request line', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n', BAD],
  ];
  for (const [title, bytes, want] of rows) {
    test(`${title} → ${want}`, async () => {
      const { socket, seen, closes, clock } = serve();
      socket.receive(bytes);
      await turn();
      expect(socket.take()).toBe(
        `HTTP/1.1 ${want}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
      );
      const code = want.startsWith('417') ? 'HTTP_EXPECTATION' : 'H1_BAD_MESSAGE';
      expect([seen.length, socket.ended, closes]).toEqual([0, true, [code]]);
      expect(clock.pending).toBe(1);
      clock.advance(limits.CLOSE_LINGER_MS);
      expect([socket.wasReset, clock.pending]).toEqual([true, 0]);
    });
  }
});

describe('H1ServerConnection timeouts', () => {
  test('a head that drips byte by byte is cut off with 408', async () => {
    const { socket, clock, closes } = serve({ headTimeoutMs: 5000 });
    for (let index = 0; index < 10 && !socket.ended; index++) {
      socket.receive(GET[index]);
      clock.advance(1000);
    }
    await turn();
    expect(socket.take()).toStartWith('HTTP/1.1 408 Request Timeout\r\n');
    expect(closes).toEqual(['H1_HEAD_TIMEOUT']);
  });

  test('an idle connection is closed quietly, a busy one is not', () => {
    const { socket, clock, seen, closes } = serve({ idleTimeoutMs: 5000 });
    socket.receive(GET);
    clock.advance(60_000);
    expect(socket.ended).toBe(false);
    answer(seen[0].exchange, 200);
    clock.advance(4000);
    expect(socket.ended).toBe(false);
    clock.advance(3000);
    expect([socket.ended, closes]).toEqual([true, [undefined]]);
  });

  test('a client that never sends the rest of a dropped body is closed', () => {
    const { socket, clock, seen } = serve({ headTimeoutMs: 5000 });
    socket.receive(post('Content-Length: 6\r\n', 'abc'));
    answer(seen[0].exchange, 413, 'no');
    clock.advance(7000);
    expect(socket.ended).toBe(true);
  });

  test('no timer outlives the connection', async () => {
    for (const end of ['drain', 'peer', 'reset', 'close'] as const) {
      const { socket, server, clock } = serve();
      socket.receive(GET);
      if (end === 'drain') server.drain();
      else if (end === 'peer') socket.handler.onEnd();
      else if (end === 'close') server.close();
      if (end === 'reset') socket.breakOff();
      else socket.close();
      await turn();
      expect([end, clock.pending]).toEqual([end, 0]);
    }
  });
});

describe('H1ServerConnection upgrade', () => {
  const UPGRADE =
    'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n';
  const accept = () => {
    const head = MessageHead.response(101);
    head.upgrade = 'websocket';
    return head;
  };

  test('turns to raw bytes both ways with half-close, and ends without an abort', async () => {
    const { socket, seen, closes, clock } = serve();
    socket.receive(`${UPGRADE}early`);
    expect([seen[0].exchange.request.upgrade, seen[0].body]).toEqual(['websocket', '']);
    seen[0].exchange.sendHead(accept(), false);
    seen[0].exchange.sendBody(Buffer.from('pong'));
    socket.receive(' late');
    await turn();
    expect(seen[0].body).toBe('early late');
    expect(socket.take()).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\npong',
    );
    socket.handler.onEnd();
    expect([seen[0].events, socket.ended]).toEqual([['end'], false]);
    seen[0].exchange.sendBody(Buffer.from('bye'));
    seen[0].exchange.sendEnd();
    await turn();
    expect([socket.take(), socket.ended]).toEqual(['bye', true]);
    socket.close();
    expect([seen[0].events, closes, clock.pending]).toEqual([['end'], [undefined], 0]);
  });

  test('our end may come first; a reset afterwards is told', async () => {
    const { socket, seen } = serve();
    socket.receive(UPGRADE);
    seen[0].exchange.sendHead(accept(), false);
    seen[0].exchange.sendEnd();
    await turn();
    expect(socket.ended).toBe(true);
    socket.receive('still');
    expect(seen[0].body).toBe('still');
    socket.breakOff();
    expect(seen[0].events).toEqual(['abort H1_UNEXPECTED_CLOSE']);
  });

  test('a half-closed tunnel can be aborted', async () => {
    const { socket, seen } = serve();
    socket.receive(UPGRADE);
    seen[0].exchange.sendHead(accept(), false);
    seen[0].exchange.sendEnd();
    seen[0].exchange.abort();
    expect(socket.wasReset).toBe(true);
  });

  test('another answer than 101 ends the request and keeps the connection', async () => {
    const { socket, seen } = serve();
    socket.receive(UPGRADE + GET);
    answer(seen[0].exchange, 426);
    expect([seen[0].events, seen.length, socket.ended]).toEqual([['end'], 2, false]);
  });

  test('is ignored for a request with a body and for HTTP/1.0', () => {
    const { socket, seen } = serve();
    const fields = 'Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n';
    socket.receive(post(fields, 'a'));
    expect(seen[0].exchange.request.upgrade).toBe('');
    answer(seen[0].exchange, 200);
    socket.receive('GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n');
    expect([seen[1].exchange.request.upgrade, seen[1].exchange.requestEnded]).toEqual(['', true]);
  });
});

describe('H1ServerConnection endings', () => {
  test('abort resets, without a further callback', async () => {
    const { socket, seen, closes } = serve();
    socket.receive(GET);
    seen[0].exchange.abort();
    await turn();
    expect([socket.wasReset, seen[0].events, closes]).toEqual([true, [], ['HTTP_CLOSED_BY_US']]);
    expect(seen[0].exchange.sendBody(Buffer.from('a'))).toBe(true);
  });

  test('the client’s FIN or RST inside an exchange aborts it once', async () => {
    for (const way of ['onEnd', 'breakOff'] as const) {
      const { socket, seen } = serve();
      socket.receive(GET);
      if (way === 'onEnd') socket.handler.onEnd();
      else socket.breakOff();
      socket.close();
      expect(seen[0].events).toEqual(['abort H1_UNEXPECTED_CLOSE']);
    }
  });

  test('drain: idle closes now, a running exchange is finished with Connection: close', async () => {
    const idle = serve();
    idle.server.drain();
    expect([idle.socket.ended, idle.closes]).toEqual([true, [undefined]]);
    const busy = serve();
    busy.socket.receive(GET + GET);
    busy.server.drain();
    expect(busy.socket.ended).toBe(false);
    answer(busy.seen[0].exchange, 200, 'a');
    await turn();
    expect(busy.socket.take()).toContain('connection: close');
    expect([busy.socket.ended, busy.seen.length, busy.closes]).toEqual([true, 1, [undefined]]);
  });

  test('retire: an idle connection waits for one more exchange, which closes it', async () => {
    const { server, socket, seen, closes } = serve();
    server.retire();
    expect([socket.ended, closes]).toEqual([false, []]);
    socket.receive(GET);
    answer(seen[0].exchange, 200, 'a');
    await turn();
    expect(socket.take()).toContain('connection: close');
    expect([socket.ended, closes]).toEqual([true, [undefined]]);
  });
});
