import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { JsonBytes } from './json-bytes.ts';

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test('JsonBytes.putNumber writes what JSON.stringify writes', () => {
  const bytes = new JsonBytes();
  const number = fc.oneof(
    fc.nat({ max: 20_000 }),
    fc.nat({ max: 0x7fff_ffff }),
    fc.maxSafeNat(),
    fc.constantFrom(0, 1, 10, 100, 0x7fff_ffff, 0x8000_0000, Number.MAX_SAFE_INTEGER),
  );
  fc.assert(
    fc.property(number, fc.constantFrom(0, 2, 4), (scaled, decimals) => {
      bytes.clear();
      bytes.putNumber(scaled, decimals);
      expect(textOf(bytes.peek())).toBe(JSON.stringify(scaled / 10 ** decimals));
    }),
  );
});

test('JsonBytes.put and putBytes keep every character in order, beyond the room there is at first', () => {
  const bytes = new JsonBytes();
  const pieces = ['ü€𝒳"\n', 'x'.repeat(40), 'y'.repeat(70_000), '', 'é'.repeat(100_000)];
  for (const piece of pieces) {
    bytes.put(piece);
    bytes.putBytes(new TextEncoder().encode(piece));
  }
  const whole = pieces.map((piece) => piece + piece).join('');
  const taken = bytes.taken();
  expect(textOf(taken) === whole).toBe(true);
  bytes.put('next');
  expect(textOf(bytes.taken())).toBe('next');
  expect(textOf(taken.subarray(0, 12))).toBe(
    textOf(new TextEncoder().encode(whole).subarray(0, 12)),
  );
});
