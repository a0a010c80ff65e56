/** What is first seen of a large graph. Made in the worker, so that the page has only to paint it. Pure. */
import type { EdgeTable, GraphNode } from '#console/api/graph.ts';
import { layOut } from '../layout/layout.ts';
import { layoutNode, RequestedEdges } from '../layout/request.ts';
import type { LayoutAnswer } from '../layout/types.ts';
import { GroupSums, groupsOf } from '../scene/levels.ts';
import type { Scene } from '../scene/marks.ts';
import { sceneOf } from '../scene/scene.ts';
import { eachEdge, edgeCount } from './edge-table.ts';

/** Graphs with fewer nodes are quickly made by the page, which knows where their nodes stood the last time. */
const FAR_NODES_MIN = 300;
const LEVEL = 'namespaces';

/** A large graph as it is first seen: whole, from far away. */
export interface FarView {
  readonly layout: LayoutAnswer;
  /** By namespace. */
  readonly scene: Scene;
}

export function isFarFirst(nodes: readonly GraphNode[]): boolean {
  return nodes.length > FAR_NODES_MIN;
}

export function farViewOf(nodes: readonly GraphNode[], table: EdgeTable): FarView {
  const requested = new RequestedEdges(nodes, edgeCount(table));
  const sums = new GroupSums(groupsOf(nodes, LEVEL));
  eachEdge(table, (edge) => {
    requested.add(edge);
    sums.add(edge);
  });
  const layout = layOut({ nodes: nodes.map(layoutNode), ...requested.taken() });
  const summed = sums.edges();
  return {
    layout,
    scene: sceneOf({ nodes, edges: [], summed, layout, level: LEVEL, label: 'none' }),
  };
}
