import { describe, expect, test } from 'bun:test';
import { graphOf } from '../../../fixtures/graph.ts';
import { largeTopology } from '../../../fixtures/large.ts';
import { layOut } from '../layout/layout.ts';
import { requestOf } from '../layout/request.ts';
import { sceneOf } from './scene.ts';
import { LARGE_EDGES, SceneShelf } from './shelf.ts';

const NOON = Date.UTC(2026, 5, 1, 12);
const FAR = 0.1;
const MIDDLE = 0.3;
const NEAR = 1;

function requestFor(workloads: number, edges: number) {
  const graph = graphOf(
    {
      type: 'workload',
      windowSeconds: 60,
      atMs: NOON,
      nowMs: NOON,
      namespaces: [],
      hasWaypoints: false,
      hasIdle: false,
    },
    largeTopology({ workloads, edges, namespaces: 10 }),
  );
  const { nodes } = graph;
  const layout = layOut(requestOf(nodes, graph.edges));
  return { nodes, edges: graph.edges, layout, label: 'rate' } as const;
}

const large = requestFor(300, LARGE_EDGES + 500);
const small = requestFor(100, 400);
const never = () => false;
const always = () => true;

function workedOut(shelf: SceneShelf): number {
  let levels = 0;
  while (!shelf.isDone) if (shelf.work(never)) levels += 1;
  return levels;
}

describe('SceneShelf', () => {
  test('makes scenes of a small graph when they are looked at, and none ahead', () => {
    const shelf = new SceneShelf(small);
    expect(shelf.isDone).toBe(true);
    expect(shelf.at(NEAR)).toEqual(sceneOf({ ...small, level: 'workloads' }));
    expect(shelf.at(NEAR)).toBe(shelf.at(NEAR));
  });

  test('shows a large graph from farther away until its nearer scenes are made', () => {
    const shelf = new SceneShelf(large);
    const far = shelf.at(FAR);
    expect(far.level).toBe('namespaces');
    expect(shelf.at(NEAR)).toBe(far);
    expect(workedOut(shelf)).toBe(2);
    expect(shelf.at(FAR)).toBe(far);
    expect(shelf.at(MIDDLE).level).toBe('apps');
    expect(shelf.at(NEAR)).toEqual(sceneOf({ ...large, level: 'workloads' }));
  });

  test('makes first what was looked at last, and stops when it should', () => {
    const shelf = new SceneShelf(large);
    const far = shelf.at(FAR);
    shelf.at(NEAR);
    expect(shelf.work(always)).toBe(false);
    expect(shelf.at(NEAR)).toBe(far);
    while (!shelf.work(always));
    expect(shelf.at(MIDDLE)).toBe(far);
    expect(shelf.at(NEAR).level).toBe('workloads');
  });

  test('shows the same level of the graph before until its own is made', () => {
    const before = new SceneShelf(large);
    before.at(FAR);
    workedOut(before);
    const after = new SceneShelf({ ...large, label: 'p95' }, { before });
    expect(after.at(NEAR)).toBe(before.at(NEAR));
    // Another comes before this one is made: the one from before both still holds.
    const third = new SceneShelf({ ...large, label: 'p99' }, { before: after });
    expect(third.at(NEAR)).toBe(before.at(NEAR));
    workedOut(third);
    expect(third.at(NEAR)).toEqual(sceneOf({ ...large, label: 'p99', level: 'workloads' }));
  });

  test('takes over a scene that was made beforehand, and gives a whole one at once when asked', () => {
    const far = sceneOf({ ...large, level: 'namespaces' });
    const shelf = new SceneShelf(large, { far });
    expect(shelf.at(FAR)).toBe(far);
    shelf.at(NEAR);
    shelf.work(always);
    const whole = shelf.whole('workloads');
    expect(whole).toEqual(sceneOf({ ...large, level: 'workloads' }));
    workedOut(shelf);
    expect(shelf.at(NEAR)).toBe(whole);
  });

  test('shows only what has begun while there is nothing to make others of', () => {
    const only = sceneOf({ ...large, level: 'namespaces' });
    const shelf = new SceneShelf({ ...large, nodes: [], edges: [] }, { only });
    for (const zoom of [FAR, MIDDLE, NEAR]) expect(shelf.at(zoom)).toBe(only);
    expect(shelf.isDone).toBe(true);
  });
});
