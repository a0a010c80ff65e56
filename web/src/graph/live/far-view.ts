/** What is first seen of a large graph. Made in the worker, so that the page has only to paint it. Pure. */
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';
import { layOut } from '../layout/layout.ts';
import { requestOf } from '../layout/request.ts';
import type { LayoutAnswer } from '../layout/types.ts';
import type { Scene } from '../scene/marks.ts';
import { sceneOf } from '../scene/scene.ts';

/** Graphs with fewer nodes are quickly made by the page, which knows where their nodes stood the last time. */
export const FAR_NODES_MIN = 300;

/** A large graph as it is first seen: whole, from far away. */
export interface FarView {
  readonly layout: LayoutAnswer;
  /** By namespace. */
  readonly scene: Scene;
}

export function isFarFirst(nodes: readonly GraphNode[]): boolean {
  return nodes.length > FAR_NODES_MIN;
}

export function farViewOf(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): FarView {
  const layout = layOut(requestOf(nodes, edges));
  return { layout, scene: sceneOf({ nodes, edges, layout, level: 'namespaces', label: 'none' }) };
}
