/** The time bar and the charts: what was, step by step. Pure but for the blocks that it reads. */
import { rfc3339At } from '#base/clock.ts';
import { DEFAULT_BOUNDS } from '#telemetry/metrics/istio.ts';
import type { Change, SeriesAnswer, TimelineAnswer } from '../api/series.ts';
import type { RangeRequest, SeriesRequest } from '../console-data.ts';
import { BUCKETS, Counts } from '../store/counts.ts';
import { TIERS, type Tier } from '../store/limits.ts';
import type { OutcomeTable, SeriesTable } from '../store/series-table.ts';
import type { TelemetryStore } from '../store/telemetry-store.ts';
import { readTotals } from '../store/totals.ts';
import { errorsOf, GraphSums } from './graph-sums.ts';
import { codesOf, rate } from './marks.ts';
import { quantile } from './quantile.ts';
import type { EdgeSlot, GraphShape } from './shape.ts';

/** As many points as a chart has pixels to show, and as the console draws smoothly. */
export const POINTS_MAX = 300;
/** Charts of seconds: beyond it the minutes are read, a sixtieth of the blocks. */
const SECONDS_RANGE_MAX = 10 * 60;
const MINUTES_RANGE_MAX = 12 * 3600;
const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

/** Steps that another source told: they come before those of the store. */
export interface EarlierSteps {
  readonly count: number;
  readonly series: SeriesTable;
  readonly outcomes: OutcomeTable;
  /** Undefined: nothing was reported in that step. */
  counts(index: number): Counts | undefined;
}

export interface Steps {
  readonly from: number;
  readonly to: number;
  readonly stepSeconds: number;
  readonly count: number;
  readonly tier: Tier;
}

/** Steps on round times, of a tier that is kept so far back; none shorter than `stepSecondsMin`. */
export function stepsOf(
  { fromMs, toMs }: { fromMs: number; toMs: number },
  secondsFrom: number,
  isCheap: boolean,
  stepSecondsMin = 1,
): Steps {
  const first = Math.floor(fromMs / 1000);
  const last = Math.max(first + 1, Math.ceil(toMs / 1000));
  const range = last - first;
  const isFine =
    first >= secondsFrom && range <= (isCheap ? TIERS[0].keptSeconds : SECONDS_RANGE_MAX);
  const tier: Tier = isFine
    ? 0
    : range <= (isCheap ? TIERS[1].keptSeconds : MINUTES_RANGE_MAX)
      ? 1
      : 2;
  const step = Math.max(
    TIERS[tier].seconds,
    STEPS.find((each) => each >= stepSecondsMin && range / each <= POINTS_MAX) ??
      STEPS[STEPS.length - 1],
  );
  const from = Math.floor(first / step) * step;
  const to = Math.min(Math.ceil(last / step) * step, from + POINTS_MAX * step);
  return { from, to, stepSeconds: step, count: (to - from) / step, tier };
}

export function timelineOf(
  store: TelemetryStore,
  request: RangeRequest,
  marks: readonly Change[],
): TimelineAnswer {
  const kept = store.kept();
  const steps = stepsOf(request, kept.secondsFrom, true);
  const { from, to, stepSeconds, count } = steps;
  const blank = () => new Array<number | null>(count).fill(null);
  const lines = { requests: blank(), errors: blank(), connections: blank(), failures: blank() };
  for (const { tier, start, end } of tiersOf(steps, kept)) {
    for (const { period, totals } of store.blocks.totals(tier, start, end)) {
      const sums = readTotals(totals, request.visible);
      const at = Math.floor((period - from) / stepSeconds);
      if (sums === undefined || at < 0 || at >= count) continue;
      for (const name of ['requests', 'errors', 'connections', 'failures'] as const)
        lines[name][at] = (lines[name][at] ?? 0) + sums[name];
    }
  }
  const observed = store.observed(from, to);
  return {
    from: rfc3339At(from * 1000),
    to: rfc3339At(to * 1000),
    stepSeconds,
    observedFrom: rfc3339At(observed.from * 1000),
    observedTo: rfc3339At(observed.to * 1000),
    ...lines,
    marks,
  };
}

