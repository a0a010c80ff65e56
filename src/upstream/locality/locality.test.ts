import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { LocalityPolicy } from '#model/route/route-table.ts';
import { localityShares } from './distribute.ts';
import { priorityLoads } from './load.ts';
import { localityMatches, type ProxyPlace } from './place.ts';
import { priorities } from './priority.ts';

const locality = (text: string) => {
  const [region = '', zone = '', subzone = ''] = text.split('/');
  return { region, zone, subzone };
};
const endpoint = (place: string, labels: Record<string, string> = {}, node = '') => ({
  locality: locality(place),
  labels,
  node,
  weight: 1,
});
const PLACE: ProxyPlace = {
  locality: locality('r1/z1/s1'),
  node: 'n1',
  network: 'net1',
  labels: { version: 'v1', tier: 'gold' },
};

describe('priorities', () => {
  const around = ['r1/z1/s1', 'r1/z1/s2', 'r1/z2/s1', 'r2/z1/s1', 'r3/z1/s1'].map((each) =>
    endpoint(each),
  );
  const rows: {
    title: string;
    policy: LocalityPolicy | undefined;
    endpoints?: ReturnType<typeof endpoint>[];
    want: number[];
  }[] = [
    { title: 'no policy: all alike', policy: undefined, want: [0, 0, 0, 0, 0] },
    { title: 'region, zone and subzone', policy: {}, want: [0, 1, 2, 3, 3] },
    {
      title: 'a region to fail over to',
      policy: { failover: [{ from: 'r1', to: 'r3' }] },
      want: [0, 1, 2, 4, 3],
    },
    {
      title: 'failover of another region says nothing',
      policy: { failover: [{ from: 'r9', to: 'r3' }] },
      want: [0, 1, 2, 3, 3],
    },
    {
      title: 'distribute has no priorities',
      policy: { distribute: [{ from: '*', to: { '*': 100 } }] },
      want: [0, 0, 0, 0, 0],
    },
    { title: 'zone aware: regions only', policy: { scope: 'region' }, want: [0, 0, 0, 1, 1] },
    {
      title: 'gaps are closed',
      policy: {},
      endpoints: [endpoint('r1/z2/s1'), endpoint('r2/z1/s1')],
      want: [0, 1],
    },
    {
      title: 'failoverPriority: the first label that differs decides',
      policy: { failoverPriority: ['version', 'tier'] },
      endpoints: [
        endpoint('', { version: 'v2', tier: 'gold' }),
        endpoint('', { version: 'v1' }),
        endpoint('', { version: 'v1', tier: 'gold' }),
      ],
      want: [2, 1, 0],
    },
    {
      title: 'failoverPriority with a value instead of the own label',
      policy: { failoverPriority: ['version=v2'] },
      endpoints: [endpoint('', { version: 'v1' }), endpoint('', { version: 'v2' })],
      want: [1, 0],
    },
    {
      title: 'traffic distribution: zone, and node by name',
      policy: {
        failoverPriority: [
          'topology.istio.io/network',
          'topology.kubernetes.io/region',
          'topology.kubernetes.io/zone',
          'topology.istio.io/subzone',
          'kubernetes.io/hostname',
        ],
      },
      endpoints: [
        endpoint('r1/z1/s1', {}, 'n1'),
        endpoint('r1/z1/s1', {}, 'n2'),
        endpoint('r1/z2/s1', {}, 'n1'),
        endpoint('r2/z1/s1'),
        endpoint('r1/z1/s1', { 'topology.istio.io/network': 'net2' }, 'n1'),
      ],
      want: [0, 1, 2, 3, 4],
    },
    {
      title: 'failoverPriority and failover together',
      policy: { failoverPriority: ['version'], failover: [{ from: 'r1', to: 'r2' }] },
      endpoints: [
        endpoint('r1/z1/s1', { version: 'v2' }),
        endpoint('r3', { version: 'v1' }),
        endpoint('r2', { version: 'v1' }),
      ],
      want: [2, 1, 0],
    },
  ];
  test.each(rows)('$title', ({ policy, endpoints = around, want }) => {
    expect(priorities(endpoints, policy, PLACE)).toEqual(want);
  });
});

