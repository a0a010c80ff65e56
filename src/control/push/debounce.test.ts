import { expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import { Debounce } from './debounce.ts';

function setup() {
  const clock = new FakeClock();
  const flushed: number[] = [];
  const debounce = new Debounce(clock, { quietMs: 5, maxMs: 20 }, () => flushed.push(clock.now()));
  return { clock, flushed, debounce };
}

test('Debounce flushes once, when a burst is over', () => {
  const { clock, flushed, debounce } = setup();
  for (let burst = 0; burst < 3; burst++) {
    debounce.trigger();
    clock.advance(3);
  }
  clock.advance(100);
  expect(flushed).toEqual([11]);
  debounce.trigger();
  clock.advance(100);
  expect(flushed.length).toBe(2);
});

test('Debounce does not wait longer than its bound under steady change', () => {
  const { clock, flushed, debounce } = setup();
  for (let turn = 0; turn < 20; turn++) {
    debounce.trigger();
    clock.advance(2);
  }
  clock.advance(100);
  expect(flushed[0]).toBe(20);
  expect(flushed.length).toBe(2);
});

test('Debounce says nothing after cancel', () => {
  const { clock, flushed, debounce } = setup();
  debounce.trigger();
  debounce.cancel();
  clock.advance(100);
  expect(flushed).toEqual([]);
  expect(clock.pending).toBe(0);
});
