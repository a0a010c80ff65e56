import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { hashText } from '../hash/hash-text.ts';
import { RING_POINTS_MAX } from '../limits.ts';
import { type HashTable, HashTables } from './hash-tables.ts';
import { MaglevTable } from './maglev.ts';
import type { Candidate } from './pick.ts';
import { HashRing } from './ring.ts';

const member = (index: number): Candidate => ({
  weight: 1,
  active: 0,
  address: `198.18.${index >> 8}.${index & 255}:8080`,
  usable: true,
  since: 0,
});
const members = (count: number) => Array.from({ length: count }, (_, index) => member(index));
const ones = (list: readonly Candidate[]) => list.map(() => 1);
const KEYS = Array.from({ length: 2000 }, (_, index) => hashText(`key ${index}`));
const owners = (table: HashTable<Candidate>) => KEYS.map((key) => table.pick(key, 0)?.address);

describe('minimal disruption', () => {
  const counts = fc.integer({ min: 2, max: 24 });

  test('HashRing moves only the keys of a member that goes, and only to a member that comes', () => {
    fc.assert(
      fc.property(counts, fc.nat(), (count, seed) => {
        const before = members(count);
        const gone = before[seed % count];
        const after = before.filter((each) => each !== gone);
        const many = owners(new HashRing(before, ones(before), 100 * count));
        // The same points a member: the ring's size goes with the members.
        const few = owners(new HashRing(after, ones(after), 100 * (count - 1)));
        for (const [at, owner] of many.entries())
          if (owner !== gone.address) expect(few[at]).toBe(owner);
      }),
      { numRuns: 20 },
    );
  });

  test('MaglevTable moves few other keys when a member goes', () => {
    fc.assert(
      fc.property(counts, fc.nat(), (count, seed) => {
        const before = members(count);
        const gone = before[seed % count];
        const after = before.filter((each) => each !== gone);
        const many = owners(new MaglevTable(before, ones(before), 65_537));
        const few = owners(new MaglevTable(after, ones(after), 65_537));
        const kept = many.filter((owner) => owner !== gone.address).length;
        const moved = many.filter(
          (owner, at) => owner !== gone.address && few[at] !== owner,
        ).length;
        // Eisenbud et al., figure 11: below 3 % at this size of table.
        expect(moved / kept).toBeLessThan(0.05);
      }),
      { numRuns: 20 },
    );
  });
});

describe('shares', () => {
  test('MaglevTable gives members shares by weight, to a slot', () => {
    const list = members(5);
    const table = new MaglevTable(list, [1, 1, 1, 1, 4], 65_537);
    const shares = table.shares.map((slots) => (slots * 8) / 65_537);
    for (const [at, share] of shares.entries())
      expect(Math.abs(share - (at === 4 ? 4 : 1))).toBeLessThan(0.01);
  });

  test('HashRing gives the lightest member a whole point, and stays below its bound', () => {
    const list = members(3);
    expect(new HashRing(list, [1, 1, 1], 1024).size).toBe(1026);
    expect(new HashRing(list, [1, 1, 1000], 10).size).toBe(1002);
    expect(new HashRing(members(2), [1, 1], 10 * RING_POINTS_MAX).size).toBe(RING_POINTS_MAX);
    const spread = members(10);
    const counts = new Map<string, number>();
    for (const owner of owners(new HashRing(spread, ones(spread), 10_000)))
      counts.set(owner ?? '', (counts.get(owner ?? '') ?? 0) + 1);
    for (const count of counts.values()) expect(Math.abs(count - 200)).toBeLessThan(60);
  });
});

test('another attempt leads a key elsewhere, always the same', () => {
  const list = members(10);
  for (const table of [
    new HashRing(list, ones(list), 4096),
    new MaglevTable(list, ones(list), 65_537),
  ]) {
    const moved = KEYS.filter((key) => table.pick(key, 1) !== table.pick(key, 0)).length;
    expect(moved / KEYS.length).toBeGreaterThan(0.8);
    for (const key of KEYS.slice(0, 20)) expect(table.pick(key, 2)).toBe(table.pick(key, 2));
  }
});

test('no member that may be used: no pick', () => {
  const list = members(3).map((each) => ({ ...each, usable: false }));
  expect(new HashRing(list, ones(list), 64).pick(5, 0)).toBeUndefined();
  expect(new MaglevTable(list, ones(list), 67).pick(5, 0)).toBeUndefined();
  const last = { ...member(9), usable: true };
  const mostlyOut = [...list, last];
  expect(new MaglevTable(mostlyOut, ones(mostlyOut), 67).pick(5, 0)).toBe(last);
});

test('HashTables gives the same table for the same members, and forgets what nobody asked for', () => {
  const tables = new HashTables<Candidate>();
  const policy = { keys: [], algorithm: 'ring-hash', size: 64 } as const;
  const list = members(3);
  const first = tables.tableFor(policy, list, ones(list));
  tables.endGeneration();
  expect(tables.tableFor(policy, [...list], ones(list))).toBe(first);
  expect(tables.tableFor(policy, list, [1, 1, 2])).not.toBe(first);
  tables.endGeneration();
  tables.endGeneration();
  expect(tables.tableFor(policy, list, ones(list))).not.toBe(first);
});
