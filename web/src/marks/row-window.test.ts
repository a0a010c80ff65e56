import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { movedRow, ROWS_AROUND, rowWindow, scrollToRow } from './row-window.ts';

describe('rowWindow', () => {
  test('rowWindow of 2,000 rows makes those in sight and a few around them', () => {
    const view = rowWindow({ count: 2000, rowHeight: 28, scrollTop: 2800, viewHeight: 560 });
    expect(view).toEqual({ first: 92, end: 128, before: 92 * 28, after: (2000 - 128) * 28 });
  });

  test('rowWindow always fills the view, and the heights always sum to the table', () => {
    fc.assert(
      fc.property(
        fc.nat(3000),
        fc.nat(100_000),
        fc.integer({ min: 1, max: 2000 }),
        (count, scrollTop, viewHeight) => {
          const view = rowWindow({ count, rowHeight: 28, scrollTop, viewHeight });
          expect(view.before + view.after + (view.end - view.first) * 28).toBe(count * 28);
          expect((view.end - view.first) * 28).toBeGreaterThanOrEqual(
            Math.min(viewHeight, count * 28),
          );
          expect(view.end - view.first).toBeLessThanOrEqual(viewHeight / 28 + 2 + 2 * ROWS_AROUND);
        },
      ),
    );
  });
});

test('scrollToRow moves as little as it takes', () => {
  const view = { rowHeight: 28, scrollTop: 280, viewHeight: 280 };
  expect(scrollToRow(9, view)).toBe(252);
  expect(scrollToRow(12, view)).toBe(280);
  expect(scrollToRow(20, view)).toBe(308);
});

test('movedRow stops at both ends and ignores other keys', () => {
  const at = { row: 0, count: 30, page: 10 };
  expect(['ArrowUp', 'j', 'PageDown', 'End', 'Enter'].map((key) => movedRow(key, at))).toEqual([
    0,
    1,
    10,
    29,
    undefined,
  ]);
  expect(movedRow('End', { ...at, count: 0 })).toBeUndefined();
});
