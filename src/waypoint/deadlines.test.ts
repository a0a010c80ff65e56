import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { Deadline, DeadlineWheel } from './deadlines.ts';

class Noted extends Deadline {
  readonly #clock: FakeClock;
  firedAt: number | undefined;

  constructor(clock: FakeClock) {
    super();
    this.#clock = clock;
  }

  onDeadline(): void {
    expect(this.firedAt).toBeUndefined();
    this.firedAt = this.#clock.now();
  }
}

describe('DeadlineWheel', () => {
  test('every deadline fires once, never early, at most one step late; cancelled ones never', () => {
    const plan = fc.array(
      fc.record({ at: fc.nat({ max: 500 }), after: fc.nat({ max: 30_000 }), cancel: fc.boolean() }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(plan, (steps) => {
        const clock = new FakeClock();
        const wheel = new DeadlineWheel(clock, 10);
        const all = [...steps]
          .sort((a, b) => a.at - b.at)
          .map((step) => {
            clock.advance(Math.max(0, step.at - clock.now()));
            const deadline = new Noted(clock);
            const wanted = clock.now() + step.after;
            wheel.set(deadline, step.after);
            if (step.cancel) wheel.cancel(deadline);
            return { deadline, wanted, cancelled: step.cancel };
          });
        clock.advance(31_000);
        for (const { deadline, wanted, cancelled } of all) {
          if (cancelled) expect(deadline.firedAt).toBeUndefined();
          else {
            expect(deadline.firedAt).toBeGreaterThanOrEqual(wanted);
            expect(deadline.firedAt).toBeLessThanOrEqual(wanted + 20);
          }
        }
        expect([wheel.pending, clock.pending]).toEqual([0, 0]);
      }),
      { numRuns: 50 },
    );
  });

  test('a deadline may cancel another of the same step, and set itself again', () => {
    const clock = new FakeClock();
    const wheel = new DeadlineWheel(clock, 10);
    const fired: string[] = [];
    const make = (name: string, act: () => void) =>
      new (class extends Deadline {
        onDeadline(): void {
          fired.push(name);
          act();
        }
      })();
    const victim = make('victim', () => undefined);
    const again: Deadline = make('again', () => {
      wheel.cancel(victim);
      if (fired.length < 3) wheel.set(again, 50);
    });
    wheel.set(victim, 50);
    wheel.set(again, 50);
    clock.advance(1000);
    expect(fired).toEqual(['again', 'again', 'again']);
  });
});
