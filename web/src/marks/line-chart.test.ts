import { describe, expect, test } from 'bun:test';
import { lineChart, stepAt } from './line-chart.ts';

const box = { width: 140, height: 120, left: 40, right: 0, top: 10, bottom: 10 };
const base = {
  fromMs: 0,
  stepMs: 1000,
  box,
  label: (value: number) => `${value} ms`,
  offsetMinutes: 0,
};

describe('lineChart', () => {
  test('lineChart breaks its line where a value is not known, and dots what stands alone', () => {
    const { lines } = lineChart({
      ...base,
      series: [{ key: 'p95', values: [10, 20, null, 5, null] }],
    });
    expect(lines[0].line).toBe('M50,60L70,10M110,85');
    expect(lines[0].area).toBe('M50,110L50,60L70,10L70,110ZM110,110L110,85L110,110Z');
    expect(lines[0].dots).toEqual([{ x: 110, y: 85 }]);
  });

  test('lineChart puts 0 at the bottom and the round value above the largest at the top', () => {
    const { yTicks } = lineChart({ ...base, series: [{ key: 'a', values: [17] }] });
    expect(yTicks.map((tick) => [tick.label, tick.at])).toEqual([
      ['0 ms', 110],
      ['5 ms', 85],
      ['10 ms', 60],
      ['15 ms', 35],
      ['20 ms', 10],
    ]);
  });

  test('lineChart keeps the axis at topMin over small noise', () => {
    const { yTicks } = lineChart({
      ...base,
      topMin: 0.01,
      series: [{ key: 'a', values: [0.0001] }],
    });
    expect(yTicks.at(-1)!.value).toBe(0.01);
  });

  test('lineChart says that it is empty when no value is known', () => {
    expect(lineChart({ ...base, series: [{ key: 'a', values: [null, null] }] }).isEmpty).toBe(true);
    expect(lineChart({ ...base, series: [{ key: 'a', values: [null, 0] }] }).isEmpty).toBe(false);
  });
});

test('stepAt finds the step under a moment and nothing outside', () => {
  const steps = { fromMs: 1000, stepMs: 500, count: 3 };
  expect([999, 1000, 1499, 1500, 2499, 2500].map((at) => stepAt(at, steps))).toEqual([
    -1, 0, 0, 1, 2, -1,
  ]);
});
