import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Health } from '../api/health.ts';
import { lowerBound, upperBound } from './confidence.ts';
import {
  judgeCertificate,
  judgeEjections,
  judgeOutcomes,
  judgeReplicas,
  percent,
  worst,
} from './judge.ts';
import { type Outcomes, outcomesFrom, tolerancesOf } from './tolerance.ts';

const rows: { title: string; outcomes: Partial<Outcomes>; want: [Health['status'], string] }[] = [
  { title: 'nothing', outcomes: {}, want: ['idle', 'No traffic in the window.'] },
  {
    title: 'one error in two',
    outcomes: { http: 2, http5xx: 1 },
    want: ['unknown', '1 of 2 requests failed with 5xx: too few to judge.'],
  },
  {
    title: 'all of three failed',
    outcomes: { http: 3, http5xx: 3 },
    want: ['unknown', '3 of 3 requests failed with 5xx: too few to judge.'],
  },
  {
    title: 'all of five failed',
    outcomes: { http: 5, http5xx: 5 },
    want: ['failing', '100 % of 5 requests failed with 5xx (limit 10 %).'],
  },
  {
    title: 'twelve good ones',
    outcomes: { http: 12 },
    want: ['unknown', '12 requests: too few to judge.'],
  },
  {
    title: 'one error in twelve',
    outcomes: { http: 12, http5xx: 1 },
    want: ['unknown', '1 of 12 requests failed with 5xx: too few to judge.'],
  },
  {
    title: 'forty good ones',
    outcomes: { http: 40 },
    want: ['healthy', '40 requests, none failed.'],
  },
  {
    title: 'some errors',
    outcomes: { http: 310, http5xx: 13 },
    want: ['degraded', '4.2 % of 310 requests failed with 5xx (more than none).'],
  },
  {
    title: 'one error in many',
    outcomes: { http: 10_000, http5xx: 1 },
    want: ['healthy', '10000 requests, failures within tolerance.'],
  },
  {
    title: 'a tenth, by chance perhaps',
    outcomes: { http: 60, http5xx: 7 },
    want: ['degraded', '12 % of 60 requests failed with 5xx (more than none).'],
  },
  {
    title: 'a fifth',
    outcomes: { http: 100, http5xx: 20 },
    want: ['failing', '20 % of 100 requests failed with 5xx (limit 10 %).'],
  },
  {
    title: 'a few 4xx are the clients’',
    outcomes: { http: 1000, http4xx: 50 },
    want: ['healthy', '1000 requests, failures within tolerance.'],
  },
  {
    title: 'many 4xx',
    outcomes: { http: 1000, http4xx: 150 },
    want: ['degraded', '15 % of 1000 requests were refused with 4xx (limit 10 %).'],
  },
  {
    title: 'most 4xx',
    outcomes: { http: 1000, http4xx: 500 },
    want: ['failing', '50 % of 1000 requests were refused with 4xx (limit 20 %).'],
  },
  {
    title: 'no answers',
    outcomes: { http: 100, httpNone: 50 },
    want: ['failing', '50 % of 100 requests were not answered (limit 10 %).'],
  },
  {
    title: 'gRPC',
    outcomes: { grpc: 100, grpcFailed: 40 },
    want: ['failing', '40 % of 100 gRPC calls failed (limit 10 %).'],
  },
  {
    title: 'connections alone',
    outcomes: { connections: 50, failures: 30 },
    want: ['failing', '60 % of 50 connections failed (limit 10 %).'],
  },
  {
    title: 'two connections',
    outcomes: { connections: 2, failures: 2 },
    want: ['unknown', '2 of 2 connections failed: too few to judge.'],
  },
  {
    title: 'a few refused connections among many requests',
    outcomes: { connections: 6, failures: 6, http: 300 },
    want: [
      'degraded',
      '2 % of 306 requests and connections found nobody who took them (more than none).',
    ],
  },
  {
    title: 'refused connections, and as many requests',
    outcomes: { connections: 50, failures: 50, http: 50 },
    want: [
      'failing',
      '50 % of 100 requests and connections found nobody who took them (limit 10 %).',
    ],
  },
  {
    title: 'a connection beside many requests',
    outcomes: { connections: 1, http: 300 },
    want: ['healthy', '300 requests and 1 connection, none failed.'],
  },
  {
    title: 'failing beats too few',
    outcomes: { connections: 2, http: 50, http5xx: 50 },
    want: ['failing', '100 % of 50 requests failed with 5xx (limit 10 %).'],
  },
];

