/** HTTP/2 against a scripted peer: every row breaks one rule of RFC 9113, or floods. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { type Clock, systemClock } from '#base/clock.ts';
import { cutPair, settle } from '#test/support/cut-pair.ts';
import { Recorder, type Served } from '#test/support/h2-recorder.ts';
import { ScriptedConnection } from '#test/support/scripted-connection.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE, writeFrameHeader, writeSettings } from '#wire/h2/frame.ts';
import { HpackEncoder } from '#wire/hpack/encoder.ts';
import { CONTROL_BACKLOG_BYTES_MAX, OUTPUT_HIGH_BYTES } from '../limits.ts';
import { H2Connection } from './connection.ts';

const clock: Clock = systemClock;

function frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  payload.copy(bytes, writeFrameHeader(bytes, 0, payload.length, type, flags, id));
  return bytes;
}

function settingsFrame(...pairs: number[]): Buffer {
  const bytes = Buffer.alloc(9 + pairs.length * 3);
  writeSettings(bytes, 0, pairs);
  return bytes;
}

function block(...fields: string[]): Buffer {
  const out = Buffer.alloc(100_000);
  const encoder = new HpackEncoder();
  let at = 0;
  for (let i = 0; i < fields.length; i += 2) at = encoder.field(fields[i], fields[i + 1], out, at);
  return Buffer.from(out.subarray(0, at));
}

const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'];
const HEADERS_FLAGS = code.FLAG_END_HEADERS;
const get = (id: number, ...more: string[]) =>
  frame(code.HEADERS, HEADERS_FLAGS | code.FLAG_END_STREAM, id, block(...GET, ...more));
const post = (id: number, ...more: string[]) =>
  frame(code.HEADERS, HEADERS_FLAGS, id, block(...GET, ...more));
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Frames that a server sends to a scripted client: [type, flags, stream, payload]. */
async function script(...frames: Buffer[]) {
  const pair = cutPair();
  const served: Served[] = [];
  const closes: (string | undefined)[] = [];
  const out: Buffer[] = [];
  pair[0].handler = {
    onData: (bytes) => void out.push(Buffer.from(bytes)),
    onDrain: () => undefined,
    onEnd: () => undefined,
    onClose: () => undefined,
  };
  pair[1].handler = new H2Connection(
    pair[1],
    { clock },
    { role: 'server' },
    {
      onStream(stream, head, end) {
        const recorder = new Recorder();
        stream.handler = recorder;
        served.push({ stream, head, end, recorder });
      },
      onChange: () => undefined,
      onClose: (error) => closes.push(error?.code),
    },
  );
  for (const bytes of frames) pair[0].write(bytes);
  await settle(pair);
  const replies: { type: number; id: number; flags: number; payload: Buffer }[] = [];
  const all = Buffer.concat(out);
  for (let at = 0; at < all.length; ) {
    const length = all.readUIntBE(at, 3);
    const payload = all.subarray(at + 9, at + 9 + length);
    replies.push({ type: all[at + 3], flags: all[at + 4], id: all.readUInt32BE(at + 5), payload });
    at += 9 + length;
  }
  const goAway = replies.find(({ type }) => type === code.GOAWAY)?.payload.readUInt32BE(4);
  const resets = replies.filter(({ type }) => type === code.RST_STREAM);
  return {
    served,
    closes,
    goAway,
    resets: resets.map((r) => [r.id, r.payload.readUInt32BE(0)]),
    replies,
  };
}

const HELLO = [Buffer.from(CLIENT_PREFACE), settingsFrame()];

