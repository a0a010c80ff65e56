/**
 * HTTP/2 frames ↔ bytes (RFC 9113 §4, §6). `FrameView` is filled in place, one per connection; the `parseX`
 * functions read a whole payload and return 0 or a negative reason; the `writeX` functions return the offset
 * behind what they wrote and trust the caller for room.
 */
import * as code from './codes.ts';
import { FRAME_HEADER_BYTES, PING_BYTES, SETTINGS_COUNT_MAX, WINDOW_BYTES_MAX } from './limits.ts';

export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Reasons; `frameErrorCode` maps them to the error code that RFC 9113 names for each. */
export const BAD_FRAME_SIZE = -1;
export const BAD_STREAM_ID = -2;
export const BAD_PADDING = -3;
export const BAD_SETTING = -4;
export const BAD_WINDOW_SETTING = -5;
export const ZERO_INCREMENT = -6;
export const TOO_MANY_SETTINGS = -7;
export const SELF_DEPENDENCY = -8;

export const H2_REASON: Readonly<Record<number, string>> = {
  [BAD_FRAME_SIZE]: 'a frame has a size that its type does not allow',
  [BAD_STREAM_ID]: 'a frame is on a stream where its type is not allowed',
  [BAD_PADDING]: 'the padding is as long as the frame',
  [BAD_SETTING]: 'a setting has a value that is not allowed',
  [BAD_WINDOW_SETTING]: 'SETTINGS_INITIAL_WINDOW_SIZE is above 2^31-1',
  [ZERO_INCREMENT]: 'a WINDOW_UPDATE has increment 0',
  [TOO_MANY_SETTINGS]: 'a SETTINGS frame has too many parameters',
  [SELF_DEPENDENCY]: 'a stream depends on itself',
};

export function frameErrorCode(reason: number): number {
  if (reason === BAD_FRAME_SIZE) return code.FRAME_SIZE_ERROR;
  if (reason === BAD_WINDOW_SETTING) return code.FLOW_CONTROL_ERROR;
  if (reason === TOO_MANY_SETTINGS) return code.ENHANCE_YOUR_CALM;
  return code.PROTOCOL_ERROR;
}

export class FrameView {
  length = 0;
  type = 0;
  flags = 0;
  streamId = 0;
  /** After `parsePadding` or `parseHeaders`: the payload proper is [start, end). */
  start = 0;
  end = 0;

  /** Reads nine bytes. */
  read(bytes: Uint8Array, at: number): void {
    this.length = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
    this.type = bytes[at + 3];
    this.flags = bytes[at + 4];
    this.streamId = readUint31(bytes, at + 5);
  }

  /** What type and header alone forbid (§6): size and stream. DATA, HEADERS and unknown types have any size. */
  check(): number {
    const { type, length, streamId } = this;
    switch (type) {
      case code.DATA:
      case code.HEADERS:
      case code.CONTINUATION:
        return streamId === 0 ? BAD_STREAM_ID : 0;
      case code.PRIORITY:
        if (streamId === 0) return BAD_STREAM_ID;
        return length === 5 ? 0 : BAD_FRAME_SIZE;
      case code.RST_STREAM:
        if (streamId === 0) return BAD_STREAM_ID;
        return length === 4 ? 0 : BAD_FRAME_SIZE;
      case code.SETTINGS:
        if (streamId !== 0) return BAD_STREAM_ID;
        if (length % 6 !== 0 || ((this.flags & code.FLAG_ACK) !== 0 && length !== 0)) {
          return BAD_FRAME_SIZE;
        }
        return length > SETTINGS_COUNT_MAX * 6 ? TOO_MANY_SETTINGS : 0;
      case code.PING:
        if (streamId !== 0) return BAD_STREAM_ID;
        return length === PING_BYTES ? 0 : BAD_FRAME_SIZE;
      case code.GOAWAY:
        if (streamId !== 0) return BAD_STREAM_ID;
        return length >= 8 ? 0 : BAD_FRAME_SIZE;
      case code.WINDOW_UPDATE:
        return length === 4 ? 0 : BAD_FRAME_SIZE;
      default:
        return 0;
    }
  }

  /** Finds the header block fragment of a HEADERS payload at `at` (§6.2). */
  parseHeaders(bytes: Uint8Array, at: number): number {
    let start = at;
    let padding = 0;
    const end = at + this.length;
    if ((this.flags & code.FLAG_PADDED) !== 0) {
      if (start >= end) return BAD_FRAME_SIZE;
      padding = bytes[start++];
    }
    if ((this.flags & code.FLAG_PRIORITY) !== 0) start += 5;
    if (start > end) return BAD_FRAME_SIZE;
    // Priorities are read for nothing else (RFC 9113 §5.3.2); a stream on itself is still wrong (RFC 7540 §5.3.1).
    if ((this.flags & code.FLAG_PRIORITY) !== 0 && readUint31(bytes, start - 5) === this.streamId) {
      return SELF_DEPENDENCY;
    }
    if (padding > end - start) return BAD_PADDING;
    this.start = start;
    this.end = end - padding;
    return 0;
  }
}

