import { describe, expect, test } from 'bun:test';
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';
import type { HealthStatus } from '#console/api/health.ts';
import { layOut } from '../layout/layout.ts';
import { requestOf } from '../layout/request.ts';
import { compared } from './compare.ts';
import { curveOf, labelOf, lockOf, particlesOf, pointOn, widthOf } from './edge-marks.ts';
import { hitAt, neighbourIn, togetherWith } from './hit.ts';
import { grouped } from './levels.ts';
import { touches } from './marks.ts';
import { sharesOf } from './node-marks.ts';
import { levelAt, sceneOf } from './scene.ts';

const health = (status: HealthStatus = 'healthy', samples = 600) => ({
  status,
  reason: '',
  samples,
});
const traffic = (requestsPerSecond: number, fives = 0) => ({
  requestsPerSecond,
  errorRate: 0,
  connectionsPerSecond: 0,
  bytesPerSecond: 0,
  classes: { '2xx': 100 - fives, '3xx': 0, '4xx': 0, '5xx': fives, none: 0 },
});
const node = (
  namespace: string,
  app: string,
  version = 'v1',
  more: Partial<GraphNode> = {},
): GraphNode => ({
  id: `workload/${namespace}/${app}-${version}`,
  kind: 'workload',
  namespace,
  name: `${app}-${version}`,
  app,
  version,
  labels: {},
  health: health(),
  badges: [],
  isOutside: false,
  replicas: { ready: 1, desired: 2 },
  inbound: traffic(10),
  outbound: traffic(0),
  ...more,
});
const edge = (source: GraphNode, target: GraphNode, more: Partial<GraphEdge> = {}): GraphEdge => ({
  id: `${source.id} ${target.id} ${more.protocol ?? 'http'}`,
  source: source.id,
  target: target.id,
  protocol: 'http',
  requestsPerSecond: 10,
  errorRate: 0,
  p50Ms: 5,
  p95Ms: 12,
  p99Ms: 30,
  bytesPerSecond: 1000,
  connectionsPerSecond: 1,
  mtls: 1,
  responseCodes: {},
  flags: {},
  health: health(),
  ...more,
});

const web = node('shop', 'web');
const cart = node('shop', 'cart');
const product1 = node('shop', 'product', 'v1');
const product2 = node('shop', 'product', 'v2', {
  health: health('failing'),
  inbound: traffic(3, 20),
});
const pay = node('pay', 'pay');
const NODES = [web, cart, product1, product2, pay];
const EDGES = [
  edge(web, cart),
  edge(web, product1, { requestsPerSecond: 90 }),
  edge(web, product2, {
    health: health('failing'),
    errorRate: 0.2,
    split: { intended: 10, seen: 11.2, route: 'VirtualService shop/product' },
  }),
  edge(cart, pay, { mtls: 0.6 }),
];
const layout = layOut(requestOf(NODES, EDGES));
const scene = sceneOf({ nodes: NODES, edges: EDGES, layout, level: 'workloads', label: 'rate' });

describe('sceneOf', () => {
  test('has a mark for each node and edge, and a field for each namespace that holds its nodes', () => {
    expect(scene.nodes.map((mark) => mark.title).sort()).toEqual([
      'cart',
      'pay',
      'product',
      'product',
      'web',
    ]);
    expect(scene.edges).toHaveLength(4);
    const shop = scene.fields.find((field) => field.title === 'shop')!;
    for (const mark of scene.nodes)
      expect(touches(mark.box, shop.box)).toBe(!mark.id.includes('/pay/'));
    expect(scene.stacks).toHaveLength(1);
  });

  test('says version, replicas and rate of a node, once each', () => {
    const mark = scene.nodes.find((each) => each.id === product2.id)!;
    expect(mark).toMatchObject({
      title: 'product',
      chip: 'v2',
      detail: '1/2 · 3 req/s',
      look: 'failing',
    });
    expect(mark.shares).toEqual([0.8, 0, 0, 0.2, 0]);
  });

  test('draws what is unhealthy last, and labels it first', () => {
    expect(scene.edges.at(-1)?.target).toBe(product2.id);
    expect(scene.labels[0].edge).toBe(3);
    expect(scene.edges.at(-1)?.label).toBe('10 req/s · 10 % → 11 %');
  });

  test('shows the split alone where it and the rate have no room, and the rate alone where there is even less', () => {
    const near = (gap: number) => {
      const positions = { [web.id]: { x: 0, y: 0 }, [product2.id]: { x: 160 + gap, y: 0 } };
      const [placed] = sceneOf({
        nodes: [web, product2],
        edges: [EDGES[2]],
        layout: { positions, bends: {} },
        level: 'workloads',
        label: 'rate',
      }).labels;
      return placed?.text ?? 'none';
    };
    expect([240, 136, 90, 20].map(near)).toEqual([
      '10 req/s · 10 % → 11 %',
      '10 % → 11 %',
      '10 req/s',
      'none',
    ]);
  });

  test('puts no label on a node or on another label', () => {
    for (const [at, label] of scene.labels.entries()) {
      for (const mark of scene.nodes) expect(touches(mark.box, label.box)).toBe(false);
      for (const other of scene.labels.slice(at + 1))
        expect(touches(other.box, label.box)).toBe(false);
    }
  });

  test('far out there is one field for a namespace, and edges are summed', () => {
    const far = sceneOf({ nodes: NODES, edges: EDGES, layout, level: 'namespaces', label: 'rate' });
    expect(far.nodes).toHaveLength(0);
    expect(far.edges.map((mark) => [mark.source, mark.target])).toEqual([['shop', 'pay']]);
  });
});

