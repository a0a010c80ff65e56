import { describe, expect, test } from 'bun:test';
import { SPAN } from '#test/support/spans.ts';
import { anyValue, jsonEncoding, protobufEncoding } from './encode.ts';
import { ExportLogsRequest, ExportTraceRequest, LogRecord } from './messages.ts';
import { environmentAttributes, resourceOf } from './resource.ts';

const RESOURCE = resourceOf(SPAN, {});
const OTHER = resourceOf({ service: 'other', proxy: 'x/y' }, {});

describe('requests', () => {
  test('protobuf that is put together from pieces is what the whole encodes to', () => {
    const records = [
      protobufEncoding.span(SPAN),
      protobufEncoding.span({ ...SPAN, name: 'x'.repeat(300) }),
    ];
    const groups = [
      { resource: RESOURCE, records },
      { resource: OTHER, records: records.slice(0, 1) },
    ];
    const decoded = ExportTraceRequest.decode(protobufEncoding.request('traces', groups));
    if (typeof decoded === 'string') throw new Error(decoded);
    expect(decoded.resourceSpans.map(({ scopeSpans }) => scopeSpans[0].spans.length)).toEqual([
      2, 1,
    ]);
    expect(decoded.resourceSpans[0].scopeSpans[0].scope?.name).toBe('tulle');
    expect(
      Buffer.from(ExportTraceRequest.encode(decoded)).equals(
        protobufEncoding.request('traces', groups),
      ),
    ).toBe(true);
  });

  test('JSON has ids in hexadecimal, long numbers as text, and no member without value', () => {
    const records = [jsonEncoding.span({ ...SPAN, parentSpanId: '', status: 'unset' })];
    const text = Buffer.from(
      jsonEncoding.request('traces', [{ resource: RESOURCE, records }]),
    ).toString();
    const [{ scopeSpans }] = JSON.parse(text).resourceSpans;
    const [span] = scopeSpans[0].spans;
    expect(span).toMatchObject({
      traceId: SPAN.traceId,
      startTimeUnixNano: '1767323045007000123',
      kind: 2,
    });
    expect(span.attributes[1].value).toEqual({ intValue: '503' });
    expect([
      Object.keys(span).includes('parentSpanId'),
      Object.keys(span).includes('status'),
    ]).toEqual([...[false, false]]);
  });

  test('logs go under their own names', () => {
    const record = LogRecord.create({ body: anyValue('line') });
    const groups = (encoded: Uint8Array) => [{ resource: RESOURCE, records: [encoded] }];
    const decoded = ExportLogsRequest.decode(
      protobufEncoding.request('logs', groups(protobufEncoding.log(record))),
    );
    if (typeof decoded === 'string') throw new Error(decoded);
    expect(decoded.resourceLogs[0].scopeLogs[0].logRecords[0].body?.stringValue).toBe('line');
    const json = jsonEncoding.request('logs', groups(jsonEncoding.log(record)));
    const [{ scopeLogs }] = JSON.parse(Buffer.from(json).toString()).resourceLogs;
    expect(scopeLogs[0].logRecords[0].body).toEqual({ stringValue: 'line' });
  });
});

test('anyValue: half of a surrogate pair has no UTF-8', () => {
  expect(anyValue('a\ud800').stringValue).toBe('a\ufffd');
  expect([anyValue(1).intValue, anyValue(0.5).doubleValue, anyValue(true).boolValue]).toEqual([
    1,
    0.5,
    true,
  ]);
});

test('environmentAttributes leaves out what is malformed', () => {
  expect(environmentAttributes('a=1, b = x%20y ,c,=d,e=%,f=')).toEqual({ a: '1', b: 'x y', f: '' });
  expect(environmentAttributes(undefined)).toEqual({});
});
