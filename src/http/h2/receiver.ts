/**
 * The receiving half of an H2Connection: what each frame does to streams and windows, and every check of
 * RFC 9113 on it. A stream's fault costs the stream, a connection's fault the connection; both say who and why.
 */

import { TARGET_BYTES_MAX } from '#wire/h1/limits.ts';
import * as code from '#wire/h2/codes.ts';
import {
  frameErrorCode,
  H2_REASON,
  readUint31,
  readUint32,
  SELF_DEPENDENCY,
  ZERO_INCREMENT,
} from '#wire/h2/frame.ts';
import { HpackDecoder } from '#wire/hpack/decoder.ts';
import { HPACK_REASON } from '#wire/hpack/reasons.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { httpFault } from '../fault.ts';
import * as limits from '../limits.ts';
import type { H2Connection } from './connection.ts';
import { FloodGuard } from './flood-guard.ts';
import {
  BAD_PREFACE,
  FrameReader,
  type FrameSink,
  HEADER_BLOCK_TOO_LARGE,
} from './frame-reader.ts';
import { BlockReader } from './header-block.ts';
import type { H2Sender } from './sender.ts';
import { H2Stream, type H2StreamHandler, REMOTE_OPEN } from './stream.ts';

/** Until `onStream` set the user's handler; a stream that nobody took is refused. */
const NO_HANDLER: H2StreamHandler = {
  onHead: () => undefined,
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onReset: () => undefined,
};

export class H2Receiver implements FrameSink {
  readonly reader: FrameReader;
  /** What the peer may still send on the connection. */
  window: number;
  lastStreamId = 0;
  /** After our GOAWAY: higher streams are not worked on. */
  refuseAbove = Number.POSITIVE_INFINITY;
  settingsSeen = false;
  private readonly owner: H2Connection;
  private readonly sender: H2Sender;
  private readonly guard: FloodGuard;
  private readonly decoder: HpackDecoder;
  private readonly blocks: BlockReader;
  private fields: string[] = [];
  /** Stream of the DATA frame that is being read; undefined when its bytes are dropped. */
  private dataStream: H2Stream | undefined;
  /** A header block whose CONTINUATION frames are still to come. */
  private block: Buffer | undefined;
  private blockBytes = 0;
  private blockStreamId = 0;
  private blockEnds = false;
  private continuations = 0;

  constructor(owner: H2Connection, sender: H2Sender) {
    this.owner = owner;
    this.sender = sender;
    const { options } = owner;
    this.reader = new FrameReader(this, options.isServer, options.frameBytesMax);
    this.window = options.connectionWindowBytes;
    this.guard = new FloodGuard(owner.clock);
    this.decoder = new HpackDecoder(options.headerListBytesMax);
    this.blocks = new BlockReader(options.connectProtocol);
  }

  makeStream(id: number, handler: H2StreamHandler): H2Stream {
    return new H2Stream(this.sender, id, handler, {
      send: this.sender.peer.initialWindowBytes,
      receive: this.owner.options.streamWindowBytes,
    });
  }

  get unfinishedHead(): number {
    if (this.block !== undefined) return -this.blockStreamId;
    return this.reader.unfinished ? this.reader.frames : 0;
  }

  onBroken(reason: number): void {
    if (reason === BAD_PREFACE) {
      this.owner.fail(code.PROTOCOL_ERROR, 'it did not begin with the HTTP/2 preface');
    } else if (reason === HEADER_BLOCK_TOO_LARGE) {
      this.owner.fail(code.ENHANCE_YOUR_CALM, 'a header block is too large');
    } else this.owner.fail(frameErrorCode(reason), H2_REASON[reason]);
  }

