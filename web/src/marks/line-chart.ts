/**
 * Values over time to the marks of a chart: one path a series, broken where nobody reported, with the ticks of both axes. `null` is
 * "not known" and never drawn as 0. Pure.
 */
import { linearScale, niceValues, type Scale, type Tick, timeTicks } from './scale.ts';

export interface Series {
  readonly key: string;
  readonly values: readonly (number | null)[];
}

export interface ChartBox {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface LineChartInput {
  readonly fromMs: number;
  readonly stepMs: number;
  /** Of the axis; the last value's end when absent. */
  readonly toMs?: number;
  readonly series: readonly Series[];
  readonly box: ChartBox;
  readonly label: (value: number) => string;
  /** The axis reaches at least here, so that small noise does not fill the chart. */
  readonly topMin?: number;
  readonly offsetMinutes?: number;
}

export interface LineMark {
  readonly key: string;
  readonly line: string;
  readonly area: string;
  /** Values that stand alone between gaps: a line of one point is not seen. */
  readonly dots: readonly { readonly x: number; readonly y: number }[];
}

export interface LineChart {
  readonly lines: readonly LineMark[];
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
  readonly x: Scale;
  readonly y: Scale;
  readonly isEmpty: boolean;
}

export function lineChart(input: LineChartInput): LineChart {
  const { box, fromMs, stepMs, series } = input;
  const count = Math.max(1, ...series.map((each) => each.values.length));
  const toMs = input.toMs ?? fromMs + count * stepMs;
  const max = series.reduce(
    (most, each) => Math.max(most, largest(each.values)),
    input.topMin ?? 0,
  );
  const values = niceValues(max, box.height < 120 ? 2 : 4);
  const inner = box.width - box.left - box.right;
  const x = linearScale([fromMs, toMs], [box.left, box.left + inner]);
  const y = linearScale([0, values.at(-1)!], [box.height - box.bottom, box.top]);
  return {
    lines: series.map((each) => drawLine(each, { fromMs, stepMs, x, y })),
    xTicks: timeTicks({ fromMs, toMs, width: inner, offsetMinutes: input.offsetMinutes }).map(
      (tick) => ({
        ...tick,
        at: tick.at + box.left,
      }),
    ),
    yTicks: values.map((value) => ({ value, at: y(value), label: input.label(value) })),
    x,
    y,
    isEmpty: series.every((each) => each.values.every((value) => value === null)),
  };
}

function largest(values: readonly (number | null)[]): number {
  let most = 0;
  for (const value of values) if (value !== null && value > most) most = value;
  return most;
}

interface Place {
  readonly fromMs: number;
  readonly stepMs: number;
  readonly x: Scale;
  readonly y: Scale;
}

/** A point stands in the middle of its step. */
function drawLine({ key, values }: Series, { fromMs, stepMs, x, y }: Place): LineMark {
  let line = '';
  let area = '';
  const dots: { x: number; y: number }[] = [];
  const base = round(y(0));
  for (let start = 0; start < values.length; ) {
    if (values[start] === null) {
      start++;
      continue;
    }
    let end = start;
    while (end < values.length && values[end] !== null) end++;
    const points = values.slice(start, end).map((value, index) => ({
      x: round(x(fromMs + (start + index + 0.5) * stepMs)),
      y: round(y(value!)),
    }));
    if (points.length === 1) dots.push(points[0]);
    const run = points.map((point) => `${point.x},${point.y}`).join('L');
    line += `M${run}`;
    area += `M${points[0].x},${base}L${run}L${points.at(-1)!.x},${base}Z`;
    start = end;
  }
  return { key, line, area, dots };
}

const round = (value: number) => Math.round(value * 10) / 10;

/** Index of the step under `atMs`, or -1 outside. */
export function stepAt(
  atMs: number,
  { fromMs, stepMs, count }: { fromMs: number; stepMs: number; count: number },
): number {
  const index = Math.floor((atMs - fromMs) / stepMs);
  return index >= 0 && index < count ? index : -1;
}
