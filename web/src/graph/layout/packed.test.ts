import { expect, test } from 'bun:test';
import { layOut } from './layout.ts';
import { packed, unpacked } from './packed.ts';
import type { LayoutNode, LayoutRequest } from './types.ts';

const node = (id: string): LayoutNode => ({ id, namespace: 'shop', app: id, role: 'inner' });
const REQUEST: LayoutRequest = {
  nodes: ['web', 'cart', 'pay'].map(node),
  edges: [
    { source: 'web', target: 'cart', weight: 1.1 },
    { source: 'web', target: 'nobody', weight: 1 },
    { source: 'cart', target: 'pay', weight: 2.3 },
  ],
};

test('packed and unpacked keep nodes, places and weights, and leave out what leads to no node', () => {
  const kept = { web: { x: 5, y: 7 } };
  const { edges, ...others } = unpacked(packed({ ...REQUEST, kept }));
  expect(others).toEqual({ nodes: REQUEST.nodes, kept });
  expect(edges).toEqual([REQUEST.edges[0], REQUEST.edges[2]]);
});

test('what crossed into the worker is laid out as it would be here', () => {
  expect(layOut(unpacked(structuredClone(packed(REQUEST))))).toEqual(layOut(REQUEST));
});
