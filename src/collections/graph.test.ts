import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Collection, CollectionEvent, SourceCollection } from './collection.ts';
import { Graph } from './graph.ts';

interface Pod {
  app: string;
  node: string;
}

function contents<T>(collection: Collection<T>): Record<string, T> {
  return Object.fromEntries(
    [...collection.entries()].sort(([left], [right]) => (left < right ? -1 : 1)),
  );
}

function record<T>(collection: Collection<T>): CollectionEvent<T>[] {
  const events: CollectionEvent<T>[] = [];
  collection.subscribe((batch) => events.push(...batch));
  return events;
}

/** A diamond: pods and zones feed `placed`; `placed` and pods feed `summary` through an index. */
function topology() {
  const graph = new Graph();
  const pods = graph.source<Pod>('pods');
  const zones = graph.source<string>('zones');
  const services = graph.source<string>('services');
  const placed = graph.map('placed', pods, (pod, reads) => {
    const zone = reads.get(zones, pod.node);
    return zone === undefined ? undefined : { ...pod, zone };
  });
  const byApp = graph.index('byApp', placed, (pod) => [pod.app]);
  const summary = graph.map('summary', services, (app, reads, key) => ({
    key,
    zones: reads.lookup(byApp, app).map((pod) => pod.zone),
    pods: [...reads.all(pods)].length,
  }));
  const names = graph.flatMap('names', pods, (pod) => [
    [pod.app, pod.node],
    [`${pod.app}.${pod.node}`, pod.node],
  ]);
  const joined = graph.join('joined', [zones, names]);
  return { graph, pods, zones, services, placed, byApp, summary, names, joined };
}

describe('Graph', () => {
  test('recomputes only what read the changed value', () => {
    const graph = new Graph();
    const source = graph.source<number>('numbers');
    const factor = graph.source<number>('factors');
    let runs = 0;
    const product = graph.map('product', source, (value, reads) => {
      runs++;
      return value > 10 ? value : value * (reads.get(factor, 'f') ?? 1);
    });
    graph.batch(() => {
      source.set('small', 2);
      source.set('big', 20);
    });
    expect(runs).toBe(2);
    const events = record(product);
    factor.set('f', 3);
    expect(runs).toBe(3);
    expect(events).toEqual([{ key: 'small', value: 6, previous: 2 }]);
    factor.set('g', 3);
    expect(runs).toBe(3);
  });

  test('emits nothing when the derived value stays equal', () => {
    const graph = new Graph();
    const source = graph.source<{ value: number; noise: number }>('s');
    const derived = graph.map('d', source, ({ value }) => ({ value }));
    const events = record(derived);
    source.set('a', { value: 1, noise: 1 });
    source.set('a', { value: 1, noise: 2 });
    expect(events).toHaveLength(1);
    graph.batch(() => {
      source.set('a', { value: 2, noise: 2 });
      source.set('a', { value: 1, noise: 2 });
    });
    expect(events).toHaveLength(1);
    source.delete('a');
    expect(events[1]).toEqual({ key: 'a', value: undefined, previous: { value: 1 } });
  });

  test('settles a diamond with one event and no intermediate value', () => {
    const graph = new Graph();
    const source = graph.source<number>('s');
    const left = graph.map('left', source, (value) => value + 1);
    const sum = graph.map(
      'sum',
      source,
      (value, reads, key) => value + (reads.get(left, key) ?? 0),
    );
    const seen = record(sum);
    source.set('a', 1);
    source.set('a', 2);
    expect(seen.map((event) => event.value)).toEqual([3, 5]);
  });

  test('takes up changes that a subscriber makes', () => {
    const graph = new Graph();
    const input = graph.source<number>('input');
    const output = graph.source<number>('output');
    const doubled = graph.map('doubled', output, (value) => value * 2);
    input.subscribe((events) => {
      for (const event of events) output.set(event.key, event.value ?? 0);
    });
    const seen = record(doubled);
    input.set('a', 4);
    expect(seen.map((event) => event.value)).toEqual([8]);
  });

  test('refuses to read a newer collection', () => {
    const graph = new Graph();
    const source = graph.source<number>('s');
    let late: Collection<number> | undefined;
    graph.map('early', source, (value, reads) => (late && reads.get(late, 'x')) ?? value);
    late = graph.source<number>('late');
    expect(() => source.set('a', 1)).toThrow('reads the newer collection');
  });

  test('incremental result equals a recompute from scratch, and events replay to it', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    const app = fc.constantFrom('web', 'db');
    const node = fc.constantFrom('n1', 'n2');
    const change = fc.oneof(
      fc.record({ to: fc.constant('pods' as const), key, app: fc.option(app), node }),
      fc.record({
        to: fc.constant('zones' as const),
        key: node,
        zone: fc.option(fc.constantFrom('z1', 'z2')),
      }),
      fc.record({ to: fc.constant('services' as const), key, app: fc.option(app) }),
    );
    type Change = typeof change extends fc.Arbitrary<infer C> ? C : never;
    const apply = (to: ReturnType<typeof topology>, each: Change) => {
      const put = <T>(source: SourceCollection<T>, value: T | null) =>
        value === null ? source.delete(each.key) : source.set(each.key, value);
      if (each.to === 'zones') put(to.zones, each.zone);
      else if (each.to === 'services') put(to.services, each.app);
      else put(to.pods, each.app === null ? null : { app: each.app, node: each.node });
    };
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 15 }), (batches) => {
        const live = topology();
        const replayed: Record<string, unknown> = {};
        live.summary.subscribe((events) => {
          for (const { key, value, previous } of events) {
            expect(replayed[key]).toEqual(previous);
            if (value === undefined) delete replayed[key];
            else replayed[key] = value;
          }
        });
        for (const batch of batches)
          live.graph.batch(() => {
            for (const each of batch) apply(live, each);
          });
        const fresh = topology();
        fresh.graph.batch(() => {
          for (const name of ['pods', 'zones', 'services'] as const)
            for (const [key, value] of live[name].entries())
              (fresh[name] as SourceCollection<unknown>).set(key, value);
        });
        for (const name of ['placed', 'byApp', 'summary', 'names', 'joined'] as const)
          expect(contents<unknown>(live[name])).toEqual(contents<unknown>(fresh[name]));
        expect(replayed).toEqual(contents<unknown>(live.summary));
      }),
      { numRuns: 300 },
    );
  });
});
