import { expect, test } from 'bun:test';
import type { GraphAnswer } from '#console/api/graph.ts';
import { withDelta } from './snapshot.ts';

test('withDelta changes in place, adds at the end and takes away', () => {
  const thing = (id: string, name = id) => ({ id, name });
  const graph = {
    at: 'a',
    nodes: [thing('1'), thing('2'), thing('3')],
    edges: [thing('e')],
  } as unknown as GraphAnswer;
  const delta = {
    generatedAt: 'b',
    at: 'b',
    nodes: [thing('2', 'new'), thing('4')],
    edges: [],
    goneNodes: ['1'],
    goneEdges: [],
  } as unknown as Parameters<typeof withDelta>[1];
  const next = withDelta(graph, delta);
  expect(next.nodes as unknown).toEqual([thing('2', 'new'), thing('3'), thing('4')]);
  expect(next.edges).toBe(graph.edges);
  expect(next.at).toBe('b');
});
