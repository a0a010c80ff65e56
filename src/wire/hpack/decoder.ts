/**
 * HPACK decoder (RFC 7541), one per connection and direction. Fields come out as strings: an indexed one costs a
 * table read, and equal fields of later requests are the very same string.
 *
 * A broken block is a negative reason and ends the connection. A list over its limit, or a name or value with a
 * forbidden byte, is the stream's error only: decoding goes on, so that the table stays in step with the peer's.
 */

import { huffmanDecode, huffmanDecodedMax } from './huffman.ts';
import {
  ENTRY_OVERHEAD_BYTES,
  HEADER_LIST_BYTES_MAX,
  HEADER_LIST_FIELDS_MAX,
  TABLE_BYTES,
  TABLE_ENTRIES_MAX,
} from './limits.ts';
import { BAD_INDEX, BAD_INTEGER, BAD_TABLE_SIZE, TRUNCATED } from './reasons.ts';
import { STATIC_COUNT, STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

/** Buffer with the typed-away native slicer. */
export interface LatinBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
}

const INTEGER_MAX = 1 << 24;
const MASK = TABLE_ENTRIES_MAX - 1;

export class HpackDecoder {
  /** Of the last block: over `listBytesMax` or too many fields; the list is then cut. */
  tooLarge = false;
  /** Of the last block: a name or value holds a byte that RFC 9113 §8.2.1 forbids. */
  malformed = false;
  private readonly listBytesMax: number;
  private names: string[] = [];
  private values: string[] = [];
  private bad: boolean[] = [];
  /** Index of the newest entry in the ring, entries in it, their bytes by RFC 7541 §4.1, and the bound. */
  private newest = 0;
  private entries = 0;
  private tableBytes = 0;
  private tableBytesMax = TABLE_BYTES;
  private at = 0;
  private listBytes = 0;
  private text = '';
  private textBad = false;
  private scratch = Buffer.allocUnsafe(512) as LatinBuffer;

  constructor(listBytesMax: number = HEADER_LIST_BYTES_MAX) {
    this.listBytesMax = listBytesMax;
  }

  /** Appends name, value, name, value… to `fields`. Returns 0, or a negative reason. */
  decode(bytes: Buffer, start: number, end: number, fields: string[]): number {
    this.at = start;
    this.listBytes = 0;
    this.tooLarge = false;
    this.malformed = false;
    let updates = 0;
    let seen = 0;
    while (this.at < end) {
      const byte = bytes[this.at];
      let result = 0;
      if (byte >= 0x80) result = this.indexed(bytes, end, fields);
      else if (byte >= 0x40) result = this.literal(bytes, end, fields, 6);
      else if (byte >= 0x20) {
        // RFC 7541 §4.2: at the beginning of a block, and two at most.
        if (seen > 0 || ++updates > 2) return BAD_TABLE_SIZE;
        result = this.sizeUpdate(bytes, end);
        seen -= 1;
      } else result = this.literal(bytes, end, fields, 4);
      if (result < 0) return result;
      seen += 1;
    }
    return 0;
  }

  private indexed(bytes: Uint8Array, end: number, fields: string[]): number {
    const index = this.integer(bytes, end, 7);
    if (index < 0) return index;
    if (index === 0) return BAD_INDEX;
    if (index <= STATIC_COUNT) {
      this.emit(fields, STATIC_NAMES[index], STATIC_VALUES[index], false);
      return 0;
    }
    const age = index - STATIC_COUNT - 1;
    if (age >= this.entries) return BAD_INDEX;
    const slot = (this.newest - age) & MASK;
    this.emit(fields, this.names[slot], this.values[slot], this.bad[slot]);
    return 0;
  }

  /** With 6 prefix bits the field enters the table, with 4 it does not. */
  private literal(bytes: Buffer, end: number, fields: string[], prefix: number): number {
    const index = this.integer(bytes, end, prefix);
    if (index < 0) return index;
    let name = '';
    let bad = false;
    if (index === 0) {
      const result = this.string(bytes, end, true);
      if (result < 0) return result;
      name = this.text;
      bad = this.textBad;
    } else if (index <= STATIC_COUNT) name = STATIC_NAMES[index];
    else {
      const age = index - STATIC_COUNT - 1;
      if (age >= this.entries) return BAD_INDEX;
      name = this.names[(this.newest - age) & MASK];
      bad = this.bad[(this.newest - age) & MASK];
    }
    const result = this.string(bytes, end, false);
    if (result < 0) return result;
    bad ||= this.textBad;
    this.emit(fields, name, this.text, bad);
    if (prefix === 6) this.insert(name, this.text, bad);
    return 0;
  }

