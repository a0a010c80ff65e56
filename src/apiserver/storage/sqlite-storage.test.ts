/** What every Storage keeps, held against the SQLite one; and that it survives a restart. */
import { afterEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { isMeshError } from '#base/errors.ts';
import type { ApiObject } from '#kube/meta/object.ts';
import { SqliteStorage } from './sqlite-storage.ts';
import type { StorageEvent } from './storage.ts';

const TABLE = '/configmaps';
const opened: SqliteStorage[] = [];

function open(
  options: Partial<ConstructorParameters<typeof SqliteStorage>[0]> = {},
): SqliteStorage {
  const storage = new SqliteStorage({ path: ':memory:', ...options });
  opened.push(storage);
  return storage;
}

afterEach(() => {
  for (const storage of opened.splice(0)) storage.close();
});

const key = (name: string, namespace = 'a') => ({ table: TABLE, namespace, name });

function object(name: string, value = '', namespace = 'a'): ApiObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { value } };
}

const names = (items: readonly ApiObject[]) => items.map((item) => item.metadata.name);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return isMeshError(error) ? error.code : 'not a MeshError';
  }
  return 'no error';
}

test('SqliteStorage gives each write the next revision and refuses stale and double writes', () => {
  const storage = open();
  const first = storage.create(key('x'), object('x'));
  expect(first.metadata.resourceVersion).toBe(String(storage.revision));
  const second = storage.update(key('x'), object('x', '2'), first.metadata.resourceVersion!);
  expect(Number(second.metadata.resourceVersion)).toBe(Number(first.metadata.resourceVersion) + 1);
  expect(codeOf(() => storage.create(key('x'), object('x')))).toBe('STORAGE_EXISTS');
  expect(codeOf(() => storage.update(key('x'), object('x'), '1'))).toBe('STORAGE_CONFLICT');
  expect(codeOf(() => storage.update(key('y'), object('y'), '1'))).toBe('STORAGE_MISSING');
  expect(storage.delete(key('x'))?.metadata.resourceVersion).toBe(String(storage.revision));
  expect(storage.delete(key('x'))).toBeUndefined();
});

test('SqliteStorage lists in key order, in pages, by namespace, and as of an older revision', () => {
  const storage = open();
  for (const name of ['c', 'a', 'b']) storage.create(key(name), object(name));
  storage.create(key('z', 'b'), object('z', '', 'b'));
  const { revision } = storage;
  const page = storage.list({ table: TABLE, limit: 2 });
  expect([names(page.items), page.more]).toEqual([['a', 'b'], true]);
  storage.delete(key('c'));
  storage.create(key('d'), object('d'));
  const live = storage.get(key('a'))!;
  storage.update(key('a'), object('a', 'new'), live.metadata.resourceVersion!);
  const rest = storage.list({ table: TABLE, after: { namespace: 'a', name: 'b' }, revision });
  expect([names(rest.items), rest.more]).toEqual([['c', 'z'], false]);
  expect(names(storage.list({ table: TABLE, namespace: 'a' }).items)).toEqual(['a', 'b', 'd']);
  const then = storage.list({ table: TABLE, namespace: 'a', revision });
  expect(names(then.items)).toEqual(['a', 'b', 'c']);
  expect(then.items[0].data).toEqual({ value: '' });
  expect(storage.tablesOf('b')).toEqual([TABLE]);
  expect(storage.count(TABLE)).toBe(4);
});

test('SqliteStorage refuses revisions that the trimmed log no longer reaches', () => {
  const storage = open({ eventLogMax: 5, trimEvery: 1 });
  for (let index = 0; index < 20; index++) storage.create(key(`n${index}`), object(`n${index}`));
  expect(storage.compactedRevision).toBe(15);
  expect(codeOf(() => storage.eventsAfter(TABLE, 14))).toBe('STORAGE_COMPACTED');
  expect(codeOf(() => storage.list({ table: TABLE, revision: 10 }))).toBe('STORAGE_COMPACTED');
  expect(storage.eventsAfter(TABLE, 15)).toHaveLength(5);
});

test('SqliteStorage tells all subscribers one order, also when a subscriber writes', () => {
  const storage = open();
  const seen: number[][] = [[], []];
  storage.subscribe(({ revision, key: { name } }) => {
    seen[0].push(revision);
    if (name === 'first') storage.create(key('second'), object('second'));
  });
  storage.subscribe(({ revision }) => void seen[1].push(revision));
  storage.create(key('first'), object('first'));
  expect(seen[0]).toEqual(seen[1]);
  expect(seen[0]).toHaveLength(2);
});

test('SqliteStorage: the log from any revision on, played over the state then, gives the state now', () => {
  const step = fc.record({ name: fc.constantFrom('a', 'b', 'c'), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(), (steps, cut) => {
      const storage = open();
      const start = storage.revision;
      for (const [index, { name, remove }] of steps.entries()) {
        const live = storage.get(key(name));
        if (live === undefined) storage.create(key(name), object(name, String(index)));
        else if (remove) storage.delete(key(name));
        else storage.update(key(name), object(name, String(index)), live.metadata.resourceVersion!);
      }
      const from = start + (cut % (steps.length + 1));
      const state = new Map(
        storage
          .list({ table: TABLE, revision: from })
          .items.map((item) => [item.metadata.name, item]),
      );
      for (const event of storage.eventsAfter(TABLE, from)) play(state, event);
      const now = storage.list({ table: TABLE }).items;
      expect(
        [...state.values()].sort((l, r) => (l.metadata.name < r.metadata.name ? -1 : 1)),
      ).toEqual(now);
    }),
    { numRuns: 40 },
  );
});

function play(state: Map<string, ApiObject>, event: StorageEvent): void {
  expect(state.has(event.key.name)).toBe(event.type !== 'ADDED');
  if (event.type === 'DELETED') state.delete(event.key.name);
  else state.set(event.key.name, event.object);
}

test('SqliteStorage goes on after a restart where it stopped', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-storage-'));
  try {
    const path = join(directory, 'state.sqlite');
    const before = new SqliteStorage({ path });
    before.create(key('kept'), object('kept'));
    before.create(key('gone'), object('gone'));
    before.delete(key('gone'));
    const { revision } = before;
    before.close();
    const after = open({ path });
    expect(after.revision).toBe(revision);
    expect(names(after.list({ table: TABLE }).items)).toEqual(['kept']);
    expect(after.eventsAfter(TABLE, revision - 1).map(({ type }) => type)).toEqual(['DELETED']);
    expect(Number(after.create(key('next'), object('next')).metadata.resourceVersion)).toBe(
      revision + 1,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