  onDataBegin(dataBytes: number): void {
    const { view } = this.reader;
    this.dataStream = undefined;
    if (!this.inOrder(code.DATA, view.streamId)) return;
    this.window -= view.length;
    if (this.window < 0) {
      this.owner.fail(code.FLOW_CONTROL_ERROR, 'it sent more than the connection window');
      return;
    }
    const overhead = view.length - dataBytes;
    const stream = this.owner.streams.get(view.streamId);
    if (stream === undefined || (stream.bits & REMOTE_OPEN) === 0) {
      if (this.isIdle(view.streamId)) {
        this.owner.fail(code.PROTOCOL_ERROR, 'DATA on a stream that was never opened');
        return;
      }
      // Dropped, but the connection's window gets the bytes back.
      this.sender.credit(undefined, view.length);
      if (stream !== undefined)
        this.streamFault(stream, code.STREAM_CLOSED, 'DATA after END_STREAM');
      else if (!this.sender.resets.covers(view.streamId))
        this.sender.resetFrame(view.streamId, code.STREAM_CLOSED);
      if (dataBytes === 0) this.countIdle();
      return;
    }
    stream.receiveWindow -= view.length;
    if (stream.receiveWindow < 0) {
      this.sender.credit(undefined, view.length);
      this.streamFault(stream, code.FLOW_CONTROL_ERROR, 'it sent more than the stream window');
      return;
    }
    if (!stream.headReceived && !this.owner.options.isServer) {
      this.sender.credit(undefined, view.length);
      this.streamFault(stream, code.PROTOCOL_ERROR, 'DATA before the response head');
      return;
    }
    if (stream.expectedBytes >= 0) {
      stream.expectedBytes -= dataBytes;
      if (stream.expectedBytes < 0) {
        this.sender.credit(undefined, view.length);
        this.streamFault(stream, code.PROTOCOL_ERROR, 'more DATA than Content-Length says');
        return;
      }
    }
    this.dataStream = stream;
    if (overhead > 0) this.sender.credit(stream, overhead);
    if (dataBytes > 0) this.guard.progress();
    else if ((view.flags & code.FLAG_END_STREAM) === 0) this.countIdle();
  }

  onDataPart(bytes: Buffer): void {
    const stream = this.dataStream;
    if (stream === undefined) return;
    if (stream.bits === 0) this.sender.credit(undefined, bytes.length);
    else stream.deliver(bytes);
  }

  onDataEnd(): void {
    const stream = this.dataStream;
    this.dataStream = undefined;
    if (stream === undefined || stream.bits === 0) return;
    if ((this.reader.view.flags & code.FLAG_END_STREAM) !== 0) this.endStream(stream, undefined);
  }

  onFrame(bytes: Buffer, at: number): void {
    const { view } = this.reader;
    if (!this.inOrder(view.type, view.streamId)) return;
    switch (view.type) {
      case code.HEADERS:
        this.headers(bytes, at);
        return;
      case code.CONTINUATION:
        this.continuation(bytes, at);
        return;
      case code.WINDOW_UPDATE:
        this.windowUpdate(readUint31(bytes, at));
        return;
      case code.RST_STREAM:
        this.resetStream(readUint32(bytes, at));
        return;
      case code.SETTINGS:
        this.settings(bytes, at);
        return;
      case code.PING:
        if (this.countIdle()) return;
        if ((view.flags & code.FLAG_ACK) === 0) this.sender.pong(bytes, at);
        else this.owner.pong(bytes, at);
        return;
      case code.GOAWAY:
        this.goAway(bytes, at);
        return;
      case code.PRIORITY:
        if (readUint31(bytes, at) === view.streamId) this.onBroken(SELF_DEPENDENCY);
        else this.countIdle();
        return;
      default:
        this.countIdle();
    }
  }

  /** RFC 9113 §3.4: SETTINGS first. §6.10: nothing between HEADERS and its CONTINUATIONs. */
  private inOrder(type: number, streamId: number): boolean {
    if (!this.settingsSeen && type !== code.SETTINGS) {
      this.owner.fail(code.PROTOCOL_ERROR, 'its first frame is not SETTINGS');
      return false;
    }
    const continues = type === code.CONTINUATION && streamId === this.blockStreamId;
    if ((this.block !== undefined) === continues) return true;
    this.owner.fail(code.PROTOCOL_ERROR, 'CONTINUATION is missing or out of place');
    return false;
  }

