import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import type { KubeObject } from '../client/kube-client.ts';
import { RESOURCES } from '../client/resources.ts';
import { CATCH_UP_MS } from '../limits.ts';
import { ListGate } from './list-gate.ts';
import { startInformer } from './list-watch.ts';
import { isOlderVersion } from './resource-version.ts';

interface Thing extends KubeObject {
  spec: { value: number };
}
const REF = RESOURCES.configMaps;

function thing(name: string, value: number): Thing {
  const metadata = { name, namespace: 'shop' };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, spec: { value } };
}

/** Lets every promise that can settle settle. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await Promise.resolve();
}

function setup() {
  const client = new FakeKubeClient();
  const clock = new FakeClock();
  const deps = { client, clock, random: seededRandom(1), log: silentLogger };
  const informer = startInformer<Thing>(deps, REF);
  const seen = new Map<string, Thing>();
  const events: string[] = [];
  informer.subscribe({
    onAdd(object) {
      expect(seen.has(object.metadata.name)).toBe(false);
      seen.set(object.metadata.name, object);
      events.push(`add ${object.metadata.name}=${object.spec.value}`);
    },
    onUpdate(object, previous) {
      expect(seen.get(object.metadata.name)).toBe(previous);
      expect(object.metadata.uid).toBe(previous.metadata.uid);
      seen.set(object.metadata.name, object);
      events.push(`update ${object.metadata.name}=${object.spec.value}`);
    },
    onDelete(object) {
      expect(seen.delete(object.metadata.name)).toBe(true);
      events.push(`delete ${object.metadata.name}`);
    },
  });
  return { client, clock, informer, seen, events };
}

describe('startInformer', () => {
  test('keeps and tells what `keep` makes of each object, listed or watched', async () => {
    const client = new FakeKubeClient();
    const deps = { client, clock: new FakeClock(), random: seededRandom(1), log: silentLogger };
    await client.create(REF, thing('a', 1));
    const informer = startInformer<Thing>(
      deps,
      REF,
      {},
      {
        keep: ({ apiVersion, kind, metadata, spec }) => ({
          apiVersion,
          kind,
          metadata,
          spec: { value: -spec.value },
        }),
      },
    );
    const told: number[] = [];
    informer.subscribe({
      onAdd: (object) => void told.push(object.spec.value),
      onUpdate: (object, previous) => void told.push(object.spec.value, previous.spec.value),
      onDelete: () => undefined,
    });
    await settle();
    await client.create(REF, thing('b', 2));
    await client.patch(
      REF,
      { namespace: 'shop', name: 'b' },
      { type: 'merge', body: { spec: { value: 3 } } },
    );
    await settle();
    expect(told).toEqual([-1, -2, -3, -2]);
    expect(informer.list().map((object) => object.spec.value)).toEqual([-1, -3]);
    informer.stop();
  });

  test('counts an optional kind that the API does not serve as empty, until it does', async () => {
    const client = new FakeKubeClient();
    const clock = new FakeClock();
    const deps = { client, clock, random: seededRandom(1), log: silentLogger };
    client.unserved.add(REF.resource);
    const required = startInformer<Thing>(deps, REF);
    const optional = startInformer<Thing>(deps, REF, {}, { isOptional: true });
    await settle();
    expect([required.synced, optional.synced]).toEqual([false, true]);
    expect(optional.list()).toEqual([]);
    client.unserved.delete(REF.resource);
    await client.create(REF, thing('a', 1));
    clock.advance(60_000);
    await settle();
    expect(required.synced).toBe(true);
    expect(optional.list().map(({ spec }) => spec.value)).toEqual([1]);
    required.stop();
    optional.stop();
  });

  test('lists, then follows the watch, and replays to a late subscriber', async () => {
    const { client, informer, events } = setup();
    await client.create(REF, thing('a', 1));
    await settle();
    await informer.whenSynced();
    await client.create(REF, thing('b', 1));
    await client.patch(
      REF,
      { namespace: 'shop', name: 'a' },
      { type: 'merge', body: { spec: { value: 2 } } },
    );
    await client.delete(REF, { namespace: 'shop', name: 'b' });
    expect(events).toEqual(['add a=1', 'add b=1', 'update a=2', 'delete b']);
    const late: string[] = [];
    informer.subscribe({
      onAdd: (object) => late.push(object.metadata.name),
      onUpdate: () => late.push('update'),
      onDelete: () => late.push('delete'),
    });
    expect(late).toEqual(['a']);
    expect(informer.get({ namespace: 'shop', name: 'a' })?.spec.value).toBe(2);
    expect(informer.list('other')).toEqual([]);
  });

  test('emits only the difference after 410 Gone', async () => {
    const { client, clock, events } = setup();
    await client.create(REF, thing('same', 1));
    await client.create(REF, thing('old', 1));
    await settle();
    events.length = 0;
    client.cutWatches();
    await client.delete(REF, { namespace: 'shop', name: 'old' });
    await client.create(REF, thing('new', 1));
    client.compact();
    clock.advance(60_000);
    await settle();
    clock.advance(60_000);
    await settle();
    expect(events).toEqual(['delete old', 'add new=1']);
  });

  test('resumes a cut watch from the last version, without a relist', async () => {
    const { client, clock, events } = setup();
    await settle();
    client.cutWatches();
    await client.create(REF, thing('a', 1));
    clock.advance(1_000);
    await settle();
    expect(events).toEqual(['add a=1']);
  });

  test('gives delete and add for an object that came back with another uid', async () => {
    const { client, clock, events } = setup();
    await client.create(REF, thing('a', 1));
    await settle();
    client.expireWatches();
    await client.delete(REF, { namespace: 'shop', name: 'a' });
    await client.create(REF, thing('a', 2));
    client.compact();
    clock.advance(60_000);
    await settle();
    expect(events).toEqual(['add a=1', 'delete a', 'add a=2']);
  });

  test('replaces a watch that outlives the server limit, and leaves no timer behind', async () => {
    const { client, clock, informer } = setup();
    await settle();
    expect(client.watching).toBe(1);
    clock.advance(10 * 60_000);
    await settle();
    expect(client.watching).toBe(1);
    informer.stop();
    expect(client.watching).toBe(0);
    expect(clock.pending).toBe(0);
  });

  test('converges with the server whatever fails, each change once and in order', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.oneof(
      fc.record({ op: fc.constant('put' as const), name, value: fc.nat(3) }),
      fc.record({ op: fc.constant('delete' as const), name }),
      fc.record({
        op: fc.constantFrom(
          ...(['cut', 'compact', 'expire', 'bookmark', 'fail', 'wait', 'settle'] as const),
          ...(['leave', 'return', 'backup', 'restore', 'wait long'] as const),
        ),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { client, clock, informer, seen } = setup();
        let backup = client.backup();
        for (const each of steps) {
          if (each.op === 'leave') {
            client.away = true;
            client.cutWatches();
          } else if (each.op === 'return') client.away = false;
          else if (each.op === 'backup') backup = client.backup();
          else if (each.op === 'restore') {
            // A server is not replaced without being away; its versions may have caught up when it is back.
            client.restore(backup);
            client.away = true;
            clock.advance(500);
            await settle();
          } else if (each.op === 'wait long') clock.advance(90_000);
          else if (each.op === 'cut') client.cutWatches();
          else if (each.op === 'compact') client.compact();
          else if (each.op === 'expire') client.expireWatches();
          else if (each.op === 'bookmark') client.bookmark();
          else if (each.op === 'fail') client.failures = 1;
          else if (each.op === 'wait') clock.advance(500);
          else if (each.op === 'settle') await settle();
          else await write(client, each);
        }
        client.failures = 0;
        client.away = false;
        for (let round = 0; round < 8; round++) {
          await settle();
          clock.advance(20_000);
        }
        await settle();
        const want = [...client.objects.values()].map((object) => (object as Thing).spec.value);
        expect(
          informer
            .list()
            .map((object) => object.spec.value)
            .sort(),
        ).toEqual(want.sort());
        expect([...seen.values()].sort(byName)).toEqual([...informer.list()].sort(byName));
        informer.stop();
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('startInformer, when the server fails', () => {
  /** Time passes in steps, as it does: each timer's work is done before the next one is due. */
  async function pass(clock: FakeClock, ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 250) {
      clock.advance(250);
      await settle();
    }
  }

  test('keeps what it has for ten minutes without a server, asks seldom, then lists once', async () => {
    const { client, clock, informer, events } = setup();
    await client.create(REF, thing('a', 1));
    await settle();
    client.away = true;
    client.cutWatches();
    await pass(clock, 20_000);
    const calls = client.calls;
    await pass(clock, 580_000);
    // At the cap of the back-off, of which half is chance: 58 to 116.
    expect(client.calls - calls).toBeGreaterThan(50);
    expect(client.calls - calls).toBeLessThan(120);
    expect(informer.list().map(({ spec }) => spec.value)).toEqual([1]);
    expect(informer.problem).toMatchObject({
      resource: 'configmaps',
      code: 'KUBE_UNAVAILABLE',
      message: 'connection refused',
    });
    const { lists } = client;
    client.away = false;
    await client.create(REF, thing('b', 2));
    await pass(clock, 20_000);
    expect(client.lists - lists).toBe(1);
    expect(events).toEqual(['add a=1', 'add b=2']);
    expect(informer.problem).toBeUndefined();
    informer.stop();
  });

  test('is current while it follows, and again once what it missed has had time to arrive', async () => {
    const { client, clock, informer } = setup();
    expect(informer.isCurrent).toBe(false);
    await settle();
    expect(informer.isCurrent).toBe(true);
    client.away = true;
    client.cutWatches();
    await settle();
    expect(informer.isCurrent).toBe(false);
    client.away = false;
    await pass(clock, 250);
    expect(informer.problem).toBeUndefined();
    expect(informer.isCurrent).toBe(false);
    await pass(clock, CATCH_UP_MS);
    expect(informer.isCurrent).toBe(true);
    informer.stop();
  });

  test('is current without a kind that is not served, not when it was and may come back', async () => {
    const client = new FakeKubeClient();
    const clock = new FakeClock();
    const deps = { client, clock, random: seededRandom(1), log: silentLogger };
    client.unserved.add(REF.resource);
    const informer = startInformer<Thing>(deps, REF, {}, { isOptional: true });
    await settle();
    expect(informer.problem?.code).toBe('KUBE_NOT_FOUND');
    expect(informer.isCurrent).toBe(true);
    client.unserved.clear();
    await client.create(REF, thing('a', 1));
    await pass(clock, 20_000);
    client.unserved.add(REF.resource);
    client.expireWatches();
    await pass(clock, 1_000);
    expect(informer.list().length).toBe(1);
    expect(informer.isCurrent).toBe(false);
    await pass(clock, 90_000);
    expect(informer.isCurrent).toBe(true);
    informer.stop();
  });

  test('slows down in a storm of 410 answers', async () => {
    const { client, clock, informer } = setup();
    await client.create(REF, thing('a', 1));
    await settle();
    const { lists } = client;
    for (let round = 0; round < 240; round++) {
      client.expireWatches();
      await pass(clock, 250);
    }
    // 60 s: 100 ms, doubled up to 10 s, of which half is chance.
    expect(client.lists - lists).toBeLessThan(25);
    informer.stop();
  });

  test('asks where the server is after a broken watch, and lists when that is in the past', async () => {
    const { client, clock, informer, events } = setup();
    await client.create(REF, thing('kept', 1));
    const backup = client.backup();
    await client.create(REF, thing('lost', 2));
    await client.patch(
      REF,
      { namespace: 'shop', name: 'kept' },
      { type: 'merge', body: { spec: { value: 3 } } },
    );
    await settle();
    const { lists } = client;
    client.restore(backup);
    await pass(clock, 1_000);
    expect(client.lists - lists).toBe(1);
    expect(informer.list().map(({ spec }) => spec.value)).toEqual([1]);
    // Versions are given again: the watch is where the server is now.
    await client.create(REF, thing('new', 4));
    await settle();
    expect(events.slice(-3)).toEqual(['delete lost', 'update kept=1', 'add new=4']);
    informer.stop();
  });

  test('takes the content where a version was given twice', async () => {
    const { client, clock, informer } = setup();
    await client.create(REF, thing('a', 1));
    await settle();
    const key = { namespace: 'shop', name: 'a' };
    const backup = client.backup();
    await client.patch(REF, key, { type: 'merge', body: { spec: { value: 2 } } });
    await settle();
    client.restore(backup);
    client.away = true;
    client.cutWatches();
    client.away = false;
    await client.patch(REF, key, { type: 'merge', body: { spec: { value: 7 } } });
    client.away = true;
    await pass(clock, 70_000);
    client.away = false;
    await pass(clock, 20_000);
    expect(informer.list().map(({ spec }) => spec.value)).toEqual([7]);
    informer.stop();
  });

  test.each([
    ['waits for a kind that it may not read', false],
    ['counts one that may be missing as empty', true],
  ])('%s, names verb and resource, and follows it once it may', async (_title, isDispensable) => {
    const client = new FakeKubeClient();
    const clock = new FakeClock();
    const deps = { client, clock, random: seededRandom(1), log: silentLogger };
    const ref = RESOURCES.authorizationPolicies;
    client.forbidden.add(ref.resource);
    await client.create(ref, { ...thing('a', 1), kind: ref.kind });
    const informer = startInformer<Thing>(deps, ref, {}, { isDispensable });
    await settle();
    expect(informer.synced).toBe(isDispensable);
    expect(informer.problem).toMatchObject({
      verb: 'list',
      resource: 'authorizationpolicies.security.istio.io',
      code: 'KUBE_FORBIDDEN',
    });
    client.forbidden.clear();
    await pass(clock, 20_000);
    expect(informer.list().length).toBe(1);
    expect(informer.problem).toBeUndefined();
    // What was there is no less there for a right that is taken away.
    client.forbidden.add(ref.resource);
    client.cutWatches();
    await pass(clock, 90_000);
    expect(informer.list().length).toBe(1);
    expect(informer.problem?.code).toBe('KUBE_FORBIDDEN');
    informer.stop();
  });

  test('empties an optional kind only when it was not served for a while', async () => {
    const client = new FakeKubeClient();
    const clock = new FakeClock();
    const deps = { client, clock, random: seededRandom(1), log: silentLogger };
    await client.create(REF, thing('a', 1));
    const informer = startInformer<Thing>(deps, REF, {}, { isOptional: true });
    await settle();
    client.unserved.add(REF.resource);
    client.expireWatches();
    await pass(clock, 30_000);
    expect(informer.list().length).toBe(1);
    await pass(clock, 60_000);
    expect(informer.list().length).toBe(0);
    informer.stop();
  });
});