/** What is not yet in whole minutes is read as seconds: the newest point of a line must not wait for its minute. */
function tiersOf(
  { from, to, tier }: Steps,
  kept: { minutesTo: number; hoursTo: number; minutesFrom: number },
) {
  if (tier === 0) return [{ tier, start: from, end: to }];
  const minutesTo = Math.min(to, Math.max(from, kept.minutesTo));
  const recent = { tier: 0 as Tier, start: minutesTo, end: to };
  if (tier === 1) return [{ tier, start: from, end: minutesTo }, recent];
  const hoursTo = Math.min(minutesTo, Math.max(from, kept.hoursTo));
  return [
    { tier, start: from, end: hoursTo },
    { tier: 1 as Tier, start: hoursTo, end: minutesTo },
    recent,
  ];
}

/** The charts of one node or edge. */
export function seriesOf(
  store: TelemetryStore,
  shape: GraphShape,
  request: SeriesRequest,
): SeriesAnswer {
  const kept = store.kept();
  const steps = stepsOf(request, kept.secondsFrom, false);
  return chartsOf(pointsOf(store, shape, request, steps), steps);
}

/** The same, where another source told the first steps. */
export function seriesWithEarlier(
  store: TelemetryStore,
  shapes: { readonly own: GraphShape; readonly earlier: GraphShape },
  request: SeriesRequest,
  { steps, earlier }: { readonly steps: Steps; readonly earlier: EarlierSteps },
): SeriesAnswer {
  const earlierTo = steps.from + earlier.count * steps.stepSeconds;
  const points = pointsOf(store, shapes.own, request, steps, earlierTo);
  const sums = new GraphSums(shapes.earlier);
  for (const { id } of earlier.series.all()) shapes.earlier.slotsOf(id);
  for (let at = 0; at < earlier.count; at++) {
    const counts = earlier.counts(at);
    if (counts === undefined) continue;
    sums.fill(counts, steps.from + (at + 1) * steps.stepSeconds, earlier);
    const point = noPoint(steps.stepSeconds);
    addPoint(point, sums, request);
    points[at] = point;
  }
  return { ...chartsOf(points, steps), prometheusUntil: rfc3339At(earlierTo * 1000) };
}

/** What the store knows of each step from `since` on; undefined where nothing was reported. */
function pointsOf(
  store: TelemetryStore,
  shape: GraphShape,
  request: SeriesRequest,
  steps: Steps,
  since: number = steps.from,
): (Point | undefined)[] {
  const kept = store.kept();
  const { from, stepSeconds, count } = steps;
  const rows = rowsOf(store, shape, request);
  const sums = new GraphSums(shape);
  const own = new Counts();
  const points = Array.from({ length: count }, () => undefined as Point | undefined);
  if (since >= steps.to) return points;
  // The first step begins with the first report, and the last one is not over.
  const observed = store.observed(since, steps.to);
  for (const { tier, start, end } of tiersOf({ ...steps, from: since }, kept))
    store.blocks.each(tier, start, end, (counts, period) => {
      const at = Math.floor((period - from) / stepSeconds);
      if (at < 0 || at >= count) return;
      own.clear();
      addRows(own, counts, rows);
      sums.fill(own, period + TIERS[tier].seconds, store.recorder);
      points[at] ??= noPoint(
        Math.max(
          1,
          Math.min(observed.to, from + (at + 1) * stepSeconds) -
            Math.max(observed.from, from + at * stepSeconds),
        ),
      );
      const point = points[at];
      addPoint(point, sums, request);
    });
  return points;
}

