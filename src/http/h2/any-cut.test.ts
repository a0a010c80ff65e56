/** However a peer's bytes are cut on their way, and whatever they are: the same events, no exception, no limit passed. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { frame, headers, settings, uint32Frame } from '#test/support/h2-script.ts';
import { ScriptedConnection } from '#test/support/scripted-connection.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE } from '#wire/h2/frame.ts';
import { HEADER_BLOCK_BYTES_MAX } from '../limits.ts';
import { H2Connection } from './connection.ts';
import { FrameReader } from './frame-reader.ts';

const FRAME_BYTES_MAX = 20_000;
const PREFACE = CLIENT_PREFACE.toString('latin1');
const REQUEST = [':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'a'];
const GO_AWAY = frame(code.GOAWAY, 0, 0, Buffer.alloc(8));

/** Any frame: header fields at will, the length true or not. */
const anyFrame = fc
  .record({
    type: fc.oneof(fc.nat(10), fc.nat(255)),
    flags: fc.nat(255),
    id: fc.oneof(fc.nat(6), fc.nat(2 ** 31 - 1)),
    payload: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 2000 })),
    lie: fc.oneof(
      { weight: 9, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.nat(2 ** 24 - 1) },
    ),
  })
  .map(({ type, flags, id, payload, lie }) => {
    const text = frame(type, flags, id, payload);
    if (lie === 0) return text;
    return String.fromCharCode(lie >>> 16, (lie >>> 8) & 255, lie & 255) + text.slice(3);
  });
/** Frames that make sense after each other, so that streams get somewhere before they break. */
const goodFrame = fc.constantFrom(
  headers(1, false, ...REQUEST),
  headers(3, true, ...REQUEST),
  headers(1, true, 'trailer', 'x'),
  headers(5, false, ':method', 'CONNECT', ':authority', 'a:1'),
  frame(code.DATA, 0, 1, Buffer.from('some bytes')),
  frame(code.DATA, code.FLAG_PADDED, 5, Buffer.from([3, 97, 98, 0, 0, 0])),
  frame(code.DATA, code.FLAG_END_STREAM, 5, Buffer.from('end')),
  frame(code.HEADERS, 0, 7, Buffer.from([0x82])),
  frame(code.CONTINUATION, 4, 7, Buffer.from([0x86, 0x84])),
  uint32Frame(code.WINDOW_UPDATE, 0, 1000),
  uint32Frame(code.RST_STREAM, 5, 8),
  frame(code.PING, 0, 0, Buffer.alloc(8)),
  GO_AWAY,
  settings(code.SETTINGS_INITIAL_WINDOW_SIZE, 10),
);
const anyBytes = fc.array(fc.oneof({ weight: 3, arbitrary: goodFrame }, anyFrame), {
  maxLength: 12,
});
const cuts = fc.array(fc.oneof(fc.nat(12), fc.nat(3000)), { minLength: 1, maxLength: 8 });

/** Feeds `text` in pieces whose sizes go round `sizes`; 0 counts as 1. */
function inPieces(text: string, sizes: readonly number[], feed: (piece: string) => void): void {
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const next = at + Math.max(1, sizes[turn % sizes.length]);
    feed(text.slice(at, next));
    at = next;
  }
}