  private headers(bytes: Buffer, at: number): void {
    const { view } = this.reader;
    const verdict = view.parseHeaders(bytes, at);
    if (verdict < 0) {
      this.owner.fail(frameErrorCode(verdict), H2_REASON[verdict]);
      return;
    }
    const ends = (view.flags & code.FLAG_END_STREAM) !== 0;
    if ((view.flags & code.FLAG_END_HEADERS) !== 0) {
      this.headerBlock(bytes, view.start, view.end, view.streamId, ends);
      return;
    }
    this.block = Buffer.allocUnsafe(limits.HEADER_BLOCK_BYTES_MAX);
    this.blockBytes = bytes.copy(this.block, 0, view.start, view.end);
    this.blockStreamId = view.streamId;
    this.blockEnds = ends;
    this.continuations = 0;
  }

  private continuation(bytes: Buffer, at: number): void {
    const { view } = this.reader;
    const { block } = this;
    if (block === undefined) {
      this.owner.fail(code.PROTOCOL_ERROR, 'CONTINUATION without HEADERS before it');
      return;
    }
    this.continuations += 1;
    if (
      this.continuations > limits.CONTINUATIONS_MAX ||
      this.blockBytes + view.length > limits.HEADER_BLOCK_BYTES_MAX
    ) {
      this.owner.fail(code.ENHANCE_YOUR_CALM, 'a header block has too many CONTINUATIONs');
      return;
    }
    bytes.copy(block, this.blockBytes, at, at + view.length);
    this.blockBytes += view.length;
    if ((view.flags & code.FLAG_END_HEADERS) === 0) return;
    this.block = undefined;
    this.headerBlock(block, 0, this.blockBytes, this.blockStreamId, this.blockEnds);
  }

  private headerBlock(bytes: Buffer, start: number, end: number, id: number, ends: boolean): void {
    this.fields.length = 0;
    const verdict = this.decoder.decode(bytes, start, end, this.fields);
    if (verdict < 0) {
      this.owner.fail(code.COMPRESSION_ERROR, HPACK_REASON[verdict]);
      return;
    }
    const stream = this.owner.streams.get(id);
    if (stream !== undefined) {
      this.laterHead(stream, ends);
      return;
    }
    if (!this.isIdle(id)) {
      if (this.sender.resets.covers(id)) this.countIdle();
      else this.owner.fail(code.STREAM_CLOSED, 'HEADERS on a closed stream');
      return;
    }
    if (!this.owner.options.isServer || (id & 1) === 0) {
      this.owner.fail(code.PROTOCOL_ERROR, `HEADERS opens stream ${id}, which it may not`);
      return;
    }
    this.lastStreamId = id;
    this.guard.streamOpened();
    this.request(id, ends);
  }

  private request(id: number, ends: boolean): void {
    const { owner, sender } = this;
    if (id > this.refuseAbove || owner.streams.size >= owner.options.concurrentStreamsMax) {
      sender.resetFrame(id, code.REFUSED_STREAM);
      return;
    }
    const stream = this.makeStream(id, NO_HANDLER);
    stream.headReceived = true;
    owner.streams.add(stream);
    if (this.decoder.tooLarge) {
      this.refuse(stream, 431, 'its header list is too large');
      return;
    }
    const head = this.decoder.malformed ? undefined : this.blocks.read(this.fields, 'request');
    if (head === undefined || (ends && this.blocks.contentLength > 0)) {
      if (this.countPremature(stream)) return;
      stream.reset(code.PROTOCOL_ERROR);
      const why = this.decoder.malformed ? 'a field has a forbidden byte' : this.blocks.reason;
      owner.handler.onBadRequest?.(why || 'less DATA than Content-Length says', 0);
      return;
    }
    if (head.path.length > TARGET_BYTES_MAX) {
      this.refuse(stream, 414, 'its path is too long');
      return;
    }
    if (this.blocks.unknownExpectation) {
      this.refuse(stream, 417, 'it expects what nobody knows');
      return;
    }
    stream.expectedBytes = this.blocks.contentLength;
    if (ends) stream.remoteEndedWithHead();
    owner.handler.onStream(stream, head, ends);
    if (stream.handler === NO_HANDLER) stream.reset(code.REFUSED_STREAM);
  }

