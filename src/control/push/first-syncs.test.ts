import { expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FirstSyncs } from './first-syncs.ts';
import { FIRST_SYNC_HOLD_MS, FIRST_SYNCS_AT_ONCE } from './limits.ts';

function setup(count: number) {
  const clock = new FakeClock();
  const syncs = new FirstSyncs(clock);
  const entered: number[] = [];
  const entrants = Array.from({ length: count }, (_, index) => ({
    enter: () => {
      if (syncs.mayEnter(entrants[index])) entered.push(index);
    },
  }));
  for (const entrant of entrants) entrant.enter();
  return { clock, syncs, entered, entrants };
}

test('FirstSyncs lets so many in at once, the next ones in order as others leave, each in a turn of its own', () => {
  const { clock, syncs, entered, entrants } = setup(FIRST_SYNCS_AT_ONCE + 3);
  const all = entrants.map((_, index) => index);
  expect(entered).toEqual(all.slice(0, FIRST_SYNCS_AT_ONCE));
  syncs.leave(entrants[1]);
  expect(entered.length).toBe(FIRST_SYNCS_AT_ONCE);
  clock.advance(0);
  expect(entered).toEqual(all.slice(0, FIRST_SYNCS_AT_ONCE + 1));
  // One that waits may go as well.
  syncs.leave(entrants[FIRST_SYNCS_AT_ONCE + 1]);
  syncs.leave(entrants[0]);
  clock.advance(0);
  expect(entered.at(-1)).toBe(FIRST_SYNCS_AT_ONCE + 2);
  syncs.stop();
  expect(clock.pending).toBe(0);
});

test('FirstSyncs waits for nobody who does not take what he was sent', () => {
  const { clock, entered, syncs } = setup(FIRST_SYNCS_AT_ONCE + 1);
  clock.advance(FIRST_SYNC_HOLD_MS - 1);
  expect(entered.length).toBe(FIRST_SYNCS_AT_ONCE);
  clock.advance(1);
  clock.advance(0);
  expect(entered.length).toBe(FIRST_SYNCS_AT_ONCE + 1);
  syncs.stop();
});

test('FirstSyncs does not hold a stream a second time', () => {
  const { syncs, entrants } = setup(FIRST_SYNCS_AT_ONCE * 2);
  syncs.leave(entrants[0]);
  expect(syncs.mayEnter(entrants[0])).toBe(true);
  syncs.stop();
});
