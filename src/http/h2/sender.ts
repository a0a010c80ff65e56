/**
 * The sending half of an H2Connection: frames into the output buffer, the peer's windows, and who waits for
 * room. Streams that wait are served in turn, oldest first.
 */
import type { Connection } from '#net/connection.ts';
import * as code from '#wire/h2/codes.ts';
import {
  CLIENT_PREFACE,
  Settings,
  writeFrameHeader,
  writeGoAway,
  writePing,
  writeSettings,
  writeUint32Frame,
} from '#wire/h2/frame.ts';
import {
  FRAME_BYTES_DEFAULT,
  FRAME_HEADER_BYTES,
  WINDOW_BYTES_DEFAULT,
  WINDOW_BYTES_MAX,
} from '#wire/h2/limits.ts';
import { HpackEncoder } from '#wire/hpack/encoder.ts';
import type { MessageHead } from '../dispatch/message-head.ts';
import * as limits from '../limits.ts';
import { Output } from '../output.ts';
import type { H2Connection } from './connection.ts';
import { blockBytesMax, writeBlock } from './header-block.ts';
import { ResetMemory } from './reset-memory.ts';
import { type H2Stream, LOCAL_OPEN, type StreamOwner } from './stream.ts';

const NO_BYTES = Buffer.alloc(0);
const PING_PAYLOAD = Buffer.from('tulle-ka');
const DRAIN_PAYLOAD = Buffer.from('tulle-dr');

export class H2Sender implements StreamOwner {
  readonly output: Output;
  readonly peer = new Settings();
  readonly resets = new ResetMemory();
  peerStreamsMax: number = limits.CONCURRENT_STREAMS_ASSUMED;
  private readonly owner: H2Connection;
  private readonly encoder = new HpackEncoder();
  private window = WINDOW_BYTES_DEFAULT;
  private frameBytes = FRAME_BYTES_DEFAULT;
  private readonly waiting = new Set<H2Stream>();
  /** Bytes taken by consumers and not yet granted again for the connection; grant at these marks. */
  private uncredited = 0;
  private readonly streamMark: number;
  private readonly connectionMark: number;
  /** The last frame in the output is DATA of this stream, its flags at `lastFlagsAt`: END_STREAM can join it. */
  private lastStreamId = 0;
  private lastFlagsAt = 0;

  constructor(owner: H2Connection, connection: Connection) {
    this.owner = owner;
    this.output = new Output(connection, limits.H2_OUTPUT_BYTES);
    this.streamMark = owner.options.streamWindowBytes / 2;
    this.connectionMark = owner.options.connectionWindowBytes / 2;
  }

