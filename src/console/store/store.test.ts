import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { edge, peer, sample, service, UNKNOWN } from '#test/support/flows.ts';
import { BUCKETS } from './counts.ts';
import { BROKEN_FILES_MAX } from './limits.ts';
import { type StoreLimits, TelemetryStore } from './telemetry-store.ts';

const EPOCH = Date.UTC(2026, 0, 1, 11, 57, 10);
const START = EPOCH / 1000;

function world(
  directory: string | undefined,
  limits: StoreLimits = {},
  clock = new FakeClock(EPOCH),
) {
  const open = () =>
    new TelemetryStore({ clock, log: silentLogger, directory, viaOf: (proxy) => proxy }, limits);
  return { clock, open };
}

function temporary(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), 'tulle-store-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** One second later, with what the store does each second. */
function second(store: TelemetryStore, clock: FakeClock): void {
  clock.advance(1000);
  store.tick();
}

const when = (second: number, receivedMs: number) => ({ second, receivedMs });

const total = (summed: { counts: { requests: Uint32Array } }) =>
  summed.counts.requests.reduce((sum, each) => sum + each, 0);

function send(store: TelemetryStore, at: number, requests: number, proxy = 'p'): void {
  const samples = requests === 0 ? [] : [sample(0, { requests })];
  store.recorder.frame(proxy, { second: at, samples }, when(at, at * 1000 + 1100));
}

