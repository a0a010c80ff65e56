import { expect, test } from 'bun:test';
import { sparkline } from './spark.ts';

test('sparkline starts at 0, leaves gaps open and ends in a dot', () => {
  const spark = sparkline({ values: [0, 4, null, 2, 8], width: 40, height: 10 });
  expect(spark.line).toBe('M0,9L10,5M30,7L40,1');
  expect(spark.end).toEqual({ x: 40, y: 1 });
  expect(spark.max).toBe(8);
});

test('sparkline without a last value has no end, and one of nothing no line', () => {
  expect(sparkline({ values: [3, null], width: 40, height: 10 }).end).toBeUndefined();
  expect(sparkline({ values: [null, null], width: 40, height: 10 })).toEqual({
    line: '',
    area: '',
    max: 0,
  });
  expect(sparkline({ values: [], width: 40, height: 10 }).line).toBe('');
});

test('sparkline takes the scale that its row shares with others', () => {
  expect(sparkline({ values: [5, 5], width: 10, height: 12, max: 10 }).line).toBe('M0,6L10,6');
});