describe('ListGate', () => {
  test('runs so many at once, the others in turn, also after failures', async () => {
    const gate = new ListGate(2);
    const started: number[] = [];
    const ends = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const all = ends.map(({ promise }, index) =>
      gate
        .run(() => {
          started.push(index);
          return promise;
        })
        .catch(() => undefined),
    );
    await settle();
    expect(started).toEqual([0, 1]);
    ends[1].reject(new Error('no'));
    await settle();
    expect(started).toEqual([0, 1, 2]);
    for (const { resolve } of ends) resolve();
    await Promise.all(all);
    expect(started).toEqual([0, 1, 2, 3]);
  });
});

describe('isOlderVersion', () => {
  test.each([
    ['9', '10', true],
    ['10', '9', false],
    ['10', '10', false],
    ['90071992547409930', '90071992547409931', true],
    ['', '10', false],
    ['opaque', '10', false],
    ['1', 'opaque', false],
  ])('%p than %p: %p', (version, than, expected) => {
    expect(isOlderVersion(version, than)).toBe(expected);
  });
});

function byName(left: Thing, right: Thing): number {
  return left.metadata.name < right.metadata.name ? -1 : 1;
}

async function write(
  client: FakeKubeClient,
  change: { op: string; name?: string; value?: number },
): Promise<void> {
  const { failures, away } = client;
  // Others reach the server when we do not.
  client.away = false;
  client.failures = 0;
  const name = change.name ?? '';
  const exists = [...client.objects.keys()].some((id) => id.endsWith(`|${name}`));
  const body = { spec: { value: change.value } };
  if (change.op === 'delete') {
    if (exists) await client.delete(REF, { namespace: 'shop', name });
  } else if (exists) await client.patch(REF, { namespace: 'shop', name }, { type: 'merge', body });
  else await client.create(REF, thing(name, change.value ?? 0));
  client.failures = failures;
  client.away = away;
}