describe('H2Connection ends the connection on', () => {
  const big = block(...GET, 'x-a', 'a'.repeat(30_000));
  const rows: { title: string; spec: string; frames: Buffer[]; want: number }[] = [
    {
      title: 'a wrong preface',
      spec: '§3.4',
      frames: [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'no SETTINGS first',
      spec: '§3.4',
      frames: [HELLO[0], get(1)],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'DATA on stream 0',
      spec: '§6.1',
      frames: [...HELLO, frame(code.DATA, 0, 0)],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'DATA on an idle stream',
      spec: '§5.1',
      frames: [...HELLO, frame(code.DATA, 0, 1)],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'padding as long as the frame',
      spec: '§6.1',
      frames: [...HELLO, post(1), frame(code.DATA, code.FLAG_PADDED, 1, Buffer.from([1]))],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'an even stream',
      spec: '§5.1.1',
      frames: [...HELLO, get(2)],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'a broken header block',
      spec: '§4.3',
      frames: [...HELLO, frame(code.HEADERS, 5, 1, Buffer.from([0x80]))],
      want: code.COMPRESSION_ERROR,
    },
    {
      title: 'SETTINGS of 5 bytes',
      spec: '§6.5',
      frames: [HELLO[0], frame(code.SETTINGS, 0, 0, Buffer.alloc(5))],
      want: code.FRAME_SIZE_ERROR,
    },
    {
      title: 'SETTINGS on a stream',
      spec: '§6.5',
      frames: [HELLO[0], frame(code.SETTINGS, 0, 1)],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'ENABLE_PUSH 2',
      spec: '§6.5.2',
      frames: [HELLO[0], settingsFrame(2, 2)],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'a window above 2^31-1',
      spec: '§6.5.2',
      frames: [HELLO[0], settingsFrame(4, 0x80000000)],
      want: code.FLOW_CONTROL_ERROR,
    },
    {
      title: 'a frame size below 16384',
      spec: '§6.5.2',
      frames: [HELLO[0], settingsFrame(5, 100)],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'PING of 7 bytes',
      spec: '§6.7',
      frames: [...HELLO, frame(code.PING, 0, 0, Buffer.alloc(7))],
      want: code.FRAME_SIZE_ERROR,
    },
    {
      title: 'WINDOW_UPDATE by 0',
      spec: '§6.9',
      frames: [...HELLO, frame(code.WINDOW_UPDATE, 0, 0, u32(0))],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'a connection window over 2^31-1',
      spec: '§6.9.1',
      frames: [...HELLO, frame(code.WINDOW_UPDATE, 0, 0, u32(0x7fffffff))],
      want: code.FLOW_CONTROL_ERROR,
    },
    {
      title: 'RST_STREAM on an idle stream',
      spec: '§6.4',
      frames: [...HELLO, frame(code.RST_STREAM, 0, 7, u32(8))],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'a lone CONTINUATION',
      spec: '§6.10',
      frames: [...HELLO, frame(code.CONTINUATION, 4, 1)],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'PING between HEADERS and CONTINUATION',
      spec: '§6.10',
      frames: [
        ...HELLO,
        frame(code.HEADERS, 0, 1, block(...GET)),
        frame(code.PING, 0, 0, Buffer.alloc(8)),
      ],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'CONTINUATION without end',
      spec: 'flood',
      frames: [
        ...HELLO,
        frame(code.HEADERS, 0, 1, big),
        ...Array.from({ length: 20 }, () => frame(code.CONTINUATION, 0, 1)),
      ],
      want: code.ENHANCE_YOUR_CALM,
    },
    {
      title: 'PUSH_PROMISE from a client',
      spec: '§8.4',
      frames: [...HELLO, frame(code.PUSH_PROMISE, 4, 1, u32(2))],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'a flood of PINGs',
      spec: 'flood',
      frames: [
        ...HELLO,
        ...Array.from({ length: 1200 }, () => frame(code.PING, 0, 0, Buffer.alloc(8))),
      ],
      want: code.ENHANCE_YOUR_CALM,
    },
    {
      title: 'a flood of SETTINGS',
      spec: 'flood',
      frames: [...HELLO, ...Array.from({ length: 1200 }, () => settingsFrame())],
      want: code.ENHANCE_YOUR_CALM,
    },
    {
      title: 'a flood of empty DATA',
      spec: 'flood',
      frames: [...HELLO, post(1), ...Array.from({ length: 1200 }, () => frame(code.DATA, 0, 1))],
      want: code.ENHANCE_YOUR_CALM,
    },
    {
      title: 'rapid resets',
      spec: 'CVE-2023-44487',
      frames: [
        ...HELLO,
        ...Array.from({ length: 600 }, (_, i) =>
          Buffer.concat([get(i * 2 + 1), frame(code.RST_STREAM, 0, i * 2 + 1, u32(8))]),
        ),
      ],
      want: code.ENHANCE_YOUR_CALM,
    },
    {
      title: 'malformed requests and nothing else',
      spec: 'flood',
      frames: [
        ...HELLO,
        ...Array.from({ length: 600 }, (_, i) =>
          frame(code.HEADERS, 5, i * 2 + 1, block('a', 'b')),
        ),
      ],
      want: code.ENHANCE_YOUR_CALM,
    },
    {
      title: 'HEADERS on a stream that both sides ended',
      spec: '§5.1',
      frames: [...HELLO, get(1), frame(code.RST_STREAM, 0, 1, u32(8)), get(1)],
      want: code.STREAM_CLOSED,
    },
    {
      title: 'HEADERS on a stream below the highest',
      spec: '§5.1.1',
      frames: [...HELLO, get(5), get(3)],
      want: code.STREAM_CLOSED,
    },
    {
      title: 'PRIORITY of a stream on itself',
      spec: 'RFC 7540 §5.3.1',
      frames: [...HELLO, frame(code.PRIORITY, 0, 1, Buffer.concat([u32(1), Buffer.alloc(1)]))],
      want: code.PROTOCOL_ERROR,
    },
    {
      title: 'a frame above our maximum',
      spec: '§4.2',
      frames: [...HELLO, post(1), Buffer.from('ffffff000000000001', 'hex')],
      want: code.FRAME_SIZE_ERROR,
    },
  ];
  for (const { title, spec, frames, want } of rows) {
    test(`${title} (${spec})`, async () => {
      const { goAway, closes } = await script(...frames);
      expect(goAway).toBe(want);
      expect(closes).toEqual([want === code.ENHANCE_YOUR_CALM ? 'H2_CALM' : 'H2_PROTOCOL']);
    });
  }
});

describe('H2Connection resets only the stream on', () => {
  const headers = (...fields: string[]) => frame(code.HEADERS, 5, 1, block(...fields));
  const without = (name: string) => GET.filter((_, i) => GET[i - (i % 2)] !== name);
  const malformed: [string, Buffer[]][] = [
    ['no :path (§8.3.1)', [headers(...without(':path'))]],
    ['no :method', [headers(...without(':method'))]],
    ['an unknown pseudo-header', [headers(...GET, ':x', '1')]],
    ['a repeated pseudo-header', [headers(...GET, ':path', '/b')]],
    ['a pseudo-header behind a field (§8.3)', [headers('a', 'b', ...GET)]],
    [':status in a request', [headers(...GET, ':status', '200')]],
    ['an upper-case name (§8.2.1)', [headers(...GET, 'Abc', '1')]],
    ['LF in a value', [headers(...GET, 'a', 'b\nc')]],
    ['a connection field (§8.2.2)', [headers(...GET, 'connection', 'close')]],
    ['transfer-encoding', [headers(...GET, 'transfer-encoding', 'chunked')]],
    ['te other than trailers', [headers(...GET, 'te', 'gzip')]],
    ['a space in :path', [headers(':method', 'GET', ':scheme', 'http', ':path', '/a b')]],
    ['a :path without slash', [headers(':method', 'GET', ':scheme', 'http', ':path', 'a')]],
    ['a :method that is no token', [headers(':method', 'G T', ':scheme', 'http', ':path', '/')]],
    ['Host that differs', [headers(...GET, 'host', 'b')]],
    [
      'CONNECT with a path (§8.5)',
      [headers(':method', 'CONNECT', ':authority', 'a:1', ':path', '/')],
    ],
    ['CONNECT without authority', [headers(':method', 'CONNECT')]],
    ['a length without body (§8.1.1)', [get(1, 'content-length', '3')]],
    ['two lengths', [get(1, 'content-length', '0', 'content-length', '0')]],
    [
      'more body than its length',
      [post(1, 'content-length', '3'), frame(code.DATA, 0, 1, Buffer.from('abcd'))],
    ],
    [
      'less body than its length',
      [post(1, 'content-length', '3'), frame(code.DATA, 1, 1, Buffer.from('ab'))],
    ],
    ['trailers without END_STREAM', [post(1), frame(code.HEADERS, 4, 1, block('a', 'b'))]],
    ['pseudo-headers in trailers', [post(1), frame(code.HEADERS, 5, 1, block(':path', '/'))]],
    ['a stream window update by 0', [post(1), frame(code.WINDOW_UPDATE, 0, 1, u32(0))]],
  ];
  for (const [title, frames] of malformed) {
    test(title, async () => {
      const { goAway, resets, closes } = await script(...HELLO, ...frames, get(3));
      expect({ goAway, resets, closes }).toEqual({
        goAway: undefined,
        resets: [[1, code.PROTOCOL_ERROR]],
        closes: [],
      });
    });
  }

  test('DATA behind END_STREAM (§5.1) with STREAM_CLOSED', async () => {
    const { resets } = await script(...HELLO, get(1), frame(code.DATA, 0, 1, Buffer.from('a')));
    expect(resets).toEqual([[1, code.STREAM_CLOSED]]);
  });

  test('DATA behind the peer’s own RST_STREAM with STREAM_CLOSED, once', async () => {
    const data = frame(code.DATA, 0, 1, Buffer.from('a'));
    const reset = frame(code.RST_STREAM, 0, 1, u32(8));
    const { resets, goAway } = await script(...HELLO, post(1), reset, data, data, get(3));
    expect({ resets, goAway }).toEqual({ resets: [[1, code.STREAM_CLOSED]], goAway: undefined });
  });

  test('nothing when DATA and trailers cross our own reset', async () => {
    const bad = frame(code.WINDOW_UPDATE, 0, 1, u32(0));
    const late = [
      frame(code.DATA, 0, 1, Buffer.from('a')),
      frame(code.HEADERS, 5, 1, block('a', 'b')),
    ];
    const { resets, goAway, served } = await script(...HELLO, post(1), bad, ...late, get(3));
    expect({ resets, goAway }).toEqual({ resets: [[1, code.PROTOCOL_ERROR]], goAway: undefined });
    expect(served.length).toBe(2);
  });

  test('a header list over its limit with 431', async () => {
    const indexed = Buffer.concat([
      block(...GET, 'x-long', 'a'.repeat(500)),
      Buffer.alloc(200, 0xbe),
    ]);
    const { served, replies, goAway } = await script(
      ...HELLO,
      frame(code.HEADERS, 5, 1, indexed),
      get(3),
    );
    expect(goAway).toBeUndefined();
    expect(served.length).toBe(1);
    expect(replies.filter(({ type, id }) => type === code.HEADERS && id === 1).length).toBe(1);
  });
});

test('H2Connection ends the connection of a peer that makes it answer and does not read the answers', () => {
  const socket = new ScriptedConnection();
  const closes: (string | undefined)[] = [];
  const handler = {
    onStream: (stream: Served['stream']) => {
      stream.handler = new Recorder();
    },
    onChange: () => undefined,
    onClose: (error: { message: string } | undefined) => void closes.push(error?.message),
  };
  const h2 = new H2Connection(socket, { clock }, { role: 'server' }, handler);
  socket.handler = h2;
  socket.receive(Buffer.concat([...HELLO, post(1)]).toString('latin1'));
  socket.room = 0;
  // Body bytes between them, so that the PINGs alone are no flood.
  const turn = [frame(code.PING, 0, 0, Buffer.alloc(8)), frame(code.DATA, 0, 1, Buffer.from('x'))];
  const turns = Buffer.concat(Array.from({ length: 1000 }, () => turn).flat()).toString('latin1');
  let count = 0;
  for (; closes.length === 0 && count < 1000; count++) socket.receive(turns);
  expect(closes).toEqual(['HTTP/2 peer: it does not read our answers to its control frames']);
  const heldMax = OUTPUT_HIGH_BYTES + CONTROL_BACKLOG_BYTES_MAX;
  expect(count * 1000 * 17).toBeGreaterThan(heldMax);
  expect(h2.sender.output.pending).toBeLessThan(heldMax + 1000);
  h2.onClose(undefined);
});

test('H2Connection survives any frames without throwing', async () => {
  const someFrame = fc
    .tuple(
      fc.nat(11),
      fc.nat(255),
      fc.constantFrom(0, 1, 2, 3, 5),
      fc.uint8Array({ maxLength: 40 }),
    )
    .map(([type, flags, id, payload]) => frame(type, flags, id, Buffer.from(payload)));
  const known = fc.constantFrom(
    get(1),
    post(1),
    post(3),
    frame(code.DATA, 0, 1, Buffer.from('abc')),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(someFrame, known), { maxLength: 12 }), async (frames) => {
      const { closes } = await script(...HELLO, ...frames);
      expect(closes.length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 200 },
  );
}, 20_000);
