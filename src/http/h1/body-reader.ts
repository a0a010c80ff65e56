/** Reads one message body from a connection's chunks: pieces are spans of the chunk, nothing is copied. */
import * as body from '#wire/h1/body.ts';
import { CHUNKED_DATA, CHUNKED_TRAILERS, ChunkedDecoder } from '#wire/h1/chunked.ts';
import { TRAILER_BYTES_MAX } from '#wire/h1/limits.ts';
import { BAD_TRAILER, NEED_MORE } from '#wire/h1/reasons.ts';
import { fieldName, latin1 } from '../dispatch/field-name.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { HeadReader } from './head-reader.ts';

/** Results of `next` besides NEED_MORE and the negative reasons of wire/h1. */
export const PIECE = 1;
export const END = 2;

const CR = 0x0d;
const LF = 0x0a;

export class BodyReader {
  /** After PIECE: the bytes are [pieceStart, at). After END: the next message begins at `at`. */
  pieceStart = 0;
  at = 0;
  trailers: MessageHead | undefined;
  private kind = body.BODY_NONE;
  private left = 0;
  private inTrailers = false;
  private readonly chunked = new ChunkedDecoder();
  private trailerReader: HeadReader | undefined;

  start(kind: number, length: number): void {
    this.kind = kind;
    this.left = length;
    this.trailers = undefined;
    this.inTrailers = false;
    if (kind === body.BODY_CHUNKED) this.chunked.start();
  }

  /** Bytes of a length-framed body still to come; Infinity when nobody knows. */
  get remaining(): number {
    return this.kind === body.BODY_LENGTH ? this.left : Number.POSITIVE_INFINITY;
  }

  get untilClose(): boolean {
    return this.kind === body.BODY_UNTIL_CLOSE;
  }

  next(bytes: Buffer, at: number, end: number): number {
    this.at = at;
    switch (this.kind) {
      case body.BODY_LENGTH: {
        if (this.left === 0) return END;
        if (at === end) return NEED_MORE;
        const taken = Math.min(this.left, end - at);
        this.left -= taken;
        this.pieceStart = at;
        this.at = at + taken;
        return PIECE;
      }
      case body.BODY_CHUNKED:
        return this.nextChunked(bytes, at, end);
      case body.BODY_UNTIL_CLOSE:
        if (at === end) return NEED_MORE;
        this.pieceStart = at;
        this.at = end;
        return PIECE;
      default:
        return END;
    }
  }

  private nextChunked(bytes: Buffer, at: number, end: number): number {
    let from = at;
    if (!this.inTrailers) {
      const result = this.chunked.next(bytes, at, end);
      if (result === CHUNKED_DATA) {
        this.pieceStart = this.chunked.dataStart;
        this.at = this.chunked.at;
        return PIECE;
      }
      if (result !== CHUNKED_TRAILERS) return result;
      from = this.chunked.at;
      this.at = from;
      if (from + 2 <= end && bytes[from] === CR && bytes[from + 1] === LF) {
        this.at = from + 2;
        return END;
      }
      this.inTrailers = true;
      this.trailerReader ??= new HeadReader(TRAILER_BYTES_MAX);
      this.trailerReader.start('trailers');
    }
    const reader = this.trailerReader;
    if (reader === undefined || from === end) return NEED_MORE;
    const after = reader.read(bytes, from, end);
    if (after <= 0) return after;
    this.at = after;
    return this.takeTrailers(reader);
  }

  /** RFC 9110 §6.5.1: framing and routing fields are not for trailers. */
  private takeTrailers(reader: HeadReader): number {
    const { parser } = reader;
    const { framing, spans } = parser;
    if (framing.chunked || framing.contentLength >= 0 || framing.hostIndex >= 0) return BAD_TRAILER;
    if (parser.count === 0) return END;
    const fields: string[] = [];
    for (let index = 0, span = 0; index < parser.count; index++, span += 4) {
      const ends =
        index < 32 ? (framing.hopByHop >>> index) & 1 : framing.hopByHopBeyond.includes(index);
      if (ends) continue;
      fields.push(fieldName(reader.bytes, spans[span], spans[span + 1]));
      fields.push(latin1(reader.bytes, spans[span + 2], spans[span + 3]));
    }
    this.trailers = new MessageHead();
    this.trailers.adoptFields(fields);
    return END;
  }
}
