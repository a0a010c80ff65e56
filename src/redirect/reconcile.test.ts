/** Who is looked at when, and what happens when looking or repairing fails. */
import { expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { RECONCILE_INTERVAL_MS, RECONCILE_TICK_MS } from './limits.ts';
import { startReconciler, type Watched } from './reconcile.ts';

class Thing implements Watched {
  looks = 0;
  repaired: string[][] = [];
  missing: string[] = [];
  fails = false;

  constructor(readonly name: string) {}

  differences(): string[] {
    this.looks += 1;
    return this.missing;
  }

  repair(differences: readonly string[]): void {
    if (this.fails) throw new Error('no');
    this.repaired.push([...differences]);
    this.missing = [];
  }
}

function start(things: Thing[]) {
  const clock = new FakeClock();
  const repairs: string[] = [];
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  const stop = startReconciler({
    clock,
    log,
    watched: () => things,
    onRepair: (what) => repairs.push(what),
  });
  return { clock, repairs, warnings, stop };
}

test('each of many is looked at once an interval, and not all in one tick', () => {
  const things = Array.from({ length: 100 }, (_, index) => new Thing(String(index)));
  const { clock, stop } = start(things);
  clock.advance(RECONCILE_TICK_MS);
  const first = things.filter(({ looks }) => looks > 0).length;
  expect(first).toBe(Math.ceil((100 * RECONCILE_TICK_MS) / RECONCILE_INTERVAL_MS));
  clock.advance(RECONCILE_INTERVAL_MS - RECONCILE_TICK_MS);
  expect(things.every(({ looks }) => looks === 1)).toBe(true);
  stop();
  clock.advance(RECONCILE_INTERVAL_MS);
  expect(things.every(({ looks }) => looks === 1)).toBe(true);
});

test('what differs is repaired within one interval and a tick, counted, and said once', () => {
  const thing = new Thing('shop/web');
  thing.missing = ['tables', 'ipv4 rule'];
  const { clock, repairs, warnings } = start([thing]);
  clock.advance(RECONCILE_INTERVAL_MS + RECONCILE_TICK_MS);
  expect(thing.repaired).toEqual([['tables', 'ipv4 rule']]);
  clock.advance(5 * RECONCILE_INTERVAL_MS);
  expect(repairs).toEqual(['tables', 'ipv4 rule']);
  expect(warnings).toHaveLength(1);
});

test('a repair that fails is tried again, and keeps nobody else from theirs', () => {
  const [first, second] = [new Thing('a'), new Thing('b')];
  for (const each of [first, second]) each.missing = ['tables'];
  first.fails = true;
  const { clock, repairs } = start([first, second]);
  clock.advance(2 * RECONCILE_INTERVAL_MS);
  expect(second.repaired).toHaveLength(1);
  first.fails = false;
  clock.advance(2 * RECONCILE_INTERVAL_MS);
  expect(first.repaired).toHaveLength(1);
  expect(repairs).toHaveLength(2);
});
