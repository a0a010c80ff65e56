import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { Roster } from './roster.ts';

describe('Roster', () => {
  test('holds those who came and have not left, whatever the order', () => {
    const act = fc.record({ who: fc.nat(9), comes: fc.boolean() });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const members = Array.from({ length: 10 }, (_, name) => ({ name, place: -1 }));
        const roster = new Roster<(typeof members)[number]>();
        const expected = new Set<number>();
        for (const { who, comes } of acts) {
          if (comes) roster.add(members[who]);
          else roster.remove(members[who]);
          if (comes) expected.add(who);
          else expected.delete(who);
          expect(roster.size).toBe(expected.size);
          expect(new Set([...roster].map(({ name }) => name))).toEqual(expected);
        }
      }),
    );
  });

  test('leaves alone who is in another one', () => {
    const here = new Roster();
    const there = new Roster();
    const member = { place: -1 };
    there.add(member);
    here.add({ place: -1 });
    here.remove(member);
    expect([here.size, there.size, member.place]).toEqual([1, 1, 0]);
  });
});