  preface(): void {
    const { options } = this.owner;
    if (!options.isServer) this.output.append(CLIENT_PREFACE);
    const pairs = [code.SETTINGS_INITIAL_WINDOW_SIZE, options.streamWindowBytes];
    pairs.push(code.SETTINGS_MAX_FRAME_SIZE, options.frameBytesMax);
    pairs.push(code.SETTINGS_MAX_HEADER_LIST_SIZE, options.headerListBytesMax);
    if (options.isServer) {
      pairs.push(code.SETTINGS_MAX_CONCURRENT_STREAMS, options.concurrentStreamsMax);
      if (options.connectProtocol) pairs.push(code.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
    } else pairs.push(code.SETTINGS_ENABLE_PUSH, 0);
    const at = this.output.reserve(FRAME_HEADER_BYTES + pairs.length * 3);
    this.output.commit(writeSettings(this.output.bytes, at, pairs));
    const more = options.connectionWindowBytes - WINDOW_BYTES_DEFAULT;
    if (more > 0) this.windowUpdate(0, more);
  }

  sendHead(stream: H2Stream, head: MessageHead, end: boolean): void {
    const informational = head.status >= 100 && head.status < 200;
    if (!informational) stream.headSent = true;
    // A client that does not read may miss some: they are only hints.
    else if (this.output.pending >= limits.OUTPUT_HIGH_BYTES) return;
    this.headers(stream.id, head, end);
    if (end) stream.localEnded();
  }

  sendData(stream: H2Stream, bytes: Uint8Array): number {
    const { output } = this;
    const length = bytes.length;
    let taken = 0;
    while (taken < length) {
      if (length - taken >= limits.DIRECT_DATA_BYTES) {
        const direct = this.sendDirect(stream, bytes, taken);
        taken += direct;
        if (direct > 0) continue;
      }
      const room = limits.OUTPUT_HIGH_BYTES - output.pending;
      const count = Math.min(length - taken, this.frameBytes, stream.sendWindow, this.window, room);
      if (count <= 0) {
        this.waiting.add(stream);
        break;
      }
      const at = output.reserve(FRAME_HEADER_BYTES + count);
      const body = writeFrameHeader(output.bytes, at, count, code.DATA, 0, stream.id);
      output.bytes.set(
        taken === 0 && count === length ? bytes : bytes.subarray(taken, taken + count),
        body,
      );
      output.commit(body + count);
      this.lastStreamId = stream.id;
      this.lastFlagsAt = at + 4;
      stream.sendWindow -= count;
      this.window -= count;
      taken += count;
      if (output.pending >= limits.OUTPUT_FLUSH_BYTES && !output.blocked) this.flush();
    }
    return taken;
  }

  /**
   * One large DATA frame from `from` on, or 0 when it has to be copied after all. Its header goes with as much of it as fills a
   * TLS record: alone it would cost a record and a system call.
   */
  private sendDirect(stream: H2Stream, bytes: Uint8Array, from: number): number {
    const { output } = this;
    const allowed = Math.min(this.peer.frameBytesMax, stream.sendWindow, this.window);
    const count = Math.min(bytes.length - from, limits.DIRECT_FRAME_BYTES_MAX, allowed);
    if (count < limits.DIRECT_DATA_BYTES || output.blocked) return 0;
    this.flush();
    if (output.blocked) return 0;
    const at = output.reserve(limits.TLS_RECORD_BYTES);
    const body = writeFrameHeader(output.bytes, at, count, code.DATA, 0, stream.id);
    const copied = limits.TLS_RECORD_BYTES - FRAME_HEADER_BYTES;
    output.bytes.set(bytes.subarray(from, from + copied), body);
    output.commit(body + copied);
    this.flush();
    output.writeThrough(bytes.subarray(from + copied, from + count));
    stream.sendWindow -= count;
    this.window -= count;
    return count;
  }

  sendEnd(stream: H2Stream, trailers: MessageHead | undefined): void {
    this.waiting.delete(stream);
    if (trailers !== undefined && stream.headSent) this.headers(stream.id, trailers, true);
    else if (
      this.lastStreamId === stream.id &&
      this.lastFlagsAt + 5 < this.output.end &&
      this.output.pending > 0 &&
      !this.output.blocked
    ) {
      this.output.bytes[this.lastFlagsAt] |= code.FLAG_END_STREAM;
      this.lastStreamId = 0;
    } else {
      const at = this.begin(FRAME_HEADER_BYTES);
      const { bytes } = this.output;
      this.output.commit(
        writeFrameHeader(bytes, at, 0, code.DATA, code.FLAG_END_STREAM, stream.id),
      );
    }
    stream.localEnded();
  }

  sendReset(stream: H2Stream, errorCode: number): void {
    this.credit(undefined, stream.abandon());
    this.resetFrame(stream.id, errorCode);
    this.owner.remove(stream);
  }

  resetFrame(streamId: number, errorCode: number): void {
    this.resets.add(streamId);
    const at = this.begin(FRAME_HEADER_BYTES + 4);
    const { bytes } = this.output;
    this.output.commit(writeUint32Frame(bytes, at, code.RST_STREAM, streamId, errorCode));
    this.checkBacklog();
  }

  queued(change: number): void {
    this.owner.queued(change);
  }

  finished(stream: H2Stream): void {
    this.owner.remove(stream);
  }

  forget(stream: H2Stream): void {
    this.waiting.delete(stream);
  }

  /** The consumer took `count` bytes; of a stream that is gone when `stream` is undefined. */
  credit(stream: H2Stream | undefined, count: number): void {
    this.uncredited += count;
    if (this.uncredited >= this.connectionMark) {
      this.windowUpdate(0, this.uncredited);
      this.owner.receiver.window += this.uncredited;
      this.uncredited = 0;
    }
    if (stream === undefined || (stream.bits & 2) === 0) return;
    stream.uncredited += count;
    if (stream.uncredited < this.streamMark) return;
    this.windowUpdate(stream.id, stream.uncredited);
    stream.receiveWindow += stream.uncredited;
    stream.uncredited = 0;
  }

  /** WINDOW_UPDATE for the connection. False when the window overflows (RFC 9113 §6.9.1). */
  widen(increment: number): boolean {
    if (this.window + increment > WINDOW_BYTES_MAX) return false;
    this.window += increment;
    this.serveWaiting();
    return true;
  }

  /** WINDOW_UPDATE for a stream. */
  widenStream(stream: H2Stream, increment: number): boolean {
    if (stream.sendWindow + increment > WINDOW_BYTES_MAX) return false;
    stream.sendWindow += increment;
    if (this.waiting.has(stream) && this.hasRoom(stream)) this.serve(stream);
    return true;
  }

  /** `peer` was changed by a SETTINGS frame; `windowBefore` is its former initial window. */
  settingsChanged(windowBefore: number): boolean {
    const { peer } = this;
    this.encoder.setTableBytesMax(peer.headerTableBytes);
    this.frameBytes = Math.min(peer.frameBytesMax, limits.FRAME_BYTES_SENT);
    this.peerStreamsMax = peer.concurrentStreamsMax;
    const difference = peer.initialWindowBytes - windowBefore;
    if (difference !== 0) {
      for (const stream of this.owner.streams.all()) {
        stream.sendWindow += difference;
        if (stream.sendWindow > WINDOW_BYTES_MAX) return false;
      }
    }
    const at = this.begin(FRAME_HEADER_BYTES);
    const { bytes } = this.output;
    this.output.commit(writeFrameHeader(bytes, at, 0, code.SETTINGS, code.FLAG_ACK, 0));
    this.checkBacklog();
    this.serveWaiting();
    return true;
  }

  ping(): void {
    this.pingFrame(false, PING_PAYLOAD, 0);
  }

  /** Behind the first GOAWAY of a drain: its answer says that the peer has read both. */
  drainPing(): void {
    this.pingFrame(false, DRAIN_PAYLOAD, 0);
  }

  pong(opaque: Uint8Array, from: number): void {
    this.pingFrame(true, opaque, from);
    this.checkBacklog();
  }

  goAway(lastStreamId: number, errorCode: number, reason: string): void {
    const debug = reason === '' ? NO_BYTES : Buffer.from(reason).subarray(0, 128);
    const at = this.begin(FRAME_HEADER_BYTES + 8 + debug.length);
    const { bytes } = this.output;
    this.output.commit(writeGoAway(bytes, at, lastStreamId, errorCode, debug));
  }

  drained(): void {
    this.lastStreamId = 0;
    if (this.output.drained()) this.serveWaiting();
  }

  private flush(): void {
    this.lastStreamId = 0;
    this.output.flush();
  }

  /** Every frame but DATA begins here: END_STREAM cannot join an earlier DATA frame any more. */
  private begin(bytes: number): number {
    this.lastStreamId = 0;
    return this.output.reserve(bytes);
  }

  private headers(streamId: number, head: MessageHead, end: boolean): void {
    const { output } = this;
    const flags = end ? code.FLAG_END_STREAM : 0;
    const at = this.begin(FRAME_HEADER_BYTES + blockBytesMax(head));
    const body = at + FRAME_HEADER_BYTES;
    const stop = writeBlock(this.encoder, head, output.bytes, body);
    if (stop - body <= this.frameBytes) {
      const all = flags | code.FLAG_END_HEADERS;
      writeFrameHeader(output.bytes, at, stop - body, code.HEADERS, all, streamId);
      output.commit(stop);
      return;
    }
    const block = Buffer.from(output.bytes.subarray(body, stop));
    for (let from = 0; from < block.length; from += this.frameBytes) {
      const part = block.subarray(from, from + this.frameBytes);
      const type = from === 0 ? code.HEADERS : code.CONTINUATION;
      const last = from + part.length === block.length ? code.FLAG_END_HEADERS : 0;
      const start = output.reserve(FRAME_HEADER_BYTES + part.length);
      const all = (from === 0 ? flags : 0) | last;
      output.bytes.set(
        part,
        writeFrameHeader(output.bytes, start, part.length, type, all, streamId),
      );
      output.commit(start + FRAME_HEADER_BYTES + part.length);
    }
  }

  private windowUpdate(streamId: number, increment: number): void {
    const at = this.begin(FRAME_HEADER_BYTES + 4);
    const { bytes } = this.output;
    this.output.commit(writeUint32Frame(bytes, at, code.WINDOW_UPDATE, streamId, increment));
  }

  private pingFrame(ack: boolean, opaque: Uint8Array, from: number): void {
    const at = this.begin(FRAME_HEADER_BYTES + 8);
    this.output.commit(writePing(this.output.bytes, at, ack, opaque, from));
  }

  /** A peer that makes us answer and does not read the answers. */
  private checkBacklog(): void {
    if (this.output.pending <= limits.OUTPUT_HIGH_BYTES + limits.CONTROL_BACKLOG_BYTES_MAX) return;
    this.owner.fail(code.ENHANCE_YOUR_CALM, 'it does not read our answers to its control frames');
  }

  private hasRoom(stream: H2Stream): boolean {
    if (stream.sendWindow <= 0 || this.window <= 0) return false;
    return this.output.pending < limits.OUTPUT_HIGH_BYTES;
  }

  private serve(stream: H2Stream): void {
    this.waiting.delete(stream);
    if ((stream.bits & LOCAL_OPEN) !== 0) stream.handler.onDrain();
  }

  /** One round: a stream that fills up again waits behind the others. */
  private serveWaiting(): void {
    let left = this.waiting.size;
    for (const stream of this.waiting) {
      if (left-- === 0 || this.window <= 0) return;
      if (this.output.pending >= limits.OUTPUT_HIGH_BYTES) return;
      if (this.hasRoom(stream)) this.serve(stream);
    }
  }
}

/** Whether a PING's payload is that of `drainPing`. */
export function isDrainPing(bytes: Buffer, from: number): boolean {
  return DRAIN_PAYLOAD.equals(bytes.subarray(from, from + DRAIN_PAYLOAD.length));
}
