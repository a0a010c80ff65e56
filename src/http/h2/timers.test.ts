/** Timers of an H2Connection: keepalive, the time to linger, and that none outlives its connection. */
import { describe, expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import { Recorder } from '#test/support/h2-recorder.ts';
import { frame, framesOf, post, settings } from '#test/support/h2-script.ts';
import { ScriptedConnection, turn } from '#test/support/scripted-connection.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE } from '#wire/h2/frame.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { CLOSE_LINGER_MS, DRAIN_ANSWER_MS } from '../limits.ts';
import { H2Connection } from './connection.ts';
import { probeH2 } from './probe.ts';

const KEEP_ALIVE = { intervalMs: 10_000, timeoutMs: 3000 };

function connect(keepAlive?: typeof KEEP_ALIVE, role: 'client' | 'server' = 'client') {
  const clock = new FakeClock();
  const socket = new ScriptedConnection();
  const closes: (string | undefined)[] = [];
  const h2 = new H2Connection(
    socket,
    { clock },
    { role, keepAlive },
    {
      onStream(stream) {
        stream.handler = new Recorder();
      },
      onChange: () => undefined,
      onClose: (error) => closes.push(error?.code),
    },
  );
  socket.handler = h2;
  const preface = role === 'server' ? CLIENT_PREFACE.toString('latin1') : '';
  socket.receive(preface + settings());
  const pings = async () => {
    await turn();
    return framesOf(socket.take()).filter(({ type }) => type === code.PING);
  };
  return { clock, socket, h2, closes, pings };
}

describe('H2Connection keepalive', () => {
  test('asks a silent peer, takes its answer, and asks again later', async () => {
    const { clock, socket, h2, pings } = connect(KEEP_ALIVE);
    clock.advance(10_000);
    expect((await pings()).length).toBe(0);
    clock.advance(10_000);
    const [ping] = await pings();
    socket.receive(frame(code.PING, code.FLAG_ACK, 0, ping.payload));
    expect(clock.pending).toBe(1);
    clock.advance(20_000);
    expect([(await pings()).length, h2.closed]).toEqual([1, false]);
  });

  test('closes when no answer comes, and tells the streams why', async () => {
    const { clock, socket, h2, closes } = connect(KEEP_ALIVE);
    const recorder = new Recorder();
    recorder.stream = h2.openStream(MessageHead.request('GET', 'a', '/'), true, recorder);
    clock.advance(23_000);
    await turn();
    expect(recorder.resets.map(({ error }) => error.code)).toEqual(['H2_KEEPALIVE_TIMEOUT']);
    expect([closes, socket.ended]).toEqual([['H2_KEEPALIVE_TIMEOUT'], true]);
    clock.advance(CLOSE_LINGER_MS);
    expect([socket.wasReset, clock.pending]).toEqual([true, 0]);
  });

  test('is content with any other bytes', async () => {
    const { clock, socket, h2 } = connect(KEEP_ALIVE);
    clock.advance(20_000);
    socket.receive(settings());
    clock.advance(3000);
    expect(h2.closed).toBe(false);
  });
});

describe('H2Connection drains as a server', () => {
  /** [frame type, last stream of a GOAWAY] of what was written since. */
  const written = async (socket: ScriptedConnection) => {
    await turn();
    return framesOf(socket.take())
      .filter(({ type }) => type === code.GOAWAY || type === code.PING || type === code.RST_STREAM)
      .map(({ type, id, payload }) => [type, type === code.GOAWAY ? payload.readUInt32BE(0) : id]);
  };
  const pingOf = async (socket: ScriptedConnection) => {
    await turn();
    const ping = framesOf(socket.take()).find(({ type }) => type === code.PING);
    return ping?.payload ?? Buffer.alloc(8);
  };

  test('names the last stream only when the peer has answered the PING behind the first GOAWAY', async () => {
    const { socket, h2, clock } = connect(undefined, 'server');
    await turn();
    socket.take();
    socket.receive(post(1));
    h2.drain();
    expect(await written(socket)).toEqual([
      [code.GOAWAY, 0x7fffffff],
      [code.PING, 0],
    ]);
    socket.receive(post(3) + frame(code.PING, code.FLAG_ACK, 0, Buffer.from('any else')));
    expect([await written(socket), h2.active]).toEqual([[], 2]);
    socket.receive(frame(code.PING, code.FLAG_ACK, 0, Buffer.from('tulle-dr')) + post(5));
    expect(await written(socket)).toEqual([
      [code.GOAWAY, 3],
      [code.RST_STREAM, 5],
    ]);
    expect([h2.active, clock.pending]).toEqual([2, 0]);
  });

  test('an idle one waits for the answer before it closes', async () => {
    const { socket, h2, closes } = connect(undefined, 'server');
    h2.drain();
    const payload = await pingOf(socket);
    expect(h2.closed).toBe(false);
    socket.receive(frame(code.PING, code.FLAG_ACK, 0, payload));
    expect([h2.closed, closes]).toEqual([true, [undefined]]);
  });

  test('a peer that never answers is told its last stream all the same', async () => {
    const { socket, h2, clock } = connect(undefined, 'server');
    socket.receive(post(1));
    h2.drain();
    await written(socket);
    clock.advance(DRAIN_ANSWER_MS);
    expect(await written(socket)).toEqual([[code.GOAWAY, 1]]);
    socket.receive(post(3));
    expect(await written(socket)).toEqual([[code.RST_STREAM, 3]]);
  });
});

describe('H2Connection timers end with the connection', () => {
  type Given = ReturnType<typeof connect>;
  const rows: { title: string; end: (given: Given) => void }[] = [
    { title: 'drain of an idle one', end: ({ h2 }) => h2.drain() },
    { title: 'close', end: ({ h2 }) => h2.close() },
    { title: 'a broken frame', end: ({ socket }) => socket.receive(frame(code.DATA, 0, 0)) },
    { title: 'FIN of the peer', end: ({ socket }) => socket.handler.onEnd() },
    {
      title: 'GOAWAY',
      end: ({ socket }) => socket.receive(frame(code.GOAWAY, 0, 0, Buffer.alloc(8))),
    },
    { title: 'RST of the peer', end: ({ socket }) => socket.breakOff() },
    {
      title: 'close while a PING is out',
      end: ({ h2, clock }) => {
        clock.advance(20_000);
        h2.close();
      },
    },
  ];
  for (const { title, end } of rows) {
    test(title, async () => {
      const given = connect(KEEP_ALIVE);
      end(given);
      await turn();
      given.socket.close();
      expect([given.h2.closed, given.closes.length, given.clock.pending]).toEqual([true, 1, 0]);
    });
  }

  test('a peer that does not close is reset after the time to linger', async () => {
    const { h2, socket, clock } = connect();
    h2.close();
    expect([socket.wasReset, clock.pending]).toEqual([false, 1]);
    clock.advance(CLOSE_LINGER_MS);
    await turn();
    expect([socket.wasReset, clock.pending]).toEqual([true, 0]);
  });
});

describe('probeH2 leaves no timer', () => {
  const rows: { title: string; bytes?: string; advanceMs?: number; want: string }[] = [
    { title: 'SETTINGS', bytes: settings(), want: 'h2' },
    { title: 'an HTTP/1.1 answer', bytes: 'HTTP/1.1 400 Bad Request\r\n\r\n', want: 'h1' },
    { title: 'silence', advanceMs: 1000, want: 'h1' },
  ];
  for (const { title, bytes, advanceMs, want } of rows) {
    test(`${title} → ${want}`, async () => {
      const clock = new FakeClock();
      const socket = new ScriptedConnection();
      const outcomes: string[] = [];
      const options = { timeoutMs: 1000 };
      socket.handler = probeH2(socket, { clock }, options, {
        onH2: () => outcomes.push('h2'),
        onH1: () => outcomes.push('h1'),
      });
      if (bytes !== undefined) socket.receive(bytes);
      clock.advance(advanceMs ?? 0);
      await turn();
      socket.close();
      expect([outcomes, clock.pending]).toEqual([[want], 0]);
    });
  }
});
