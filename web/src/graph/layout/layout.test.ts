import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { layOut } from './layout.ts';
import { ranksOf } from './rank.ts';
import { type LayoutEdge, RequestedEdges } from './request.ts';
import {
  type LayoutNode,
  type LayoutRequest,
  NODE_HEIGHT,
  NODE_WIDTH,
  type Positions,
} from './types.ts';

const node = (
  namespace: string,
  app: string,
  version = 'v1',
  role: LayoutNode['role'] = 'inner',
): LayoutNode => ({
  id: `${namespace}/${app}/${version}`,
  namespace,
  app,
  role,
});
const edge = (source: LayoutNode, target: LayoutNode): LayoutEdge => ({
  source: source.id,
  target: target.id,
  requestsPerSecond: 0,
  connectionsPerSecond: 0,
});
function laidOut({
  nodes,
  edges,
  kept,
}: Pick<LayoutRequest, 'nodes' | 'kept'> & { readonly edges: readonly LayoutEdge[] }) {
  const requested = new RequestedEdges(nodes, edges.length);
  for (const each of edges) requested.add(each);
  return layOut({ nodes, kept, ...requested.taken() });
}

function overlaps(positions: Positions): string[] {
  const all = Object.entries(positions);
  return all.flatMap(([a, p], at) =>
    all
      .slice(at + 1)
      .flatMap(([b, q]) =>
        Math.abs(p.x - q.x) < NODE_WIDTH && Math.abs(p.y - q.y) < NODE_HEIGHT
          ? [`${a} covers ${b}`]
          : [],
      ),
  );
}

const flow = (count: number, ...calls: readonly (readonly [number, number])[]) => ({
  count,
  from: Int32Array.from(calls, ([from]) => from),
  to: Int32Array.from(calls, ([, to]) => to),
});

describe('ranksOf', () => {
  test('puts callers before the called, and turns what closes a circle', () => {
    const ranks = ranksOf(flow(4, [0, 1], [1, 2], [2, 3], [3, 1], [0, 3]));
    expect([...ranks]).toEqual([0, 1, 2, 3]);
  });

  test('puts what nobody calls right before what it calls', () => {
    expect([...ranksOf(flow(4, [0, 1], [1, 2], [3, 2]))]).toEqual([0, 1, 2, 1]);
  });
});

describe('layOut', () => {
  const [web, cart, product1, product2] = [
    node('shop', 'web'),
    node('shop', 'cart'),
    node('shop', 'product', 'v1'),
    node('shop', 'product', 'v2'),
  ];
  const pay = node('pay', 'pay');
  const gateway = node('shop', 'front', '', 'gateway');
  const nodes = [web, cart, product1, product2, pay, gateway];
  const edges = [
    edge(gateway, web),
    edge(web, cart),
    edge(web, product1),
    edge(web, product2),
    edge(cart, pay),
    edge(cart, product1),
  ];

  test('goes left to right by flow, gateways first, versions on top of each other', () => {
    const { positions } = laidOut({ nodes, edges });
    expect(positions[gateway.id].x).toBeLessThan(positions[web.id].x);
    expect(positions[web.id].x).toBeLessThan(positions[cart.id].x);
    expect(positions[cart.id].x).toBeLessThan(positions[pay.id].x);
    expect(positions[product1.id].x).toBe(positions[product2.id].x);
    expect(positions[product2.id].y - positions[product1.id].y).toBe(NODE_HEIGHT + 8);
  });

  test('does not depend on the order in which nodes and edges come', () => {
    expect(laidOut({ nodes: nodes.toReversed(), edges: edges.toReversed() })).toEqual(
      laidOut({ nodes, edges }),
    );
  });

  test('leaves out edges that lead to no node', () => {
    const stray = { ...edge(web, cart), target: 'nobody' };
    expect(laidOut({ nodes, edges: [stray, ...edges] })).toEqual(laidOut({ nodes, edges }));
  });

  test('leads a call over several columns around what stands between', () => {
    const { bends } = laidOut({ nodes, edges: [...edges, edge(web, product1)] });
    expect(bends[`${web.id} ${product1.id}`]).toHaveLength(1);
  });

  test('moves nothing that has a place, and gives new nodes one of their own', () => {
    const before = laidOut({ nodes: nodes.slice(0, 3), edges }).positions;
    const added = [...nodes, node('shop', 'new'), node('other', 'new')];
    const after = laidOut({
      nodes: added,
      edges: [...edges, edge(web, added[6])],
      kept: before,
    }).positions;
    for (const [id, point] of Object.entries(before)) expect(after[id]).toEqual(point);
    expect(Object.keys(after)).toHaveLength(added.length);
    expect(overlaps(after)).toEqual([]);
  });

  test('never puts one node on another, whatever calls whatever', () => {
    const graph = fc.record({
      sizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
      pairs: fc.array(fc.tuple(fc.nat(29), fc.nat(29)), { maxLength: 60 }),
    });
    fc.assert(
      fc.property(graph, ({ sizes, pairs }) => {
        const all = sizes.flatMap((size, at) =>
          Array.from({ length: size }, (_, app) => node(`ns${at}`, `app${app >> 1}`, `v${app}`)),
        );
        const calls = pairs.map(([a, b]) => edge(all[a % all.length], all[b % all.length]));
        const { positions } = laidOut({ nodes: all, edges: calls });
        expect(Object.keys(positions)).toHaveLength(all.length);
        expect(overlaps(positions)).toEqual([]);
      }),
      { numRuns: 60, seed: 7 },
    );
  });
});
