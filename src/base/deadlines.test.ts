import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { Deadlines, deadlinesOf } from './deadlines.ts';

const DELAY_MS = 100;

test('Deadlines fire what Clock.after would, at the same times, whatever is cancelled when', () => {
  const step = fc.record({
    waitMs: fc.integer({ min: 0, max: 150 }),
    act: fc.oneof(
      fc.constant('start' as const),
      fc.record({ cancel: fc.integer({ min: 0, max: 30 }) }),
    ),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const run = (start: (clock: FakeClock, callback: () => void) => { cancel(): void }) => {
        const clock = new FakeClock();
        const fired: string[] = [];
        const timers: { cancel(): void }[] = [];
        for (const { waitMs, act } of steps) {
          clock.advance(waitMs);
          if (act === 'start') {
            const name = timers.length;
            timers.push(start(clock, () => fired.push(`${name} at ${clock.now()}`)));
          } else timers[act.cancel]?.cancel();
        }
        clock.advance(1000);
        return fired;
      };
      let deadlines: Deadlines | undefined;
      const ours = run((clock, callback) => {
        deadlines ??= new Deadlines(clock, DELAY_MS);
        return deadlines.start({ timedOut: callback });
      });
      expect(ours).toEqual(run((clock, callback) => clock.after(DELAY_MS, callback)));
    }),
  );
});

test('a callback may start another deadline and cancel one that is due', () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock, DELAY_MS);
  const fired: string[] = [];
  const fire = (name: string) => ({ timedOut: () => void fired.push(name) });
  deadlines.start({
    timedOut() {
      fired.push('first');
      second.cancel();
      deadlines.start(fire('third'));
    },
  });
  const second = deadlines.start(fire('second'));
  clock.advance(DELAY_MS);
  expect(fired).toEqual(['first']);
  clock.advance(DELAY_MS);
  expect(fired).toEqual(['first', 'third']);
});

test('deadlinesOf shares one queue for a clock and delay', () => {
  const clock = new FakeClock();
  expect(deadlinesOf(clock, 5)).toBe(deadlinesOf(clock, 5));
  expect(deadlinesOf(clock, 5)).not.toBe(deadlinesOf(clock, 6));
  expect(deadlinesOf(new FakeClock(), 5)).not.toBe(deadlinesOf(clock, 5));
});
