/**
 * Spans and log records as OTLP. Each is encoded when it is handed in, a few dozen microseconds at a time, and a request is put together
 * from the encoded pieces: the event loop, which carries traffic, never encodes a whole batch.
 */
import type { Span } from '#telemetry/tracing/span.ts';
import type { MessageCodec } from '#wire/protobuf/message.ts';
import {
  type AnyValue,
  type KeyValue,
  LogRecord,
  type LogRecord as LogRecordValue,
  OtlpSpan,
  type OtlpSpan as OtlpSpanValue,
  Resource,
  type Resource as ResourceValue,
  Scope,
} from './messages.ts';
import { writeSpan } from './span-writer.ts';

export type Signal = 'traces' | 'logs';

/** Records of one resource, encoded. */
export interface ResourceGroup {
  readonly resource: ResourceValue;
  readonly records: readonly Uint8Array[];
}

export interface OtlpEncoding {
  readonly contentType: string;
  span(span: Span): Uint8Array;
  log(record: LogRecordValue): Uint8Array;
  request(signal: Signal, groups: readonly ResourceGroup[]): Uint8Array;
}

const SCOPE = { name: 'tulle', version: '' };
const encoder = new TextEncoder();

// === protobuf ===

/** Field numbers of resource, scopes, scope and records are the same in both signals. */
const TAG_GROUP = 0x0a;
const TAG_RESOURCE = 0x0a;
const TAG_SCOPES = 0x12;
const TAG_SCOPE = 0x0a;
const TAG_RECORD = 0x12;

export const protobufEncoding: OtlpEncoding = {
  contentType: 'application/x-protobuf',
  span: writeSpan,
  log: (record) => LogRecord.encode(record),
  request(_signal, groups) {
    const scope = delimited(TAG_SCOPE, Scope.encode(SCOPE));
    return Buffer.concat(
      groups.map(({ resource, records }) => {
        const scopes = [scope, ...records.map((record) => delimited(TAG_RECORD, record))];
        const inner = [
          delimited(TAG_RESOURCE, Resource.encode(resource)),
          delimited(TAG_SCOPES, Buffer.concat(scopes)),
        ];
        return delimited(TAG_GROUP, Buffer.concat(inner));
      }),
    );
  },
};

function delimited(tag: number, content: Uint8Array): Uint8Array {
  const head = [tag];
  let left = content.length;
  while (left >= 0x80) {
    head.push((left & 0x7f) | 0x80);
    left >>>= 7;
  }
  head.push(left);
  const out = new Uint8Array(head.length + content.length);
  out.set(head);
  out.set(content, head.length);
  return out;
}

// === JSON ===

const COMMA = encoder.encode(',');

/** OTLP's JSON: ids in hexadecimal, 64-bit numbers as text, enumerations as numbers. */
export const jsonEncoding: OtlpEncoding = {
  contentType: 'application/json',
  span: (span) => toJson(OtlpSpan, otlpSpan(span)),
  log: (record) => toJson(LogRecord, record),
  request(signal, groups) {
    const [group, scopes, records] =
      signal === 'traces'
        ? ['resourceSpans', 'scopeSpans', 'spans']
        : ['resourceLogs', 'scopeLogs', 'logRecords'];
    const parts: Uint8Array[] = [encoder.encode(`{"${group}":[`)];
    groups.forEach((each, index) => {
      const resource = JSON.stringify(each.resource, jsonValue);
      const scope = JSON.stringify(SCOPE);
      const open = `{"resource":${resource},"${scopes}":[{"scope":${scope},"${records}":[`;
      parts.push(encoder.encode(`${index === 0 ? '' : ','}${open}`));
      each.records.forEach((record, at) => {
        if (at > 0) parts.push(COMMA);
        parts.push(record);
      });
      parts.push(encoder.encode(']}]}'));
    });
    parts.push(encoder.encode(']}'));
    return Buffer.concat(parts);
  },
};

function toJson<T>(_codec: MessageCodec<T>, value: T): Uint8Array {
  return encoder.encode(JSON.stringify(value, jsonValue));
}

function jsonValue(key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) {
    return value.length === 0 ? undefined : Buffer.from(value).toString('hex');
  }
  if (typeof value === 'bigint') return String(value);
  if (key === 'intValue' && value !== undefined) return String(value);
  return value;
}

// === values ===

const KINDS: Readonly<Record<Span['kind'], number>> = { internal: 1, server: 2, client: 3 };
const STATUSES: Readonly<Record<Span['status'], number>> = { unset: 0, ok: 1, error: 2 };

export function otlpSpan(span: Span): OtlpSpanValue {
  const { status } = span;
  return {
    traceId: idBytes(span.traceId),
    spanId: idBytes(span.spanId),
    traceState: span.traceState,
    parentSpanId: idBytes(span.parentSpanId),
    name: span.name.toWellFormed(),
    kind: KINDS[span.kind],
    startTimeUnixNano: span.startNanos,
    endTimeUnixNano: span.endNanos,
    attributes: keyValues(span.attributes),
    links: span.links.map(({ traceId, spanId }) => ({
      traceId: idBytes(traceId),
      spanId: idBytes(spanId),
    })),
    status:
      status === 'unset'
        ? undefined
        : { code: STATUSES[status], message: span.statusMessage.toWellFormed() },
  };
}

/** Of hexadecimal digits; empty for none. */
export function idBytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

export function keyValues(
  attributes: Readonly<Record<string, string | number | boolean>>,
): KeyValue[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

const NO_VALUE: AnyValue = {
  stringValue: undefined,
  boolValue: undefined,
  intValue: undefined,
  doubleValue: undefined,
};

/** Text is made well-formed: half of a pair has no UTF-8. */
export function anyValue(value: string | number | boolean): AnyValue {
  switch (typeof value) {
    case 'string':
      return { ...NO_VALUE, stringValue: value.toWellFormed() };
    case 'boolean':
      return { ...NO_VALUE, boolValue: value };
    default:
      return Number.isSafeInteger(value)
        ? { ...NO_VALUE, intValue: value }
        : { ...NO_VALUE, doubleValue: value };
  }
}
