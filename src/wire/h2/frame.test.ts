/** HTTP/2 frames against RFC 9113: a row a rule, and encode/decode round trips. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import * as code from './codes.ts';
import * as frame from './frame.ts';
import { FRAME_HEADER_BYTES, SETTINGS_COUNT_MAX } from './limits.ts';

function view(type: number, length: number, streamId: number, flags = 0): frame.FrameView {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  frame.writeFrameHeader(bytes, 0, length, type, flags, streamId);
  const made = new frame.FrameView();
  made.read(bytes, 0);
  return made;
}

describe('FrameView.check', () => {
  const OK = 0;
  const { BAD_FRAME_SIZE, BAD_STREAM_ID } = frame;
  const rows: [title: string, spec: string, made: frame.FrameView, want: number][] = [
    ['DATA on a stream', '§6.1', view(code.DATA, 0, 1), OK],
    ['DATA on stream 0', '§6.1', view(code.DATA, 1, 0), BAD_STREAM_ID],
    ['HEADERS on a stream', '§6.2', view(code.HEADERS, 9, 3), OK],
    ['HEADERS on stream 0', '§6.2', view(code.HEADERS, 9, 0), BAD_STREAM_ID],
    ['PRIORITY of 5', '§6.3', view(code.PRIORITY, 5, 1), OK],
    ['PRIORITY of 4', '§6.3', view(code.PRIORITY, 4, 1), BAD_FRAME_SIZE],
    ['PRIORITY on stream 0', '§6.3', view(code.PRIORITY, 5, 0), BAD_STREAM_ID],
    ['RST_STREAM of 4', '§6.4', view(code.RST_STREAM, 4, 1), OK],
    ['RST_STREAM of 5', '§6.4', view(code.RST_STREAM, 5, 1), BAD_FRAME_SIZE],
    ['RST_STREAM on stream 0', '§6.4', view(code.RST_STREAM, 4, 0), BAD_STREAM_ID],
    ['SETTINGS of 12', '§6.5', view(code.SETTINGS, 12, 0), OK],
    ['SETTINGS of 7', '§6.5', view(code.SETTINGS, 7, 0), BAD_FRAME_SIZE],
    ['SETTINGS on a stream', '§6.5', view(code.SETTINGS, 6, 1), BAD_STREAM_ID],
    ['SETTINGS ACK, empty', '§6.5', view(code.SETTINGS, 0, 0, code.FLAG_ACK), OK],
    ['SETTINGS ACK, not empty', '§6.5', view(code.SETTINGS, 6, 0, code.FLAG_ACK), BAD_FRAME_SIZE],
    [
      'SETTINGS with as many as we take',
      'ours',
      view(code.SETTINGS, SETTINGS_COUNT_MAX * 6, 0),
      OK,
    ],
    [
      'SETTINGS with one more',
      'ours',
      view(code.SETTINGS, SETTINGS_COUNT_MAX * 6 + 6, 0),
      frame.TOO_MANY_SETTINGS,
    ],
    ['PING of 8', '§6.7', view(code.PING, 8, 0), OK],
    ['PING of 7', '§6.7', view(code.PING, 7, 0), BAD_FRAME_SIZE],
    ['PING on a stream', '§6.7', view(code.PING, 8, 1), BAD_STREAM_ID],
    ['GOAWAY with debug data', '§6.8', view(code.GOAWAY, 20, 0), OK],
    ['GOAWAY of 7', '§6.8', view(code.GOAWAY, 7, 0), BAD_FRAME_SIZE],
    ['GOAWAY on a stream', '§6.8', view(code.GOAWAY, 8, 1), BAD_STREAM_ID],
    ['WINDOW_UPDATE of the connection', '§6.9', view(code.WINDOW_UPDATE, 4, 0), OK],
    ['WINDOW_UPDATE of a stream', '§6.9', view(code.WINDOW_UPDATE, 4, 1), OK],
    ['WINDOW_UPDATE of 3', '§6.9', view(code.WINDOW_UPDATE, 3, 1), BAD_FRAME_SIZE],
    ['CONTINUATION on stream 0', '§6.10', view(code.CONTINUATION, 4, 0), BAD_STREAM_ID],
    ['an unknown type of any size', '§5.5', view(0xee, 77, 0), OK],
  ];
  for (const [title, spec, made, want] of rows) {
    test(`${title} (${spec}) → ${frame.H2_REASON[want] ?? 'allowed'}`, () => {
      expect(made.check()).toBe(want);
    });
  }
});

describe('FrameView.parseHeaders', () => {
  const rows: { title: string; flags: number; payload: number[]; want: number | string }[] = [
    { title: 'plain', flags: 0, payload: [97, 98], want: 'ab' },
    { title: 'padded', flags: code.FLAG_PADDED, payload: [2, 97, 0, 0], want: 'a' },
    { title: 'only padding', flags: code.FLAG_PADDED, payload: [1, 0], want: '' },
    {
      title: 'priority and padding',
      flags: code.FLAG_PADDED | code.FLAG_PRIORITY,
      payload: [1, 0, 0, 0, 3, 9, 97, 0],
      want: 'a',
    },
    {
      title: 'a stream that depends on itself',
      flags: code.FLAG_PRIORITY,
      payload: [0x80, 0, 0, 1, 9, 97],
      want: frame.SELF_DEPENDENCY,
    },
    {
      title: 'no pad length',
      flags: code.FLAG_PADDED,
      payload: [],
      want: frame.BAD_FRAME_SIZE,
    },
    {
      title: 'more padding than payload',
      flags: code.FLAG_PADDED,
      payload: [2, 97],
      want: frame.BAD_PADDING,
    },
    {
      title: 'too short for its priority',
      flags: code.FLAG_PRIORITY,
      payload: [0, 0, 0, 3],
      want: frame.BAD_FRAME_SIZE,
    },
  ];
  for (const { title, flags, payload, want } of rows) {
    test(`${title} (RFC 9113 §6.2)`, () => {
      const bytes = Buffer.from([0xff, ...payload, 0xff]);
      const made = view(code.HEADERS, payload.length, 1, flags);
      const verdict = made.parseHeaders(bytes, 1);
      expect(verdict < 0 ? verdict : bytes.toString('latin1', made.start, made.end)).toBe(want);
    });
  }
});

describe('Settings.apply', () => {
  const apply = (...pairs: number[]) => {
    const bytes = Buffer.alloc(FRAME_HEADER_BYTES + pairs.length * 3);
    frame.writeSettings(bytes, 0, pairs);
    const settings = new frame.Settings();
    return { verdict: settings.apply(bytes, FRAME_HEADER_BYTES, pairs.length * 3), settings };
  };
  const rows: { title: string; pair: [number, number]; want: number }[] = [
    { title: 'ENABLE_CONNECT_PROTOCOL 2', pair: [8, 2], want: frame.BAD_SETTING },
    { title: 'ENABLE_PUSH 2', pair: [2, 2], want: frame.BAD_SETTING },
    { title: 'INITIAL_WINDOW_SIZE 2^31', pair: [4, 2 ** 31], want: frame.BAD_WINDOW_SETTING },
    { title: 'INITIAL_WINDOW_SIZE 2^31-1', pair: [4, 2 ** 31 - 1], want: 0 },
    { title: 'MAX_FRAME_SIZE 16383', pair: [5, 16_383], want: frame.BAD_SETTING },
    { title: 'MAX_FRAME_SIZE 2^24', pair: [5, 2 ** 24], want: frame.BAD_SETTING },
    { title: 'MAX_FRAME_SIZE 2^24-1', pair: [5, 2 ** 24 - 1], want: 0 },
    { title: 'an unknown one', pair: [0x0a0a, 2 ** 32 - 1], want: 0 },
  ];
  for (const { title, pair, want } of rows) {
    test(`${title} (RFC 9113 §6.5.2) → ${frame.H2_REASON[want] ?? 'taken'}`, () => {
      expect(apply(...pair).verdict).toBe(want);
    });
  }

  test('takes every defined value, the last of a kind winning', () => {
    const { settings } = apply(1, 0, 2, 0, 3, 7, 4, 8, 4, 9, 5, 20_000, 6, 4_294_967_295, 8, 1);
    expect({ ...settings }).toEqual({
      headerTableBytes: 0,
      enablePush: 0,
      concurrentStreamsMax: 7,
      initialWindowBytes: 9,
      frameBytesMax: 20_000,
      headerListBytesMax: 4_294_967_295,
      connectProtocol: 1,
    });
  });
});

test('frameErrorCode names the code of RFC 9113 for each reason', () => {
  const reasons = Object.keys(frame.H2_REASON).map(Number);
  expect(
    reasons.sort((a, b) => b - a).map((each) => code.errorCodeName(frame.frameErrorCode(each))),
  ).toEqual([
    ...['FRAME_SIZE_ERROR', 'PROTOCOL_ERROR', 'PROTOCOL_ERROR', 'PROTOCOL_ERROR'],
    ...['FLOW_CONTROL_ERROR', 'PROTOCOL_ERROR', 'ENHANCE_YOUR_CALM', 'PROTOCOL_ERROR'],
  ]);
  expect(code.errorCodeName(0xbeef)).toBe('0xbeef');
});

describe('frame writers', () => {
  test('a frame header reads back as written; the reserved bit is ignored (§4.1)', () => {
    fc.assert(
      fc.property(
        fc.record({
          length: fc.nat(2 ** 24 - 1),
          type: fc.nat(255),
          flags: fc.nat(255),
          id: fc.nat(2 ** 31 - 1),
        }),
        ({ length, type, flags, id }) => {
          const bytes = Buffer.alloc(FRAME_HEADER_BYTES + 2);
          expect(frame.writeFrameHeader(bytes, 1, length, type, flags, id)).toBe(10);
          bytes[6] |= 0x80;
          const made = new frame.FrameView();
          made.read(bytes, 1);
          expect([made.length, made.type, made.flags, made.streamId]).toEqual([
            ...[length, type, flags, id],
          ]);
          expect([bytes[0], bytes[10]]).toEqual([0, 0]);
        },
      ),
    );
  });

  test('readUint32 and readUint31 read what writeUint32 wrote', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), (value) => {
        const bytes = Buffer.alloc(6);
        frame.writeUint32(bytes, 1, value);
        expect(frame.readUint32(bytes, 1)).toBe(value);
        expect(frame.readUint31(bytes, 1)).toBe(value % 2 ** 31);
      }),
    );
  });

  const rows: { title: string; write: (out: Buffer) => number; want: string }[] = [
    {
      title: 'RST_STREAM',
      write: (out) => frame.writeUint32Frame(out, 0, code.RST_STREAM, 5, code.CANCEL),
      want: '000004030000000005 00000008',
    },
    {
      title: 'WINDOW_UPDATE',
      write: (out) => frame.writeUint32Frame(out, 0, code.WINDOW_UPDATE, 0, 65_536),
      want: '000004080000000000 00010000',
    },
    {
      title: 'PING',
      write: (out) => frame.writePing(out, 0, false, Buffer.from('..12345678'), 2),
      want: '000008060000000000 3132333435363738',
    },
    {
      title: 'PING ACK',
      write: (out) => frame.writePing(out, 0, true, Buffer.from('12345678'), 0),
      want: '000008060100000000 3132333435363738',
    },
    {
      title: 'GOAWAY',
      write: (out) => frame.writeGoAway(out, 0, 7, code.ENHANCE_YOUR_CALM, Buffer.from('no')),
      want: '00000a070000000000 00000007 0000000b 6e6f',
    },
    {
      title: 'SETTINGS',
      write: (out) => frame.writeSettings(out, 0, [3, 100, 4, 2 ** 31 - 1]),
      want: '00000c040000000000 000300000064 00047fffffff',
    },
  ];
  for (const { title, write, want } of rows) {
    test(title, () => {
      const out = Buffer.alloc(64);
      const end = write(out);
      expect(out.toString('hex', 0, end)).toBe(want.replaceAll(' ', ''));
    });
  }
});
