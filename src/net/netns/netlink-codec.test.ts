/** Netlink messages as bytes: layout by netlink(7), and what broken bytes give. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  type Attribute,
  decodeAttributes,
  decodeMessages,
  encodeRequests,
  listAttributes,
  textBytes,
} from './netlink-codec.ts';

test('a request is a header, the family header and aligned attributes that may nest', () => {
  const bytes = encodeRequests([
    {
      type: 0x0a06,
      flags: 5,
      sequence: 7,
      header: new Uint8Array([1, 0, 0, 0]),
      attributes: [
        [1, textBytes('ab')],
        [4, [[2, new Uint8Array([9])]]],
      ],
    },
  ]);
  expect(Buffer.from(bytes).toString('hex')).toBe(
    [
      '28000000060a05000700000000000000', // length 40, type, flags, sequence, port
      '01000000',
      '0700010061620000', // 4 + 3 bytes, padded
      '0c000480' + '0500020009000000', // nested
    ].join(''),
  );
});

test('decoding gives back what was encoded, message by message', () => {
  const request = (sequence: number) => ({
    type: 3,
    flags: 1,
    sequence,
    header: new Uint8Array(4),
    attributes: [[1, new Uint8Array([sequence])]] as const,
  });
  const messages = decodeMessages(encodeRequests([request(1), request(2)]));
  expect(messages.map(({ sequence }) => sequence)).toEqual([1, 2]);
  expect(decodeAttributes(messages[1].body.subarray(4)).get(1)).toEqual(new Uint8Array([2]));
});

test('attributes survive any nesting', () => {
  const leaf = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.uint8Array({ maxLength: 40 }));
  fc.assert(
    fc.property(fc.array(leaf, { maxLength: 8 }), (leaves) => {
      const inner: Attribute[] = leaves.map(([type, value]) => [type, value]);
      const request = { type: 16, flags: 1, sequence: 1, header: new Uint8Array(0) };
      const [{ body }] = decodeMessages(encodeRequests([{ ...request, attributes: [[9, inner]] }]));
      const [[type, nested]] = listAttributes(body);
      expect(type).toBe(9);
      expect(listAttributes(nested).map(([t, v]) => [t, [...v]])).toEqual(
        leaves.map(([t, v]) => [t, [...v]]),
      );
    }),
  );
});

test('any bytes are read without an error and without an end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeMessages(bytes);
      listAttributes(bytes);
    }),
  );
});
