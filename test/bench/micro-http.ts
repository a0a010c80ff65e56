/**
 * `bun test/bench/micro-http.ts`: what the HTTP codecs and drivers cost a head, a frame, a whole forwarded
 * request, without sockets. Best of several runs; on a shared machine trust the ratios.
 */
import { systemClock } from '#base/clock.ts';
import type { ServerExchange } from '#http/dispatch/dispatch.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import { H1ClientConnection } from '#http/h1/client.ts';
import { buildRequest } from '#http/h1/head-builder.ts';
import { HeadReader } from '#http/h1/head-reader.ts';
import { CONNECTION_SILENT, FRAME_AS_IS, writeRequestHead } from '#http/h1/head-writer.ts';
import { H1ServerConnection } from '#http/h1/server.ts';
import { H2Connection, type H2Stream, type H2StreamHandler } from '#http/h2/connection.ts';
import { Output } from '#http/output.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { HeadParser } from '#wire/h1/head-parser.ts';
import * as code from '#wire/h2/codes.ts';
import {
  CLIENT_PREFACE,
  writeFrameHeader,
  writeSettings,
  writeUint32Frame,
} from '#wire/h2/frame.ts';
import { HpackDecoder } from '#wire/hpack/decoder.ts';
import { HpackEncoder } from '#wire/hpack/encoder.ts';
import { forward } from './forward.ts';

const RUNS = 7;
const deps = { clock: systemClock };
const NO_STREAM: H2StreamHandler = {
  onHead: () => undefined,
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onReset: () => undefined,
};

const REQUEST = Buffer.from(
  [
    'GET /api/v1/products/42?currency=EUR HTTP/1.1',
    'Host: products.shop.svc.cluster.local:8080',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    'Accept: application/json, text/plain, */*',
    'Accept-Encoding: gzip, deflate, br',
    'Authorization: Bearer 0123456789abcdef0123456789abcdef',
    'X-Request-Id: 6e8f1b0a-6f55-4a52-9f63-0a2d8a5b7c11',
    'Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    '\r\n',
  ].join('\r\n'),
);
const RESPONSE = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"ok": true}',
);

/** Takes everything and forgets it. */
class Sink implements Connection {
  handler: ConnectionHandler = { ...NO_STREAM, onClose: () => undefined, onEnd: () => undefined };
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 2;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 1;
  written = 0;

  write(bytes: Uint8Array): number {
    this.written += bytes.length;
    return bytes.length;
  }
  end(): void {
    this.written = 0;
  }
  reset(): void {
    this.written = 0;
  }
  pause(): void {
    this.written = 0;
  }
  resume(): void {
    this.written = 0;
  }
}

/** ns of processor time a turn, the best of RUNS: time that other processes took does not count. */
async function measure(
  title: string,
  turns: number,
  batch: (turns: number) => void,
): Promise<void> {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const start = process.cpuUsage();
    batch(turns);
    const used = process.cpuUsage(start);
    best = Math.min(best, (used.user + used.system) * 1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  console.log(`${title.padEnd(58)} ${(best / turns).toFixed(0).padStart(7)} ns`);
}

/** What the codecs are compared with: the head as strings in a Map, and built again. */
async function plainHeads(): Promise<void> {
  const split = () => {
    const text = REQUEST.toString('latin1');
    const fields = new Map<string, string>();
    const first = text.indexOf('\r\n');
    for (let at = first + 2; text[at] !== '\r'; ) {
      const end = text.indexOf('\r\n', at);
      const colon = text.indexOf(':', at);
      fields.set(text.slice(at, colon).toLowerCase(), text.slice(colon + 1, end).trim());
      at = end + 2;
    }
    return { line: text.slice(0, first), fields };
  };
  await measure('plain: head to a Map of strings', 100_000, (turns) => {
    for (let turn = 0; turn < turns; turn++) split();
  });
  await measure('plain: the same, add a field, build and encode again', 100_000, (turns) => {
    let bytes = 0;
    for (let turn = 0; turn < turns; turn++) {
      const { line, fields } = split();
      fields.set('x-forwarded-proto', 'http');
      let text = `${line}\r\n`;
      for (const [name, value] of fields) text += `${name}: ${value}\r\n`;
      bytes += Buffer.from(`${text}\r\n`, 'latin1').length;
    }
    if (bytes === 0) throw new Error('nothing was built');
  });
}

async function heads(): Promise<void> {
  const parser = new HeadParser();
  await measure(`h1 head, ${REQUEST.length} bytes: parse to offsets`, 200_000, (turns) => {
    for (let turn = 0; turn < turns; turn++) {
      parser.start('request');
      parser.parse(REQUEST, 0, REQUEST.length);
    }
  });
  const reader = new HeadReader();
  const output = new Output(new Sink(), 2048);
  await measure('h1 head: parse, make MessageHead, add a field, write', 200_000, (turns) => {
    for (let turn = 0; turn < turns; turn++) {
      reader.start('request');
      reader.read(REQUEST, 0, REQUEST.length);
      const head = buildRequest(reader, 'http');
      if (typeof head === 'string') throw new Error(head);
      head.set('x-forwarded-proto', 'http');
      writeRequestHead(head, output, FRAME_AS_IS, CONNECTION_SILENT);
      output.flush();
    }
  });
}

/** Request and response through two drivers, as the waypoint puts them together. */
async function wholeRequest(): Promise<void> {
  const upstreamSocket = new Sink();
  const upstream = new H1ClientConnection(upstreamSocket, deps);
  const downstream = new Sink();
  const server = new H1ServerConnection(downstream, deps, {}, (exchange: ServerExchange) =>
    forward(exchange, upstream),
  );
  await measure('h1 request + response, server driver → client driver', 100_000, (turns) => {
    for (let turn = 0; turn < turns; turn++) {
      server.onData(REQUEST);
      upstream.onData(RESPONSE);
    }
  });
  if (server.closed || upstream.closed) throw new Error('the drivers closed');
  server.close();
  upstream.close();
}

function frameOf(type: number, flags: number, id: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, id));
  return bytes;
}

