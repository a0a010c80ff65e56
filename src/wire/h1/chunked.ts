/**
 * Chunked bodies (RFC 9112 §7.1). The decoder hands out spans of the caller's bytes, nothing is copied;
 * extensions are skipped, the trailer section is left to a HeadParser ('trailers') at CHUNKED_TRAILERS.
 *
 *   SIZE → [EXTENSION] → SIZE_LF → DATA → DATA_CR → DATA_LF → SIZE …   size 0 → CHUNKED_TRAILERS
 */
import { CR, FIELD_TEXT, LF } from './ascii.ts';
import { CHUNK_EXTENSION_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX } from './limits.ts';
import { BAD_CHUNK_END, BAD_CHUNK_EXTENSION, BAD_CHUNK_SIZE, NEED_MORE } from './reasons.ts';

/** Results of `next` besides NEED_MORE and the negative reasons. */
export const CHUNKED_DATA = 1;
export const CHUNKED_TRAILERS = 2;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const SEMICOLON = 0x3b;

export class ChunkedDecoder {
  /** Where the next call goes on. */
  at = 0;
  /** After CHUNKED_DATA: the piece is [dataStart, at). */
  dataStart = 0;
  private state = SIZE;
  private size = 0;
  private digits = 0;
  private extensionBytes = 0;

  start(): void {
    this.state = SIZE;
    this.size = 0;
    this.digits = 0;
    this.extensionBytes = 0;
  }

  next(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const byte = bytes[at];
      switch (this.state) {
        case SIZE: {
          const digit = hexDigit(byte);
          if (digit >= 0) {
            this.size = this.size * 16 + digit;
            this.digits += 1;
            if (this.digits > CHUNK_SIZE_DIGITS_MAX) return BAD_CHUNK_SIZE;
          } else if (this.digits === 0) return BAD_CHUNK_SIZE;
          else if (byte === CR) this.state = SIZE_LF;
          else if (byte === SEMICOLON) this.state = EXTENSION;
          else return BAD_CHUNK_SIZE;
          at += 1;
          break;
        }
        case EXTENSION:
          if (byte === CR) this.state = SIZE_LF;
          else if (FIELD_TEXT[byte] === 0 || ++this.extensionBytes > CHUNK_EXTENSION_BYTES_MAX) {
            return BAD_CHUNK_EXTENSION;
          }
          at += 1;
          break;
        case SIZE_LF:
          if (byte !== LF) return BAD_CHUNK_SIZE;
          at += 1;
          this.digits = 0;
          this.extensionBytes = 0;
          if (this.size === 0) {
            this.at = at;
            return CHUNKED_TRAILERS;
          }
          this.state = DATA;
          break;
        case DATA: {
          const taken = Math.min(this.size, end - at);
          this.dataStart = at;
          this.at = at + taken;
          this.size -= taken;
          if (this.size === 0) this.state = DATA_CR;
          return CHUNKED_DATA;
        }
        case DATA_CR:
          if (byte !== CR) return BAD_CHUNK_END;
          this.state = DATA_LF;
          at += 1;
          break;
        default:
          if (byte !== LF) return BAD_CHUNK_END;
          this.state = SIZE;
          at += 1;
      }
    }
    this.at = at;
    return NEED_MORE;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Most bytes that `writeChunkSize` writes. */
export const CHUNK_SIZE_BYTES_MAX = CHUNK_SIZE_DIGITS_MAX + 2;
const HEX = Buffer.from('0123456789abcdef');

/** Writes "SIZE CR LF" and returns the offset behind it. */
export function writeChunkSize(size: number, out: Uint8Array, offset: number): number {
  let digits = 1;
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 16)) digits += 1;
  let rest = size;
  for (let at = offset + digits - 1; at >= offset; at--) {
    out[at] = HEX[rest % 16];
    rest = Math.floor(rest / 16);
  }
  out[offset + digits] = CR;
  out[offset + digits + 1] = LF;
  return offset + digits + 2;
}
