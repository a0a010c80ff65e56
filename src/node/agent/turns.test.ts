import { describe, expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import { TURN_REST_MS_MAX } from '../limits.ts';
import { Turns } from './turns.ts';

describe('Turns', () => {
  /** Pieces that take so long each, and when they began, less what those before took. */
  function began(workMs: number): { clock: FakeClock; at: number[] } {
    const clock = new FakeClock();
    const at: number[] = [];
    let worked = 0;
    const turns = new Turns({
      now: () => clock.now() + worked,
      wallTime: () => clock.wallTime() + worked,
      after: (delayMs, callback) => clock.after(delayMs, callback),
      every: (periodMs, callback) => clock.every(periodMs, callback),
    });
    for (let piece = 0; piece < 3; piece++)
      turns.push(() => {
        at.push(clock.now());
        worked += workMs;
      });
    return { clock, at };
  }

  test('rests after a piece as long as it took, so that connections go on', () => {
    const { clock, at } = began(20);
    clock.advance(19);
    expect(at).toEqual([0]);
    clock.advance(1);
    expect(at).toEqual([0, 20]);
  });

  test('rests no longer than the bound', () => {
    const { clock, at } = began(5 * TURN_REST_MS_MAX);
    clock.advance(TURN_REST_MS_MAX);
    expect(at).toEqual([0, TURN_REST_MS_MAX]);
  });

  test('goes on after a piece that throws', () => {
    const clock = new FakeClock();
    const turns = new Turns(clock);
    let done = false;
    turns.push(() => {
      throw new Error('a bug');
    });
    turns.push(() => {
      done = true;
    });
    expect(() => clock.advance(0)).toThrow('a bug');
    clock.advance(0);
    expect(done).toBe(true);
  });
});
