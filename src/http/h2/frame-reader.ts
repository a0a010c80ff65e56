/**
 * Cuts a byte stream into HTTP/2 frames. DATA is handed on in pieces as it comes, never copied; other frames
 * are handed on whole, copied only when a chunk ended inside one.
 *
 *   PREFACE → HEADER ─┬→ [PAD_LENGTH] → DATA → PADDING ─┐
 *       ▲             ├→ PAYLOAD (whole in chunk, or collected) │
 *       └─ HEADER ◄───┴→ SKIP (unknown types) ─────────────────┘
 */
import * as code from '#wire/h2/codes.ts';
import {
  BAD_FRAME_SIZE,
  BAD_PADDING,
  BAD_STREAM_ID,
  CLIENT_PREFACE,
  FrameView,
} from '#wire/h2/frame.ts';
import { FRAME_HEADER_BYTES } from '#wire/h2/limits.ts';
import { HEADER_BLOCK_BYTES_MAX } from '../limits.ts';

export interface FrameSink {
  /** `view` is set; a whole payload begins at `at`. */
  onFrame(bytes: Buffer, at: number): void;
  /** A DATA frame begins: `view.length` counts padding, `dataBytes` does not. */
  onDataBegin(dataBytes: number): void;
  onDataPart(bytes: Buffer): void;
  onDataEnd(): void;
  /** The reader stopped: a reason of wire/h2/frame, or BAD_PREFACE. */
  onBroken(reason: number): void;
}

/** Beyond the reasons of wire/h2/frame. */
export const BAD_PREFACE = -20;
export const HEADER_BLOCK_TOO_LARGE = -21;

const PREFACE = 0;
const HEADER = 1;
const PAD_LENGTH = 2;
const DATA = 3;
const PADDING = 4;
const PAYLOAD = 5;
const SKIP = 6;

export class FrameReader {
  readonly view = new FrameView();
  /** Begun so far. */
  frames = 0;
  private state: number;
  /** Bytes of the present part still to come. */
  private left = 0;
  private padding = 0;
  private readonly header = Buffer.alloc(FRAME_HEADER_BYTES);
  private headerBytes = 0;
  private payload: Buffer | undefined;
  private stopped = false;
  private readonly sink: FrameSink;
  private readonly frameBytesMax: number;

  constructor(sink: FrameSink, expectPreface: boolean, frameBytesMax: number) {
    this.sink = sink;
    this.frameBytesMax = frameBytesMax;
    this.state = expectPreface ? PREFACE : HEADER;
  }

  /** A frame other than DATA is only partly here. */
  get unfinished(): boolean {
    return this.state === PAYLOAD || this.headerBytes > 0;
  }

  stop(): void {
    this.stopped = true;
  }

  feed(bytes: Buffer): void {
    let at = 0;
    const length = bytes.length;
    while (at < length && !this.stopped) {
      switch (this.state) {
        case HEADER:
          at = this.readHeader(bytes, at, length);
          break;
        case DATA: {
          const taken = Math.min(this.left, length - at);
          const whole = taken === length;
          this.left -= taken;
          at += taken;
          this.sink.onDataPart(whole ? bytes : bytes.subarray(at - taken, at));
          if (this.left === 0) this.endData();
          break;
        }
        case PAYLOAD:
          at = this.readPayload(bytes, at, length);
          break;
        case PAD_LENGTH:
          this.padding = bytes[at++];
          if (this.padding >= this.view.length) {
            this.broken(BAD_PADDING);
            return;
          }
          this.beginData(this.view.length - 1 - this.padding);
          break;
        case PREFACE:
          if (bytes[at] !== CLIENT_PREFACE[this.headerBytes]) {
            this.broken(BAD_PREFACE);
            return;
          }
          at += 1;
          this.headerBytes += 1;
          if (this.headerBytes === CLIENT_PREFACE.length) {
            this.headerBytes = 0;
            this.state = HEADER;
          }
          break;
        default: {
          const taken = Math.min(this.left, length - at);
          this.left -= taken;
          at += taken;
          if (this.left > 0) break;
          if (this.state === PADDING) this.finishData();
          else this.state = HEADER;
        }
      }
    }
  }

  private readHeader(bytes: Buffer, at: number, length: number): number {
    let next = at + FRAME_HEADER_BYTES;
    if (this.headerBytes === 0 && next <= length) this.view.read(bytes, at);
    else {
      next = Math.min(length, at + FRAME_HEADER_BYTES - this.headerBytes);
      for (let index = at; index < next; index++) this.header[this.headerBytes++] = bytes[index];
      if (this.headerBytes < FRAME_HEADER_BYTES) return next;
      this.headerBytes = 0;
      this.view.read(this.header, 0);
    }
    this.begin();
    return next;
  }

  private begin(): void {
    const { view } = this;
    this.frames += 1;
    if (view.length > this.frameBytesMax) {
      this.broken(BAD_FRAME_SIZE);
      return;
    }
    const verdict = view.check();
    if (verdict < 0) {
      this.broken(verdict);
      return;
    }
    this.left = view.length;
    if (view.type === code.DATA) {
      this.padding = 0;
      if ((view.flags & code.FLAG_PADDED) === 0) this.beginData(view.length);
      else if (view.length === 0) this.broken(BAD_FRAME_SIZE);
      else this.state = PAD_LENGTH;
      return;
    }
    const isBlock = view.type === code.HEADERS || view.type === code.CONTINUATION;
    if (isBlock && view.length > HEADER_BLOCK_BYTES_MAX) {
      this.broken(HEADER_BLOCK_TOO_LARGE);
      return;
    }
    if (view.type === code.PUSH_PROMISE) {
      this.broken(BAD_STREAM_ID);
      return;
    }
    if (view.length === 0 || view.type > code.CONTINUATION) {
      this.state = view.length === 0 ? HEADER : SKIP;
      this.sink.onFrame(this.header, 0);
    } else this.state = PAYLOAD;
  }

  private readPayload(bytes: Buffer, at: number, length: number): number {
    if (this.payload === undefined && length - at >= this.left) {
      const next = at + this.left;
      this.state = HEADER;
      this.sink.onFrame(bytes, at);
      return next;
    }
    this.payload ??= Buffer.allocUnsafe(this.view.length);
    const taken = Math.min(this.left, length - at);
    bytes.copy(this.payload, this.view.length - this.left, at, at + taken);
    this.left -= taken;
    if (this.left === 0) {
      const { payload } = this;
      this.payload = undefined;
      this.state = HEADER;
      this.sink.onFrame(payload, 0);
    }
    return at + taken;
  }

  private beginData(dataBytes: number): void {
    this.left = dataBytes;
    this.state = DATA;
    this.sink.onDataBegin(dataBytes);
    if (dataBytes === 0) this.endData();
  }

  private endData(): void {
    if (this.padding === 0) this.finishData();
    else {
      this.left = this.padding;
      this.state = PADDING;
    }
  }

  private finishData(): void {
    this.state = HEADER;
    if (!this.stopped) this.sink.onDataEnd();
  }

  private broken(reason: number): void {
    this.stopped = true;
    this.sink.onBroken(reason);
  }
}
