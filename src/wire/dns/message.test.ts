import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { CLASS_IN, DNS_REASON, RCODE, TYPE } from './codes.ts';
import {
  answerTo,
  type DnsMessage,
  decodeMessage,
  encodeMessage,
  queryFor,
  type RecordValue,
} from './message.ts';
import { type Cursor, decodeName, encodeName, labelsOf } from './name.ts';

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'));
const u16 = fc.integer({ min: 0, max: 65535 });
const ipv4 = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 });
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 });

const value: fc.Arbitrary<{ type: number; value: RecordValue }> = fc.oneof(
  ipv4.map((bytes) => ({
    type: TYPE.A,
    value: { kind: 'address' as const, address: bytes.join('.') },
  })),
  fc
    .tuple(fc.constantFrom(TYPE.CNAME, TYPE.PTR, TYPE.NS), name)
    .map(([type, target]) => ({ type, value: { kind: 'name' as const, name: target } })),
  fc.tuple(u16, u16, u16, name).map(([priority, weight, port, target]) => ({
    type: TYPE.SRV,
    value: { kind: 'service' as const, priority, weight, port, target },
  })),
  fc
    .array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 3 })
    .map((strings) => ({ type: TYPE.TXT, value: { kind: 'text' as const, strings } })),
  fc.tuple(u16, name).map(([preference, exchange]) => ({
    type: TYPE.MX,
    value: { kind: 'mail' as const, preference, exchange },
  })),
  fc
    .uint8Array({ maxLength: 30 })
    .map((bytes) => ({ type: 99, value: { kind: 'raw' as const, bytes } })),
);
const record = fc
  .tuple(name, value, fc.integer({ min: 0, max: 0x7fffffff }))
  .map(([owner, rest, ttlSeconds]) => ({ name: owner, class: CLASS_IN, ttlSeconds, ...rest }));
const message: fc.Arbitrary<DnsMessage> = fc.record({
  id: u16,
  response: fc.boolean(),
  opcode: fc.integer({ min: 0, max: 15 }),
  authoritative: fc.boolean(),
  truncated: fc.constant(false),
  recursionDesired: fc.boolean(),
  recursionAvailable: fc.boolean(),
  checkingDisabled: fc.boolean(),
  rcode: fc.integer({ min: 0, max: 15 }),
  questions: fc.array(fc.record({ name, type: u16, class: u16 }), { maxLength: 2 }),
  answers: fc.array(record, { maxLength: 5 }),
  authorities: fc.array(record, { maxLength: 2 }),
  additionals: fc.array(record, { maxLength: 2 }),
  edns: fc.option(
    fc.record({
      version: fc.integer({ min: 0, max: 255 }),
      payloadBytes: u16,
      dnssecOk: fc.boolean(),
    }),
    { nil: undefined },
  ),
});

