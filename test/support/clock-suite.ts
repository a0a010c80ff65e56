/** What every `Clock` keeps to. Run against the system clock and the fake one (src/base/clock.test.ts). */
import { expect, test } from 'bun:test';
import type { Clock } from '#base/clock.ts';

export interface ClockUnderTest {
  clock: Clock;
  /** Lets `ms` pass on that clock. */
  pass(ms: number): Promise<void>;
}

/** Time passes until `done`: a busy machine may run timers late. The last piece shows that nothing more comes. */
async function settle({ pass }: ClockUnderTest, done: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !done(); turn++) await pass(10);
  await pass(10);
}

export function clockSuite(name: string, make: () => ClockUnderTest): void {
  test(`${name}: now and wallTime run forward together`, async () => {
    const { clock, pass } = make();
    const before = { now: clock.now(), wall: clock.wallTime() };
    await pass(20);
    // Wall time is whole milliseconds and may be adjusted by a little: a wide margin, never backwards.
    expect(clock.now() - before.now).toBeGreaterThanOrEqual(19);
    expect(clock.wallTime() - before.wall).toBeGreaterThanOrEqual(15);
  });

  test(`${name}: after runs once, not before its time, in order of due time`, async () => {
    const subject = make();
    const { clock } = subject;
    const start = clock.now();
    const ran: string[] = [];
    const times: number[] = [];
    const note = (label: string) => () => {
      ran.push(label);
      times.push(clock.now() - start);
    };
    clock.after(20, note('late'));
    clock.after(1, note('early'));
    await settle(subject, () => ran.length === 2);
    expect(ran).toEqual(['early', 'late']);
    expect(times[1]).toBeGreaterThanOrEqual(19);
  });

  test(`${name}: a cancelled timer never runs, cancelling twice is fine`, async () => {
    const { clock, pass } = make();
    let runs = 0;
    const once = clock.after(5, () => runs++);
    const often = clock.every(5, () => runs++);
    once.cancel();
    once.cancel();
    often.cancel();
    await pass(30);
    expect(runs).toBe(0);
  });

  test(`${name}: every runs again and again until cancelled, also out of its own callback`, async () => {
    const subject = make();
    const { clock } = subject;
    let runs = 0;
    const timer = clock.every(2, () => {
      if (++runs === 3) timer.cancel();
    });
    await settle(subject, () => runs === 3);
    expect(runs).toBe(3);
  });

  test(`${name}: a callback may start another timer`, async () => {
    const subject = make();
    const { clock } = subject;
    const ran: string[] = [];
    clock.after(1, () => {
      ran.push('first');
      clock.after(1, () => ran.push('second'));
    });
    await settle(subject, () => ran.length === 2);
    expect(ran).toEqual(['first', 'second']);
  });
}
