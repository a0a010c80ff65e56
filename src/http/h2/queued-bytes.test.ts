/** Bytes that wait for paused readers, counted over connections: whoever holds most is not read any more. */
import { describe, expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import { frame, post, settings } from '#test/support/h2-script.ts';
import { ScriptedConnection } from '#test/support/scripted-connection.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE } from '#wire/h2/frame.ts';
import { QUEUED_FREE_BYTES } from '../limits.ts';
import { H2Connection, type H2Stream } from './connection.ts';

const MAX = 4 * QUEUED_FREE_BYTES;
const KEEP_ALIVE = { intervalMs: 1000, timeoutMs: 500 };

function serve(account: { bytes: number; bytesMax: number }, clock = new FakeClock()) {
  const socket = new ScriptedConnection();
  const streams: H2Stream[] = [];
  const closes: (string | undefined)[] = [];
  const h2 = new H2Connection(
    socket,
    { clock },
    { role: 'server', account, keepAlive: KEEP_ALIVE },
    {
      onStream(stream) {
        streams.push(stream);
        stream.pause();
        stream.handler = {
          onHead: () => undefined,
          onData: () => undefined,
          onDrain: () => undefined,
          onEnd: () => undefined,
          onReset: () => undefined,
        };
      },
      onChange: () => undefined,
      onClose: (error) => closes.push(error?.code),
    },
  );
  socket.handler = h2;
  socket.receive(CLIENT_PREFACE.toString('latin1') + settings() + post(1) + post(3));
  const send = (bytes: number, id = 1) => {
    const block = Buffer.alloc(16_384);
    for (let left = bytes; left > 0; left -= block.length) {
      socket.receive(frame(code.DATA, 0, id, block.subarray(0, Math.min(left, block.length))));
    }
  };
  return { socket, streams, h2, send, closes };
}

describe('H2Connection', () => {
  test('stops reading the connection that holds most when all hold too much, and goes on when its readers do', () => {
    const account = { bytes: 0, bytesMax: MAX };
    const greedy = serve(account);
    const modest = serve(account);
    modest.send(QUEUED_FREE_BYTES);
    greedy.send(MAX - QUEUED_FREE_BYTES - 1);
    expect([account.bytes, greedy.socket.paused]).toEqual([MAX - 1, false]);
    greedy.send(1, 3);
    expect([greedy.socket.paused, modest.socket.paused]).toEqual([true, false]);
    // What was on its way is still taken, and other connections go on.
    greedy.send(1000, 3);
    modest.send(0);
    expect(account.bytes).toBe(MAX + 1000);
    greedy.streams[0].resume();
    expect([greedy.socket.paused, account.bytes]).toEqual([false, QUEUED_FREE_BYTES + 1001]);
  });

  test('gives back what it held when a stream is reset, and when the connection ends', () => {
    const account = { bytes: 0, bytesMax: MAX };
    const { socket, streams, h2, send } = serve(account);
    send(MAX - 10);
    send(20, 3);
    expect(socket.paused).toBe(true);
    streams[0].reset(code.CANCEL);
    expect([socket.paused, account.bytes]).toEqual([false, 20]);
    h2.close();
    expect(account.bytes).toBe(0);
  });

  test('does not take a peer for dead that it does not read, and looks again when others let go', () => {
    const account = { bytes: 0, bytesMax: MAX };
    const clock = new FakeClock();
    const { socket, send, closes } = serve(account, clock);
    account.bytes = MAX;
    send(QUEUED_FREE_BYTES + 1);
    expect(socket.paused).toBe(true);
    clock.advance(20 * KEEP_ALIVE.intervalMs);
    expect([closes, socket.paused]).toEqual([[], true]);
    account.bytes -= MAX;
    clock.advance(KEEP_ALIVE.intervalMs);
    expect(socket.paused).toBe(false);
    clock.advance(3 * KEEP_ALIVE.intervalMs);
    expect(closes).toEqual(['H2_KEEPALIVE_TIMEOUT']);
  });
});
