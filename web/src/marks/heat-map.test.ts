import { describe, expect, test } from 'bun:test';
import { heatLayers, heatMap } from './heat-map.ts';

const bounds = [1, 5, 10, 25, 50, 100];
const box = { width: 240, height: 120, left: 40, right: 0, top: 0, bottom: 20 };
const base = {
  fromMs: 0,
  stepMs: 1000,
  bounds,
  box,
  label: (ms: number) => `${ms} ms`,
  offsetMinutes: 0,
};

describe('heatMap', () => {
  test('heatMap draws a cell only where requests fell, and only the buckets that were used', () => {
    const { cells, yTicks } = heatMap({
      ...base,
      heat: [
        [0, 0, 4, 1, 0, 0, 0],
        [0, 0, 0, 0, 16, 0, 0],
      ],
    });
    expect(
      cells.map(({ x, y, count, level, lowMs, highMs }) => ({ x, y, count, level, lowMs, highMs })),
    ).toEqual([
      { x: 40, y: 50, count: 4, level: 0.5, lowMs: 5, highMs: 10 },
      { x: 40, y: 25, count: 1, level: 0.25, lowMs: 10, highMs: 25 },
      { x: 140, y: 0, count: 16, level: 1, lowMs: 25, highMs: 50 },
    ]);
    expect(yTicks.map((tick) => [tick.label, tick.at])).toEqual([
      ['5 ms', 75],
      ['10 ms', 50],
      ['25 ms', 25],
      ['50 ms', 0],
    ]);
  });

  test('heatMap places a latency inside the band of its bucket', () => {
    const map = heatMap({ ...base, heat: [[0, 0, 4, 1, 1, 0, 0]] });
    expect(map.y(7.5)).toBe(62.5);
    expect(map.y(1000)).toBe(0);
    expect(map.y(0)).toBe(100);
  });

  test('heatMap shows what is slower than every bound above the last line', () => {
    const [cell] = heatMap({ ...base, heat: [[0, 0, 0, 0, 0, 0, 3]] }).cells;
    expect([cell.lowMs, cell.highMs]).toEqual([100, Number.POSITIVE_INFINITY]);
  });

  test('heatMap of nothing has axes and no cells', () => {
    const map = heatMap({ ...base, heat: [] });
    expect(map.cells).toEqual([]);
    expect(map.yTicks.length).toBeGreaterThan(2);
    expect(map.most).toBe(0);
  });
});

test('heatLayers join cells of about the same level, the faintest first', () => {
  const cell = (x: number, level: number) => ({
    x,
    y: 0,
    width: 10,
    height: 10,
    level,
    count: 1,
    atMs: 0,
    lowMs: 0,
    highMs: 1,
  });
  const layers = heatLayers([cell(0, 1), cell(10, 0.1), cell(20, 0.99)]);
  expect(layers.map((layer) => layer.path.split('M').length - 1)).toEqual([1, 2]);
  expect(layers[1]).toEqual({ level: 1, path: 'M0,0.5h9.5v9h-9.5ZM20,0.5h9.5v9h-9.5Z' });
});
