import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import type { TrafficPolicy } from '#model/route/route-table.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { hashText } from '../hash/hash-text.ts';
import { type Candidate, createPicker } from './pick.ts';

interface Named extends Candidate {
  active: number;
  usable: boolean;
  readonly since: number;
  readonly name: number;
}

const candidates = (...weights: number[]): Named[] =>
  weights.map((weight, name) => ({
    weight,
    active: 0,
    address: `198.18.1.${name}:80`,
    usable: true,
    since: 0,
    name,
  }));

type Policy = Pick<TrafficPolicy, 'loadBalancer' | 'hash' | 'warmup'>;

function pickerOf(policy: Policy, available: Named[], clock = new FakeClock()) {
  return createPicker(
    { policy, members: available, available },
    { clock, random: seededRandom(7) },
  );
}

function shares(policy: Policy, available: Named[], draws = 6000): number[] {
  const picker = pickerOf(policy, available);
  const counts = available.map(() => 0);
  for (let draw = 0; draw < draws; draw += 1) counts[picker.pick(undefined, 0)?.name ?? -1] += 1;
  return counts.map((count) => count / draws);
}

describe('every policy', () => {
  const hash = { keys: [], size: 1021 };
  const policies: [string, Policy][] = [
    ['least-request', { loadBalancer: 'least-request' }],
    ['round-robin', { loadBalancer: 'round-robin' }],
    ['random', { loadBalancer: 'random' }],
    ['passthrough', { loadBalancer: 'passthrough' }],
    ['maglev', { loadBalancer: 'random', hash: { ...hash, algorithm: 'maglev' } }],
    ['ring-hash', { loadBalancer: 'random', hash: { ...hash, algorithm: 'ring-hash' } }],
  ];
  test.each(policies)(
    '%s spreads equal endpoints evenly and takes a single one',
    (name, policy) => {
      const tolerance = name === 'ring-hash' ? 0.1 : 0.03;
      for (const share of shares(policy, candidates(1, 1, 1)))
        expect(Math.abs(share - 1 / 3)).toBeLessThan(tolerance);
      expect(shares(policy, candidates(1))).toEqual([1]);
    },
  );

  test.each(policies)('%s follows weights', (name, policy) => {
    const [heavy] = shares(policy, candidates(3, 1));
    expect(Math.abs(heavy - 0.75)).toBeLessThan(name === 'ring-hash' ? 0.1 : 0.03);
  });
});

test('round-robin rotates equal endpoints and interleaves weighted ones', () => {
  const rotation = pickerOf({ loadBalancer: 'round-robin' }, candidates(1, 1, 1));
  const names = Array.from({ length: 6 }, () => rotation.pick(undefined, 0)?.name);
  expect(names.slice(3)).toEqual(names.slice(0, 3));
  expect(new Set(names).size).toBe(3);
  const weighted = pickerOf({ loadBalancer: 'round-robin' }, candidates(3, 1));
  const order = Array.from({ length: 40 }, () => weighted.pick(undefined, 0)?.name).join('');
  expect(order.split('1')).toHaveLength(11);
  expect(order).not.toMatch(/11|00000/);
});

test('least-request prefers the endpoint with fewer requests', () => {
  const [busy, idle] = candidates(1, 1);
  busy.active = 4;
  const picker = pickerOf({ loadBalancer: 'least-request' }, [busy, idle]);
  for (let draw = 0; draw < 50; draw += 1) expect(picker.pick(undefined, 0)).toBe(idle);
});

test('least-request with weights gives a busy endpoint less than its weight says', () => {
  const [large, small] = candidates(10, 1);
  large.active = 9;
  const picker = pickerOf({ loadBalancer: 'least-request' }, [large, small]);
  let larges = 0;
  for (let draw = 0; draw < 1000; draw += 1) if (picker.pick(undefined, 0) === large) larges += 1;
  expect(Math.abs(larges - 500)).toBeLessThan(20);
});

describe('warm-up', () => {
  const warmup = { durationMs: 60_000, minimumPercent: 10, aggression: 1 };

  test.each(['round-robin', 'least-request'] as const)(
    '%s gives a new endpoint a growing share, then the same as the others',
    async (loadBalancer) => {
      const clock = new FakeClock();
      const [old, fresh] = candidates(1, 1);
      const picker = pickerOf(
        { loadBalancer, warmup },
        [
          { ...old, since: clock.now() - 60_000 },
          { ...fresh, since: clock.now() },
        ],
        clock,
      );
      const shareOfFresh = () => {
        let count = 0;
        for (let draw = 0; draw < 1100; draw += 1) count += picker.pick(undefined, 0)?.name ?? 0;
        return count / 1100;
      };
      // 10 % against 100 %.
      expect(shareOfFresh()).toBeCloseTo(1 / 11, 2);
      clock.advance(30_000);
      expect(shareOfFresh()).toBeCloseTo(1 / 3, 1);
      clock.advance(30_000);
      expect(Math.abs(shareOfFresh() - 0.5)).toBeLessThan(0.05);
    },
  );
});

test('a key keeps its endpoint while that may be used, and comes back to it', () => {
  for (const algorithm of ['ring-hash', 'maglev'] as const) {
    const available = candidates(1, 1, 1, 1);
    const picker = pickerOf(
      { loadBalancer: 'random', hash: { keys: [], algorithm, size: 1021 } },
      available,
    );
    const owner = (key: number) => picker.pick(hashText(`user-${key}`), 0);
    const before = Array.from({ length: 500 }, (_, key) => owner(key));
    available[2].usable = false;
    for (const [key, was] of before.entries()) {
      if (was === available[2]) expect(owner(key)).not.toBe(was);
      else expect(owner(key)).toBe(was);
    }
    available[2].usable = true;
    expect(before.map((_, key) => owner(key))).toEqual(before);
  }
});
