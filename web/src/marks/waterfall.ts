/**
 * A trace as a waterfall: bars by time, children under their parents, what a reader folded left out, the path that made it take so
 * long, and how much of the time the mesh itself took. Pure.
 *
 * A leaf span of the mesh waits for what lies beyond it, an application without spans: its own time is not counted as the mesh's.
 */
import type { SpanRow, TraceAnswer } from '#console/api/traffic.ts';

export interface WaterfallBar {
  readonly span: SpanRow;
  /** Shares of the whole, 0 to 1. */
  readonly left: number;
  readonly width: number;
  readonly isFolded: boolean;
  readonly children: number;
  /** On the chain of spans that the end waited for. */
  readonly isCritical: boolean;
  /** Its duration without that of its children. */
  readonly selfMs: number;
}

export interface TimeShares {
  readonly totalMs: number;
  readonly meshMs: number;
  readonly beyondMs: number;
}

interface Tree {
  readonly children: ReadonlyMap<string, readonly SpanRow[]>;
  readonly roots: readonly SpanRow[];
}

function treeOf(spans: readonly SpanRow[]): Tree {
  const ids = new Set(spans.map((span) => span.spanId));
  const children = new Map<string, SpanRow[]>();
  const roots: SpanRow[] = [];
  for (const span of spans) {
    if (!ids.has(span.parentSpanId) || span.parentSpanId === span.spanId) roots.push(span);
    else children.set(span.parentSpanId, [...(children.get(span.parentSpanId) ?? []), span]);
  }
  return { children, roots };
}

export function waterfall(
  trace: TraceAnswer,
  folded: ReadonlySet<string> = new Set(),
): WaterfallBar[] {
  const { children, roots } = treeOf(trace.spanRows);
  const { startMs, totalMs } = extent(trace.spanRows);
  const critical = criticalPath(trace.spanRows);
  const bars: WaterfallBar[] = [];
  const walk = (span: SpanRow) => {
    const below = children.get(span.spanId) ?? [];
    const isFolded = folded.has(span.spanId) && below.length > 0;
    bars.push({
      span,
      left: (span.startOffsetMs - startMs) / totalMs,
      width: span.durationMs / totalMs,
      isFolded,
      children: below.length,
      isCritical: critical.has(span.spanId),
      selfMs: selfTime(span, below),
    });
    if (!isFolded) for (const child of below) walk(child);
  };
  for (const root of roots) walk(root);
  return bars;
}

/** From the first start to the last end: children may outlive their parents. */
export function extent(spans: readonly SpanRow[]): { startMs: number; totalMs: number } {
  if (spans.length === 0) return { startMs: 0, totalMs: 1 };
  const startMs = Math.min(...spans.map((span) => span.startOffsetMs));
  const endMs = Math.max(...spans.map((span) => span.startOffsetMs + span.durationMs));
  return { startMs, totalMs: endMs - startMs || 1 };
}

/** Time of the span in which no child ran. */
function selfTime(span: SpanRow, children: readonly SpanRow[]): number {
  const end = span.startOffsetMs + span.durationMs;
  let covered = 0;
  let reached = span.startOffsetMs;
  for (const child of [...children].sort((a, b) => a.startOffsetMs - b.startOffsetMs)) {
    const from = Math.max(reached, child.startOffsetMs);
    const to = Math.min(end, child.startOffsetMs + child.durationMs);
    if (to > from) covered += to - from;
    reached = Math.max(reached, to);
  }
  return Math.max(0, span.durationMs - covered);
}

/** From the longest root always to the child that ended last. */
export function criticalPath(spans: readonly SpanRow[]): ReadonlySet<string> {
  const { children, roots } = treeOf(spans);
  const path = new Set<string>();
  let next = latest(roots);
  while (next !== undefined && !path.has(next.spanId)) {
    path.add(next.spanId);
    next = latest(children.get(next.spanId) ?? []);
  }
  return path;
}

function latest(spans: readonly SpanRow[]): SpanRow | undefined {
  const end = (span: SpanRow) => span.startOffsetMs + span.durationMs;
  return spans.reduce<SpanRow | undefined>(
    (last, span) => (last === undefined || end(span) > end(last) ? span : last),
    undefined,
  );
}

export function timeShares(trace: TraceAnswer): TimeShares {
  const { totalMs } = extent(trace.spanRows);
  const { children } = treeOf(trace.spanRows);
  let meshMs = 0;
  for (const span of trace.spanRows) {
    const below = children.get(span.spanId) ?? [];
    if (span.isMesh && below.length > 0) meshMs += selfTime(span, below);
  }
  const mesh = Math.min(meshMs, totalMs);
  return { totalMs, meshMs: mesh, beyondMs: totalMs - mesh };
}