describe('localityMatches', () => {
  test.each([
    ['*', true],
    ['r1', true],
    ['r1/*', true],
    ['r1/z1', true],
    ['r1/z1/*', true],
    ['r1/z1/s1', true],
    ['r1/z1/s2', false],
    ['r1/z2', false],
    ['r2/*', false],
  ])('%s fits r1/z1/s1: %p', (pattern, want) => {
    expect(localityMatches(PLACE.locality, pattern)).toBe(want);
  });
});

describe('localityShares', () => {
  const members = [endpoint('r1/z1'), endpoint('r1/z1'), endpoint('r1/z2'), endpoint('r2/z1')];
  const sharesOf = (policy: LocalityPolicy) =>
    localityShares(members, policy, { place: PLACE, endpointOf: (each) => each })?.map(
      ({ endpoints, weight }) => [endpoints.map((each) => members.indexOf(each)), weight],
    );

  test('follow the entry for the own locality; what it does not name gets nothing', () => {
    expect(
      sharesOf({
        distribute: [
          { from: 'r2/*', to: { r2: 100 } },
          { from: 'r1/z1/*', to: { 'r1/z1/*': 70, 'r1/z2/*': 30 } },
        ],
      }),
    ).toEqual([
      [[0, 1], 70],
      [[2], 30],
    ]);
  });

  test('are divided by endpoint weights where a pattern fits several localities', () => {
    const shares = sharesOf({ distribute: [{ from: '*', to: { 'r1/*': 90, 'r2/*': 10 } }] });
    expect(shares).toEqual([
      [[0, 1], 60],
      [[2], 30],
      [[3], 10],
    ]);
  });

  test('are none without an entry for the own locality', () => {
    expect(sharesOf({ distribute: [{ from: 'r9', to: { r1: 100 } }] })).toBeUndefined();
    expect(sharesOf({})).toBeUndefined();
  });
});

describe('priorityLoads', () => {
  const all = (healthy: number, total: number) => ({ healthy, total });
  test.each([
    {
      title: 'one healthy priority',
      given: [all(10, 10)],
      panic: 50,
      loads: [100],
      inPanic: [false],
    },
    {
      title: '72 % healthy still carry everything',
      given: [all(72, 100), all(10, 10)],
      panic: 50,
      loads: [100, 0],
      inPanic: [false, false],
    },
    {
      title: '50 % healthy carry 70 %',
      given: [all(5, 10), all(10, 10)],
      panic: 50,
      loads: [70, 30],
      inPanic: [false, false],
    },
    {
      title: 'none healthy: all goes on',
      given: [all(0, 10), all(10, 10)],
      panic: 0,
      loads: [0, 100],
      inPanic: [false, false],
    },
    {
      title: 'both weak: normalized',
      given: [all(2, 10), all(3, 10)],
      panic: 0,
      loads: [40, 60],
      inPanic: [false, false],
    },
    {
      title: 'all in panic: by size',
      given: [all(1, 10), all(4, 30)],
      panic: 50,
      loads: [25, 75],
      inPanic: [true, true],
    },
    {
      title: 'panic off and nobody left',
      given: [all(0, 4)],
      panic: 0,
      loads: [0],
      inPanic: [false],
    },
  ])('$title', ({ given, panic, loads, inPanic }) => {
    expect(priorityLoads(given, panic)).toEqual({ loads, panic: inPanic });
  });

  test('loads sum to 100 whenever somebody may be used, and go only there', () => {
    const health = fc
      .tuple(fc.nat(20), fc.nat(20))
      .map(([a, b]) => ({ total: Math.max(a, b), healthy: Math.min(a, b) }));
    fc.assert(
      fc.property(fc.array(health, { minLength: 1, maxLength: 6 }), fc.nat(100), (given, panic) => {
        const { loads, panic: inPanic } = priorityLoads(given, panic);
        const sum = loads.reduce((left, right) => left + right, 0);
        const isUsable = given.some(({ healthy }, at) => healthy > 0 || inPanic[at]);
        expect(sum).toBe(isUsable ? 100 : 0);
        for (const [at, load] of loads.entries())
          if (load > 0) expect(given[at].healthy > 0 || inPanic[at]).toBe(true);
      }),
    );
  });
});