describe('DNS messages', () => {
  test('decodeMessage after encodeMessage is the identity', () => {
    fc.assert(
      fc.property(message, (whole) => {
        expect(decodeMessage(encodeMessage(whole, 65535))).toEqual(whole);
      }),
    );
  });

  test('a code above 15 is split between header and OPT record', () => {
    const edns = { version: 0, payloadBytes: 1232, dnssecOk: false };
    const wire = encodeMessage({ ...queryFor(1, 'a', TYPE.A), rcode: RCODE.badVersion, edns }, 512);
    expect(wire[3] & 0xf).toBe(0);
    expect((decodeMessage(wire) as DnsMessage).rcode).toBe(16);
  });

  test('AAAA addresses keep their bytes', () => {
    fc.assert(
      fc.property(ipv6, (bytes) => {
        const raw = {
          ...queryFor(1, 'a', TYPE.AAAA),
          answers: [
            {
              name: 'a',
              type: TYPE.AAAA,
              class: 1,
              ttlSeconds: 1,
              value: { kind: 'raw' as const, bytes },
            },
          ],
        };
        const wire = encodeMessage(raw, 512);
        const decoded = decodeMessage(wire);
        expect(typeof decoded === 'object' && encodeMessage(decoded, 512)).toEqual(wire);
      }),
    );
  });

  test('no input makes decodeMessage throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const result = decodeMessage(bytes);
        expect(typeof result === 'object' || result < 0).toBe(true);
      }),
    );
  });

  test('a message cut anywhere is refused', () => {
    fc.assert(
      fc.property(message, fc.nat(), (whole, at) => {
        const bytes = encodeMessage(whole, 65535);
        const result = decodeMessage(bytes.subarray(0, at % bytes.length));
        expect(result).toBe(DNS_REASON.truncated);
      }),
    );
  });

  test('encodeMessage cuts whole answers to the size and sets TC', () => {
    const answers = Array.from({ length: 60 }, (_, index) => ({
      name: 'many.shop.svc.cluster.local',
      type: TYPE.A,
      class: CLASS_IN,
      ttlSeconds: 5,
      value: { kind: 'address' as const, address: `198.18.1.${index + 2}` },
    }));
    const query = { ...queryFor(7, 'many.shop.svc.cluster.local', TYPE.A) };
    const wire = encodeMessage(
      {
        ...answerTo(query, { rcode: RCODE.noError, authoritative: true, payloadBytes: 1232 }),
        answers,
      },
      512,
    );
    const decoded = decodeMessage(wire) as DnsMessage;
    expect(wire.length).toBeLessThanOrEqual(512);
    expect(decoded.truncated).toBe(true);
    expect(decoded.answers.length).toBeGreaterThan(20);
    expect(decoded.answers).toEqual(answers.slice(0, decoded.answers.length));
  });

  const head = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  const REFUSED = [
    { title: 'a short header', bytes: [0, 1, 0], want: DNS_REASON.truncated },
    {
      title: 'a pointer to itself',
      bytes: [...head, 0xc0, 12, 0, 1, 0, 1],
      want: DNS_REASON.compressionLoop,
    },
    {
      title: 'a pointer forwards',
      bytes: [...head, 0xc0, 20, 0, 1, 0, 1],
      want: DNS_REASON.compressionLoop,
    },
    {
      title: 'the reserved label type 0x40',
      bytes: [...head, 0x41, 97, 0, 0, 1, 0, 1],
      want: DNS_REASON.badLabelType,
    },
    { title: 'a label past the end', bytes: [...head, 9, 97], want: DNS_REASON.truncated },
    {
      title: 'bytes after the end',
      bytes: [...head, 0, 0, 1, 0, 1, 5],
      want: DNS_REASON.trailingBytes,
    },
    {
      title: 'an A record of five bytes',
      bytes: [0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5],
      want: DNS_REASON.badRecordLength,
    },
    {
      title: 'more records than fit',
      bytes: [0, 1, 1, 0, 255, 255, 0, 0, 0, 0, 0, 0],
      want: DNS_REASON.tooManyRecords,
    },
  ];
  for (const row of REFUSED) {
    test(`decodeMessage refuses ${row.title}`, () => {
      expect(decodeMessage(Uint8Array.from(row.bytes))).toBe(row.want);
    });
  }
});

describe('names', () => {
  test('any bytes in labels survive text and back', () => {
    const labels = fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 8 });
    fc.assert(
      fc.property(labels, (parts) => {
        const wire = Uint8Array.from([...parts.flatMap((part) => [part.length, ...part]), 0]);
        const cursor: Cursor = { offset: 0 };
        const text = decodeName(wire, cursor);
        const out: number[] = [];
        expect(encodeName(out, text as string, undefined)).toBe(0);
        expect(Uint8Array.from(out)).toEqual(wire);
        expect(cursor.offset).toBe(wire.length);
      }),
    );
  });

  test('a repeated suffix is written once', () => {
    const out: number[] = [];
    const table = new Map<string, number>();
    encodeName(out, 'a.shop.svc', table);
    const first = out.length;
    encodeName(out, 'b.shop.svc', table);
    expect(out.length - first).toBe(4);
  });

  const BAD = [
    { text: 'a..b', want: DNS_REASON.badLabelType },
    { text: `${'x'.repeat(64)}.a`, want: DNS_REASON.labelTooLong },
    { text: new Array(5).fill('y'.repeat(60)).join('.'), want: DNS_REASON.nameTooLong },
  ];
  for (const { text, want } of BAD) {
    test(`labelsOf refuses ${text.slice(0, 12)}`, () => expect(labelsOf(text)).toBe(want));
  }
});
