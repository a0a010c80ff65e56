/** Clients that are slow on purpose or by accident, of both protocols: each is thrown out in its time, with the right status. */
import { describe, expect, test } from 'bun:test';
import type { MeshError } from '#base/errors.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { frame, framesOf, headers, post, settings } from '#test/support/h2-script.ts';
import { h2Head } from '#test/support/raw-h2-client.ts';
import { ScriptedConnection, turn } from '#test/support/scripted-connection.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE } from '#wire/h2/frame.ts';
import { HpackDecoder } from '#wire/hpack/decoder.ts';
import type { ServerExchange } from './dispatch/dispatch.ts';
import { MessageHead } from './dispatch/message-head.ts';
import { H1ServerConnection } from './h1/server.ts';
import { H2ServerConnection } from './h2/server.ts';
import * as limits from './limits.ts';

const PREFACE = CLIENT_PREFACE.toString('latin1') + settings();
const SIZED = [':method', 'PUT', ':scheme', 'http', ':path', '/', ':authority', 'a'];
const announced = headers(1, false, ...SIZED, 'content-length', '9');

function serve(protocol: 'h1' | 'h2') {
  const clock = new FakeClock();
  const socket = new ScriptedConnection();
  const exchanges: ServerExchange[] = [];
  const events: string[] = [];
  const options = {
    onClose: (error: MeshError | undefined) => void events.push(`close ${error?.code}`),
    onRefused: (status: number, error: MeshError) =>
      void events.push(`refused ${status} ${error.message}`),
  };
  const onExchange = (exchange: ServerExchange) => {
    exchanges.push(exchange);
    exchange.handler = {
      onBody: () => undefined,
      onEnd: () => void events.push('end'),
      onAbort: (error, answered) => void events.push(`abort ${error.code} ${answered}`),
      onDrain: () => undefined,
    };
  };
  const server =
    protocol === 'h1'
      ? new H1ServerConnection(socket, { clock }, options, onExchange)
      : new H2ServerConnection(socket, { clock }, options, onExchange);
  socket.handler = server;
  return { clock, socket, server, exchanges, events };
}

/** The status of each answer on an HTTP/2 connection, and `reset CODE`. */
function answersOf(written: string): string[] {
  const decoder = new HpackDecoder();
  return framesOf(written).flatMap(({ type, payload }) => {
    if (type === code.RST_STREAM) return [`reset ${payload.readUInt32BE()}`];
    if (type === code.GOAWAY) return [`goaway ${payload.readUInt32BE(4)}`];
    if (type !== code.HEADERS) return [];
    const fields: string[] = [];
    decoder.decode(payload, 0, payload.length, fields);
    return [fields[1]];
  });
}

describe('an HTTP/1.1 request body that stops', () => {
  const request = 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc';

  test('is answered 408, and its exchange hears of it', async () => {
    const { clock, socket, events } = serve('h1');
    socket.receive(request);
    clock.advance(limits.BODY_IDLE_TIMEOUT_MS - 1000);
    socket.receive('d');
    clock.advance(limits.BODY_IDLE_TIMEOUT_MS - 1000);
    expect(events).toEqual([]);
    clock.advance(3000);
    await turn();
    expect(socket.take()).toStartWith('HTTP/1.1 408 Request Timeout\r\n');
    expect([events, socket.ended]).toEqual([
      ['abort HTTP_BODY_TIMEOUT 408', 'close HTTP_BODY_TIMEOUT'],
      true,
    ]);
  });

  test('may stop while it is us who do not read, or while it is being answered', () => {
    const paused = serve('h1');
    paused.socket.receive(request);
    paused.exchanges[0].pauseRequest();
    paused.clock.advance(limits.BODY_IDLE_TIMEOUT_MS * 2);
    const answered = serve('h1');
    answered.socket.receive(request);
    answered.exchanges[0].sendHead(MessageHead.response(200), false);
    answered.clock.advance(limits.BODY_IDLE_TIMEOUT_MS * 2);
    expect([paused.events, answered.events]).toEqual([[], []]);
  });
});

