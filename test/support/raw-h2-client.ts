/** Sends HTTP/2 frames as they are and collects those that come back. */
import { connect } from 'node:net';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE, writeFrameHeader } from '#wire/h2/frame.ts';
import { FRAME_HEADER_BYTES } from '#wire/h2/limits.ts';
import { HpackDecoder } from '#wire/hpack/decoder.ts';
import { settings } from './h2-script.ts';

export interface H2Answer {
  /** Final head and trailers of stream 1: name, value… */
  readonly fields: readonly string[];
  readonly body: string;
  /** RST_STREAM of stream 1, GOAWAY with an error, or how it ended. */
  readonly end: 'end' | 'reset' | 'goaway' | 'closed' | 'silence';
}

const SILENCE_MS = 3000;

/** A literal field without indexing, not Huffman coded: any bytes go as they are. */
function literal(name: string, value: string): Buffer {
  const text = (string: string) => {
    const bytes = Buffer.from(string, 'latin1');
    if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
    const rest: number[] = [127];
    let left = bytes.length - 127;
    for (; left >= 128; left = Math.floor(left / 128)) rest.push((left % 128) + 128);
    return Buffer.concat([Buffer.from([...rest, left]), bytes]);
  };
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

export function h2Frame(type: number, flags: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, 1));
  return bytes;
}

/** HEADERS of stream 1. */
export function h2Head(fields: readonly (readonly [string, string])[], end: boolean): Buffer {
  const block = Buffer.concat(fields.map(([name, value]) => literal(name, value)));
  const flags = code.FLAG_END_HEADERS | (end ? code.FLAG_END_STREAM : 0);
  return h2Frame(code.HEADERS, flags, block);
}

export function h2Data(text: string, end: boolean): Buffer {
  return h2Frame(code.DATA, end ? code.FLAG_END_STREAM : 0, Buffer.from(text, 'latin1'));
}

/** Opens a connection, sends the frames, waits for the end of stream 1. */
export function sendH2(port: number, frames: readonly Buffer[]): Promise<H2Answer> {
  const { promise, resolve } = Promise.withResolvers<H2Answer>();
  const socket = connect({ port, host: '127.0.0.1' });
  const decoder = new HpackDecoder();
  const fields: string[] = [];
  let body = '';
  let left: Buffer = Buffer.alloc(0);
  const finish = (end: H2Answer['end']) => {
    clearTimeout(timer);
    socket.destroy();
    resolve({ fields, body, end });
  };
  const timer = setTimeout(() => finish('silence'), SILENCE_MS);
  socket.on('error', () => finish('closed'));
  socket.on('close', () => finish('closed'));
  socket.on('data', (bytes: Buffer) => {
    left = Buffer.concat([left, bytes]);
    while (left.length >= FRAME_HEADER_BYTES) {
      const length = left.readUIntBE(0, 3);
      const next = FRAME_HEADER_BYTES + length;
      if (left.length < next) return;
      const [type, flags] = [left[3], left[4]];
      const payload = left.subarray(FRAME_HEADER_BYTES, next);
      left = left.subarray(next);
      if (type === code.HEADERS) decoder.decode(payload, 0, length, fields);
      else if (type === code.DATA) body += payload.toString('latin1');
      else if (type === code.RST_STREAM) finish('reset');
      else if (type === code.GOAWAY && payload.readUInt32BE(4) !== 0) finish('goaway');
      const ends = type === code.HEADERS || type === code.DATA;
      if (ends && (flags & code.FLAG_END_STREAM) !== 0) finish('end');
    }
  });
  const start = Buffer.concat([CLIENT_PREFACE, Buffer.from(settings(), 'latin1')]);
  socket.write(Buffer.concat([start, ...frames]));
  return promise;
}
