import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { linearScale, niceValues, timeTicks } from './scale.ts';

describe('niceValues', () => {
  const rows: [max: number, values: number[]][] = [
    [0, [0, 1]],
    [1, [0, 0.25, 0.5, 0.75, 1]],
    [7, [0, 2, 4, 6, 8]],
    [18.2, [0, 5, 10, 15, 20]],
    [0.031, [0, 0.01, 0.02, 0.03, 0.04]],
    [900, [0, 250, 500, 750, 1000]],
  ];
  for (const [max, values] of rows)
    test(`niceValues of ${max} are ${values.join(', ')}`, () =>
      expect(niceValues(max)).toEqual(values));

  test('niceValues reach the largest value in a handful of steps', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e12, noNaN: true }), (max) => {
        const values = niceValues(max);
        expect(values.at(-1)!).toBeGreaterThanOrEqual(max * 0.999);
        expect(values.length).toBeLessThanOrEqual(5);
      }),
    );
  });
});

describe('timeTicks', () => {
  const fromMs = Date.UTC(2026, 0, 31, 23, 50);
  test('timeTicks fall on whole minutes and have room for their labels', () => {
    const ticks = timeTicks({ fromMs, toMs: fromMs + 60 * 60_000, width: 600, offsetMinutes: 0 });
    expect(ticks.map((tick) => tick.label)).toEqual([
      '23:50',
      '1 Feb',
      '00:10',
      '00:20',
      '00:30',
      '00:40',
      '00:50',
    ]);
    expect(ticks.map((tick) => tick.at)).toEqual([0, 100, 200, 300, 400, 500, 600]);
  });

  test('timeTicks follow the clock of a reader whose hour starts elsewhere', () => {
    const ticks = timeTicks({
      fromMs,
      toMs: fromMs + 2 * 3_600_000,
      width: 300,
      offsetMinutes: 330,
    });
    expect(ticks.map((tick) => tick.label)).toEqual(['05:30', '06:00', '06:30', '07:00']);
  });

  test('timeTicks of a minute show seconds', () => {
    const ticks = timeTicks({ fromMs, toMs: fromMs + 60_000, width: 300, offsetMinutes: 0 });
    expect(ticks.map((tick) => tick.label)).toEqual([
      '23:50:00',
      '23:50:15',
      '23:50:30',
      '23:50:45',
      '23:51:00',
    ]);
  });
});

test('linearScale of an empty domain gives its start, not NaN', () => {
  expect(linearScale([5, 5], [10, 20])(5)).toBe(10);
});