  private refuse(stream: H2Stream, status: number, reason: string): void {
    stream.respond(MessageHead.response(status), true);
    stream.reset(code.NO_ERROR);
    this.owner.handler.onBadRequest?.(reason, status);
  }

  /** A response head, or trailers of either direction. */
  private laterHead(stream: H2Stream, ends: boolean): void {
    if ((stream.bits & REMOTE_OPEN) === 0) {
      this.streamFault(stream, code.STREAM_CLOSED, 'HEADERS after END_STREAM');
      return;
    }
    const kind = stream.headReceived ? 'trailers' : 'response';
    const bad = this.decoder.malformed || this.decoder.tooLarge;
    const head = bad ? undefined : this.blocks.read(this.fields, kind);
    if (head === undefined) {
      const reason = this.decoder.tooLarge ? 'its header list is too large' : this.blocks.reason;
      this.streamFault(stream, code.PROTOCOL_ERROR, reason || 'a field has a forbidden byte');
      return;
    }
    if (kind === 'trailers') {
      if (ends) this.endStream(stream, head);
      else this.streamFault(stream, code.PROTOCOL_ERROR, 'trailers without END_STREAM');
      return;
    }
    if (head.status < 200) {
      if (ends || head.status === 101) {
        this.streamFault(stream, code.PROTOCOL_ERROR, `status ${head.status} is not allowed`);
        return;
      }
      if (!this.countIdle()) stream.handler.onHead(head, false);
      return;
    }
    stream.headReceived = true;
    const noLength = head.status === 204 || (stream.toTunnel && head.status < 300);
    // RFC 9110 §8.6, §9.3.6: not allowed there, and some reader might take it for the length of a body.
    if (noLength) head.remove('content-length');
    const bodiless = stream.toHead || noLength || head.status === 304;
    if (!bodiless) stream.expectedBytes = this.blocks.contentLength;
    if (ends && stream.expectedBytes > 0) {
      this.streamFault(stream, code.PROTOCOL_ERROR, 'less DATA than Content-Length says');
      return;
    }
    stream.handler.onHead(head, ends);
    if (ends && stream.bits !== 0) stream.remoteEndedWithHead();
  }

  private endStream(stream: H2Stream, trailers: MessageHead | undefined): void {
    if (stream.expectedBytes > 0) {
      this.streamFault(stream, code.PROTOCOL_ERROR, 'less DATA than Content-Length says');
      return;
    }
    stream.remoteEnded(trailers);
  }

