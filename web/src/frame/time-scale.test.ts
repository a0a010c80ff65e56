import { describe, expect, test } from 'bun:test';
import type { Change } from '#console/api/series.ts';
import {
  areaPath,
  flagsOf,
  momentAt,
  positionOf,
  rangeOf,
  ratesOf,
  ticksOf,
} from './time-scale.ts';

const NOW = Date.UTC(2026, 0, 1, 12, 0, 3);
const HOUR = 3_600_000;

describe('rangeOf', () => {
  test('is the last hour, live and for moments in it', () => {
    const range = rangeOf(NOW, undefined);
    expect(range.toMs - range.fromMs).toBe(HOUR);
    expect(range.toMs).toBeGreaterThanOrEqual(NOW);
    expect(rangeOf(NOW, NOW - 600_000)).toEqual(range);
  });

  test('holds an older moment, and does not move with each step of it', () => {
    const at = NOW - 5 * HOUR - 420_000;
    const range = rangeOf(NOW, at);
    expect(range.fromMs).toBeLessThanOrEqual(at);
    expect(range.toMs).toBeGreaterThanOrEqual(at);
    expect(rangeOf(NOW, at + 1000)).toEqual(range);
  });
});

test('positionOf and momentAt are each other’s way back, and stay within', () => {
  const range = rangeOf(NOW, undefined);
  expect(momentAt(positionOf(NOW - 1_234_000, range), range)).toBeCloseTo(NOW - 1_234_000, 3);
  expect(positionOf(NOW - 10 * HOUR, range)).toBe(0);
  expect(momentAt(2, range)).toBe(range.toMs);
});

test('areaPath closes at gaps: what nobody reported is not drawn', () => {
  expect(areaPath([1, 2, null, 2], 2, 11)).toBe(
    'M0.0 11L0.0 6.0L333.3 1.0L333.3 11ZM1000.0 11L1000.0 1.0L1000.0 11Z',
  );
  expect(areaPath([0, 0], 0, 10)).toBe('');
});

test('ratesOf gives the first and the newest step the rate of what is known of them', () => {
  const iso = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();
  const timeline = {
    from: iso(0),
    to: iso(300),
    stepSeconds: 60,
    observedFrom: iso(70),
    observedTo: iso(201),
    requests: [null, 450, 540, 189, null],
    errors: [],
    connections: [],
    failures: [],
    marks: [],
  };
  expect(ratesOf(timeline, timeline.requests)).toEqual([null, 9, 9, 9, null]);
  // Reported early by one proxy: not of no time at all.
  expect(ratesOf({ ...timeline, observedTo: iso(180) }, [null, null, null, 5])[3]).toBe(5);
});

test('flagsOf joins what stands too near and leaves out what is outside', () => {
  const range = rangeOf(NOW, undefined);
  const change = (agoMs: number, version: number): Change => ({
    at: new Date(NOW - agoMs).toISOString(),
    kind: 'config',
    resource: 'VirtualService shop/product',
    change: 'changed',
    summary: '',
    version,
  });
  const flags = flagsOf(
    [change(60_000, 3), change(61_000, 2), change(1_800_000, 1), change(2 * HOUR, 0)],
    range,
    0.01,
  );
  expect(flags.map((flag) => flag.changes.map((each) => each.version))).toEqual([[1], [2, 3]]);
});

test('ticksOf stand at whole ten minutes', () => {
  expect(ticksOf(rangeOf(NOW, undefined)).map((at) => at % 600_000)).toEqual([0, 0, 0, 0, 0, 0]);
});
