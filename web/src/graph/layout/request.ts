/** What the layout is asked about a graph. Pure. */
import type { GraphEdge, GraphNode } from '#console/api/graph.ts';
import type { LayoutNode, LayoutRequest } from './types.ts';

type Rates = Pick<GraphEdge, 'requestsPerSecond' | 'connectionsPerSecond'>;
export type LayoutEdge = Pick<GraphEdge, 'source' | 'target'> & Rates;

export function requestOf(
  nodes: readonly GraphNode[],
  edges: readonly LayoutEdge[],
): LayoutRequest {
  const ends = new RequestedEdges(nodes, edges.length);
  for (const edge of edges) ends.add(edge);
  return { nodes: nodes.map(layoutNode), ...ends.taken() };
}

/** Edges that lead to no node are left out: the layout has no place for them. */
export class RequestedEdges {
  readonly #places: ReadonlyMap<string, number>;
  readonly #ends: Uint32Array<ArrayBuffer>;
  readonly #weights: Float64Array<ArrayBuffer>;
  #count = 0;

  /** There are `edgesMax` of them at most. */
  constructor(nodes: readonly Pick<GraphNode, 'id'>[], edgesMax: number) {
    this.#places = new Map(nodes.map((node, at) => [node.id, at]));
    this.#ends = new Uint32Array(2 * edgesMax);
    this.#weights = new Float64Array(edgesMax);
  }

  /** Keeps nothing of `edge`: it may be another one the next time. */
  add({ source, target, requestsPerSecond, connectionsPerSecond }: LayoutEdge): void {
    const from = this.#places.get(source);
    const to = this.#places.get(target);
    if (from === undefined || to === undefined) return;
    this.#ends[2 * this.#count] = from;
    this.#ends[2 * this.#count + 1] = to;
    this.#weights[this.#count] = 1 + Math.log10(1 + requestsPerSecond + connectionsPerSecond);
    this.#count += 1;
  }

  taken(): Pick<LayoutRequest, 'ends' | 'weights'> {
    return {
      ends: this.#ends.slice(0, 2 * this.#count),
      weights: this.#weights.slice(0, this.#count),
    };
  }
}

export function layoutNode(node: GraphNode): LayoutNode {
  return { id: node.id, namespace: node.namespace, app: node.app, role: roleOf(node) };
}

function roleOf(node: GraphNode): LayoutNode['role'] {
  if (node.kind === 'gateway') return 'gateway';
  if (node.kind === 'unknown') return 'origin';
  return node.kind === 'external' ? 'external' : 'inner';
}
