import { describe, expect, test } from 'bun:test';
import { graphOf } from '../../../fixtures/graph.ts';
import { layOut } from '../layout/layout.ts';
import { requestOf } from '../layout/request.ts';
import { packedScene, unpackedScene } from './packed-scene.ts';
import { sceneOf } from './scene.ts';

const NOON = Date.UTC(2026, 5, 1, 12);
const { nodes, edges } = graphOf({
  type: 'workload',
  windowSeconds: 60,
  atMs: NOON,
  nowMs: NOON,
  namespaces: [],
  hasWaypoints: false,
  hasIdle: true,
});
const layout = layOut(requestOf(nodes, edges));

describe('packedScene', () => {
  for (const level of ['namespaces', 'apps', 'workloads'] as const)
    test(`unpackedScene gives back what packedScene took of ${level}`, () => {
      const scene = sceneOf({ nodes, edges, layout, level, label: 'rate' });
      expect(scene.edges.length).toBeGreaterThan(0);
      expect(unpackedScene(structuredClone(packedScene(scene)))).toEqual(scene);
    });
});
