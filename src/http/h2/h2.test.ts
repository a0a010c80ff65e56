/** HTTP/2 over the in-memory pair: tunnels, exchanges, flow control under any cut, and a scripted hostile peer. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { type Clock, systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { cutPair, settle } from '#test/support/cut-pair.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE, writeFrameHeader, writeSettings } from '#wire/h2/frame.ts';
import { HpackEncoder } from '#wire/hpack/encoder.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { H2Connection, type H2Stream, type H2StreamHandler } from './connection.ts';

const clock: Clock = systemClock;

/** Records what a stream hears; writes a payload as windows allow. */
class Recorder implements H2StreamHandler {
  status = 0;
  received: Buffer[] = [];
  ended = false;
  trailers: MessageHead | undefined;
  resets: { code: number; initiator: string; error: MeshError }[] = [];
  stream: H2Stream | undefined;
  private left: Buffer = Buffer.alloc(0);
  private endAfter = false;

  send(bytes: Buffer, end: boolean): void {
    this.left = bytes;
    this.endAfter = end;
    this.onDrain();
  }

  onHead(head: MessageHead, end: boolean): void {
    this.status = head.status;
    if (end) this.ended = true;
  }

  onData(bytes: Uint8Array): void {
    this.received.push(Buffer.from(bytes));
  }

  onDrain(): void {
    this.left = this.left.subarray(this.stream?.write(this.left) ?? 0);
    if (this.left.length === 0 && this.endAfter) this.stream?.end();
  }

  onEnd(trailers: MessageHead | undefined): void {
    this.ended = true;
    this.trailers = trailers;
  }

