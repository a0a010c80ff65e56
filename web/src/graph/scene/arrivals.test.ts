import { expect, test } from 'bun:test';
import { arrivalsIn } from './arrivals.ts';
import type { EdgeMark, Level, NodeMark, Scene } from './marks.ts';

const scene = (nodes: string[], edges: string[] = [], level: Level = 'workloads'): Scene => ({
  level,
  nodes: nodes.map((id) => ({ id }) as NodeMark),
  edges: edges.map((id) => ({ id }) as EdgeMark),
  fields: [],
  stacks: [],
  labels: [],
  bounds: { x: 0, y: 0, width: 1, height: 1 },
});

test('arrivalsIn names new nodes and edges of the same graph', () => {
  const before = scene(['web', 'cart'], ['web cart']);
  expect(arrivalsIn(before, scene(['web', 'cart', 'pay'], ['web cart', 'cart pay']))).toEqual(
    new Set(['pay', 'cart pay']),
  );
  expect(arrivalsIn(before, before).size).toBe(0);
});

test('arrivalsIn names nothing in a first picture, at another level, and of a graph that is mostly new', () => {
  const after = scene(['web', 'cart', 'pay']);
  expect(arrivalsIn(undefined, after).size).toBe(0);
  expect(arrivalsIn(scene([]), after).size).toBe(0);
  expect(arrivalsIn(scene(['web', 'cart'], [], 'apps'), after).size).toBe(0);
  expect(arrivalsIn(scene(['web']), after).size).toBe(0);
});
