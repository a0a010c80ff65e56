/** Spans of one trace in the order in which they are drawn: each under its parent, by time, with its depth. Pure; loops and lost parents do no harm. */
import type { Span } from '#telemetry/tracing/span.ts';
import type { SpanRow } from '../api/traffic.ts';

export function waterfall(spans: readonly Span[]): SpanRow[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const unique = [...byId.values()];
  const children = Map.groupBy(unique, ({ parentSpanId, spanId }) =>
    parentSpanId !== spanId && byId.has(parentSpanId) ? parentSpanId : '',
  );
  const start = startOf(unique);
  const rows: SpanRow[] = [];
  const seen = new Set<string>();
  const walk = (roots: readonly Span[]) => {
    const stack = roots.map((span) => ({ span, depth: 0 })).reverse();
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { span, depth } = next;
      if (seen.has(span.spanId)) continue;
      seen.add(span.spanId);
      rows.push(rowOf(span, depth, start));
      const below = sorted(children.get(span.spanId) ?? []);
      for (const child of below.reverse()) stack.push({ span: child, depth: depth + 1 });
    }
  };
  walk(sorted(children.get('') ?? []));
  // Spans that are each other's parents hang on no root.
  for (const span of sorted(unique)) if (!seen.has(span.spanId)) walk([span]);
  return rows;
}

/** The span that the trace is named after: the outermost, of several the first. */
export function rootOf(spans: readonly Span[]): Span | undefined {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const roots = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId));
  return sorted(roots.length > 0 ? roots : spans)[0];
}

export function startOf(spans: readonly Span[]): bigint {
  let first = spans[0]?.startNanos ?? 0n;
  for (const { startNanos } of spans) if (startNanos < first) first = startNanos;
  return first;
}

export function endOf(spans: readonly Span[]): bigint {
  let last = 0n;
  for (const { endNanos } of spans) if (endNanos > last) last = endNanos;
  return last;
}

/** Clocks of two machines differ: of equal starts the longer one is the outer one. */
function sorted(spans: readonly Span[]): Span[] {
  return spans.toSorted((left, right) =>
    left.startNanos === right.startNanos
      ? Number(right.endNanos - left.endNanos)
      : left.startNanos < right.startNanos
        ? -1
        : 1,
  );
}

function rowOf(span: Span, depth: number, start: bigint): SpanRow {
  return {
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    depth,
    name: span.name,
    service: span.service,
    proxy: span.proxy,
    kind: span.kind,
    isMesh: span.proxy !== '',
    startOffsetMs: milliseconds(span.startNanos - start),
    durationMs: Math.max(0, milliseconds(span.endNanos - span.startNanos)),
    status: span.status,
    statusMessage: span.statusMessage,
    attributes: span.attributes,
  };
}

/** With three decimals. */
export function milliseconds(nanos: bigint): number {
  return Number(nanos / 1000n) / 1000;
}
