import { expect, test } from 'bun:test';
import { clockSuite } from '#test/support/clock-suite.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { rfc3339, sleep, systemClock } from './clock.ts';

clockSuite('systemClock', () => ({
  clock: systemClock,
  pass: (ms) => sleep(systemClock, ms),
}));

clockSuite('FakeClock', () => {
  const clock = new FakeClock();
  return {
    clock,
    pass: (ms) => {
      clock.advance(ms);
      return Promise.resolve();
    },
  };
});

test('FakeClock stands still until told, and runs callbacks at their own time', () => {
  const clock = new FakeClock(0);
  const times: number[] = [];
  clock.every(10, () => times.push(clock.wallTime()));
  clock.after(25, () => times.push(clock.wallTime()));
  expect(clock.pending).toBe(2);
  clock.advance(30);
  expect(times).toEqual([10, 20, 25, 30]);
  expect(clock.pending).toBe(1);
});

test('rfc3339 writes milliseconds, or whole seconds as Kubernetes does', () => {
  const clock = new FakeClock(Date.UTC(2026, 0, 2, 3, 4, 5, 678));
  expect(rfc3339(clock)).toBe('2026-01-02T03:04:05.678Z');
  expect(rfc3339(clock, 's')).toBe('2026-01-02T03:04:05Z');
});