describe('FrameReader', () => {
  /** What it said, DATA of one frame joined: the cut may show in nothing else. */
  function eventsOf(text: string, sizes: readonly number[]): string[] {
    const events: string[] = [];
    let data = '';
    const head = () =>
      `${reader.view.type} ${reader.view.flags} ${reader.view.streamId} ${reader.view.length}`;
    const reader: FrameReader = new FrameReader(
      {
        onFrame(bytes, at) {
          const { length, type } = reader.view;
          // Unknown frames are announced by their header alone.
          const payload = type > code.CONTINUATION ? '' : bytes.toString('latin1', at, at + length);
          events.push(`frame ${head()} ${payload}`);
        },
        onDataBegin: (count) => void events.push(`begin ${head()} ${count}`),
        onDataPart(bytes) {
          data += bytes.toString('latin1');
        },
        onDataEnd() {
          events.push(`data ${data}`);
          data = '';
        },
        onBroken: (reason) => void events.push(`broken ${reason}`),
      },
      true,
      FRAME_BYTES_MAX,
    );
    inPieces(text, sizes, (piece) => reader.feed(Buffer.from(piece, 'latin1')));
    return [...events, `rest ${data}`];
  }

  test('says the same of any bytes under any cut', () => {
    fc.assert(
      fc.property(anyBytes, cuts, fc.boolean(), (frames, sizes, honest) => {
        const text = (honest ? PREFACE : '') + frames.join('');
        const whole = eventsOf(text, [text.length]);
        expect(eventsOf(text, sizes)).toEqual(whole);
        expect(eventsOf(text, [1])).toEqual(whole);
      }),
      { numRuns: 400 },
    );
  });

  test('hands on no header block above its bound and no frame above the size that was announced', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 24 - 1),
        fc.nat(10),
        fc.integer({ min: 1, max: 9 }),
        (length, type, id) => {
          const header = String.fromCharCode(
            length >>> 16,
            (length >>> 8) & 255,
            length & 255,
            type,
            0,
            0,
            0,
            0,
            id,
          );
          const events = eventsOf(PREFACE + header, [header.length]);
          const isBlock = type === code.HEADERS || type === code.CONTINUATION;
          const tooLong = length > FRAME_BYTES_MAX || (isBlock && length > HEADER_BLOCK_BYTES_MAX);
          if (tooLong) expect(events[0]).toStartWith('broken');
        },
      ),
    );
  });
});

describe('H2Connection', () => {
  /** What a server end does about `text`: what it writes, hears and how it ends. */
  function behaviourOf(text: string, sizes: readonly number[]): unknown {
    const socket = new ScriptedConnection();
    const heard: string[] = [];
    const bodies = new Map<number, string>();
    const h2: H2Connection = new H2Connection(
      socket,
      { clock: new FakeClock() },
      { role: 'server', concurrentStreamsMax: 3, frameBytesMax: FRAME_BYTES_MAX },
      {
        onStream(stream, head, end) {
          heard.push(`open ${stream.id} ${head.method} ${end}`);
          bodies.set(stream.id, '');
          stream.handler = {
            onHead: () => undefined,
            onData: (bytes) =>
              void bodies.set(
                stream.id,
                bodies.get(stream.id) + Buffer.from(bytes).toString('latin1'),
              ),
            onDrain: () => undefined,
            onEnd: () => void heard.push(`end ${stream.id}`),
            onReset: (_error, errorCode, by) =>
              void heard.push(`reset ${stream.id} ${errorCode} ${by}`),
          };
        },
        onChange: () => undefined,
        onClose: (error) => void heard.push(`closed ${error?.message}`),
      },
    );
    socket.handler = h2;
    inPieces(text, sizes, (piece) => socket.receive(piece));
    h2.sender.output.flush();
    expect(h2.active).toBeLessThanOrEqual(3);
    return { heard, bodies: [...bodies], written: socket.take() };
  }

  test('does the same about any bytes under any cut', () => {
    fc.assert(
      fc.property(anyBytes, cuts, (frames, sizes) => {
        const text = PREFACE + settings() + frames.join('');
        const whole = behaviourOf(text, [text.length]);
        expect(behaviourOf(text, sizes)).toEqual(whole);
        expect(behaviourOf(text, [1])).toEqual(whole);
      }),
      {
        numRuns: 300,
        // The GOAWAY ends the connection: what comes in the same piece behind it opens nothing.
        examples: [[[GO_AWAY, headers(1, false, ...REQUEST)], [1]]],
      },
    );
  });
});
