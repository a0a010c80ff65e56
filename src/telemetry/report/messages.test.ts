import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  EdgeMessage,
  OrderMessage,
  RecordMessage,
  RelayMessage,
  ReportMessage,
  SpanMessage,
  TapMessage,
  WatchMessage,
} from '#wire/protobuf/telemetry.ts';
import type { FlowEdge, FlowPeer } from '../flow/flow-frame.ts';
import type { RequestRecord, TapFilter } from '../requests/request-record.ts';
import type { Span } from '../tracing/span.ts';
import { TAPPED_RECORDS_PER_SECOND_MAX, TEXT_CHARS_MAX } from './limits.ts';
import {
  edgeMessage,
  edgeOf,
  recordMessage,
  recordOf,
  spanMessage,
  spanOf,
  tapMessage,
  tapOf,
} from './messages.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 30 });
const peer: fc.Arbitrary<FlowPeer> = fc.record({
  kind: fc.constantFrom('workload', 'waypoint', 'gateway', 'external', 'unknown'),
  namespace: text,
  workload: text,
  app: text,
  version: text,
  principal: text,
  cluster: text,
});
const reporter = fc.constantFrom('source', 'destination', 'waypoint', 'gateway');
const edge: fc.Arbitrary<FlowEdge> = fc.record({
  id: fc.nat(20_000),
  reporter,
  protocol: fc.constantFrom('http', 'grpc', 'tcp'),
  source: peer,
  destination: peer,
  service: fc.record({ host: text, namespace: text, name: text }),
  isMutualTls: fc.boolean(),
});
const record: fc.Arbitrary<RequestRecord> = fc.record({
  startMs: fc.nat(2 ** 42),
  durationMs: fc.double({ min: 0, noNaN: true }),
  proxy: fc.constant('ns/proxy'),
  reporter,
  protocol: fc.constantFrom('http', 'grpc', 'tcp', 'dns'),
  source: peer,
  sourceAddress: text,
  destination: peer,
  destinationAddress: text,
  service: text,
  isMutualTls: fc.boolean(),
  method: text,
  authority: text,
  path: text,
  status: fc.nat(599),
  grpcStatus: text,
  flags: text,
  reason: text,
  route: text,
  policy: text,
  requestBytes: fc.maxSafeNat(),
  responseBytes: fc.maxSafeNat(),
  attempts: fc.nat(100),
  requestId: text,
  userAgent: text,
  traceId: text,
  spanId: text,
});
const span: fc.Arbitrary<Span> = fc.record({
  traceId: text,
  spanId: text,
  parentSpanId: text,
  traceState: text,
  kind: fc.constantFrom('server', 'client', 'internal'),
  name: text,
  startNanos: fc.bigInt({ min: 0n, max: 2n ** 63n }),
  endNanos: fc.bigInt({ min: 0n, max: 2n ** 63n }),
  status: fc.constantFrom('unset', 'ok', 'error'),
  statusMessage: text,
  attributes: fc.dictionary(
    text,
    fc.oneof(text, fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true })),
  ),
  links: fc.array(fc.record({ traceId: text, spanId: text }), { maxLength: 3 }),
  service: text,
  proxy: fc.constant('ns/proxy'),
});
const tap: fc.Arbitrary<TapFilter> = fc.record({
  namespaces: fc.array(text),
  workloads: fc.array(text),
  services: fc.array(text),
  methods: fc.array(text),
  pathPrefix: text,
  statusFrom: fc.nat(599),
  statusTo: fc.nat(599),
  onlyFailed: fc.boolean(),
  perSecondMax: fc.nat(TAPPED_RECORDS_PER_SECOND_MAX),
});

/** Through the bytes. */
function again<T>(codec: { encode(value: T): Uint8Array; decode(bytes: Uint8Array): T | string }) {
  return (value: T): T => {
    const read = codec.decode(codec.encode(value));
    if (typeof read === 'string') throw new Error(read);
    return read;
  };
}

describe('messages', () => {
  test('edges, records, spans and filters come out as they went in', () => {
    fc.assert(
      fc.property(edge, record, span, tap, (anEdge, aRecord, aSpan, aTap) => {
        expect(edgeOf(again(EdgeMessage)(edgeMessage(anEdge)))).toEqual(anEdge);
        const readRecord = again(RecordMessage)(recordMessage(aRecord));
        expect(recordOf(readRecord, 'ns/proxy')).toEqual(aRecord);
        expect(spanOf(again(SpanMessage)(spanMessage(aSpan)), 'ns/proxy')).toEqual(aSpan);
        expect(tapOf(again(TapMessage)(tapMessage(aTap)))).toEqual(aTap);
      }),
    );
  });

  test('any bytes yield a message or a reason, never a throw', () => {
    const codecs = [ReportMessage, OrderMessage, WatchMessage, RelayMessage];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        for (const codec of codecs)
          expect(['string', 'object']).toContain(typeof codec.decode(bytes));
      }),
    );
  });

  test('long texts are cut on both sides, and a proxy speaks for itself only', () => {
    const long = 'x'.repeat(TEXT_CHARS_MAX + 1);
    const [sample] = fc.sample(record, 1);
    const message = recordMessage({ ...sample, path: long, proxy: 'other/proxy' });
    expect(message.path).toHaveLength(TEXT_CHARS_MAX);
    const read = recordOf({ ...message, path: long }, 'ns/proxy');
    expect(read.path).toHaveLength(TEXT_CHARS_MAX);
    expect(read.proxy).toBe('ns/proxy');
  });

  test('a filter cannot ask for more than a proxy sends', () => {
    const [sample] = fc.sample(tap, 1);
    expect(tapOf(tapMessage({ ...sample, perSecondMax: 1e9, statusTo: 5000 }))).toMatchObject({
      perSecondMax: TAPPED_RECORDS_PER_SECOND_MAX,
      statusTo: 599,
    });
  });

  test('has the golden bytes of a report', () => {
    const report = ReportMessage.create({
      hello: { proxy: 'a/b', version: '1' },
      frames: [Uint8Array.of(8, 1)],
      dropped: { spans: 1, records: 0 },
      resent_since: 7,
      now_ms: 1.5,
    });
    expect(Buffer.from(ReportMessage.encode(report)).toString('hex')).toBe(
      '0a080a03612f621201311a020801320208013807' + '41000000000000f83f',
    );
  });
});
