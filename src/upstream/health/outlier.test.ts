import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { OutlierPolicy } from '#model/route/route-table.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { EndpointHealth, OutlierDetector } from './outlier.ts';

const POLICY: OutlierPolicy = {
  consecutive5xx: 3,
  consecutiveGatewayErrors: 0,
  intervalMs: 30_000,
  baseEjectionTimeMs: 60_000,
  maxEjectionPercent: 10,
  minHealthPercent: 0,
};

function setup(count: number, part: Partial<OutlierPolicy> = {}) {
  const clock = new FakeClock();
  const events: string[] = [];
  const members = Array.from({ length: count }, (_, index) => new EndpointHealth(`e${index}`));
  const detector = new OutlierDetector({
    clock,
    onChange: () => events.push('change'),
    onEvent: (event, health) => events.push(`${event} ${health.name}`),
  });
  const policy = { ...POLICY, ...part };
  detector.configure(policy, members);
  clock.every(policy.intervalMs, () => detector.tick());
  const report = (index: number, ...statuses: number[]) => {
    for (const status of statuses) detector.reportStatus(members[index], status);
  };
  return { clock, events, members, detector, policy, report };
}

describe('OutlierDetector ejects', () => {
  /** [title, policy part, statuses, ejected] */
  const rows: [string, Partial<OutlierPolicy>, number[], boolean][] = [
    ['three consecutive 5xx', {}, [500, 500, 500], true],
    ['two are not enough', {}, [500, 500], false],
    ['a success in between starts over', {}, [500, 500, 200, 500, 500], false],
    ['a 4xx is a success of the endpoint', {}, [500, 500, 404, 500], false],
    ['0 disables the counter', { consecutive5xx: 0 }, [500, 500, 500, 500], false],
    ['gateway errors have their own counter', { consecutiveGatewayErrors: 2 }, [502, 504], true],
    [
      '500 is no gateway error and breaks its row',
      { consecutiveGatewayErrors: 2, consecutive5xx: 9 },
      [502, 500, 503],
      false,
    ],
    ['gateway errors count as 5xx too', {}, [502, 500, 503], true],
    ['listed statuses count as errors', { errorCodes: [429] }, [429, 429, 429], true],
    ['with a list a 5xx is none', { errorCodes: [429] }, [500, 500, 500, 500], false],
  ];
  test.each(rows)('%s', (_title, part, statuses, want) => {
    const { members, report } = setup(1, part);
    report(0, ...statuses);
    expect(members[0].state).toBe(want ? 'ejected' : 'admitting');
  });

  test('connect failures, timeouts and resets count like the statuses they become', () => {
    const { members, detector } = setup(1);
    detector.reportFailure(members[0], 'connect');
    detector.reportFailure(members[0], 'timeout');
    detector.reportFailure(members[0], 'reset');
    expect(members[0].ejection?.reason).toBe('3 consecutive 5xx errors (last: connection reset)');
  });

  const SPLIT = { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2 };

  test('failures of our own making are counted apart when split, and an answer starts them over', () => {
    const { members, detector, report } = setup(2, SPLIT);
    report(0, 500, 500);
    detector.reportFailure(members[0], 'connect');
    report(0, 404);
    detector.reportFailure(members[0], 'timeout');
    expect(members[0].state).toBe('admitting');
    detector.reportFailure(members[0], 'reset');
    expect(members[0].ejection?.reason).toBe(
      '2 consecutive local origin failures (last: connection reset)',
    );
  });

  test('a connection that came about is a success, of its own kind when split', () => {
    for (const [part, failures] of [
      [{}, 3],
      [SPLIT, 2],
    ] as const) {
      const { members, detector } = setup(1, part);
      for (let count = 1; count < failures; count += 1)
        detector.reportFailure(members[0], 'connect');
      detector.reportConnected(members[0]);
      for (let count = 1; count < failures; count += 1)
        detector.reportFailure(members[0], 'connect');
      expect(members[0].state).toBe('admitting');
      detector.reportFailure(members[0], 'connect');
      expect(members[0].state).toBe('ejected');
    }
  });

  test('the time out grows to its bound, and shrinks with each good interval', () => {
    const { clock, members, report } = setup(1, {
      baseEjectionTimeMs: 100_000,
      intervalMs: 100_000,
    });
    const outMs = () => {
      report(0, 500, 500, 500);
      const { untilMs = 0, atMs = 0 } = members[0].ejection ?? {};
      clock.advance(untilMs - atMs);
      return untilMs - atMs;
    };
    expect([outMs(), outMs(), outMs(), outMs(), outMs()]).toEqual([
      100_000, 200_000, 300_000, 300_000, 300_000,
    ]);
    clock.advance(200_000);
    expect(outMs()).toBe(200_000);
  });

  test('an ejection carries reason, time and end, and is announced once', () => {
    const { clock, members, events, report } = setup(1);
    clock.advance(1000);
    report(0, 500, 500, 500, 500, 500, 500);
    expect(members[0].ejection).toEqual({
      reason: '3 consecutive 5xx errors (last: answered 500)',
      atMs: clock.wallTime(),
      untilMs: clock.wallTime() + 60_000,
    });
    expect(events).toEqual(['ejected e0', 'change']);
  });

  test('maxEjectionPercent holds, but one endpoint may always be ejected', () => {
    const { members, report } = setup(3, { maxEjectionPercent: 34 });
    report(0, 500, 500, 500);
    report(1, 500, 500, 500);
    expect(members.map((member) => member.state)).toEqual(['ejected', 'admitting', 'admitting']);
    const half = setup(4, { maxEjectionPercent: 50 });
    for (const index of [0, 1, 2]) half.report(index, 500, 500, 500);
    expect(half.members.filter((member) => member.state === 'ejected').length).toBe(2);
  });
});

