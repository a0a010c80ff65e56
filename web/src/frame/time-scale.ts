/** The time bar's arithmetic: which hour it shows, where a moment stands, the sparkline, and flags that stand too near. Pure. */
import type { Change, TimelineAnswer } from '#console/api/series.ts';

export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

const HOUR_MS = 3_600_000;
/** The answer's address changes with it, so that is how often it is asked. */
export const STEP_MS = 5000;

/** The last hour; for a moment before it the hour around that moment. */
export function rangeOf(nowMs: number, atMs: number | undefined): Range {
  const end = Math.ceil(nowMs / STEP_MS) * STEP_MS;
  if (atMs === undefined || atMs >= end - HOUR_MS) return { fromMs: end - HOUR_MS, toMs: end };
  const middle = Math.round(atMs / (HOUR_MS / 2)) * (HOUR_MS / 2);
  return { fromMs: middle - HOUR_MS / 2, toMs: middle + HOUR_MS / 2 };
}

/** 0 at the left, 1 at the right, kept within. */
export function positionOf(ms: number, { fromMs, toMs }: Range): number {
  return Math.min(1, Math.max(0, (ms - fromMs) / (toMs - fromMs)));
}

export function momentAt(position: number, { fromMs, toMs }: Range): number {
  return fromMs + Math.min(1, Math.max(0, position)) * (toMs - fromMs);
}

/** An area in a box of 1000 by `height`, with gaps where nobody reported. The scale is the highest of both, so errors are a part of requests. */
export function areaPath(values: readonly (number | null)[], top: number, height: number): string {
  if (values.length < 2 || top <= 0) return '';
  const step = 1000 / (values.length - 1);
  const y = (value: number) => (height - (value / top) * (height - 1)).toFixed(1);
  let path = '';
  let begin = -1;
  for (let at = 0; at <= values.length; at += 1) {
    const value = values[at];
    if (value === null || value === undefined) {
      if (begin >= 0) path += `L${((at - 1) * step).toFixed(1)} ${height}Z`;
      begin = -1;
    } else {
      if (begin < 0) path += `M${(at * step).toFixed(1)} ${height}`;
      if (begin < 0) begin = at;
      path += `L${(at * step).toFixed(1)} ${y(value)}`;
    }
  }
  return path;
}

/** A second, of what is known of each step: the newest one is not over, and would dip. */
export function ratesOf(
  timeline: TimelineAnswer,
  counts: readonly (number | null)[],
): (number | null)[] {
  const [from, observedFrom, observedTo] = [
    timeline.from,
    timeline.observedFrom,
    timeline.observedTo,
  ].map((time) => Date.parse(time) / 1000);
  const { stepSeconds } = timeline;
  return counts.map((count, at) => {
    if (count === null) return null;
    const start = from + at * stepSeconds;
    const known = Math.min(observedTo, start + stepSeconds) - Math.max(observedFrom, start);
    return count / Math.max(1, known);
  });
}

export interface Flag {
  readonly position: number;
  readonly changes: readonly Change[];
}

/** Flags nearer than `apart` (a share of the width) become one. */
export function flagsOf(marks: readonly Change[], range: Range, apart: number): readonly Flag[] {
  const flags: { position: number; changes: Change[] }[] = [];
  for (const change of marks.toSorted((a, b) => (a.at < b.at ? -1 : 1))) {
    const ms = new Date(change.at).getTime();
    if (ms < range.fromMs || ms > range.toMs) continue;
    const position = positionOf(ms, range);
    const last = flags.at(-1);
    if (last !== undefined && position - last.position < apart) last.changes.push(change);
    else flags.push({ position, changes: [change] });
  }
  return flags;
}

/** Every ten minutes. */
export function ticksOf({ fromMs, toMs }: Range): readonly number[] {
  const step = 600_000;
  const ticks: number[] = [];
  for (let at = Math.ceil(fromMs / step) * step; at < toMs; at += step) ticks.push(at);
  return ticks;
}
