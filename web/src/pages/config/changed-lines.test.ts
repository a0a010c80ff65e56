import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { changedLines } from './changed-lines.ts';

const told = (base: string, text: string) =>
  changedLines(base, text).map(
    ({ kind, line, text: words }) => `${kind === 'added' ? '+' : '-'}${line} ${words}`,
  );

test('changedLines names what goes and what comes, each by its line, and nothing that stays', () => {
  expect(told('a\nb\nc\nd', 'a\nB\nc\nd\ne')).toEqual(['-2 b', '+2 B', '+5 e']);
  expect(told('a', 'a')).toEqual([]);
  expect(told('weight: 90\nweight: 10', 'weight: 80\nweight: 20')).toEqual([
    '-1 weight: 90',
    '-2 weight: 10',
    '+1 weight: 80',
    '+2 weight: 20',
  ]);
});

test('changedLines: what is left of the base, with what came, is the text', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const changed = changedLines(before.join('\n'), after.join('\n'));
      const removed = new Set(
        changed.flatMap((each) => (each.kind === 'removed' ? each.line : [])),
      );
      const added = new Set(changed.flatMap((each) => (each.kind === 'added' ? each.line : [])));
      expect(before.filter((_, at) => !removed.has(at + 1))).toEqual(
        after.filter((_, at) => !added.has(at + 1)),
      );
    }),
  );
});

test('changedLines of texts too long to compare tells them as replaced', () => {
  const text = (of: string) => Array.from({ length: 1200 }, (_, at) => `${of} ${at}`).join('\n');
  expect(changedLines(text('a'), text('b'))).toHaveLength(2400);
});
