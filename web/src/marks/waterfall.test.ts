import { describe, expect, test } from 'bun:test';
import type { SpanRow, TraceAnswer } from '#console/api/traffic.ts';
import { timeShares, waterfall } from './waterfall.ts';

function span(
  spanId: string,
  parentSpanId: string,
  [startOffsetMs, durationMs]: [number, number],
  more: Partial<SpanRow> = {},
): SpanRow {
  return {
    spanId,
    parentSpanId,
    startOffsetMs,
    durationMs,
    depth: 0,
    name: spanId,
    service: 'products',
    proxy: '',
    kind: 'server',
    isMesh: true,
    status: 'ok',
    statusMessage: '',
    attributes: {},
    ...more,
  };
}

function trace(...spanRows: SpanRow[]): TraceAnswer {
  return {
    traceId: 't',
    at: '',
    durationMs: 100,
    name: 'GET /',
    spans: spanRows.length,
    services: [],
    status: 'ok',
    spanRows,
  };
}

const hops = trace(
  span('node', '', [0, 100]),
  span('waypoint', 'node', [2, 96]),
  span('first-try', 'waypoint', [3, 20]),
  span('second-try', 'waypoint', [30, 66]),
  span('application', 'second-try', [31, 60], { isMesh: false }),
);

describe('waterfall', () => {
  test('waterfall puts children under their parents with shares of the whole', () => {
    const bars = waterfall(hops);
    expect(bars.map((bar) => [bar.span.spanId, bar.left, bar.width])).toEqual([
      ['node', 0, 1],
      ['waypoint', 0.02, 0.96],
      ['first-try', 0.03, 0.2],
      ['second-try', 0.3, 0.66],
      ['application', 0.31, 0.6],
    ]);
  });

  test('waterfall marks the chain of spans that ended last', () => {
    const critical = waterfall(hops).filter((bar) => bar.isCritical);
    expect(critical.map((bar) => bar.span.spanId)).toEqual([
      'node',
      'waypoint',
      'second-try',
      'application',
    ]);
  });

  test('waterfall leaves out what is below a folded span', () => {
    const bars = waterfall(hops, new Set(['second-try']));
    expect(bars.map((bar) => bar.span.spanId)).toEqual([
      'node',
      'waypoint',
      'first-try',
      'second-try',
    ]);
    expect(bars[3].isFolded).toBe(true);
  });

  test('waterfall shows spans whose parent is not in the store, and survives spans that are their own parent', () => {
    const bars = waterfall(trace(span('late', 'elsewhere', [10, 5]), span('loop', 'loop', [0, 5])));
    expect(bars.map((bar) => bar.span.spanId)).toEqual(['late', 'loop']);
  });

  test('waterfall of an instant has finite places', () => {
    expect(waterfall(trace(span('a', '', [0, 0])))[0]).toMatchObject({ left: 0, width: 0 });
  });
});

describe('timeShares', () => {
  test('timeShares counts the time of mesh spans in which no child ran', () => {
    // node 4, waypoint 96 - 20 - 66 = 10, second try 6.
    expect(timeShares(hops)).toEqual({ totalMs: 100, meshMs: 20, beyondMs: 80 });
  });

  test('timeShares does not call the wait of a last hop the time of the mesh', () => {
    expect(timeShares(trace(span('node', '', [0, 50]))).meshMs).toBe(0);
  });
});
