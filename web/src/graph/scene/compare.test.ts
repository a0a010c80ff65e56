import { expect, test } from 'bun:test';
import { changeOf } from './compare.ts';
import type { Difference } from './marks.ts';

const CHANGES = new Map<string, Difference>([
  ['a', 'added'],
  ['b', 'added'],
  ['c', 'worse'],
  ['d', 'better'],
]);

test('changeOf says worse before better, and else what all share', () => {
  expect(changeOf(['a'], CHANGES)).toBe('added');
  expect(changeOf(['a', 'b'], CHANGES)).toBe('added');
  expect(changeOf(['a', 'd', 'c'], CHANGES)).toBe('worse');
  expect(changeOf(['same', 'd'], CHANGES)).toBe('better');
  expect(changeOf(['a', 'same'], CHANGES)).toBeUndefined();
  expect(changeOf(['a'], undefined)).toBeUndefined();
});
