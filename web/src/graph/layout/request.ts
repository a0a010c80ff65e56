/** What the layout is asked about a graph. Pure. */
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';
import type { LayoutNode, LayoutRequest } from './types.ts';

export function requestOf(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): LayoutRequest {
  return {
    nodes: nodes.map((node) => ({
      id: node.id,
      namespace: node.namespace,
      app: node.app,
      role: roleOf(node),
    })),
    edges: edges.map((edge) => ({
      source: edge.source,
      target: edge.target,
      weight: 1 + Math.log10(1 + edge.requestsPerSecond + edge.connectionsPerSecond),
    })),
  };
}

function roleOf(node: GraphNode): LayoutNode['role'] {
  if (node.kind === 'gateway') return 'gateway';
  if (node.kind === 'unknown') return 'origin';
  return node.kind === 'external' ? 'external' : 'inner';
}