  private emit(fields: string[], name: string, value: string, bad: boolean): void {
    this.listBytes += name.length + value.length + ENTRY_OVERHEAD_BYTES;
    if (bad) this.malformed = true;
    if (this.listBytes > this.listBytesMax || fields.length >= HEADER_LIST_FIELDS_MAX * 2) {
      this.tooLarge = true;
    } else fields.push(name, value);
  }

  private insert(name: string, value: string, bad: boolean): void {
    const size = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.evict(this.tableBytesMax - size);
    // RFC 7541 §4.4: an entry larger than the table empties it, and is no error.
    if (size > this.tableBytesMax) return;
    this.newest = (this.newest + 1) & MASK;
    this.names[this.newest] = name;
    this.values[this.newest] = value;
    this.bad[this.newest] = bad;
    this.entries += 1;
    this.tableBytes += size;
  }

  private evict(bytesMax: number): void {
    while (this.entries > 0 && this.tableBytes > bytesMax) {
      this.entries -= 1;
      const slot = (this.newest - this.entries) & MASK;
      const size = this.names[slot].length + this.values[slot].length + ENTRY_OVERHEAD_BYTES;
      this.tableBytes -= size;
      this.names[slot] = '';
      this.values[slot] = '';
    }
  }

  private sizeUpdate(bytes: Uint8Array, end: number): number {
    const size = this.integer(bytes, end, 5);
    if (size < 0) return size;
    if (size > TABLE_BYTES) return BAD_TABLE_SIZE;
    this.tableBytesMax = size;
    this.evict(size);
    return 0;
  }

  /** RFC 7541 §5.1. */
  private integer(bytes: Uint8Array, end: number, prefix: number): number {
    const mask = (1 << prefix) - 1;
    let value = bytes[this.at++] & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.at >= end) return TRUNCATED;
      const byte = bytes[this.at++];
      value += (byte & 0x7f) << shift;
      if (value > INTEGER_MAX) return BAD_INTEGER;
      if (byte < 0x80) return value;
    }
    return BAD_INTEGER;
  }

  /** Leaves the string in `text` and whether it has a forbidden byte in `textBad`. */
  private string(bytes: Buffer, end: number, isName: boolean): number {
    if (this.at >= end) return TRUNCATED;
    const coded = bytes[this.at] >= 0x80;
    const length = this.integer(bytes, end, 7);
    if (length < 0) return length;
    const start = this.at;
    if (length > end - start) return TRUNCATED;
    this.at = start + length;
    if (!coded) {
      this.textBad = isName ? badName(bytes, start, this.at) : badValue(bytes, start, this.at);
      this.text = (bytes as LatinBuffer).latin1Slice(start, this.at);
      return 0;
    }
    const room = huffmanDecodedMax(length);
    if (room > this.scratch.length) this.scratch = Buffer.allocUnsafe(room * 2) as LatinBuffer;
    const count = huffmanDecode(bytes, start, this.at, this.scratch);
    if (count < 0) return count;
    this.textBad = isName ? badName(this.scratch, 0, count) : badValue(this.scratch, 0, count);
    this.text = this.scratch.latin1Slice(0, count);
    return 0;
  }
}

/** RFC 9113 §8.2.1: no control characters, space, upper case, or above ASCII; ':' only as the first byte. */
function badName(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte <= 0x20 || byte >= 0x7f || (byte >= 0x41 && byte <= 0x5a)) return true;
    if (byte === 0x3a && at > start) return true;
  }
  return false;
}

/** RFC 9113 §8.2.1 forbids NUL, LF, CR and outer white space; RFC 9110 §5.5 the other controls. */
function badValue(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return true;
  }
  if (start === end) return false;
  return bytes[start] <= 0x20 || bytes[end - 1] <= 0x20;
}
