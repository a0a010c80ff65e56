import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { RateLimit } from '#model/route/traffic-limits.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { RATE_LIMIT_KEYS_MAX } from '../limits.ts';
import { RateLimiter } from './rate-limiter.ts';

const limitOf = (part: Partial<RateLimit> = {}): RateLimit => ({
  id: 'shop/l/0',
  provenance: { kind: 'LocalRateLimit', namespace: 'shop', name: 'l' },
  key: { kind: 'overall' },
  requests: 10,
  unitMs: 1000,
  burst: 10,
  ...part,
});
const from = (principal?: string, headers: Record<string, string> = {}) => ({
  principal,
  address: headers.address ?? '198.18.0.1',
  header: (name: string) => headers[name],
});

function setup() {
  const clock = new FakeClock();
  const limiter = new RateLimiter(clock);
  const taken = (limits: RateLimit[], count: number, facts = from()) => {
    let passed = 0;
    for (let each = 0; each < count; each += 1) {
      if (limiter.take(limits, facts) === undefined) passed += 1;
    }
    return passed;
  };
  return { clock, limiter, taken };
}

describe('RateLimiter.take', () => {
  test('lets a burst pass, then what comes back evenly', () => {
    const { clock, taken } = setup();
    expect(taken([limitOf()], 30)).toBe(10);
    clock.advance(99);
    expect(taken([limitOf()], 5)).toBe(0);
    clock.advance(1);
    expect(taken([limitOf()], 5)).toBe(1);
    clock.advance(350);
    expect(taken([limitOf()], 9)).toBe(3);
    clock.advance(60_000);
    expect(taken([limitOf()], 30)).toBe(10);
  });

  test('a refusal says which limit, what is left and when to come back', () => {
    const { clock, limiter, taken } = setup();
    const limit = limitOf({ requests: 1, unitMs: 60_000, burst: 2 });
    taken([limit], 2);
    clock.advance(1000);
    expect(limiter.take([limit], from())).toEqual({
      provenance: limit.provenance,
      reason: 'LocalRateLimit shop/l allows 1 requests in 60 s',
      limit: 2,
      remaining: 0,
      retryAfterSeconds: 59,
      resetSeconds: 119,
    });
  });

  test('every identity, and every header value, has a bucket of its own', () => {
    const { taken } = setup();
    const byIdentity = [limitOf({ key: { kind: 'source-identity' } })];
    expect(taken(byIdentity, 15, from('a'))).toBe(10);
    expect(taken(byIdentity, 15, from('b'))).toBe(10);
    expect(taken(byIdentity, 15, from())).toBe(10);
    const byAddress = [limitOf({ id: 'a', key: { kind: 'source-address' } })];
    expect(taken(byAddress, 15, from('a', { address: '198.18.0.2' }))).toBe(10);
    expect(taken(byAddress, 15, from('b', { address: '198.18.0.3' }))).toBe(10);
    const byHeader = [limitOf({ id: 'h', key: { kind: 'header', name: 'x-user' } })];
    expect(taken(byHeader, 15, from('a', { 'x-user': 'ada' }))).toBe(10);
    expect(taken(byHeader, 15, from('a', { 'x-user': 'ben' }))).toBe(10);
    expect(taken(byHeader, 15, from('b', { 'x-user': 'ada' }))).toBe(0);
  });

  test('of several limits none is spent when one refuses', () => {
    const { clock, taken } = setup();
    const wide = limitOf({ id: 'wide', requests: 5, burst: 5 });
    const narrow = limitOf({ id: 'narrow', requests: 1, burst: 1 });
    expect(taken([wide, narrow], 10)).toBe(1);
    expect(taken([wide], 10)).toBe(4);
    clock.advance(1000);
    expect(taken([wide, narrow], 10)).toBe(1);
  });

  test('limits with one id share their buckets', () => {
    const { taken } = setup();
    expect(taken([limitOf()], 6)).toBe(6);
    expect(taken([{ ...limitOf() }], 6)).toBe(4);
  });

  test('a flood of keys is bounded, and those beyond the bound share one bucket', () => {
    const { clock, limiter, taken } = setup();
    const limit = limitOf({ key: { kind: 'header', name: 'k' }, requests: 1, burst: 1 });
    for (let each = 0; each < RATE_LIMIT_KEYS_MAX; each += 1) {
      limiter.take([limit], from(undefined, { k: String(each) }));
    }
    expect(taken([limit], 1, from(undefined, { k: 'new' }))).toBe(1);
    expect(taken([limit], 1, from(undefined, { k: 'newer' }))).toBe(0);
    expect(limiter.size).toBe(RATE_LIMIT_KEYS_MAX + 1);
    clock.advance(1000);
    expect(taken([limit], 1, from(undefined, { k: 'newest' }))).toBe(1);
    expect(limiter.size).toBeLessThan(3);
  });

  test('retain forgets what is configured no more', () => {
    const { limiter, taken } = setup();
    taken([limitOf()], 3);
    limiter.retain(new Set());
    expect([limiter.size, taken([limitOf()], 30)]).toEqual([0, 10]);
  });

  test('over any time no more pass than burst and refill allow', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 60 });
    const settings = fc.record({
      requests: fc.integer({ min: 1, max: 50 }),
      burst: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(
      fc.property(steps, settings, (gaps, setting) => {
        const { clock, taken } = setup();
        const limit = limitOf(setting);
        let passed = 0;
        let elapsedMs = 0;
        for (const gap of gaps) {
          passed += taken([limit], 7);
          clock.advance(gap);
          elapsedMs += gap;
        }
        expect(passed).toBeLessThanOrEqual(
          setting.burst + (elapsedMs * setting.requests) / 1000 + 1,
        );
      }),
    );
  });
});