export function readUint31(bytes: Uint8Array, at: number): number {
  return ((bytes[at] & 0x7f) << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return readUint31(bytes, at) + (bytes[at] >= 0x80 ? 0x80000000 : 0);
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function writeFrameHeader(
  out: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  writeUint32(out, at + 5, streamId);
  return at + FRAME_HEADER_BYTES;
}

/** RST_STREAM and WINDOW_UPDATE: four bytes of payload. */
export function writeUint32Frame(
  out: Uint8Array,
  at: number,
  type: number,
  streamId: number,
  value: number,
): number {
  const payload = writeFrameHeader(out, at, 4, type, 0, streamId);
  writeUint32(out, payload, value);
  return payload + 4;
}

/** `opaque` is eight bytes from `from` on. */
export function writePing(
  out: Uint8Array,
  at: number,
  ack: boolean,
  opaque: Uint8Array,
  from: number,
): number {
  const payload = writeFrameHeader(out, at, PING_BYTES, code.PING, ack ? code.FLAG_ACK : 0, 0);
  for (let index = 0; index < PING_BYTES; index++) out[payload + index] = opaque[from + index];
  return payload + PING_BYTES;
}

export function writeGoAway(
  out: Uint8Array,
  at: number,
  lastStreamId: number,
  errorCode: number,
  debug: Uint8Array,
): number {
  const payload = writeFrameHeader(out, at, 8 + debug.length, code.GOAWAY, 0, 0);
  writeUint32(out, payload, lastStreamId);
  writeUint32(out, payload + 4, errorCode);
  out.set(debug, payload + 8);
  return payload + 8 + debug.length;
}

/** `pairs`: identifier, value, identifier, value… */
export function writeSettings(out: Uint8Array, at: number, pairs: readonly number[]): number {
  let offset = writeFrameHeader(out, at, (pairs.length / 2) * 6, code.SETTINGS, 0, 0);
  for (let index = 0; index < pairs.length; index += 2) {
    out[offset] = pairs[index] >>> 8;
    out[offset + 1] = pairs[index];
    writeUint32(out, offset + 2, pairs[index + 1]);
    offset += 6;
  }
  return offset;
}

/** The values that RFC 9113 §6.5.2 and RFC 8441 §3 define, with their initial values. */
export class Settings {
  headerTableBytes = 4096;
  enablePush = 1;
  concurrentStreamsMax = Number.POSITIVE_INFINITY;
  initialWindowBytes = 65_535;
  frameBytesMax = 16_384;
  headerListBytesMax = Number.POSITIVE_INFINITY;
  /** 1: it takes extended CONNECT (RFC 8441). */
  connectProtocol = 0;

  /** Applies a payload of `length` bytes. 0, or a negative reason. */
  apply(bytes: Uint8Array, start: number, length: number): number {
    for (let at = start; at < start + length; at += 6) {
      const value = readUint32(bytes, at + 2);
      switch ((bytes[at] << 8) | bytes[at + 1]) {
        case code.SETTINGS_HEADER_TABLE_SIZE:
          this.headerTableBytes = value;
          break;
        case code.SETTINGS_ENABLE_PUSH:
          if (value > 1) return BAD_SETTING;
          this.enablePush = value;
          break;
        case code.SETTINGS_MAX_CONCURRENT_STREAMS:
          this.concurrentStreamsMax = value;
          break;
        case code.SETTINGS_INITIAL_WINDOW_SIZE:
          if (value > WINDOW_BYTES_MAX) return BAD_WINDOW_SETTING;
          this.initialWindowBytes = value;
          break;
        case code.SETTINGS_MAX_FRAME_SIZE:
          if (value < 16_384 || value > 16_777_215) return BAD_SETTING;
          this.frameBytesMax = value;
          break;
        case code.SETTINGS_MAX_HEADER_LIST_SIZE:
          this.headerListBytesMax = value;
          break;
        case code.SETTINGS_ENABLE_CONNECT_PROTOCOL:
          // RFC 8441 §3: once offered it stays.
          if (value > 1 || value < this.connectProtocol) return BAD_SETTING;
          this.connectProtocol = value;
          break;
        default:
        // §6.5.2: unknown settings are ignored.
      }
    }
    return 0;
  }
}
