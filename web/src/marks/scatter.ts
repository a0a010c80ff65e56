/** Traces as points: when, how long (by its logarithm), and whether it failed. Pure. */
import type { ChartBox } from './line-chart.ts';
import { linearScale, type Tick, timeTicks } from './scale.ts';

export interface ScatterPoint<Row> {
  readonly row: Row;
  readonly x: number;
  readonly y: number;
  readonly isBad: boolean;
}

export interface ScatterInput<Row> {
  readonly rows: readonly Row[];
  readonly atMs: (row: Row) => number;
  readonly valueMs: (row: Row) => number;
  readonly isBad: (row: Row) => boolean;
  readonly box: ChartBox;
  readonly label: (ms: number) => string;
  readonly offsetMinutes?: number;
}

export interface Scatter<Row> {
  readonly points: readonly ScatterPoint<Row>[];
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
}

const LOWEST_MS = 0.1;

export function scatter<Row>({
  rows,
  atMs,
  valueMs,
  isBad,
  box,
  label,
  offsetMinutes,
}: ScatterInput<Row>): Scatter<Row> {
  const times = rows.map(atMs);
  const logs = rows.map((row) => Math.log10(Math.max(LOWEST_MS, valueMs(row))));
  const [fromMs, toMs] = rows.length === 0 ? [0, 1] : [Math.min(...times), Math.max(...times)];
  const low = rows.length === 0 ? 0 : Math.floor(Math.min(...logs));
  const high = Math.max(low + 1, rows.length === 0 ? 3 : Math.ceil(Math.max(...logs)));
  const inner = box.width - box.left - box.right;
  const x = linearScale([fromMs, toMs], [box.left, box.left + inner]);
  const y = linearScale([low, high], [box.height - box.bottom, box.top]);
  return {
    points: rows.map((row, index) => ({
      row,
      x: x(times[index]),
      y: y(logs[index]),
      isBad: isBad(row),
    })),
    xTicks: timeTicks({
      fromMs,
      toMs: Math.max(toMs, fromMs + 1),
      width: inner,
      offsetMinutes,
    }).map((tick) => ({ ...tick, at: tick.at + box.left })),
    yTicks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)).map(
      (value) => ({
        value,
        at: y(Math.log10(value)),
        label: label(value),
      }),
    ),
  };
}
