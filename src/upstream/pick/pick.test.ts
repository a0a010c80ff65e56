import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import { type Candidate, createPicker } from './pick.ts';

const candidates = (...weights: number[]) =>
  weights.map((weight, index) => ({ weight, active: 0, name: index }));

function shares(
  balancer: Parameters<typeof createPicker>[0],
  available: readonly (Candidate & { name: number })[],
) {
  const picker = createPicker(balancer);
  const random = seededRandom(7);
  const counts = available.map(() => 0);
  for (let draw = 0; draw < 6000; draw += 1) counts[picker.pick(available, random).name] += 1;
  return counts.map((count) => count / 6000);
}

describe('every policy', () => {
  for (const balancer of ['least-request', 'round-robin', 'random', 'passthrough'] as const) {
    test(`${balancer} spreads equal endpoints evenly and takes a single one`, () => {
      for (const share of shares(balancer, candidates(1, 1, 1))) {
        expect(Math.abs(share - 1 / 3)).toBeLessThan(0.03);
      }
      expect(shares(balancer, candidates(1))).toEqual([1]);
    });
  }
});

test('round-robin rotates equal endpoints and interleaves weighted ones', () => {
  const picker = createPicker('round-robin');
  const random = seededRandom(1);
  const available = candidates(3, 1);
  const order = Array.from({ length: 8 }, () => picker.pick(available, random).name);
  expect(order).toEqual([0, 0, 1, 0, 0, 0, 1, 0]);
});

test('random follows weights', () => {
  const [heavy] = shares('random', candidates(3, 1));
  expect(Math.abs(heavy - 0.75)).toBeLessThan(0.03);
});

test('least-request prefers the endpoint with fewer requests per weight', () => {
  const picker = createPicker('least-request');
  const random = seededRandom(5);
  const busy = { weight: 1, active: 4, name: 'busy' };
  const idle = { weight: 1, active: 0, name: 'idle' };
  for (let draw = 0; draw < 50; draw += 1) expect(picker.pick([busy, idle], random)).toBe(idle);
  const large = { weight: 10, active: 4, name: 'large' };
  for (let draw = 0; draw < 50; draw += 1) expect(picker.pick([large, idle], random)).toBe(large);
});