function chartsOf(
  points: readonly (Point | undefined)[],
  { from, to, stepSeconds }: { from: number; to: number; stepSeconds: number },
): SeriesAnswer {
  const whole = noPoint(stepSeconds);
  for (const point of points)
    if (point !== undefined) addTexts(whole, point.responseCodes, point.flags);
  const line = (of: (point: Point) => number | null | undefined) =>
    points.map((point) => (point === undefined ? null : (of(point) ?? null)));
  return {
    from: rfc3339At(from * 1000),
    to: rfc3339At(to * 1000),
    stepSeconds,
    requestsPerSecond: line(({ requests, seconds }) => rate(requests, seconds)),
    errorRate: line(ratio),
    p50Ms: line(({ latency }) => quantile(latency, 0, 0.5)),
    p95Ms: line(({ latency }) => quantile(latency, 0, 0.95)),
    p99Ms: line(({ latency }) => quantile(latency, 0, 0.99)),
    connectionsPerSecond: line(({ opened, seconds }) => rate(opened, seconds)),
    bytesPerSecond: line(({ bytes, seconds }) => rate(bytes, seconds)),
    heat: points.map((point) => (point === undefined ? [] : [...point.latency])),
    bounds: DEFAULT_BOUNDS,
    responseCodes: whole.responseCodes,
    flags: whole.flags,
  };
}

interface Point {
  /** That its counts are of. */
  readonly seconds: number;
  requests: number;
  errors: number;
  opened: number;
  failed: number;
  bytes: number;
  readonly latency: Uint32Array;
  readonly responseCodes: Record<string, number>;
  readonly flags: Record<string, number>;
}

function noPoint(seconds: number): Point {
  return {
    seconds,
    requests: 0,
    errors: 0,
    opened: 0,
    failed: 0,
    bytes: 0,
    latency: new Uint32Array(BUCKETS),
    responseCodes: {},
    flags: {},
  };
}

function addPoint(point: Point, sums: GraphSums, request: SeriesRequest): void {
  for (const slot of edgesFor(sums.shape, request)) {
    if (sums.isIdle(slot)) continue;
    const { edges } = sums;
    const { index } = slot;
    point.requests += edges.requests[index];
    point.errors += errorsOf(sums.classesOf(slot));
    point.opened += edges.opened[index];
    point.failed += edges.failed[index];
    point.bytes += edges.sent[index] + edges.received[index];
    for (let bucket = 0; bucket < BUCKETS; bucket++)
      point.latency[bucket] += edges.latency[index * BUCKETS + bucket];
    const { responseCodes, flags } = codesOf(slot, sums, edges.requests[index]);
    addTexts(point, responseCodes, flags);
  }
}

function addTexts(
  point: Point,
  codes: Record<string, number>,
  flags: Record<string, number>,
): void {
  for (const [code, many] of Object.entries(codes))
    point.responseCodes[code] = (point.responseCodes[code] ?? 0) + many;
  for (const [flag, many] of Object.entries(flags))
    point.flags[flag] = (point.flags[flag] ?? 0) + many;
}

function ratio({ requests, errors, opened, failed }: Point): number | null {
  if (requests > 0) return Math.round((errors / requests) * 10_000) / 10_000;
  const connections = Math.max(opened, failed);
  return connections === 0 ? null : Math.round((failed / connections) * 10_000) / 10_000;
}

function edgesFor(shape: GraphShape, { of }: SeriesRequest): readonly EdgeSlot[] {
  if ('edge' in of) {
    const edge = shape.edge(of.edge);
    return edge === undefined ? [] : [edge];
  }
  const node = shape.node(of.node);
  return (of.direction === 'inbound' ? node?.incoming : node?.outgoing) ?? [];
}

/** Series that count into what is asked for: the others of a block are not summed. */
function rowsOf(
  store: TelemetryStore,
  shape: GraphShape,
  request: SeriesRequest,
): ReadonlySet<number> {
  const rows = new Set<number>();
  for (const { id } of store.recorder.series.all()) shape.slotsOf(id);
  const wanted = new Set(edgesFor(shape, request));
  for (const { id, pair } of store.recorder.series.all())
    if (shape.slotsOf(id).some((slot) => wanted.has(slot))) {
      rows.add(id);
      for (const other of pair.bySource) rows.add(other);
    }
  return rows;
}

function addRows(into: Counts, counts: Counts, rows: ReadonlySet<number>): void {
  for (const row of rows) if (counts.has(row)) into.addRow(row, counts, row);
  into.addOutcomesOf(rows, counts);
}