describe('OutlierDetector restores', () => {
  test('at the first tick after its time is over, then a success ends the probing', () => {
    const { clock, members, events, report } = setup(1);
    clock.advance(10_000);
    report(0, 500, 500, 500);
    clock.advance(79_999);
    expect(members[0].state).toBe('ejected');
    clock.advance(1);
    expect(members[0].state).toBe('probing');
    expect(events.slice(-2)).toEqual(['restored e0', 'change']);
    report(0, 200);
    expect(members[0].state).toBe('admitting');
  });

  test('the time grows with each ejection and shrinks with each healthy interval', () => {
    const { clock, members, report } = setup(1);
    const ejectedFor = () => {
      report(0, 500, 500, 500);
      const { ejection } = members[0];
      return (ejection?.untilMs ?? 0) - (ejection?.atMs ?? 0);
    };
    expect(ejectedFor()).toBe(60_000);
    clock.advance(60_000);
    expect(ejectedFor()).toBe(120_000);
    clock.advance(120_000);
    expect(members[0].state).toBe('probing');
    clock.advance(60_000);
    expect(ejectedFor()).toBe(60_000);
  });

  test('the time never passes five minutes unless the base does', () => {
    const { clock, members, report } = setup(1);
    for (let round = 0; round < 9; round += 1) {
      report(0, 500, 500, 500);
      clock.advance(members[0].restoreAt - clock.now());
    }
    report(0, 500, 500, 500);
    const { ejection } = members[0];
    expect((ejection?.untilMs ?? 0) - (ejection?.atMs ?? 0)).toBe(300_000);
  });

  test('taking the policy away brings everyone back', () => {
    const { members, detector, report } = setup(1);
    report(0, 500, 500, 500);
    detector.configure(undefined, members);
    expect(members[0].state).toBe('admitting');
  });
});

test('whatever the answers, never more than max(1, maxEjectionPercent) are out', () => {
  const steps = fc.array(fc.tuple(fc.nat({ max: 9 }), fc.constantFrom(200, 500, 503)), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 10 }),
      fc.nat({ max: 100 }),
      (list, count, percent) => {
        const { clock, members, report } = setup(count, { maxEjectionPercent: percent });
        for (const [index, status] of list) {
          report(index % count, status);
          clock.advance(1000);
          const out = members.filter((member) => member.state === 'ejected').length;
          expect(out).toBeLessThanOrEqual(Math.max(1, Math.floor((count * percent) / 100)));
        }
      },
    ),
  );
});
