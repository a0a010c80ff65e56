import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { CLASS_IN, DNS_REASON, RCODE, TYPE } from './codes.ts';
import { framed, MessageReader } from './framing.ts';
import { decodeMessage, encodeMessage, queryFor } from './message.ts';
import {
  answersQuery,
  bareRefusal,
  readHead,
  readId,
  readQuestion,
  refusalOf,
  withId,
} from './query.ts';

const QUERY = encodeMessage(queryFor(0x1234, 'PrOduct.shop', TYPE.AAAA), 512);

/** `QUERY` as a response, changed. */
function response(change: (bytes: Uint8Array) => void = () => undefined): Uint8Array {
  const bytes = Uint8Array.from(QUERY);
  bytes[2] |= 0x80;
  change(bytes);
  return bytes;
}

describe('readQuestion', () => {
  test('reads name in its case, type and class, and whatever follows', () => {
    const want = { name: 'PrOduct.shop', type: TYPE.AAAA, class: CLASS_IN, end: QUERY.length };
    expect(readQuestion(QUERY)).toEqual(want);
    expect(readQuestion(Uint8Array.from([...QUERY, 1, 2, 3]))).toEqual(want);
  });

  test('cut anywhere is truncated', () => {
    for (let length = 12; length < QUERY.length; length++)
      expect(readQuestion(QUERY.subarray(0, length))).toBe(DNS_REASON.truncated);
  });

  test('no bytes make readHead, readQuestion, answersQuery or the refusals throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const head = readHead(bytes);
        expect(typeof head === 'number').toBe(bytes.length < 12);
        const question = readQuestion(bytes);
        if (typeof question === 'object') {
          expect(question.end).toBeLessThanOrEqual(bytes.length);
          expect(refusalOf(bytes, question.end, 5).length).toBe(question.end);
        }
        expect(bareRefusal(bytes, 1).length).toBe(12);
        answersQuery(QUERY, bytes);
        answersQuery(bytes, bytes);
      }),
    );
  });
});

describe('answersQuery', () => {
  const rows: [title: string, bytes: Uint8Array, want: boolean][] = [
    ['the same question', response(), true],
    ['the question in another case', response((bytes) => (bytes[13] ^= 0x20)), true],
    ['another id', response((bytes) => (bytes[1] ^= 1)), false],
    ['another name', response((bytes) => (bytes[13] = 0x78)), false],
    ['another type', response((bytes) => (bytes[QUERY.length - 3] = TYPE.A)), false],
    ['another class', response((bytes) => (bytes[QUERY.length - 1] = 3)), false],
    ['another opcode', response((bytes) => (bytes[2] |= 0x28)), false],
    ['another number of questions', response((bytes) => (bytes[4] = 1)), false],
    ['a query', QUERY, false],
    ['a failure without a question', bareRefusal(QUERY, RCODE.serverFailure), true],
    ['success without a question', bareRefusal(QUERY, RCODE.noError), false],
    ['half a header', response().subarray(0, 11), false],
    ['half a question', response().subarray(0, 20), false],
  ];
  for (const [title, bytes, want] of rows)
    test(`${title}: ${want}`, () => expect(answersQuery(QUERY, bytes)).toBe(want));
});

describe('rewriting', () => {
  test('withId changes the id alone', () => {
    const copy = withId(QUERY, 0xabcd);
    expect(readId(copy)).toBe(0xabcd);
    expect(copy.subarray(2)).toEqual(QUERY.subarray(2));
    expect(readId(QUERY)).toBe(0x1234);
  });

  test('refusalOf keeps id, opcode, RD and the question as asked', () => {
    const query = Uint8Array.from(QUERY);
    query[2] |= 0x20;
    query[3] |= 0x10;
    const refusal = decodeMessage(refusalOf(query, query.length, RCODE.notImplemented));
    expect(refusal).toMatchObject({
      id: 0x1234,
      response: true,
      opcode: 4,
      authoritative: false,
      recursionDesired: true,
      recursionAvailable: true,
      rcode: RCODE.notImplemented,
      questions: [{ name: 'PrOduct.shop', type: TYPE.AAAA, class: CLASS_IN }],
      answers: [],
    });
  });
});

describe('TCP framing', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 });

  test('any cut gives the same messages', () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat(400)), (whole, cuts) => {
        const stream = Buffer.concat(whole.map((message) => framed(message) ?? Buffer.alloc(0)));
        const reader = new MessageReader();
        const got: Uint8Array[] = [];
        let offset = 0;
        for (const cut of [...cuts, stream.length]) {
          const end = Math.min(offset + cut, stream.length);
          for (const message of reader.read(stream.subarray(offset, end)))
            got.push(Uint8Array.from(message));
          offset = end;
        }
        expect(got).toEqual(whole.map((message) => Uint8Array.from(message)));
        expect(reader.idle).toBe(true);
      }),
    );
  });

  test('what is kept of a chunk is a copy', () => {
    const reader = new MessageReader();
    const chunk = Uint8Array.from([0, 3, 1, 2]);
    expect(reader.read(chunk)).toEqual([]);
    expect(reader.idle).toBe(false);
    chunk.fill(9);
    expect(reader.read(Uint8Array.from([3]))).toEqual([Uint8Array.from([1, 2, 3])]);
  });

  test('a message longer than the length field can say is not framed', () => {
    expect(framed(new Uint8Array(65536))).toBeUndefined();
    expect(framed(new Uint8Array(65535))?.length).toBe(65537);
  });
});