  onReset(error: MeshError, errorCode: number, initiator: string): void {
    this.resets.push({ code: errorCode, initiator, error });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
}

interface Served {
  stream: H2Stream;
  head: MessageHead;
  end: boolean;
  recorder: Recorder;
}

function connect(
  options: { capacityBytes?: number; cut?: (n: number) => number; streams?: number } = {},
) {
  const pair = cutPair(options);
  const served: Served[] = [];
  const closes: string[] = [];
  const client = new H2Connection(
    pair[0],
    { clock },
    { role: 'client' },
    {
      onStream: () => undefined,
      onChange: () => undefined,
      onClose: (error) => closes.push(`client ${error?.code}`),
    },
  );
  const server = new H2Connection(
    pair[1],
    { clock },
    { role: 'server', concurrentStreamsMax: options.streams ?? 100 },
    {
      onStream(stream, head, end) {
        const recorder = new Recorder();
        recorder.stream = stream;
        stream.handler = recorder;
        served.push({ stream, head, end, recorder });
      },
      onChange: () => undefined,
      onClose: (error) => closes.push(`server ${error?.code}`),
    },
  );
  pair[0].handler = client;
  pair[1].handler = server;
  return { pair, client, server, served, closes };
}

function open(client: H2Connection, head: MessageHead, end: boolean): Recorder {
  const recorder = new Recorder();
  recorder.stream = client.openStream(head, end, recorder);
  return recorder;
}

const connectTo = (authority: string) => MessageHead.request('CONNECT', authority, '');

describe('H2Connection', () => {
  test('tunnels bytes both ways with half-close, and ends at 0 streams', async () => {
    const { pair, client, server, served } = connect();
    const tunnel = open(client, connectTo('10.0.0.1:80'), false);
    await settle(pair);
    expect([served[0].head.method, served[0].head.authority]).toEqual(['CONNECT', '10.0.0.1:80']);
    served[0].stream.respond(MessageHead.response(200), false);
    tunnel.send(Buffer.from('ping'), true);
    await settle(pair);
    expect([tunnel.status, served[0].recorder.bytes.toString()]).toEqual([200, 'ping']);
    expect([served[0].recorder.ended, tunnel.ended]).toEqual([true, false]);
    served[0].recorder.send(Buffer.from('pong'), true);
    await settle(pair);
    expect([tunnel.bytes.toString(), tunnel.ended]).toEqual(['pong', true]);
    expect([client.active, server.active]).toEqual([0, 0]);
    expect([tunnel.resets, served[0].recorder.resets]).toEqual([[], []]);
  });

  test('coalesces all frames of a turn into one write', async () => {
    const { pair, client } = connect();
    await settle(pair);
    const before = pair[0].writes;
    for (let index = 0; index < 10; index++) open(client, connectTo(`10.0.0.${index}:1`), true);
    await settle(pair);
    expect(pair[0].writes - before).toBe(1);
  });

  test('moves every byte in order under any cut, buffer size, and pausing, on many streams', async () => {
    const run = async (seed: {
      cuts: number[];
      capacity: number;
      sizes: number[];
      pauses: boolean[];
    }) => {
      let at = 0;
      const cut = () => seed.cuts[at++ % seed.cuts.length];
      const { pair, client, server, served } = connect({ cut, capacityBytes: seed.capacity });
      const sent = seed.sizes.map((size, index) => Buffer.alloc(size, index + 1));
      const tunnels = sent.map((bytes) => {
        const tunnel = open(client, connectTo('a:1'), false);
        tunnel.send(bytes, true);
        return tunnel;
      });
      await settle(pair);
      served.forEach(({ stream, recorder }, index) => {
        stream.respond(MessageHead.response(200), false);
        if (seed.pauses[index % seed.pauses.length]) tunnels[index].stream?.pause();
        recorder.send(recorder.bytes, true);
      });
      await settle(pair);
      for (const tunnel of tunnels) tunnel.stream?.resume();
      await settle(pair);
      expect(served.map(({ recorder }) => recorder.bytes.length)).toEqual(seed.sizes);
      expect(tunnels.every((tunnel, index) => tunnel.bytes.equals(sent[index]))).toBe(true);
      expect(tunnels.every((tunnel) => tunnel.ended)).toBe(true);
      expect([client.active, server.active]).toEqual([0, 0]);
    };
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          cuts: fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 5 }),
          capacity: fc.integer({ min: 100, max: 100_000 }),
          sizes: fc.array(fc.integer({ min: 0, max: 600_000 }), { minLength: 1, maxLength: 4 }),
          pauses: fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }),
        }),
        run,
      ),
      { numRuns: 15 },
    );
  }, 30_000);

  test('gives no credit while the reader is paused: the writer stops at the stream window', async () => {
    const { pair, client, served } = connect();
    const tunnel = open(client, connectTo('a:1'), false);
    await settle(pair);
    served[0].stream.pause();
    tunnel.send(Buffer.alloc(1_000_000), true);
    await settle(pair);
    expect(served[0].recorder.bytes.length).toBe(0);
    expect(tunnel.stream?.sendWindow).toBe(0);
    served[0].stream.resume();
    await settle(pair);
    expect(served[0].recorder.bytes.length).toBe(1_000_000);
    expect(served[0].recorder.ended).toBe(true);
  });

  test('bounds streams by the peer’s setting', async () => {
    const { pair, client, served } = connect({ streams: 2 });
    await settle(pair);
    expect(client.capacity).toBe(2);
    open(client, connectTo('a:1'), false);
    const second = open(client, connectTo('a:2'), false);
    expect([client.capacity, open(client, connectTo('a:3'), false).stream]).toEqual([0, undefined]);
    second.stream?.reset(code.CANCEL);
    await settle(pair);
    expect(client.capacity).toBe(1);
    expect(served[1].recorder.resets.map((reset) => [reset.code, reset.initiator])).toEqual([
      [code.CANCEL, 'them'],
    ]);
  });

  test('drains: running streams finish, new ones are refused as safe to retry, then both close', async () => {
    const { pair, client, server, served, closes } = connect();
    const running = open(client, connectTo('a:1'), false);
    await settle(pair);
    server.drain();
    const late = open(client, connectTo('a:2'), false);
    await settle(pair);
    expect(late.resets.map(({ error }) => [error.retry])).toEqual([['safe']]);
    expect([client.capacity, client.draining, closes]).toEqual([0, true, []]);
    served[0].stream.respond(MessageHead.response(200), true);
    running.stream?.end();
    await settle(pair);
    expect(closes.sort()).toEqual(['client undefined', 'server undefined']);
    expect(running.resets).toEqual([]);
  });

  test('tells every stream when the connection is lost', async () => {
    const { pair, client, closes } = connect();
    const tunnel = open(client, connectTo('a:1'), false);
    await settle(pair);
    pair[1].reset();
    expect(tunnel.resets.map(({ initiator, error }) => [initiator, error.code])).toEqual([
      ['connection', 'H2_CONNECTION_LOST'],
    ]);
    expect(closes).toEqual(['client H2_CONNECTION_LOST', 'server H2_CONNECTION_LOST']);
    expect(client.closed).toBe(true);
  });
});

// ── a scripted peer ──

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

  test('a header list over its limit with 431', async () => {
    const many = Array.from({ length: 8 }, (_, i) => [`x-${i}`, 'a'.repeat(9000)]).flat();
    const whole = block(...GET, ...many).subarray(0, 65_000);
    expect(whole.length).toBeGreaterThan(60_000);
    const fields = Array.from({ length: 60 }, (_, i) => [`x-${i}`, 'a'.repeat(400)]).flat();
    const indexed = Buffer.concat([
      block(...GET, 'x-long', 'a'.repeat(500)),
      Buffer.alloc(200, 0xbe),
    ]);
    const { served, replies, goAway } = await script(
      ...HELLO,
      frame(code.HEADERS, 5, 1, indexed),
      frame(
        code.HEADERS,
        5,
        3,
        Buffer.concat([Buffer.from('828684', 'hex'), block(...fields.slice(0, 4))]),
      ),
    );
    expect(goAway).toBeUndefined();
    expect(served.length).toBe(1);
    expect(replies.filter(({ type, id }) => type === code.HEADERS && id === 1).length).toBe(1);
  });
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
