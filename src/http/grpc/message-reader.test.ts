import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { frameMessage, MessageReader } from './message-reader.ts';

function reading(bytesMax = 1_000) {
  const messages: Uint8Array[] = [];
  const reader = new MessageReader(bytesMax, (bytes) => messages.push(bytes));
  return { reader, messages };
}

describe('MessageReader', () => {
  test('gives the same messages however their bytes are cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.array(fc.nat(12), { minLength: 1 }), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(frameMessage));
        const { reader, messages: got } = reading();
        let at = 0;
        for (let index = 0; at < bytes.length; index++) {
          const end = at + 1 + cuts[index % cuts.length];
          expect(reader.feed(bytes.subarray(at, end))).toBeUndefined();
          at = end;
        }
        expect(got.map((each) => [...each])).toEqual(sent.map((each) => [...each]));
        expect(reader.partial).toBe(false);
      }),
    );
  });

  test('hands on copies: the bytes belong to the connection', () => {
    const { reader, messages } = reading();
    const bytes = frameMessage(new Uint8Array([1, 2, 3]));
    reader.feed(bytes);
    bytes.fill(9);
    expect([...messages[0]]).toEqual([1, 2, 3]);
  });

  test('knows a message that is not whole', () => {
    const { reader } = reading();
    reader.feed(frameMessage(new Uint8Array(10)).subarray(0, 12));
    expect(reader.partial).toBe(true);
  });

  test('refuses what is too long, before its bytes come, and what is compressed', () => {
    const { reader } = reading(10);
    expect(reader.feed(new Uint8Array([0, 0, 0, 0, 11]))).toBe('a message of 11 bytes, at most 10');
    expect(reading().reader.feed(new Uint8Array([1, 0, 0, 0, 0]))).toContain('compressed');
  });

  test('hands on nothing after stop, not even the rest of what it was fed', () => {
    const got: Uint8Array[] = [];
    const reader: MessageReader = new MessageReader(10, (bytes) => {
      got.push(bytes);
      reader.stop();
    });
    const one = frameMessage(new Uint8Array([1]));
    reader.feed(Buffer.concat([one, one]));
    expect(got.length).toBe(1);
  });
});
