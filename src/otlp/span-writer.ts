/**
 * Spans as protobuf, written by hand: lengths are known before the bytes, so nothing is moved or forked, and names of attributes are
 * encoded once: less than half of what the table of fields costs (bench micro-tracing), which stays what it is compared with. A proxy that
 * traces every request encodes two spans for each.
 */
import type { Span } from '#telemetry/tracing/span.ts';
import { ATTRIBUTE_NAMES_MAX } from './limits.ts';

const KINDS: Readonly<Record<Span['kind'], number>> = { internal: 1, server: 2, client: 3 };
const STATUSES: Readonly<Record<Span['status'], number>> = { unset: 0, ok: 1, error: 2 };

/** Field numbers with their wire types. */
const TRACE_ID = 0x0a;
const SPAN_ID = 0x12;
const TRACE_STATE = 0x1a;
const PARENT_ID = 0x22;
const NAME = 0x2a;
const KIND = 0x30;
const START = 0x39;
const END = 0x41;
const ATTRIBUTE = 0x4a;
const LINK = 0x6a;
const STATUS = 0x7a;
const STATUS_MESSAGE = 0x12;
const STATUS_CODE = 0x18;
const LINK_TRACE_ID = 0x0a;
const LINK_SPAN_ID = 0x12;
const KEY = 0x0a;
const VALUE = 0x12;
const STRING_VALUE = 0x0a;
const BOOL_VALUE = 0x10;
const INT_VALUE = 0x18;
const DOUBLE_VALUE = 0x21;

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

const names = new Map<string, Uint8Array>();

/** Names are ours and of custom tags: few. */
function nameBytes(name: string): Uint8Array {
  let bytes = names.get(name);
  if (bytes === undefined) {
    if (names.size >= ATTRIBUTE_NAMES_MAX) names.clear();
    bytes = new Uint8Array(Buffer.from(name));
    names.set(name, bytes);
  }
  return bytes;
}

let out = Buffer.alloc(16 * 1024);
let at = 0;

function reserve(count: number): void {
  if (at + count <= out.length) return;
  const larger = Buffer.alloc(Math.max(out.length * 2, at + count));
  out.copy(larger, 0, 0, at);
  out = larger;
}

function varintLength(value: number): number {
  let length = 1;
  for (let left = value; left >= 0x80; left = Math.floor(left / 128)) length += 1;
  return length;
}

/** Not negative, a safe integer. */
function varint(value: number): void {
  let left = value;
  while (left >= 0x80) {
    out[at++] = (left % 128) | 0x80;
    left = Math.floor(left / 128);
  }
  out[at++] = left;
}

/** Nearly all text is ASCII and short: a loop costs a fraction of a call into the runtime. */
function isAscii(value: string): boolean {
  if (value.length > LOOP_CHARS_MAX) return false;
  for (let index = 0; index < value.length; index++)
    if (value.charCodeAt(index) > 0x7f) return false;
  return true;
}
const LOOP_CHARS_MAX = 512;

/** There is room; `bytes` long, which is the characters' count for ASCII. */
function put(value: string, bytes: number): void {
  if (bytes === value.length && bytes <= LOOP_CHARS_MAX) {
    for (let index = 0; index < bytes; index++) out[at + index] = value.charCodeAt(index);
  } else out.write(value, at, bytes, 'utf8');
  at += bytes;
}

function text(tag: number, value: string): void {
  if (value === '') return;
  const length = isAscii(value) ? value.length : Buffer.byteLength(value);
  reserve(length + 11);
  out[at++] = tag;
  varint(length);
  put(value, length);
}

function id(tag: number, hex: string, bytes: number): void {
  if (hex === '') return;
  reserve(bytes + 2);
  out[at++] = tag;
  out[at++] = bytes;
  out.write(hex, at, bytes, 'hex');
  at += bytes;
}

function nanos(tag: number, value: bigint): void {
  reserve(9);
  out[at++] = tag;
  out.writeBigUInt64LE(value, at);
  at += 8;
}

function attribute(name: string, value: string | number | boolean): void {
  const key = nameBytes(name);
  const isText = typeof value === 'string';
  const isPlain = isText && isAscii(value);
  const content = !isText ? '' : isPlain ? value : value.toWellFormed();
  const textLength = isPlain ? content.length : Buffer.byteLength(content);
  const valueLength = isText
    ? 1 + varintLength(textLength) + textLength
    : scalarLength(value as number | boolean);
  const keyLength = key.length === 0 ? 0 : 1 + varintLength(key.length) + key.length;
  const length = keyLength + 1 + varintLength(valueLength) + valueLength;
  reserve(length + 11);
  out[at++] = ATTRIBUTE;
  varint(length);
  if (keyLength > 0) {
    out[at++] = KEY;
    varint(key.length);
    out.set(key, at);
    at += key.length;
  }
  out[at++] = VALUE;
  varint(valueLength);
  if (isText) {
    out[at++] = STRING_VALUE;
    varint(textLength);
    put(content, textLength);
  } else scalar(value as number | boolean);
}

/** Negative numbers would take ten bytes: they go as doubles, as OTLP allows for any number. */
const isWhole = (value: number) => Number.isSafeInteger(value) && value >= 0;

function scalarLength(value: number | boolean): number {
  if (typeof value === 'boolean') return 2;
  return isWhole(value) ? 1 + varintLength(value) : 9;
}

function scalar(value: number | boolean): void {
  if (typeof value === 'boolean') {
    out[at++] = BOOL_VALUE;
    out[at++] = value ? 1 : 0;
  } else if (isWhole(value)) {
    out[at++] = INT_VALUE;
    varint(value);
  } else {
    out[at++] = DOUBLE_VALUE;
    out.writeDoubleLE(value, at);
    at += 8;
  }
}

export function writeSpan(span: Span): Uint8Array {
  at = 0;
  id(TRACE_ID, span.traceId, TRACE_ID_BYTES);
  id(SPAN_ID, span.spanId, SPAN_ID_BYTES);
  text(TRACE_STATE, span.traceState);
  id(PARENT_ID, span.parentSpanId, SPAN_ID_BYTES);
  text(NAME, span.name.toWellFormed());
  reserve(2);
  out[at++] = KIND;
  out[at++] = KINDS[span.kind];
  nanos(START, span.startNanos);
  nanos(END, span.endNanos);
  const { attributes } = span;
  for (const name in attributes) attribute(name, attributes[name]);
  for (const link of span.links) {
    reserve(2);
    out[at++] = LINK;
    out[at++] = TRACE_ID_BYTES + SPAN_ID_BYTES + 4;
    id(LINK_TRACE_ID, link.traceId, TRACE_ID_BYTES);
    id(LINK_SPAN_ID, link.spanId, SPAN_ID_BYTES);
  }
  if (span.status !== 'unset') status(STATUSES[span.status], span.statusMessage.toWellFormed());
  return new Uint8Array(out.subarray(0, at));
}

function status(code: number, message: string): void {
  const messageLength = Buffer.byteLength(message);
  const withHead = messageLength === 0 ? 0 : 1 + varintLength(messageLength) + messageLength;
  reserve(12);
  out[at++] = STATUS;
  varint(withHead + 2);
  text(STATUS_MESSAGE, message);
  reserve(2);
  out[at++] = STATUS_CODE;
  out[at++] = code;
}
