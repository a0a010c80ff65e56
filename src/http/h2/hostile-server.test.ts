/** A server that misbehaves towards our client end. */
import { describe, expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import { Recorder } from '#test/support/h2-recorder.ts';
import { frame, framesOf, headers, settings, uint32Frame } from '#test/support/h2-script.ts';
import { ScriptedConnection } from '#test/support/scripted-connection.ts';
import * as code from '#wire/h2/codes.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { H2Connection } from './connection.ts';

function rig() {
  const socket = new ScriptedConnection();
  const closes: (string | undefined)[] = [];
  const h2 = new H2Connection(
    socket,
    { clock: new FakeClock() },
    { role: 'client' },
    {
      onStream: (stream) => stream.reset(code.REFUSED_STREAM),
      onChange: () => undefined,
      onClose: (error) => closes.push(error?.message),
    },
  );
  socket.handler = h2;
  socket.receive(settings());
  const recorder = new Recorder();
  h2.openStream(MessageHead.request('CONNECT', 'a:1', '', ''), false, recorder);
  return { socket, h2, closes, recorder };
}

const again = (text: string) => text.repeat(1200);
const ok = headers(1, false, ':status', '200');

const rows: { title: string; send: string; want: string }[] = [
  {
    title: 'heads that are not final, without end',
    send: again(headers(1, false, ':status', '103')),
    want: 'it floods the connection with empty or control frames',
  },
  {
    title: 'GOAWAY, again and again',
    send: again(frame(code.GOAWAY, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]))),
    want: 'it floods the connection with empty or control frames',
  },
  {
    title: 'RST_STREAM, again and again',
    send: again(uint32Frame(code.RST_STREAM, 1, code.CANCEL)),
    want: 'it floods the connection with empty or control frames',
  },
  {
    title: 'a stream that it opens itself',
    send: headers(2, false, ':status', '200'),
    want: 'HEADERS opens stream 2, which it may not',
  },
  {
    title: 'an answer to a stream that we never opened',
    send: headers(3, false, ':status', '200'),
    want: 'HEADERS opens stream 3, which it may not',
  },
  {
    title: 'DATA of a stream that we never opened',
    send: frame(code.DATA, 0, 3, Buffer.from('x')),
    want: 'DATA on a stream that was never opened',
  },
  {
    title: 'a second answer to a stream that it ended',
    send: headers(1, true, ':status', '200') + uint32Frame(code.RST_STREAM, 1, 0) + ok,
    want: 'HEADERS on a closed stream',
  },
];

describe('H2Connection as client ends the connection on', () => {
  for (const { title, send, want } of rows) {
    test(title, () => {
      const { socket, closes, recorder } = rig();
      socket.receive(send);
      expect(closes).toEqual([`HTTP/2 peer: ${want}`]);
      expect(recorder.resets.length).toBeLessThanOrEqual(1);
      expect(framesOf(socket.take()).at(-1)?.type).toBe(code.GOAWAY);
    });
  }
});

test('H2Connection as client resets only the stream on DATA before the answer', () => {
  const { socket, h2, closes, recorder } = rig();
  socket.receive(frame(code.DATA, 0, 1, Buffer.from('early')));
  expect(recorder.resets.map(({ code: each }) => each)).toEqual([code.PROTOCOL_ERROR]);
  expect([closes, h2.capacity > 0]).toEqual([[], true]);
});
