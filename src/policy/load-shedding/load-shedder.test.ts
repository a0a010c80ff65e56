import { describe, expect, test } from 'bun:test';
import type { LoadShedding } from '#model/route/traffic-limits.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { AdaptiveBound } from './adaptive-bound.ts';
import { type Admission, LagMeter, LoadShedder } from './load-shedder.ts';

const policyOf = (part: Partial<LoadShedding> = {}): LoadShedding => ({
  id: 'shop/s',
  provenance: { kind: 'LoadShedding', namespace: 'shop', name: 's' },
  retryAfterSeconds: 1,
  ...part,
});
const none = () => undefined;

describe('LoadShedder.admit', () => {
  test('lets in as many as may be in flight, and again when one is over', () => {
    const shedder = new LoadShedder(new FakeClock());
    const policies = [policyOf({ maxRequests: 2 })];
    const first = shedder.admit(policies, none) as Admission;
    expect(shedder.admit(policies, none).refused).toBe(false);
    expect(shedder.admit(policies, none)).toEqual({
      refused: true,
      reason: 'LoadShedding shop/s: 2 requests are in flight, 2 may be',
      retryAfterSeconds: 1,
    });
    first.release(true);
    expect(shedder.admit(policies, none).refused).toBe(false);
  });

  test('less important classes are refused first, unknown ones are the last', () => {
    const priority = { header: 'x-priority', classes: ['critical', 'normal', 'bulk'] };
    const policies = [policyOf({ maxRequests: 8, priority })];
    const letIn = (value: string | undefined) => {
      const shedder = new LoadShedder(new FakeClock());
      let count = 0;
      while (count < 20 && !shedder.admit(policies, () => value).refused) count += 1;
      return count;
    };
    expect(['critical', 'normal', 'bulk', 'other', undefined].map(letIn)).toEqual([8, 6, 4, 4, 4]);
  });

  test('a late event loop refuses, the least important class before the others', () => {
    const clock = new FakeClock();
    const lag = new LagMeter(clock);
    const shedder = new LoadShedder(clock, lag);
    const priority = { header: 'p', classes: ['a', 'b'] };
    const policies = [policyOf({ eventLoopLagMs: 100, priority })];
    lag.lagMs = 60;
    expect(shedder.admit(policies, () => 'a').refused).toBe(false);
    expect(shedder.admit(policies, () => 'b').refused).toBe(true);
    lag.lagMs = 120;
    expect(shedder.admit(policies, () => 'a')).toMatchObject({
      reason: expect.stringContaining('120 ms late'),
    });
  });

  test('several policies: one that refuses counts nothing at the others', () => {
    const shedder = new LoadShedder(new FakeClock());
    const wide = policyOf({ id: 'wide', maxRequests: 2 });
    const narrow = policyOf({ id: 'narrow', maxRequests: 1 });
    shedder.admit([wide, narrow], none);
    for (let count = 0; count < 5; count += 1)
      expect(shedder.admit([wide, narrow], none).refused).toBe(true);
    expect(shedder.admit([wide], none).refused).toBe(false);
  });

  test('lateness is measured only while a policy asks for it', () => {
    const clock = new FakeClock();
    const shedder = new LoadShedder(clock);
    expect(clock.pending).toBe(0);
    shedder.configure([policyOf({ eventLoopLagMs: 50 })]);
    expect(clock.pending).toBe(1);
    shedder.configure([]);
    expect(clock.pending).toBe(0);
  });
});

describe('AdaptiveBound', () => {
  const RANGE = { minRequests: 10, maxRequests: 400, tolerancePercent: 200 };

  /** An application that serves `capacity` requests at a time in 10 ms each; more wait in a queue. */
  function settle(capacity: number, offered: number): number {
    const bound = new AdaptiveBound(RANGE, 0);
    let nowMs = 0;
    while (nowMs < 15_000) {
      const active = Math.min(offered, Math.floor(bound.requests));
      const tookMs = 10 * Math.max(1, active / capacity);
      nowMs += tookMs / active;
      bound.observe(RANGE, { nowMs, tookMs, active });
    }
    return bound.requests;
  }

  test('finds what the application bears: above its capacity, under its tolerance', () => {
    const found = settle(50, 10_000);
    expect(found).toBeGreaterThan(50);
    expect(found).toBeLessThan(200);
  });

  test('does not grow while nobody needs it', () => {
    expect(settle(1000, 4)).toBe(10);
  });

  test('grows to its ceiling when the application never slows down', () => {
    expect(settle(10_000, 10_000)).toBe(400);
  });
});
