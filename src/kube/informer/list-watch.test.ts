import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import type { KubeObject } from '../client/kube-client.ts';
import { RESOURCES } from '../client/resources.ts';
import { startInformer } from './list-watch.ts';

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
        op: fc.constantFrom('cut', 'compact', 'expire', 'bookmark', 'fail', 'wait', 'settle'),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { client, clock, informer, seen } = setup();
        for (const each of steps) {
          if (each.op === 'cut') client.cutWatches();
          else if (each.op === 'compact') client.compact();
          else if (each.op === 'expire') client.expireWatches();
          else if (each.op === 'bookmark') client.bookmark();
          else if (each.op === 'fail') client.failures = 1;
          else if (each.op === 'wait') clock.advance(500);
          else if (each.op === 'settle') await settle();
          else await write(client, each);
        }
        client.failures = 0;
        for (let round = 0; round < 6; round++) {
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

function byName(left: Thing, right: Thing): number {
  return left.metadata.name < right.metadata.name ? -1 : 1;
}

async function write(
  client: FakeKubeClient,
  change: { op: string; name?: string; value?: number },
): Promise<void> {
  const failures = client.failures;
  client.failures = 0;
  const name = change.name ?? '';
  const exists = [...client.objects.keys()].some((id) => id.endsWith(`|${name}`));
  const body = { spec: { value: change.value } };
  if (change.op === 'delete') {
    if (exists) await client.delete(REF, { namespace: 'shop', name });
  } else if (exists) await client.patch(REF, { namespace: 'shop', name }, { type: 'merge', body });
  else await client.create(REF, thing(name, change.value ?? 0));
  client.failures = failures;
}
