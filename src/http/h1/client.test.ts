/** H1ClientConnection on a scripted connection: framing both ways, early answers, upgrade, who lost what and why. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { ScriptedConnection, turn } from '#test/support/scripted-connection.ts';
import type { ClientExchange, ResponseHandler } from '../dispatch/dispatch.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import * as limits from '../limits.ts';
import { H1ClientConnection } from './client.ts';

interface Heard extends ResponseHandler {
  statuses: number[];
  body: string;
  events: string[];
}

function listener(): Heard {
  const heard: Heard = {
    statuses: [],
    body: '',
    events: [],
    onHead(head, end) {
      heard.statuses.push(head.status);
      if (end) heard.events.push('end');
    },
    onBody: (bytes) => {
      heard.body += Buffer.from(bytes).toString('latin1');
    },
    onEnd: (trailers) => heard.events.push(`end ${trailers?.get('x-sum') ?? ''}`.trim()),
    onError: (error) => heard.events.push(`${error.code} ${error.retry}`),
    onDrain: () => heard.events.push('drain'),
  };
  return heard;
}

function connect() {
  const clock = new FakeClock();
  const socket = new ScriptedConnection();
  const client = new H1ClientConnection(socket, { clock });
  socket.handler = client;
  const changes: string[] = [];
  client.onChange = () => changes.push(client.closed ? 'closed' : `capacity ${client.capacity}`);
  const send = (
    method: string,
    end = true,
    fields: string[] = [],
  ): [ClientExchange, Heard, MessageHead] => {
    const head = MessageHead.request(method, 'a', '/');
    for (let index = 0; index < fields.length; index += 2)
      head.add(fields[index], fields[index + 1]);
    if (method === 'UPGRADE') {
      head.method = 'GET';
      head.upgrade = 'websocket';
    }
    const heard = listener();
    return [client.dispatch(head, end, heard), heard, head];
  };
  return { clock, socket, client, changes, send };
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('H1ClientConnection requests', () => {
  const rows: {
    title: string;
    method: string;
    fields?: string[];
    body?: string;
    want: string;
  }[] = [
    { title: 'GET has no framing', method: 'GET', want: 'GET / HTTP/1.1\r\nhost: a\r\n\r\n' },
    {
      title: 'POST without a body says length 0',
      method: 'POST',
      want: 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n',
    },
    {
      title: 'a body of known length',
      method: 'PUT',
      fields: ['content-length', '3'],
      body: 'abc',
      want: 'PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc',
    },
    {
      title: 'a body of unknown length is chunked',
      method: 'POST',
      body: 'abc',
      want: 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    },
    {
      title: 'TE: trailers is said of this hop anew',
      method: 'GET',
      fields: ['te', 'trailers', 'x-a', 'b'],
      want: 'GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\nx-a: b\r\n\r\n',
    },
  ];
  for (const { title, method, fields, body, want } of rows) {
    test(title, async () => {
      const { socket, send } = connect();
      const [exchange] = send(method, body === undefined, fields);
      if (body !== undefined) {
        exchange.sendBody(Buffer.from(body));
        exchange.sendEnd();
      }
      await turn();
      expect(socket.take()).toBe(want);
    });
  }

  test('a body longer or shorter than its Content-Length breaks the connection', () => {
    for (const text of ['abcd', 'ab']) {
      const { socket, send } = connect();
      const [exchange, heard] = send('PUT', false, ['content-length', '3']);
      exchange.sendBody(Buffer.from(text));
      exchange.sendEnd();
      expect([socket.wasReset, heard.events]).toEqual([true, ['H1_BODY_LENGTH never']]);
    }
  });

  test('sendBody says false when the socket takes no more, and onDrain follows', () => {
    const { socket, send } = connect();
    socket.room = 10;
    const [exchange, heard] = send('POST', false);
    expect(exchange.sendBody(Buffer.alloc(limits.BODY_HIGH_BYTES))).toBe(false);
    socket.drain();
    expect(heard.events).toEqual(['drain']);
  });
});

describe('H1ClientConnection responses', () => {
  const rows: {
    title: string;
    method?: string;
    bytes: string;
    fin?: boolean;
    statuses?: number[];
    body: string;
    events: string[];
    open: boolean;
  }[] = [
    { title: 'by length', bytes: OK, body: 'ok', events: ['end'], open: true },
    {
      title: 'chunked with trailers',
      bytes:
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n',
      body: 'ok',
      events: ['end 7'],
      open: true,
    },
    {
      title: 'up to the end of the connection',
      bytes: 'HTTP/1.1 200 OK\r\n\r\nok',
      fin: true,
      body: 'ok',
      events: ['end'],
      open: false,
    },
    {
      title: 'of HTTP/1.0, closing',
      bytes: 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
      body: 'ok',
      events: ['end'],
      open: false,
    },
    {
      title: 'of HTTP/1.0, kept alive',
      bytes: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok',
      body: 'ok',
      events: ['end'],
      open: true,
    },
    {
      title: 'with Connection: close',
      bytes: `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
      body: '',
      events: ['end'],
      open: false,
    },
    {
      title: 'to HEAD',
      method: 'HEAD',
      bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n',
      body: '',
      events: ['end'],
      open: true,
    },
    {
      title: '204',
      bytes: 'HTTP/1.1 204 No Content\r\n\r\n',
      statuses: [204],
      body: '',
      events: ['end'],
      open: true,
    },
    {
      title: '304 with a length',
      bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
      statuses: [304],
      body: '',
      events: ['end'],
      open: true,
    },
    {
      title: 'informational first, 100 too',
      bytes: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n${OK}`,
      statuses: [100, 103, 200],
      body: 'ok',
      events: ['end'],
      open: true,
    },
  ];
  for (const { title, method, bytes, fin, statuses, body, events, open } of rows) {
    test(`${title}, however it is cut`, () => {
      const run = (cuts: number[]) => {
        const { socket, client, send, changes, clock } = connect();
        const [, heard] = send(method ?? 'GET');
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          if (at < bytes.length) socket.receive(bytes.slice(at, at + cut));
          at += cut;
        }
        if (fin) socket.handler.onEnd();
        expect([heard.statuses, heard.body, heard.events]).toEqual([
          statuses ?? [200],
          body,
          events,
        ]);
        expect([client.closed, client.capacity, client.active]).toEqual([!open, open ? 1 : 0, 0]);
        expect(changes).toEqual([open ? 'capacity 1' : 'closed']);
        if (!open) socket.close();
        expect(clock.pending).toBe(0);
      };
      fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 8 }), run), {
        numRuns: 30,
      });
    });
  }

  const broken: { title: string; bytes: string; want: string[] }[] = [
    { title: 'no HTTP', bytes: 'SSH-2.0\r\n\r\n', want: ['H1_BAD_MESSAGE never'] },
    {
      title: 'a broken chunk',
      bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      want: ['H1_BAD_MESSAGE never'],
    },
    {
      title: '101 that nobody asked for',
      bytes: 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
      want: ['H1_BAD_MESSAGE never'],
    },
    { title: 'bytes behind the response', bytes: `${OK}more`, want: ['end'] },
  ];
  for (const { title, bytes, want } of broken) {
    test(`${title} closes the connection, told once`, () => {
      const { socket, client, send, changes } = connect();
      const [, heard] = send('GET');
      socket.receive(bytes);
      expect([heard.events, client.closed, socket.wasReset]).toEqual([want, true, true]);
      expect(changes).toEqual(['closed']);
    });
  }

  test('bytes between two exchanges close the connection', () => {
    const { socket, client } = connect();
    socket.receive('HTTP/1.1 408 Request Timeout\r\n\r\n');
    expect([client.closed, client.capacity]).toEqual([true, 0]);
  });

  test('an early response ends the exchange and gives the connection up', () => {
    const { socket, client, send } = connect();
    const [exchange, heard] = send('POST', false);
    exchange.sendBody(Buffer.from('a'));
    socket.receive('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno');
    expect([heard.statuses, heard.body, heard.events]).toEqual([[413], 'no', ['end']]);
    expect([client.closed, socket.wasReset]).toEqual([true, true]);
    expect(exchange.sendBody(Buffer.from('b'))).toBe(true);
  });

  test('pauseResponse holds the rest back; paused and resumed in one callback it runs on', () => {
    const { socket, send } = connect();
    const [exchange, heard] = send('GET');
    heard.onHead = () => exchange.pauseResponse();
    socket.receive(OK);
    expect([heard.body, socket.paused]).toEqual(['', true]);
    exchange.resumeResponse();
    expect([heard.body, heard.events, socket.paused]).toEqual(['ok', ['end'], false]);
    const [second, other] = send('GET');
    other.onHead = () => {
      second.pauseResponse();
      second.resumeResponse();
    };
    socket.receive(OK.slice(0, -1));
    expect(socket.paused).toBe(false);
    socket.receive('k');
    expect([other.body, other.events]).toEqual(['ok', ['end']]);
  });
});

describe('H1ClientConnection losses', () => {
  type Step = (given: ReturnType<typeof connect>, exchange: ClientExchange) => void;
  const warm = (given: ReturnType<typeof connect>) => {
    given.send('GET');
    given.socket.receive(OK);
    given.socket.take();
  };
  const fin: Step = ({ socket }) => socket.handler.onEnd();
  const rst: Step = ({ socket }) => socket.breakOff();
  const rows: { title: string; reused: boolean; steps: Step[]; want: string; room?: number }[] = [
    { title: 'FIN on a fresh one', reused: false, steps: [fin], want: 'H1_UNEXPECTED_CLOSE never' },
    { title: 'RST on a fresh one', reused: false, steps: [rst], want: 'H1_UNEXPECTED_CLOSE never' },
    {
      title: 'FIN on a reused one',
      reused: true,
      steps: [fin],
      want: 'H1_REUSED_CONNECTION_CLOSED reused-connection-only',
    },
    {
      title: 'RST on a reused one',
      reused: true,
      steps: [rst],
      want: 'H1_REUSED_CONNECTION_CLOSED reused-connection-only',
    },
    {
      title: 'a part of the answer came',
      reused: true,
      steps: [({ socket }) => socket.receive('HTTP/1.1 2'), rst],
      want: 'H1_RESPONSE_CUT never',
    },
    {
      title: 'inside the body',
      reused: true,
      steps: [({ socket }) => socket.receive(OK.slice(0, -1)), fin],
      want: 'H1_RESPONSE_CUT never',
    },
    {
      title: 'RST inside a body that only the end frames',
      reused: false,
      steps: [({ socket }) => socket.receive('HTTP/1.1 200 OK\r\n\r\nab'), rst],
      want: 'H1_RESPONSE_CUT never',
    },
    {
      title: 'the socket took no byte of the request',
      reused: false,
      room: 0,
      steps: [rst],
      want: 'H1_UNEXPECTED_CLOSE safe',
    },
    {
      title: 'our close()',
      reused: false,
      steps: [({ client }) => client.close()],
      want: 'HTTP_CLOSED_BY_US never',
    },
  ];
  for (const { title, reused, steps, want, room } of rows) {
    test(`${title} → ${want}`, () => {
      const given = connect();
      if (reused) warm(given);
      if (room !== undefined) given.socket.room = room;
      const [exchange, heard] = given.send('GET');
      for (const step of steps) step(given, exchange);
      expect([heard.events, given.client.closed]).toEqual([[want], true]);
      given.socket.close();
      expect([heard.events.length, given.clock.pending]).toEqual([1, 0]);
    });
  }

  test('an idle connection that the peer closes tells only the pool', () => {
    const given = connect();
    warm(given);
    given.socket.handler.onEnd();
    given.socket.close();
    expect([given.client.closed, given.changes, given.socket.ended]).toEqual([
      true,
      ['capacity 1', 'closed'],
      true,
    ]);
  });

  test('abort gives the connection up without a further callback', () => {
    const { socket, client, send } = connect();
    const [exchange, heard] = send('GET');
    exchange.abort();
    expect([socket.wasReset, client.closed, heard.events]).toEqual([true, true, []]);
  });

  test('a second exchange is refused as safe to retry, and cannot touch the first', async () => {
    const { socket, send } = connect();
    const [, first] = send('GET');
    const [refused, second] = send('GET');
    refused.pauseResponse();
    refused.abort();
    const [, third] = send('GET');
    await turn();
    expect([second.events, third.events]).toEqual([[], ['HTTP_NO_CAPACITY safe']]);
    expect([socket.wasReset, socket.paused]).toEqual([false, false]);
    socket.receive(OK);
    expect([first.body, first.events]).toEqual(['ok', ['end']]);
  });

  test('drain: idle closes now, a running exchange is finished first; the socket is given up in time', () => {
    const { socket, client, send, clock, changes } = connect();
    const [, heard] = send('GET');
    client.drain();
    expect([client.closed, client.capacity]).toEqual([false, 0]);
    socket.receive(OK);
    expect([heard.events, client.closed, socket.ended]).toEqual([['end'], true, true]);
    expect(changes).toEqual(['capacity 0', 'closed']);
    clock.advance(limits.CLOSE_LINGER_MS);
    expect([socket.wasReset, clock.pending]).toEqual([true, 0]);
    const idle = connect();
    idle.client.drain();
    expect([idle.client.closed, idle.socket.ended]).toEqual([true, true]);
    idle.socket.close();
    expect(idle.clock.pending).toBe(0);
  });
});

describe('H1ClientConnection upgrade', () => {
  const ACCEPTED =
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n';

  test('101 makes raw bytes of both ways, with half-close', async () => {
    const { socket, client, send, changes } = connect();
    const [exchange, heard] = send('UPGRADE', false);
    exchange.sendBody(Buffer.from('too early: dropped'));
    await turn();
    expect(socket.take()).toMatch(
      /^GET \/ HTTP\/1.1\r\nhost: a\r\nsec-websocket-key: [^\r]{24}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/,
    );
    socket.receive(`${ACCEPTED}early`);
    socket.receive(' late');
    expect([heard.statuses, heard.body, client.capacity]).toEqual([[101], 'early late', 0]);
    exchange.sendBody(Buffer.from('ping'));
    await turn();
    socket.handler.onEnd();
    expect([heard.events, socket.ended]).toEqual([['end'], false]);
    exchange.sendBody(Buffer.from(' pong'));
    exchange.sendEnd();
    await turn();
    expect([socket.take(), socket.ended, client.closed]).toEqual(['ping pong', true, false]);
    socket.close();
    expect([heard.events, client.closed, changes]).toEqual([['end'], true, ['closed']]);
  });

  test('a tunnel that breaks says so', () => {
    const { socket, client, send } = connect();
    const [, heard] = send('UPGRADE', false);
    socket.receive(ACCEPTED);
    socket.breakOff();
    expect([heard.events, client.closed]).toEqual([['H1_UNEXPECTED_CLOSE never'], true]);
  });

  test('a refusal is an ordinary response', () => {
    const { socket, send } = connect();
    const [exchange, heard] = send('UPGRADE', false);
    exchange.sendEnd();
    socket.receive('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n');
    expect([heard.statuses, heard.events]).toEqual([[426], ['end']]);
  });
});
