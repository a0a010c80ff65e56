import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { H2Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

const stream = (id: number) => ({ id }) as H2Stream;

describe('StreamTable', () => {
  test('finds each stream by its number, whichever came and ended before, and lists them by it', () => {
    // Few slots and many numbers: they share them, and the table grows.
    const numbers = fc.oneof(
      fc.nat(60).map((index) => 2 * index + 1),
      fc.nat(40).map((index) => 64 * index + 1),
    );
    fc.assert(
      fc.property(fc.array(numbers, { maxLength: 120 }), (acts) => {
        const table = new StreamTable();
        const expected = new Map<number, H2Stream>();
        for (const id of acts) {
          const known = expected.get(id);
          if (known === undefined) {
            expected.set(id, stream(id));
            table.add(expected.get(id) as H2Stream);
          } else {
            expected.delete(id);
            expect(table.remove(known)).toBe(true);
            expect(table.remove(known)).toBe(false);
          }
          expect(table.size).toBe(expected.size);
          for (const each of acts) expect(table.get(each)).toBe(expected.get(each) as H2Stream);
        }
        expect(table.all()).toEqual([...expected.values()].sort((a, b) => a.id - b.id));
      }),
    );
  });
});