describe('TelemetryStore', () => {
  test('every tier and the live window add up to what was sent, through crashes at any moment', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.array(fc.integer({ min: 5, max: 290 }), { maxLength: 3 }),
        (seed, kills) => {
          using folder = temporary();
          const random = seededRandom(seed);
          const { clock, open } = world(folder.path);
          let store = open();
          const truth = new Map<number, number>();
          const kept = new Map<number, number>();
          const begin = () => {
            // A proxy keeps its last frames and sends again what came after the last one that is known.
            const known = store.recorder.opened('p');
            store.recorder.edge('p', edge(0));
            for (const [at, requests] of kept) if (at > known) send(store, at, requests);
          };
          begin();
          for (let at = 0; at < 300; at++) {
            clock.advance(900);
            const requests = random.integer(4) === 0 ? 0 : random.integer(30);
            truth.set(START + at, requests);
            kept.set(START + at, requests);
            if (kept.size > 60) kept.delete(kept.keys().next().value ?? 0);
            send(store, START + at, requests);
            if (random.integer(20) === 0) send(store, START + at, requests);
            clock.advance(100);
            store.tick();
            if (kills.includes(at)) {
              // Nothing is flushed: the file is left as a killed process leaves it.
              store = open();
              begin();
            }
          }
          for (let at = 0; at < 10; at++) second(store, clock);
          const sum = (from: number, to: number) =>
            [...truth].reduce((all, [at, many]) => all + (at >= from && at < to ? many : 0), 0);
          const end = START + 300;
          expect(total(store.between(START, end))).toBe(sum(START, end));
          for (const [from, to] of [
            [START + 3, START + 7],
            [START + 50, START + 211],
            [START + 170, end],
          ])
            expect(total(store.between(from, to))).toBe(sum(from, to));
          const head = store.windows.head;
          expect(total(store.live(60))).toBe(sum(head - 59, head + 1));
          expect(total(store.live(120))).toBe(sum(head - 119, head + 1));
          store.close();
        },
      ),
      { numRuns: 12 },
    );
  }, 60_000);

  test('minutes become hours that hold the same, and seconds go after a quarter of an hour', () => {
    const { clock, open } = world(undefined);
    const store = open();
    store.recorder.opened('p');
    store.recorder.edge('p', edge(0));
    for (let at = 0; at < 3900; at++) {
      send(store, START + at, 2);
      second(store, clock);
    }
    for (let at = 0; at < 70; at++) second(store, clock);
    const hour = Date.UTC(2026, 0, 1, 12) / 1000;
    expect(store.blocks.oldest(2)).toBe(hour - 3600);
    expect(total(store.between(hour, hour + 3600))).toBe(7200);
    expect(store.between(START + 7, START + 8)).toMatchObject({ from: START - 10, to: START + 50 });
    expect(store.blocks.oldest(0)).toBeGreaterThan(START + 3900 - 930);
    expect(total(store.live(900))).toBe(
      total(store.between(store.windows.head - 899, store.windows.head + 1)),
    );
  });

  test('a second is booked once, however often and late it comes; wrong clocks are refused', () => {
    const { clock, open } = world(undefined);
    const store = open();
    store.recorder.opened('p');
    store.recorder.edge('p', edge(0));
    store.recorder.opened('q');
    store.recorder.edge('q', edge(7));
    send(store, START, 5);
    send(store, START, 5);
    for (let at = 0; at < 20; at++) second(store, clock);
    send(store, START, 5);
    const lateSample = [sample(7, { requests: 3 })];
    store.recorder.frame(
      'q',
      { second: START, samples: lateSample },
      when(START, clock.wallTime()),
    );
    store.recorder.frame(
      'q',
      { second: START + 9999, samples: lateSample },
      when(START + 9999, clock.wallTime()),
    );
    for (let at = 0; at < 5; at++) second(store, clock);
    expect(total(store.between(START, START + 1))).toBe(8);
    expect(total(store.live(60))).toBe(8);
    expect(store.recorder.refused).toBe(1);
    for (let at = 0; at < 60; at++) second(store, clock);
    expect(total(store.live(60))).toBe(0);
  });

  test('what the source reported is not counted again when the destination reports it', () => {
    const { clock, open } = world(undefined);
    const store = open();
    store.recorder.opened('a');
    store.recorder.opened('b');
    const tcp = { protocol: 'tcp', service: service('') } as const;
    store.recorder.edge('a', edge(0, { ...tcp, reporter: 'source' }));
    store.recorder.edge('b', edge(0, { ...tcp, reporter: 'destination' }));
    store.recorder.edge('b', edge(1, { ...tcp, reporter: 'destination', source: UNKNOWN }));
    const samples = [sample(0, { opened: 4 })];
    store.recorder.frame('a', { second: START, samples }, when(START, clock.wallTime()));
    store.recorder.frame(
      'b',
      { second: START, samples: [...samples, sample(1, { opened: 2 })] },
      when(START, clock.wallTime()),
    );
    for (let at = 0; at < 5; at++) second(store, clock);
    const { counts } = store.live(60);
    expect(counts.opened.reduce((sum, each) => sum + each, 0)).toBe(6);
  });

  test('hostile numbers and more kinds of traffic than there may be are bounded', () => {
    const { clock, open } = world(undefined, { seriesMax: 10 });
    const store = open();
    store.recorder.opened('p');
    for (let id = 0; id < 50; id++)
      store.recorder.edge('p', edge(id, { source: peer(`w${id}${'x'.repeat(9000)}`) }));
    store.recorder.edge('p', edge(-1));
    store.recorder.edge('p', edge(1e9));
    const hostile = [-5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60].map((requests) =>
      sample(0, {
        requests,
        latency: [
          [99, 5],
          [-1, 5],
          [3, requests],
        ],
        sentBytes: requests,
      }),
    );
    const normal = Array.from({ length: 50 }, (_, id) => sample(id, { requests: 1 }));
    store.recorder.frame(
      'p',
      { second: START, samples: [...hostile, ...normal, sample(4711)] },
      when(START, clock.wallTime()),
    );
    for (let at = 0; at < 5; at++) second(store, clock);
    expect(total(store.live(60))).toBe(50);
    expect(store.recorder.series.size).toBeLessThanOrEqual(11);
    expect(store.recorder.series.overflowed).toBe(40);
    for (const { source } of store.recorder.series.all())
      expect(source.workload.length).toBeLessThanOrEqual(512);
  });

  test('a broken file is kept aside and another one begun; of the broken ones a few are kept', () => {
    using folder = temporary();
    const { clock, open } = world(folder.path);
    for (let round = 0; round < BROKEN_FILES_MAX + 2; round++) {
      writeFileSync(join(folder.path, 'telemetry.db'), Buffer.alloc(9000, `no database ${round}`));
      const store = open();
      expect(store.database.problem?.message).toContain('was broken');
      expect(store.database.isPersistent).toBe(true);
      store.recorder.opened('p');
      store.recorder.edge('p', edge(0));
      send(store, Math.floor(clock.wallTime() / 1000), 5);
      for (let at = 0; at < 5; at++) second(store, clock);
      expect(total(store.live(60))).toBe(5);
      store.close();
    }
    const broken = readdirSync(folder.path).filter((name) => name.includes('broken'));
    expect(broken).toHaveLength(BROKEN_FILES_MAX);
  });

  test('a file that breaks while it is used is replaced, and the mesh is still told of', () => {
    using folder = temporary();
    const { clock, open } = world(folder.path);
    const store = open();
    store.recorder.opened('p');
    store.recorder.edge('p', edge(0));
    for (let at = 0; at < 10; at++) {
      send(store, START + at, 5);
      second(store, clock);
    }
    const other = new Database(join(folder.path, 'telemetry.db'));
    other.run('DROP TABLE blocks');
    other.close();
    for (let at = 10; at < 30; at++) {
      send(store, START + at, 5);
      second(store, clock);
    }
    expect(store.database.problem?.message).toContain('another was begun');
    const head = store.windows.head;
    // The second in whose closing it broke may be lost.
    expect(total(store.between(head - 9, head + 1))).toBe(50);
    expect(open().recorder.series.size).toBe(1);
  });

  test('a full disk is gone without, and written again once there is room, with what came meanwhile', () => {
    using folder = temporary();
    const { clock, open } = world(folder.path, { pagesMax: 60 });
    const store = open();
    const random = seededRandom(3);
    const truth = new Map<number, number>();
    store.recorder.opened('p');
    for (let id = 0; id < 400; id++) store.recorder.edge('p', edge(id, { source: peer(`w${id}`) }));
    const frame = (at: number) => {
      const samples = Array.from({ length: 400 }, (_, id) =>
        sample(id, { requests: 1 + random.integer(7), receivedBytes: random.integer(1e6) }),
      );
      truth.set(
        at,
        samples.reduce((sum, { requests }) => sum + requests, 0),
      );
      store.recorder.frame('p', { second: at, samples }, when(at, at * 1000 + 1100));
    };
    const sum = (from: number, to: number) =>
      [...truth].reduce((all, [at, many]) => all + (at >= from && at < to ? many : 0), 0);
    for (let at = 0; at < 100; at++) {
      frame(START + at);
      second(store, clock);
    }
    expect(store.database.problem?.message).toContain('cannot write');
    expect(store.database.isPersistent).toBe(false);
    expect(total(store.live(20))).toBe(sum(store.windows.head - 19, store.windows.head + 1));
    store.database.setPagesMax(undefined);
    for (let at = 100; at < 135; at++) {
      frame(START + at);
      second(store, clock);
    }
    expect(store.database.problem).toBeUndefined();
    const head = store.windows.head;
    const all = sum(head - 19, head + 1);
    expect(total(store.between(head - 19, head + 1))).toBe(all);
    store.close();
    const again = open();
    expect(total(again.between(head - 19, head + 1))).toBe(all);
    again.close();
  });

  test('for want of a disk the store in memory is as small as one without a directory', () => {
    using folder = temporary();
    const { clock, open } = world(folder.path, { pagesMax: 60, memoryBytesMax: 300 * 1024 });
    const store = open();
    const random = seededRandom(4);
    store.recorder.opened('p');
    for (let id = 0; id < 300; id++) store.recorder.edge('p', edge(id, { source: peer(`w${id}`) }));
    for (let at = 0; at < 700; at++) {
      const samples = Array.from({ length: 300 }, (_, id) =>
        sample(id, { requests: 1 + random.integer(9), receivedBytes: random.integer(1e6) }),
      );
      const frame = { second: START + at, samples };
      store.recorder.frame('p', frame, when(START + at, clock.wallTime()));
      second(store, clock);
    }
    expect(store.database.isPersistent).toBe(false);
    expect(store.database.bytes).toBeLessThan(400 * 1024);
    expect(store.windows.head).toBeGreaterThan(START + 690);
    expect(total(store.live(20))).toBeGreaterThan(0);
  });

  test('too many bytes: the oldest seconds go first, minutes and hours stay', () => {
    const { clock, open } = world(undefined, { bytesMax: 400 * 1024 });
    const store = open();
    const random = seededRandom(1);
    store.recorder.opened('p');
    for (let id = 0; id < 300; id++) store.recorder.edge('p', edge(id, { source: peer(`w${id}`) }));
    for (let at = 0; at < 900; at++) {
      const samples = Array.from({ length: 300 }, (_, id) =>
        sample(id, { requests: 1 + random.integer(9), receivedBytes: random.integer(1e6) }),
      );
      store.recorder.frame(
        'p',
        { second: START + at, samples },
        when(START + at, clock.wallTime()),
      );
      second(store, clock);
    }
    expect(store.database.bytes).toBeLessThan(500 * 1024);
    expect(store.blocks.oldest(1)).toBe(START - 10);
    expect(store.blocks.oldest(0)).toBeGreaterThan(START + 60);
  });
});

