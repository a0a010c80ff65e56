/** Many requests over endpoints that fail in their ways, on a seeded clock: who gets how much, who is ejected and for how long. */
import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import type { Endpoint, LoadBalancer, OutlierPolicy, Upstream } from '#model/route/route-table.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import type { PoolConnection } from '../pool/endpoint-pool.ts';
import { UpstreamStore } from './upstream-store.ts';

const REQUESTS = 10_000;
/** One request a step. */
const STEP_MS = 10;

const OUTLIER: OutlierPolicy = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 0,
  intervalMs: 1_000,
  baseEjectionTimeMs: 5_000,
  maxEjectionPercent: 30,
  minHealthPercent: 0,
};

/** Chance that a request to the endpoint fails, at a time. */
type Fault = (atMs: number) => number;

interface Scenario {
  readonly faults: readonly Fault[];
  readonly outlier?: Partial<OutlierPolicy>;
  readonly loadBalancer?: LoadBalancer;
  readonly seed: number;
}

function run({ faults, outlier, loadBalancer = 'least-request', seed }: Scenario) {
  const clock = new FakeClock();
  const random = seededRandom(seed);
  const ejections: string[] = [];
  let out = 0;
  let outMost = 0;
  const store = new UpstreamStore<PoolConnection>({
    clock,
    random,
    dial: () => undefined,
    events: {
      onHealth(event, _group, state) {
        out += event === 'ejected' ? 1 : -1;
        outMost = Math.max(outMost, out);
        if (event === 'ejected') ejections.push(state.endpoint.name);
      },
      onLearned: () => undefined,
    },
  });
  const endpoints = faults.map(
    (_, at): Endpoint => ({
      uid: `e${at}`,
      name: `e${at}`,
      address: `198.18.0.${at}`,
      ports: { 80: 80 },
      labels: {},
      locality: { region: '', zone: '', subzone: '' },
      node: '',
      weight: 1,
      healthy: true,
      protocol: 'none',
      principal: '',
      workloadName: '',
      canonicalName: '',
      canonicalRevision: '',
    }),
  );
  const upstream: Upstream = {
    namespace: 'n',
    hostname: 'h',
    ports: [{ port: 80, protocol: 'http' }],
    policy: {
      loadBalancer,
      connectionPool: { connectTimeoutMs: 1, idleTimeoutMs: 0, h2Upgrade: 'default' },
      outlier: { ...OUTLIER, ...outlier },
    },
    subsets: [],
    endpoints,
  };
  const group = store.resolve(upstream, { port: 80 });
  if (group === undefined) throw new Error('no group');
  const counts = faults.map(() => 0);
  let failed = 0;
  let unserved = 0;
  for (let request = 0; request < REQUESTS; request += 1) {
    clock.advance(STEP_MS);
    const state = group.pick();
    if (state === undefined) {
      unserved += 1;
      continue;
    }
    const at = Number(state.endpoint.name.slice(1));
    counts[at] += 1;
    const isFailure = random.fraction() < faults[at](clock.now());
    if (isFailure) failed += 1;
    group.reportStatus(state, isFailure ? 503 : 200);
  }
  store.close();
  return { counts, failed, unserved, ejections, outMost, timers: clock.pending };
}

const good: Fault = () => 0;
const broken: Fault = () => 1;
const tenOf = (...others: Fault[]) => [
  ...Array.from({ length: 10 - others.length }, () => good),
  ...others,
];

describe('10,000 requests over 10 endpoints', () => {
  for (const seed of [1, 2, 3]) {
    test(`all healthy: within 15 % of an equal share, nobody ejected (seed ${seed})`, () => {
      for (const loadBalancer of ['least-request', 'round-robin', 'random'] as const) {
        const { counts, failed, ejections, timers } = run({ faults: tenOf(), loadBalancer, seed });
        for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
        expect([failed, ejections, timers]).toEqual([0, [], 0]);
      }
    });

    test(`one broken: a few requests each time it is tried again, ever more rarely (seed ${seed})`, () => {
      const { counts, failed, ejections, outMost } = run({ faults: tenOf(broken), seed });
      expect(failed).toBe(counts[9]);
      // 100 s with ejections of 5, 10, 15, … s and five failures before each.
      expect(failed).toBeLessThanOrEqual(5 * 7);
      expect(new Set(ejections)).toEqual(new Set(['e9']));
      expect(ejections.length).toBeGreaterThanOrEqual(3);
      expect(outMost).toBe(1);
    });

    test(`half broken: never more than maxEjectionPercent out, and nobody who is well (seed ${seed})`, () => {
      const faults = tenOf(broken, broken, broken, broken, broken);
      const { ejections, outMost, unserved } = run({ faults, seed });
      expect(outMost).toBe(3);
      expect(ejections.every((name) => Number(name.slice(1)) >= 5)).toBe(true);
      expect(unserved).toBe(0);
    });

    test(`all broken, all may be ejected: refused while nobody is left, tried again afterwards (seed ${seed})`, () => {
      const { ejections, unserved, outMost } = run({
        faults: tenOf().map(() => broken),
        outlier: { maxEjectionPercent: 100 },
        seed,
      });
      expect(outMost).toBe(10);
      expect(unserved).toBeGreaterThan(5_000);
      expect(ejections.length).toBeGreaterThan(20);
    });

    test(`all broken, panic at 50 %: served all the same (seed ${seed})`, () => {
      const { unserved } = run({
        faults: tenOf().map(() => broken),
        outlier: { maxEjectionPercent: 100, minHealthPercent: 50 },
        seed,
      });
      expect(unserved).toBe(0);
    });

    test(`an endpoint that recovers gets its share back (seed ${seed})`, () => {
      const recovering: Fault = (atMs) => (atMs < 20_000 ? 1 : 0);
      const { counts, ejections } = run({ faults: tenOf(recovering), seed });
      // Out until 20 s and what is left of its last ejection, then a tenth of 100 requests a second.
      expect(counts[9]).toBeGreaterThan(500);
      expect(counts[9]).toBeLessThan(900);
      expect(ejections.length).toBeLessThanOrEqual(4);
    });

    test(`a tenth of failures is not five in a row (seed ${seed})`, () => {
      const flaky: Fault = () => 0.1;
      expect(run({ faults: tenOf().map(() => flaky), seed }).ejections.length).toBeLessThanOrEqual(
        1,
      );
    });
  }
});
