import { expect, test } from 'bun:test';
import { scatter } from './scatter.ts';

const box = { width: 140, height: 120, left: 40, right: 0, top: 10, bottom: 10 };
const base = {
  atMs: (row: number[]) => row[0],
  valueMs: (row: number[]) => row[1],
  isBad: (row: number[]) => row[2] === 1,
  box,
  label: (ms: number) => `${ms} ms`,
  offsetMinutes: 0,
};

test('scatter puts ten times as long as far up each time', () => {
  const { points, yTicks } = scatter({
    ...base,
    rows: [
      [0, 1, 0],
      [1000, 10, 0],
      [2000, 100, 1],
    ],
  });
  expect(points.map(({ x, y, isBad }) => [x, y, isBad])).toEqual([
    [40, 110, false],
    [90, 60, false],
    [140, 10, true],
  ]);
  expect(yTicks.map((tick) => tick.label)).toEqual(['1 ms', '10 ms', '100 ms']);
});

test('scatter of one point, and of none, has finite places', () => {
  expect(
    scatter({ ...base, rows: [[5, 0, 0]] }).points.every(
      ({ x, y }) => Number.isFinite(x) && Number.isFinite(y),
    ),
  ).toBe(true);
  expect(scatter({ ...base, rows: [] }).points).toEqual([]);
});
