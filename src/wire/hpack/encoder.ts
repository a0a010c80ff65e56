/**
 * HPACK encoder (RFC 7541), one per connection and direction. A field whose name and value were sent before is
 * one or two bytes. Values that change with each message stay out of the table; secrets are marked so that no
 * hop stores them. Strings are not Huffman-coded unless asked: in a data centre cycles are dearer than bytes.
 */
import { huffmanEncode, huffmanSize } from './huffman.ts';
import { ENTRY_OVERHEAD_BYTES, TABLE_BYTES } from './limits.ts';
import { STATIC_COUNT, STATIC_INDEX, STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

/** Most bytes a field takes beyond its name and value. */
export const FIELD_OVERHEAD_BYTES = 16;
/** Most bytes of the size updates that may begin a block. */
export const UPDATE_BYTES_MAX = 8;

/** Longer values are unlikely to come again and would push out many short ones. */
const INDEXED_VALUE_BYTES_MAX = 512;
const PLAIN = 0;
const NEVER = 1;
const INDEX = 2;
const POLICY = new Map<string, number>();
for (const name of [
  ...[':path', 'content-length', 'content-range', 'date', 'etag', 'age', 'last-modified'],
  ...[
    'if-none-match',
    'if-modified-since',
    'location',
    'range',
    'expires',
    'forwarded',
    'grpc-timeout',
  ],
  ...['traceparent', 'tracestate', 'b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid'],
  ...['x-request-id', 'x-envoy-upstream-service-time', 'x-forwarded-for', 'cookie', 'set-cookie'],
]) {
  POLICY.set(name, PLAIN);
}
for (const name of ['authorization', 'proxy-authorization', 'x-forwarded-client-cert']) {
  POLICY.set(name, NEVER);
}

/** What all encoders know of a name of the static table. */
interface StaticName {
  readonly index: number;
  /** Value → index. */
  readonly values: Map<string, number>;
}

const NOT_STATIC: StaticName = { index: 0, values: new Map() };
const STATIC = new Map<string, StaticName>();
for (let index = 1; index <= STATIC_COUNT; index++) {
  const name = STATIC_NAMES[index];
  const known = STATIC.get(name) ?? { index: STATIC_INDEX.get(name) ?? 0, values: new Map() };
  STATIC.set(name, known);
  if (STATIC_VALUES[index] !== '') known.values.set(STATIC_VALUES[index], index);
}

/** Of a name that this encoder has written. */
interface NameEntry {
  readonly fixed: StaticName;
  readonly policy: number;
  /** Value → insertion number of the table entry. */
  readonly values: Map<string, number>;
}

export class HpackEncoder {
  private readonly names = new Map<string, NameEntry>();
  private readonly huffman: boolean;
  /** Table entries oldest first; `inserted` counts every one ever, so index = inserted - number + 61. */
  private table: { name: string; value: string }[] = [];
  private first = 0;
  private inserted = 0;
  private tableBytes = 0;
  private tableBytesMax = TABLE_BYTES;
  private pendingSize = -1;
  private pendingMinimum = -1;

  constructor(options: { huffman?: boolean } = {}) {
    this.huffman = options.huffman ?? false;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. Announced at the next block (RFC 7541 §4.2). */
  setTableBytesMax(bytes: number): void {
    const size = Math.min(bytes, TABLE_BYTES);
    if (size === this.tableBytesMax) return;
    this.pendingMinimum = this.pendingMinimum < 0 ? size : Math.min(this.pendingMinimum, size);
    this.pendingSize = size;
    this.tableBytesMax = size;
    this.evict(size);
  }

  /** Begins a block: writes size updates that are due. `out` needs UPDATE_BYTES_MAX of room. */
  begin(out: Uint8Array, offset: number): number {
    if (this.pendingSize < 0) return offset;
    let at = offset;
    if (this.pendingMinimum < this.pendingSize)
      at = writeInteger(out, at, 0x20, 5, this.pendingMinimum);
    at = writeInteger(out, at, 0x20, 5, this.pendingSize);
    this.pendingSize = -1;
    this.pendingMinimum = -1;
    return at;
  }

  /** Writes one field; `out` needs name + value + FIELD_OVERHEAD_BYTES of room. Returns the offset behind it. */
  field(name: string, value: string, out: Buffer, offset: number): number {
    const entry = this.names.get(name) ?? this.staticEntry(name);
    if (entry === undefined) return this.unknown(name, value, out, offset);
    const { fixed, values } = entry;
    const whole = fixed.values.size > 0 ? fixed.values.get(value) : undefined;
    if (whole !== undefined) return writeInteger(out, offset, 0x80, 7, whole);
    const known = values.get(value);
    if (known !== undefined) {
      return writeInteger(out, offset, 0x80, 7, STATIC_COUNT + this.inserted - known);
    }
    let { index } = fixed;
    if (index === 0) {
      for (const number of values.values()) {
        index = STATIC_COUNT + this.inserted - number;
        break;
      }
    }
    const indexed = entry.policy === INDEX && this.insert(name, value, entry);
    let at = indexed
      ? writeInteger(out, offset, 0x40, 6, index)
      : writeInteger(out, offset, entry.policy === NEVER ? 0x10 : 0, 4, index);
    if (index === 0) at = this.string(name, out, at);
    return this.string(value, out, at);
  }

  private unknown(name: string, value: string, out: Buffer, offset: number): number {
    const policy = POLICY.get(name) ?? INDEX;
    let at = offset;
    if (policy === INDEX && this.insert(name, value, undefined)) out[at++] = 0x40;
    else out[at++] = policy === NEVER ? 0x10 : 0;
    at = this.string(name, out, at);
    return this.string(value, out, at);
  }

  /** Of the first use of a name of the static table; undefined for other names. */
  private staticEntry(name: string): NameEntry | undefined {
    const fixed = STATIC.get(name);
    return fixed && this.add(name, fixed);
  }

  private add(name: string, fixed: StaticName): NameEntry {
    const entry = { fixed, policy: POLICY.get(name) ?? INDEX, values: new Map() };
    this.names.set(name, entry);
    return entry;
  }

  private insert(name: string, value: string, known: NameEntry | undefined): boolean {
    const size = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    if (value.length > INDEXED_VALUE_BYTES_MAX || size > this.tableBytesMax) return false;
    this.evict(this.tableBytesMax - size);
    // Eviction may have dropped the last value of this very name, and its entry with it.
    const entry =
      known !== undefined && this.names.get(name) === known ? known : this.add(name, NOT_STATIC);
    this.table.push({ name, value });
    entry.values.set(value, this.inserted);
    this.inserted += 1;
    this.tableBytes += size;
    return true;
  }

  private evict(bytesMax: number): void {
    while (this.first < this.table.length && this.tableBytes > bytesMax) {
      const { name, value } = this.table[this.first++];
      this.tableBytes -= name.length + value.length + ENTRY_OVERHEAD_BYTES;
      const entry = this.names.get(name);
      if (entry === undefined) continue;
      entry.values.delete(value);
      if (entry.values.size === 0 && entry.fixed === NOT_STATIC) this.names.delete(name);
    }
    if (this.first > 256) {
      this.table = this.table.slice(this.first);
      this.first = 0;
    }
  }

  private string(text: string, out: Buffer, offset: number): number {
    if (this.huffman) {
      const size = huffmanSize(text);
      if (size < text.length) {
        return huffmanEncode(text, out, writeInteger(out, offset, 0x80, 7, size));
      }
    }
    const at = writeInteger(out, offset, 0, 7, text.length);
    return writeLatin1(text, out, at);
  }
}

/** Short strings by the character, long ones by the native writer: the call costs more than 20 characters. */
function writeLatin1(text: string, out: Buffer, offset: number): number {
  const length = text.length;
  if (length > 24) out.write(text, offset, 'latin1');
  else for (let index = 0; index < length; index++) out[offset + index] = text.charCodeAt(index);
  return offset + length;
}

/** RFC 7541 §5.1. */
function writeInteger(
  out: Uint8Array,
  offset: number,
  flags: number,
  prefix: number,
  value: number,
): number {
  const mask = (1 << prefix) - 1;
  if (value < mask) {
    out[offset] = flags | value;
    return offset + 1;
  }
  out[offset] = flags | mask;
  let at = offset + 1;
  let rest = value - mask;
  while (rest >= 0x80) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at] = rest;
  return at + 1;
}
