import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { KeySets } from './key-sets.ts';

test('KeySets holds what sets would hold, of one member, few and many', () => {
  const step = fc.record({
    isAdded: fc.boolean(),
    key: fc.constantFrom('k', 'l'),
    member: fc.integer({ min: 0, max: 11 }).map((at) => `m${at}`),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const sets = new KeySets<string>();
      const plain = new Map([
        ['k', new Set<string>()],
        ['l', new Set<string>()],
      ]);
      for (const { isAdded, key, member } of steps) {
        if (isAdded) {
          sets.add(key, member);
          plain.get(key)?.add(member);
        } else {
          sets.delete(key, member);
          plain.get(key)?.delete(member);
        }
        for (const [each, members] of plain)
          expect([...sets.members(each)].sort()).toEqual([...members].sort());
      }
    }),
  );
});
