import { describe, expect, test } from 'bun:test';
import { http, LIVE, MESH, World } from '#test/support/graph-world.ts';
import type { GraphRequest } from '../console-data.ts';
import { choose } from './build.ts';
import { GraphSums } from './graph-sums.ts';
import { JsonBytes } from './json-bytes.ts';
import { AHEAD_SECONDS, MadeTexts, PIECE } from './made-texts.ts';
import { edgeMark } from './marks.ts';
import { GraphShape } from './shape.ts';

/** A view of a mesh in which a service is answered by so many workloads, and how many texts of edges were made of it. */
function rig(services = 3) {
  const names = Array.from({ length: services }, (_, at) => `s${at}`);
  const world = new World()
    .run(5, ...names.map((name) => http(name, 9, { codes: [[503, 1]] })))
    .settle();
  const { store, mesh } = world.engine;
  const shape = new GraphShape(LIVE, store.recorder.series, mesh);
  const sums = new GraphSums(shape);
  let made = 0;
  const counted = new Proxy(sums, {
    get(target, name) {
      if (name === 'mutualOf') made++;
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const texts = new MadeTexts(counted, mesh);
  const bytes = new JsonBytes();
  const fill = () => {
    const { counts, to } = store.live(60);
    sums.fill(counts, to, store.recorder);
    texts.begin(60);
  };
  const ask = (more: Partial<GraphRequest> = {}, taker: 'asked' | 'followed' = 'asked') => {
    const { edges } = choose(sums, { ...LIVE, ...more });
    bytes.clear();
    texts.putEdges(edges, bytes, taker);
    const told = JSON.parse(`[${new TextDecoder().decode(bytes.peek())}]`) as unknown;
    const want = edges.map((slot) => edgeMark(slot, sums, mesh, 60));
    expect(told).toEqual(JSON.parse(JSON.stringify(want)));
    return edges.length;
  };
  const madeNow = () => {
    const before = made;
    made = 0;
    return before;
  };
  const prepareAll = () => {
    let calls = 0;
    while (texts.prepare()) calls++;
    return calls;
  };
  fill();
  return { world, mesh, texts, fill, ask, madeNow, prepareAll };
}

describe('MadeTexts', () => {
  test('a text is made once a filling, whoever asks and in which order', () => {
    const { ask, fill, madeNow } = rig();
    expect(ask({ focus: 'workload/shop/s2' })).toBe(2);
    expect(madeNow()).toBe(2);
    expect(ask()).toBe(4);
    expect(madeNow()).toBe(2);
    ask({ focus: 'workload/shop/s1' });
    ask({ namespaces: ['nowhere'] });
    ask();
    expect(madeNow()).toBe(0);
    fill();
    ask();
    expect(madeNow()).toBe(4);
  });

  test('what was asked for is made ahead for some seconds, and nothing else', () => {
    const { ask, fill, madeNow, prepareAll } = rig();
    ask({ focus: 'workload/shop/s2' });
    ask({}, 'followed');
    madeNow();
    for (let second = 0; second < AHEAD_SECONDS; second++) {
      fill();
      prepareAll();
      expect(madeNow()).toBe(2);
    }
    fill();
    prepareAll();
    expect(madeNow()).toBe(0);
    ask();
    expect(madeNow()).toBe(4);
  });

  test('one call makes no more than a piece', () => {
    const { ask, fill, prepareAll, madeNow } = rig(PIECE + 10);
    ask();
    fill();
    madeNow();
    expect(prepareAll()).toBe(2);
    expect(madeNow()).toBe(PIECE + 11);
    ask();
    expect(madeNow()).toBe(0);
  });

  test('another window, and other weights of a route, make edges anew; ejections do not', () => {
    const { mesh, texts, ask, madeNow } = rig();
    ask();
    madeNow();
    const again = (seconds = 60) => {
      texts.begin(seconds);
      if (seconds === 60) ask();
      return madeNow();
    };
    mesh.apply({ ...MESH, workloads: [], services: [], moment: { splits: [], ejected: [] } });
    expect(again()).toBe(0);
    const parts = [{ percent: 100, workloads: ['shop/s1'] }];
    const split = { route: 'HTTPRoute shop/cart', service: 'shop/cart.shop.svc.cluster.local' };
    const splits = [{ ...split, parts }];
    mesh.apply({ ...MESH, workloads: [], services: [], moment: { splits } });
    expect(again()).toBe(4);
    again(30);
    expect(again()).toBe(4);
  });
});