function requestBlock(encoder: HpackEncoder, out: Buffer): number {
  let at = encoder.begin(out, 0);
  at = encoder.field(':method', 'GET', out, at);
  at = encoder.field(':scheme', 'http', out, at);
  at = encoder.field(':path', '/api/v1/products/42?currency=EUR', out, at);
  at = encoder.field(':authority', 'products.shop.svc.cluster.local:8080', out, at);
  at = encoder.field('user-agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0)', out, at);
  at = encoder.field('accept', 'application/json, text/plain, */*', out, at);
  at = encoder.field('accept-encoding', 'gzip, deflate, br', out, at);
  return encoder.field('authorization', 'Bearer 0123456789abcdef0123456789abcdef', out, at);
}

async function frames(): Promise<void> {
  for (const bytes of [1024, 16_384]) {
    let received = 0;
    let stream: H2Stream | undefined;
    const handler = {
      onStream: (opened: H2Stream) => {
        stream = opened;
        opened.handler = {
          ...NO_STREAM,
          onData: (part) => {
            received += part.length;
          },
        };
        opened.respond(MessageHead.response(200), false);
      },
      onChange: () => undefined,
      onClose: () => undefined,
    };
    const h2 = new H2Connection(new Sink(), deps, { role: 'server' }, handler);
    const settings = Buffer.alloc(15);
    writeSettings(settings, 0, [code.SETTINGS_INITIAL_WINDOW_SIZE, 65_535]);
    const block = Buffer.alloc(1024);
    const blockEnd = requestBlock(new HpackEncoder(), block);
    h2.onData(Buffer.concat([CLIENT_PREFACE, settings]));
    h2.onData(frameOf(code.HEADERS, code.FLAG_END_HEADERS, 1, block.subarray(0, blockEnd)));
    const frame = frameOf(code.DATA, 0, 1, Buffer.alloc(bytes, 'a'));
    await measure(`h2 DATA in, ${bytes} bytes, credit included`, 100_000, (turns) => {
      for (let turn = 0; turn < turns; turn++) h2.onData(frame);
    });
    const payload = Buffer.alloc(bytes, 'b');
    const widen = Buffer.alloc(26);
    writeUint32Frame(widen, 0, code.WINDOW_UPDATE, 0, bytes);
    writeUint32Frame(widen, 13, code.WINDOW_UPDATE, 1, bytes);
    h2.onData(widen);
    await measure(`h2 DATA out, ${bytes} bytes, window updates included`, 20_000, (turns) => {
      for (let turn = 0; turn < turns; turn++) {
        if (stream?.write(payload) !== bytes) throw new Error('a short write');
        h2.onData(widen);
      }
    });
    if (received === 0 || h2.closed) throw new Error('the connection closed');
    h2.close();
  }
}

async function hpack(): Promise<void> {
  const block = Buffer.alloc(1024);
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const fields: string[] = [];
  decoder.decode(block, 0, requestBlock(encoder, block), fields);
  const end = requestBlock(encoder, block);
  await measure(`HPACK decode, 8 fields, indexed (${end} bytes)`, 200_000, (turns) => {
    for (let turn = 0; turn < turns; turn++) {
      fields.length = 0;
      decoder.decode(block, 0, end, fields);
    }
  });
  const out = Buffer.alloc(1024);
  await measure('HPACK encode, 8 fields, indexed', 200_000, (turns) => {
    for (let turn = 0; turn < turns; turn++) requestBlock(encoder, out);
  });
  const cold = Buffer.alloc(1024);
  const coldEnd = requestBlock(new HpackEncoder(), cold);
  await measure(`HPACK decode, 8 fields, literal (${coldEnd} bytes)`, 50_000, (turns) => {
    for (let turn = 0; turn < turns; turn++) {
      fields.length = 0;
      decoder.decode(cold, 0, coldEnd, fields);
    }
  });
}

await plainHeads();
await heads();
await wholeRequest();
await frames();
await hpack();
