import { expect, test } from 'bun:test';
import { RESETS_REMEMBERED_MAX } from '../limits.ts';
import { ResetMemory } from './reset-memory.ts';

test('ResetMemory keeps a bounded number of streams and forgives what it forgot', () => {
  const memory = new ResetMemory();
  for (let id = 101; id < 101 + RESETS_REMEMBERED_MAX * 2; id += 2) memory.add(id);
  expect([memory.covers(99), memory.covers(101), memory.covers(102)]).toEqual([false, true, false]);
  memory.add(9001);
  // 101 fell out: everything up to it is let pass, what was never reset above it is not.
  expect([memory.covers(99), memory.covers(103), memory.covers(9001)]).toEqual([true, true, true]);
  expect([memory.covers(104), memory.covers(9003)]).toEqual([false, false]);
});