test('an HTTP/1.1 tunnel that we ended is reset when the client does not end its half', async () => {
  const { clock, socket, exchanges } = serve('h1');
  socket.receive('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n');
  exchanges[0].sendHead(MessageHead.response(200), false);
  exchanges[0].sendEnd();
  await turn();
  expect([socket.ended, socket.wasReset]).toEqual([true, false]);
  clock.advance(limits.TUNNEL_LINGER_MS);
  expect(socket.wasReset).toBe(true);
});

describe('an HTTP/2 request body that stops', () => {
  test('is answered 408 when its length was announced; other streams go on', async () => {
    const { clock, socket, server, exchanges, events } = serve('h2');
    socket.receive(PREFACE + announced + post(3));
    socket.receive(frame(code.DATA, 0, 1, Buffer.from('abc')));
    await turn();
    socket.take();
    clock.advance(limits.BODY_IDLE_TIMEOUT_MS + 2000);
    await turn();
    expect(answersOf(socket.take())).toEqual(['408', 'reset 0']);
    expect(events).toEqual(['abort HTTP_BODY_TIMEOUT 408']);
    expect([exchanges.length, server.active, server.closed]).toEqual([2, 1, false]);
  });

  test('may stop while it is us who do not read, or while it is being answered', () => {
    const paused = serve('h2');
    paused.socket.receive(PREFACE + announced);
    paused.exchanges[0].pauseRequest();
    paused.clock.advance(limits.BODY_IDLE_TIMEOUT_MS * 2);
    const answered = serve('h2');
    answered.socket.receive(PREFACE + announced);
    answered.exchanges[0].sendHead(MessageHead.response(200), false);
    answered.clock.advance(limits.BODY_IDLE_TIMEOUT_MS * 2);
    expect([paused.events, answered.events]).toEqual([[], []]);
  });
});

describe('an HTTP/2 connection', () => {
  const begun = frame(code.HEADERS, 0, 1, Buffer.from([0x82]));
  const rows: [title: string, bytes: string, want: string[]][] = [
    ['whose head does not go on', PREFACE + begun, ['goaway 11']],
    ['that drips within a frame', PREFACE + begun.slice(0, 5), ['goaway 11']],
  ];
  test.each(rows)('%s is told to calm down, and closed', async (_title, bytes, want) => {
    const { clock, socket, server } = serve('h2');
    socket.receive(bytes);
    await turn();
    socket.take();
    clock.advance(limits.HEAD_TIMEOUT_MS + 3000);
    await turn();
    expect([answersOf(socket.take()), server.closed]).toEqual([want, true]);
  });

  test('without SETTINGS is closed', async () => {
    const { clock, socket, server } = serve('h2');
    socket.receive(PREFACE.slice(0, 10));
    clock.advance(limits.HEAD_TIMEOUT_MS + 3000);
    expect([server.closed, socket.ended]).toEqual([true, true]);
  });

  test('without requests for long is drained; one with a request is not', async () => {
    const { clock, socket, events } = serve('h2');
    socket.receive(PREFACE + post(1));
    clock.advance(limits.IDLE_TIMEOUT_MS * 2);
    await turn();
    expect(answersOf(socket.take())).toEqual([]);
    socket.receive(frame(code.RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
    expect(events).toEqual(['abort H2_STREAM_RESET 0']);
    clock.advance(limits.IDLE_TIMEOUT_MS + 3000);
    await turn();
    expect(answersOf(socket.take())[0]).toBe('goaway 0');
  });

  test('that sends a path over its limit, or an unknown expectation, gets 414 and 417', async () => {
    const path = `/${'a'.repeat(33_000)}`;
    const target = [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':authority', 'a'],
    ] as [string, string][];
    const long = h2Head([...target, [':path', path]], true);
    const odd = h2Head([...target, [':path', '/'], ['expect', 'tea']], true);
    const got: unknown[] = [];
    for (const head of [long, odd]) {
      const { socket, events } = serve('h2');
      socket.receive(PREFACE + head.toString('latin1'));
      await turn();
      got.push([answersOf(socket.take()), events]);
    }
    expect(got).toEqual([
      [['414', 'reset 0'], ['refused 414 its path is too long']],
      [['417', 'reset 0'], ['refused 417 it expects what nobody knows']],
    ]);
  });

  test('leaves no timer behind', () => {
    const { clock, socket, server } = serve('h2');
    socket.receive(PREFACE);
    server.close();
    socket.close();
    expect(clock.pending).toBe(0);
  });
});