describe('grouped', () => {
  test('adds up rates, keeps the worst health and weighs errors by rate', () => {
    const apps = grouped(NODES, EDGES, 'apps');
    const sum = apps.edges.find((each) => each.target === 'shop/product')!;
    expect(sum.requestsPerSecond).toBe(100);
    expect(sum.errorRate).toBeCloseTo(0.02);
    expect(sum.health.status).toBe('failing');
    expect(apps.groups.find((group) => group.id === 'shop/product')?.members).toHaveLength(2);
  });

  test('levelAt folds large graphs only', () => {
    expect([levelAt(0.05, 40), levelAt(0.05, 2000), levelAt(0.2, 2000), levelAt(1, 2000)]).toEqual([
      'workloads',
      'namespaces',
      'apps',
      'workloads',
    ]);
  });
});

describe('edges', () => {
  test('labelOf gives each kind with its unit, and nothing without traffic', () => {
    const one = EDGES[2];
    expect(
      (['rate', 'errors', 'p95', 'throughput', 'split', 'none'] as const).map((kind) =>
        labelOf(one, kind),
      ),
    ).toEqual(['10 req/s', '20 %', '12 ms', '1 kB/s', '10 % → 11 %', '']);
    expect(labelOf(edge(web, cart, { protocol: 'tcp', connectionsPerSecond: 4 }), 'rate')).toBe(
      '4 conn/s',
    );
    expect(labelOf(edge(web, cart, { health: health('idle', 0) }), 'rate')).toBe('');
  });

  test('lockOf tells all, some and none, and nothing without traffic', () => {
    expect([1, 0.6, 0, undefined].map((mtls) => lockOf(edge(web, cart, { mtls })))).toEqual([
      'closed',
      'half',
      'open',
      undefined,
    ]);
  });

  test('width and particles grow with the logarithm of the rate; speed falls with latency', () => {
    const at = (requestsPerSecond: number, p50Ms = 5) =>
      edge(web, cart, { requestsPerSecond, p50Ms });
    expect(widthOf(at(0))).toBe(1);
    expect(widthOf(at(99)) - widthOf(at(9))).toBeCloseTo(1.5, 5);
    expect(particlesOf(at(0)).count).toBe(0);
    expect(particlesOf(at(500)).count).toBeGreaterThan(particlesOf(at(5)).count);
    expect(particlesOf(at(5, 2)).speed).toBeGreaterThan(particlesOf(at(5, 400)).speed);
  });

  test('curveOf leaves to the right, comes from the left, and goes through its bends', () => {
    const ends = {
      source: { x: 0, y: 0, width: 100, height: 40 },
      target: { x: 300, y: 100, width: 100, height: 40 },
      bends: [{ x: 200, y: 10 }],
      sourceY: 0,
      targetY: 5,
    };
    const curve = curveOf(ends);
    expect(pointOn(curve, 0)).toEqual({ x: 100, y: 20 });
    expect(pointOn(curve, 0.5)).toEqual({ x: 200, y: 10 });
    expect(pointOn(curve, 1)).toEqual({ x: 300, y: 125 });
    expect(curveOf({ ...ends, source: ends.target, target: ends.source }).slice(0, 2)).toEqual([
      300, 120,
    ]);
  });
});

describe('hit', () => {
  test('hitAt finds nodes, edges and fields, in this order', () => {
    const box = scene.nodes[0].box;
    expect(hitAt(scene, { x: box.x + 5, y: box.y + 5 }, 1)).toEqual({
      kind: 'node',
      id: scene.nodes[0].id,
    });
    const long = scene.edges[0];
    expect(hitAt(scene, pointOn(long.curve, 0.5), 1)?.kind).toBe('edge');
    expect(hitAt(scene, { x: -9999, y: 0 }, 1)).toBeUndefined();
  });

  test('togetherWith is a node, its edges and their other ends', () => {
    expect(togetherWith(scene, cart.id)).toEqual(
      new Set([cart.id, EDGES[0].id, web.id, EDGES[3].id, pay.id]),
    );
    expect(togetherWith(scene, EDGES[0].id)).toEqual(new Set([EDGES[0].id, web.id, cart.id]));
    // What was pointed at on another level fades nothing on this one.
    expect(togetherWith(scene, 'shop pay http')).toBeUndefined();
  });

  test('neighbourIn begins at the left and goes where the arrow points', () => {
    expect(neighbourIn(scene, undefined, 'right')?.id).toBe(web.id);
    expect(neighbourIn(scene, web.id, 'right')?.box.x).toBeGreaterThan(layout.positions[web.id].x);
    expect(neighbourIn(scene, product1.id, 'down')?.id).toBe(product2.id);
    expect(neighbourIn(scene, web.id, 'left')).toBeUndefined();
  });
});

test('compared names what came, went, got worse and better, and keeps what went', () => {
  const before = { nodes: [web, cart, { ...product2, health: health() }], edges: [EDGES[0]] };
  const after = { nodes: [web, product1, product2], edges: [EDGES[1]] };
  const { nodes, edges, changes } = compared(before, after);
  expect(nodes).toHaveLength(4);
  expect(edges).toHaveLength(2);
  expect(Object.fromEntries(changes)).toEqual({
    [product1.id]: 'added',
    [product2.id]: 'worse',
    [cart.id]: 'removed',
    [EDGES[1].id]: 'added',
    [EDGES[0].id]: 'removed',
  });
  expect(compared(after, before).changes.get(product2.id)).toBe('better');
});

test('sharesOf is empty without answers', () => {
  expect(
    sharesOf({ ...traffic(0), classes: { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 } }),
  ).toEqual([]);
});
