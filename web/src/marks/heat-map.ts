/**
 * Latency over time as a heat map: a column a step, a row a bucket, darker for more requests. Only buckets between the fastest and the slowest that were used are
 * drawn, each equally high: bounds grow by factors, so this is a logarithmic axis without its gaps. Pure.
 */

import type { ChartBox } from './line-chart.ts';
import { linearScale, type Scale, type Tick, timeTicks } from './scale.ts';

export interface HeatInput {
  readonly fromMs: number;
  readonly stepMs: number;
  readonly heat: readonly (readonly number[])[];
  /** Upper bound of each bucket in milliseconds; the last bucket of a row has none. */
  readonly bounds: readonly number[];
  readonly box: ChartBox;
  readonly label: (ms: number) => string;
  readonly offsetMinutes?: number;
}

export interface HeatCell {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** 0 to 1. */
  readonly level: number;
  readonly count: number;
  readonly atMs: number;
  readonly lowMs: number;
  /** Infinity for what is above all bounds. */
  readonly highMs: number;
}

export interface HeatMap {
  readonly cells: readonly HeatCell[];
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
  readonly x: Scale;
  /** Place of a latency, between the lines of its bucket. */
  readonly y: Scale;
  readonly most: number;
}

export function heatMap({
  fromMs,
  stepMs,
  heat,
  bounds,
  box,
  label,
  offsetMinutes,
}: HeatInput): HeatMap {
  const [first, last] = usedBuckets(heat);
  const rows = last - first + 1;
  const toMs = fromMs + Math.max(1, heat.length) * stepMs;
  const inner = box.width - box.left - box.right;
  const x = linearScale([fromMs, toMs], [box.left, box.left + inner]);
  const rowHeight = (box.height - box.top - box.bottom) / rows;
  const bottom = box.height - box.bottom;
  const most = heat.reduce((all, row) => row.reduce((top, count) => Math.max(top, count), all), 0);
  const cells: HeatCell[] = [];
  heat.forEach((row, step) => {
    for (let bucket = first; bucket <= last; bucket++) {
      const count = row[bucket] ?? 0;
      if (count === 0) continue;
      cells.push({
        x: x(fromMs + step * stepMs),
        y: bottom - (bucket - first + 1) * rowHeight,
        width: inner / heat.length,
        height: rowHeight,
        // The square root: one slow request beside a thousand quick ones is still seen.
        level: Math.sqrt(count / most),
        count,
        atMs: fromMs + step * stepMs,
        lowMs: bounds[bucket - 1] ?? 0,
        highMs: bounds[bucket] ?? Number.POSITIVE_INFINITY,
      });
    }
  });
  return {
    cells,
    most,
    x,
    y: (ms) => bottom - rowHeight * clamp(bucketPlace(ms, bounds) - first, 0, rows),
    xTicks: timeTicks({ fromMs, toMs, width: inner, offsetMinutes }).map((tick) => ({
      ...tick,
      at: tick.at + box.left,
    })),
    yTicks: edgeTicks({
      first,
      last,
      bounds,
      label,
      place: (edge) => bottom - (edge - first) * rowHeight,
    }),
  };
}

/** Cells of about the same level as one path: a map of thousands of cells is a dozen elements. */
export interface HeatLayer {
  readonly level: number;
  readonly path: string;
}

const LAYERS = 12;
const GAP_FROM_WIDTH = 8;

export function heatLayers(cells: readonly HeatCell[]): HeatLayer[] {
  const paths = new Map<number, string>();
  for (const { x, y, width, height, level } of cells) {
    const layer = Math.ceil(level * LAYERS);
    // Narrow columns touch: gaps as wide as a tenth of them would be what one sees.
    const gap = width < GAP_FROM_WIDTH ? 0 : 0.5;
    const place = `M${round(x)},${round(y + 0.5)}h${round(Math.max(1, width - gap))}v${round(Math.max(1, height - 1))}h-${round(Math.max(1, width - gap))}Z`;
    paths.set(layer, (paths.get(layer) ?? '') + place);
  }
  return [...paths]
    .sort(([a], [b]) => a - b)
    .map(([layer, path]) => ({ level: layer / LAYERS, path }));
}

const round = (value: number) => Math.round(value * 10) / 10;

/** From one below the fastest to the slowest; of an empty map the first few. */
function usedBuckets(heat: readonly (readonly number[])[]): [number, number] {
  let first = Number.POSITIVE_INFINITY;
  let last = -1;
  for (const row of heat)
    for (let bucket = 0; bucket < row.length; bucket++) {
      if (row[bucket] === 0) continue;
      if (bucket < first) first = bucket;
      if (bucket > last) last = bucket;
    }
  return last < 0 ? [0, 5] : [Math.max(0, first - 1), Math.max(last, first + 2)];
}

/** Buckets below `ms`, with the share of its own. */
function bucketPlace(ms: number, bounds: readonly number[]): number {
  const bucket = bounds.findIndex((bound) => ms <= bound);
  if (bucket < 0) return bounds.length + 0.5;
  const low = bounds[bucket - 1] ?? 0;
  return bucket + (ms - low) / (bounds[bucket] - low);
}

interface Edges {
  readonly first: number;
  readonly last: number;
  readonly bounds: readonly number[];
  readonly label: (ms: number) => string;
  readonly place: (edge: number) => number;
}

const LABELS_MAX = 6;

/** The line above bucket n is bounds[n]. */
function edgeTicks({ first, last, bounds, label, place }: Edges): Tick[] {
  const every = Math.ceil((last - first + 1) / LABELS_MAX);
  const ticks: Tick[] = [];
  for (let edge = first + 1; edge <= last + 1 && edge <= bounds.length; edge += every)
    ticks.push({ value: bounds[edge - 1], at: place(edge), label: label(bounds[edge - 1]) });
  return ticks;
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));
