import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { ACCESS_LOG_FIELD_CHARS_MAX } from '../limits.ts';
import { formatAccess } from './format.ts';
import { LineBuffer } from './line-buffer.ts';
import { putAccess } from './put-access.ts';
import type { AccessRecord } from './record.ts';

/** Few values, so that lines share with the one before; among them every kind that is not copied as it is. */
const text = fc.constantFrom(
  ...['', '-', 'a', 'GET', '/x?y=1', '198.18.2.7:8080', '198.18.2.8:8080', 'a"b', 'back\\slash'],
  ...[
    'line\nbreak',
    '\u0000\u007f',
    'caf\u00e9',
    '\u20ac',
    '\ud83d\ude00',
    'half \ud83d',
    'ends "',
  ],
  'x'.repeat(ACCESS_LOG_FIELD_CHARS_MAX),
  `${'x'.repeat(ACCESS_LOG_FIELD_CHARS_MAX)}"`,
);
const maybe = fc.option(text, { nil: undefined });
const ms = fc.double({ min: -2, max: 4e9, noNaN: true });
const bytes = fc.oneof(fc.nat(12), fc.nat(2_000_000_000), fc.maxSafeNat());
const record: fc.Arbitrary<AccessRecord> = fc.record({
  startMs: fc.oneof(
    fc.double({ min: 0, max: 8e12, noNaN: true }),
    // Both sides of a second.
    fc.double({ min: 1_800_000_000_990, max: 1_800_000_001_010, noNaN: true }),
  ),
  method: text,
  path: text,
  protocol: text,
  responseCode: fc.constantFrom(0, 200, 503),
  responseFlags: fc.constantFrom('-', 'UF'),
  responseCodeDetails: text,
  upstreamTransportFailure: text,
  bytesReceived: bytes,
  bytesSent: bytes,
  durationMs: ms,
  upstreamServiceMs: ms,
  forwardedFor: maybe,
  userAgent: maybe,
  requestId: maybe,
  authority: text,
  upstreamHost: text,
  upstreamCluster: text,
  downstreamLocal: text,
  downstreamRemote: text,
  routeName: text,
  serverName: maybe,
  note: text,
});

const textOf = (out: LineBuffer) => Buffer.from(out.take()).toString();
const asWritten = (line: string) => Buffer.from(line).toString();

test('putAccess writes what formatAccess says, line after line', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), (records) => {
      const out = new LineBuffer();
      // One object for all, as requests have: nothing of it may be kept.
      const one = { ...records[0] };
      for (const each of records) putAccess(out, Object.assign(one, each));
      const want = records.map((each) => asWritten(formatAccess(each, 'text')));
      expect(textOf(out)).toBe(want.join(''));
    }),
  );
});

describe('LineBuffer', () => {
  test('integer writes any number as String does', () => {
    const rows = [
      0,
      -0,
      1,
      9,
      10,
      99,
      100,
      12_345,
      999_999_999,
      1e9,
      2 ** 40,
      1e21,
      -1,
      Number.NaN,
    ];
    for (const value of rows) {
      const out = new LineBuffer();
      out.integer(value);
      expect(textOf(out)).toBe(String(value));
    }
  });

  test('what was put before stays when it grows, and it is small again when it was taken', () => {
    const out = new LineBuffer();
    let want = '';
    for (let index = 0; index < 2000; index++) {
      const line = `${index} ${'\u00e9'.repeat(index % 100)}\n`;
      out.text(line);
      want += line;
    }
    expect(out.length).toBe(Buffer.byteLength(want));
    expect(textOf(out)).toBe(want);
    expect([out.length, textOf(out)]).toEqual([0, '']);
  });

  test('truncate takes back what came after, also half a field', () => {
    const out = new LineBuffer();
    out.text('a\n');
    const { length } = out;
    out.field('b"c');
    out.part(new Uint8Array([0x64]));
    out.truncate(length);
    out.byte(0x65);
    expect(textOf(out)).toBe('a\ne');
  });
});
