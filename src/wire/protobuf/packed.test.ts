import { describe, expect, test } from 'bun:test';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { countPacked, PACKED_REASON, PackedWriter, packedReason, readPacked } from './packed.ts';

const number = fc.oneof(
  fc.nat(300),
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0x7f, 0x80, 0x7fffffff, 0x80000000, 2 ** 32, Number.MAX_SAFE_INTEGER),
);

function packed(values: readonly number[]): Uint8Array {
  const writer = new PackedWriter();
  for (const value of values) writer.add(value);
  return writer.take();
}

describe('PackedWriter', () => {
  test('writes the varints that protobuf writes', () => {
    fc.assert(
      fc.property(fc.array(number), (values) => {
        const writer = new BinaryWriter();
        for (const value of values) writer.uint64(value);
        const isZero = values.every((value) => value === 0);
        expect(Buffer.from(packed(values)).toString('hex')).toBe(
          isZero ? '' : Buffer.from(writer.finish()).toString('hex'),
        );
      }),
    );
  });

  test('begins anew once its bytes are taken', () => {
    const writer = new PackedWriter();
    writer.add(300);
    expect([...writer.take()]).toEqual([0xac, 0x02]);
    writer.add(0);
    expect(writer.take()).toHaveLength(0);
  });
});

describe('readPacked', () => {
  test('reads back what was written, and what protobuf reads', () => {
    fc.assert(
      fc.property(fc.array(number), (values) => {
        const bytes = packed(values);
        const into = new Float64Array(values.length);
        expect(readPacked(bytes, values.length, into)).toBe(0);
        expect([...into]).toEqual(values);
        const reader = new BinaryReader(bytes);
        for (const value of bytes.length === 0 ? [] : values)
          expect(Number(reader.uint64())).toBe(value);
        if (bytes.length > 0) expect(countPacked(bytes)).toBe(values.length);
      }),
    );
  });

  const ROWS: [string, number[], number, number][] = [
    ['ends inside a number', [0x80], 1, PACKED_REASON.cut],
    ['has fewer rows', [1], 2, PACKED_REASON.count],
    ['has more rows', [1, 2], 1, PACKED_REASON.count],
    ['holds 2^53', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], 1, PACKED_REASON.large],
    [
      'holds a varint of nine bytes',
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
      1,
      PACKED_REASON.large,
    ],
  ];
  test.each(ROWS)('a column that %s is refused, and why is said', (_title, bytes, count, want) => {
    const reason = readPacked(Uint8Array.from(bytes), count, new Float64Array(count));
    expect(reason).toBe(want);
    expect(packedReason(reason)).not.toBe('');
  });

  test('takes any bytes without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(64), (bytes, count) => {
        const reason = readPacked(bytes, count, new Float64Array(count));
        expect([0, -1, -2, -3]).toContain(reason);
      }),
    );
  });
});