  private windowUpdate(increment: number): void {
    const { streamId } = this.reader.view;
    if (streamId === 0) {
      if (increment === 0) this.onBroken(ZERO_INCREMENT);
      else if (!this.sender.widen(increment)) {
        this.owner.fail(code.FLOW_CONTROL_ERROR, 'it widened the connection window over 2^31-1');
      }
      return;
    }
    const stream = this.owner.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) {
        this.owner.fail(code.PROTOCOL_ERROR, 'WINDOW_UPDATE on a stream that was never opened');
      }
    } else if (increment === 0) {
      this.streamFault(stream, code.PROTOCOL_ERROR, H2_REASON[ZERO_INCREMENT]);
    } else if (!this.sender.widenStream(stream, increment)) {
      this.streamFault(stream, code.FLOW_CONTROL_ERROR, 'it widened the stream window over 2^31-1');
    }
  }

  private resetStream(errorCode: number): void {
    const { streamId } = this.reader.view;
    const stream = this.owner.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) {
        this.owner.fail(code.PROTOCOL_ERROR, 'RST_STREAM on a stream that was never opened');
      } else this.countIdle();
      return;
    }
    if (this.countPremature(stream)) return;
    const refused = errorCode === code.REFUSED_STREAM;
    const error = httpFault(
      refused ? 'H2_STREAM_REFUSED' : 'H2_STREAM_RESET',
      `stream ${streamId} was reset by the peer with ${code.errorCodeName(errorCode)}`,
      { side: this.owner.side, retry: refused ? 'safe' : 'never' },
    );
    this.drop(stream);
    stream.handler.onReset(error, errorCode, 'them');
  }

  private settings(bytes: Buffer, at: number): void {
    const { view } = this.reader;
    if ((view.flags & code.FLAG_ACK) !== 0) {
      if (!this.settingsSeen) this.owner.fail(code.PROTOCOL_ERROR, 'its first frame is an ACK');
      else this.countIdle();
      return;
    }
    const first = !this.settingsSeen;
    this.settingsSeen = true;
    if (this.countIdle()) return;
    const { peer } = this.sender;
    const windowBefore = peer.initialWindowBytes;
    const verdict = peer.apply(bytes, at, view.length);
    if (verdict < 0) {
      this.owner.fail(frameErrorCode(verdict), H2_REASON[verdict]);
      return;
    }
    if (!this.sender.settingsChanged(windowBefore)) {
      this.owner.fail(code.FLOW_CONTROL_ERROR, 'its initial window overflows a stream window');
      return;
    }
    if (first || !this.owner.options.isServer) this.owner.handler.onChange();
  }

  private goAway(bytes: Buffer, at: number): void {
    const { owner } = this;
    if (this.countIdle()) return;
    const last = readUint31(bytes, at);
    const errorCode = readUint32(bytes, at + 4);
    const debugEnd = Math.min(this.reader.view.length, 8 + limits.GOAWAY_DEBUG_BYTES_MAX);
    const debug = bytes.toString('utf8', at + 8, at + debugEnd);
    owner.draining = true;
    if (!owner.options.isServer) {
      for (const stream of owner.streams.all()) {
        if (stream.id <= last) continue;
        const text = `the peer is going away (${code.errorCodeName(errorCode)}${debug === '' ? '' : `: ${debug}`})`;
        this.drop(stream);
        const error = httpFault('H2_GOING_AWAY', text, { side: owner.side, retry: 'safe' });
        stream.handler.onReset(error, errorCode, 'them');
      }
      owner.tellDraining();
    }
    if (owner.closed) return;
    owner.handler.onChange();
    owner.closeWhenIdle();
  }

  /** Our own check failed on one stream: RST_STREAM to the peer, onReset to the handler. */
  private streamFault(stream: H2Stream, errorCode: number, reason: string): void {
    // A peer that makes us reset its streams works us as hard as one that resets them (CVE-2025-8671).
    if (stream.bits === 0 || this.countPremature(stream)) return;
    const error = httpFault('H2_PROTOCOL', `HTTP/2 peer, stream ${stream.id}: ${reason}`, {
      side: this.owner.side,
    });
    this.sender.resetFrame(stream.id, errorCode);
    this.drop(stream);
    stream.handler.onReset(error, errorCode, 'us');
  }

  private drop(stream: H2Stream): void {
    this.sender.credit(undefined, stream.abandon());
    this.owner.remove(stream);
  }

  /** Never opened: by the peer above the highest it used, by us when it is not one of ours yet. */
  private isIdle(id: number): boolean {
    const ours = ((id & 1) === 1) !== this.owner.options.isServer;
    return ours ? id >= this.owner.streamIdBound : id > this.lastStreamId;
  }

  /** A stream ends in a reset. True when too many do before they had an answer; the connection is over then. */
  private countPremature(stream: H2Stream): boolean {
    if (!this.owner.options.isServer || stream.headSent) return false;
    if (!this.guard.prematureReset()) return false;
    this.owner.fail(code.ENHANCE_YOUR_CALM, 'most of its streams are reset unanswered');
    return true;
  }

  private countIdle(): boolean {
    if (!this.guard.idleFrame()) return false;
    this.owner.fail(
      code.ENHANCE_YOUR_CALM,
      'it floods the connection with empty or control frames',
    );
    return true;
  }
}
