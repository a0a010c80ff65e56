import { expect, test } from 'bun:test';
import { pendingQueriesMax } from './limits.ts';

test.each([
  ['few', 1024, 85],
  ['many', 1 << 20, 4096],
  ['next to none', 1, 1],
])('pendingQueriesMax with %s open files', (_title, openFiles, want) => {
  expect(pendingQueriesMax(openFiles)).toBe(want);
});