describe('History', () => {
  const change = (n: number, more: object = {}) => ({
    atMs: EPOCH + n * 1000,
    kind: 'config' as const,
    resource: 'HTTPRoute shop/cart',
    change: 'changed' as const,
    summary: `weights ${n}`,
    before: `weight: ${n - 1}`,
    after: `weight: ${n}`,
    ...more,
  });
  const range = { fromMs: EPOCH, toMs: EPOCH + 1e6, limit: 10, visible: undefined };

  test('keeps what changed, once, with the object before and after, through a restart', () => {
    using folder = temporary();
    const { open } = world(folder.path);
    const store = open();
    store.history.add([change(1), change(1), change(2)]);
    store.history.add([change(3, { resource: 'Gateway other/edge' })]);
    store.close();
    const again = open();
    const list = again.history.list(range);
    expect(list.map(({ version, summary }) => [version, summary])).toEqual([
      [3, 'weights 3'],
      [2, 'weights 2'],
      [1, 'weights 1'],
    ]);
    expect(again.history.get(2, undefined)).toMatchObject({
      before: 'weight: 1',
      after: 'weight: 2',
    });
    expect(again.history.list({ ...range, visible: ['shop'] })).toHaveLength(2);
    expect(again.history.get(3, ['shop'])).toBeUndefined();
    expect(again.history.before(EPOCH + 1500, undefined)?.version).toBe(1);
    again.close();
  });

  test('never holds the data of a Secret', () => {
    const store = world(undefined).open();
    store.history.add([change(1, { resource: 'Secret shop/tls', after: 'data: a2V5' })]);
    expect(store.history.get(1, undefined)).toMatchObject({ before: '', after: '' });
  });
});

test('BUCKETS is one more than the bounds that proxies use', () => expect(BUCKETS).toBe(20));