const earlyRows: typeof rows = [
  {
    title: 'a few refused, then many that went well',
    outcomes: { connections: 6, failures: 6, http: 300 },
    want: ['healthy', '300 requests, none failed. 6 failed before it first answered.'],
  },
  {
    title: 'more refused than went well since',
    outcomes: { http: 100, http5xx: 60, connections: 3, failures: 3 },
    want: ['healthy', '40 requests, none failed. 63 failed before it first answered.'],
  },
  {
    title: 'a few that went well since',
    outcomes: { http: 12, httpNone: 4 },
    want: ['unknown', '8 requests: too few to judge. 4 failed before it first answered.'],
  },
  {
    title: 'gRPC, and 4xx since',
    outcomes: { grpc: 50, grpcFailed: 10, http: 100, http4xx: 50 },
    want: [
      'failing',
      '50 % of 100 requests were refused with 4xx (limit 20 %). 10 failed before it first answered.',
    ],
  },
  {
    title: 'nothing since in the window',
    outcomes: { connections: 20, failures: 20 },
    want: ['unknown', '20 failed before it first answered: too few to judge.'],
  },
  {
    title: 'nothing that failed',
    outcomes: { http: 40 },
    want: ['healthy', '40 requests, none failed.'],
  },
];

describe('judgeOutcomes of what failed before its destination was there', () => {
  for (const { title, outcomes, want } of earlyRows)
    test(`says ${want[0]} of ${title}`, () => {
      const all = outcomesFrom(outcomes);
      const { status, reason, samples } = judgeOutcomes(all, undefined, { isEarly: true });
      expect([status, reason]).toEqual(want);
      expect(samples).toBe(all.http + all.grpc + all.connections);
    });
});

describe('judgeOutcomes', () => {
  for (const { title, outcomes, want } of rows)
    test(`says ${want[0]} of ${title}`, () => {
      const { status, reason } = judgeOutcomes(outcomesFrom(outcomes));
      expect([status, reason]).toEqual(want);
    });

  test('never turns better when more of the same number fail', () => {
    const harm = { idle: 0, healthy: 1, unknown: 2, degraded: 3, failing: 4 };
    fc.assert(
      fc.property(
        fc.integer({ min: 40, max: 5000 }),
        fc.integer({ min: 0, max: 39 }),
        (http, failed) => {
          const of = (http5xx: number) =>
            harm[judgeOutcomes(outcomesFrom({ http, http5xx })).status];
          expect(of(failed + 1)).toBeGreaterThanOrEqual(of(failed));
        },
      ),
    );
  });
});

describe('tolerancesOf', () => {
  const judge = (
    annotation: string,
    outcomes: Partial<Outcomes>,
    direction: 'inbound' | 'outbound' = 'inbound',
  ) => judgeOutcomes(outcomesFrom(outcomes), tolerancesOf(annotation, direction)).status;
  const half = { http: 1000, http4xx: 500 };
  const annotations: [string, string][] = [
    ['', 'failing'],
    ['4xx,60,80,http,inbound', 'healthy'],
    ['4XX,20,80', 'degraded'],
    ['4xx,60,80,http,outbound', 'failing'],
    ['4xx,20', 'failing'],
    ['4xx,a,b,http,inbound', 'failing'],
    ['5xx,1,2;4xx,60,80', 'healthy'],
    ['((', 'failing'],
  ];
  for (const [annotation, want] of annotations)
    test(`'${annotation}' makes half 4xx ${want}`, () =>
      expect(judge(annotation, half)).toBe(want as never));
});

describe('lowerBound and upperBound', () => {
  test('enclose the share that was seen, and tell nothing of nothing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (samples, share) => {
          const count = Math.round(samples * share);
          expect(lowerBound(count, samples)).toBeLessThanOrEqual(count / samples + 1e-9);
          expect(upperBound(count, samples)).toBeGreaterThanOrEqual(count / samples - 1e-9);
        },
      ),
    );
    expect([lowerBound(0, 0), upperBound(0, 0)]).toEqual([0, 1]);
  });
});

test('judgeReplicas, judgeEjections and judgeCertificate say what is amiss; worst keeps the most harmful', () => {
  expect(judgeReplicas({ ready: 2, desired: 3 })).toMatchObject({
    status: 'degraded',
    reason: '2 of 3 replicas ready.',
  });
  expect(judgeReplicas({ ready: 0, desired: 3 }).status).toBe('failing');
  expect(judgeReplicas({ ready: 0, desired: 0 }).status).toBe('idle');
  expect(judgeEjections(0, 3)).toBeUndefined();
  expect(judgeEjections(1, 3)).toMatchObject({
    status: 'degraded',
    reason: '1 of 3 endpoints ejected.',
  });
  expect(judgeEjections(3, 3)?.status).toBe('failing');
  expect(judgeCertificate('valid', '')).toBeUndefined();
  expect(judgeCertificate('expired', '2026-01-01')?.status).toBe('failing');
  expect(
    worst([judgeReplicas({ ready: 3, desired: 3 }), judgeReplicas({ ready: 1, desired: 3 })])
      .status,
  ).toBe('degraded');
  expect([percent(0.0004), percent(0.041), percent(0.5)]).toEqual(['< 0.1 %', '4.1 %', '50 %']);
});
