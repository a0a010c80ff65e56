import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Span } from '#telemetry/tracing/span.ts';
import { SPAN } from '#test/support/spans.ts';
import { otlpSpan } from './encode.ts';
import { OtlpSpan } from './messages.ts';
import { writeSpan } from './span-writer.ts';

const same = (span: Span) =>
  expect(Buffer.from(writeSpan(span)).toString('hex')).toBe(
    Buffer.from(OtlpSpan.encode(otlpSpan(span))).toString('hex'),
  );

test('writeSpan writes what the table of fields encodes', () => {
  same(SPAN);
  same({ ...SPAN, parentSpanId: '', traceState: '', status: 'unset', links: [], attributes: {} });
  same({ ...SPAN, attributes: { long: 'ä'.repeat(70_000), half: '\ud800', '': 'no name' } });
  same({
    ...SPAN,
    attributes: { a: 127, b: 128, c: 2 ** 31, d: Number.MAX_SAFE_INTEGER, e: 0, f: 1.5 },
  });
});

test('of any span', () => {
  const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
  const nanos = fc.bigInt({ min: 1n, max: 2n ** 63n });
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.maxSafeNat(),
    fc.double({ noNaN: true }).filter((each) => each >= 0 || !Number.isInteger(each)),
    fc.boolean(),
  );
  const span = fc.record({
    traceId: hex(32),
    spanId: hex(16),
    parentSpanId: fc.oneof(hex(16), fc.constant('')),
    traceState: fc.stringMatching(/^[a-z0-9=]{0,200}$/),
    kind: fc.constantFrom<Span['kind']>('server', 'client', 'internal'),
    name: fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
    startNanos: nanos,
    endNanos: nanos,
    status: fc.constantFrom<Span['status']>('unset', 'ok', 'error'),
    statusMessage: fc.string({ unit: 'grapheme', maxLength: 200 }),
    attributes: fc.dictionary(fc.stringMatching(/^[a-z._]{0,140}$/), value),
    links: fc.array(fc.record({ traceId: hex(32), spanId: hex(16) }), { maxLength: 3 }),
    service: fc.constant('s'),
    proxy: fc.constant('n/p'),
  });
  fc.assert(fc.property(span, same), { numRuns: 300 });
});
