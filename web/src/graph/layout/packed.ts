/** A request as it crosses into the worker: edges as numbers, since copying thousands of small objects there takes as long as laying them out. */
import type { LayoutEdge, LayoutRequest } from './types.ts';

export interface PackedRequest extends Pick<LayoutRequest, 'nodes' | 'kept'> {
  /** Indices of source and target, in pairs. */
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly weights: Float64Array<ArrayBuffer>;
}

/** Edges that lead to no node are left out: the layout has no place for them. */
export function packed({ nodes, edges, kept }: LayoutRequest): PackedRequest {
  const indices = new Map(nodes.map((node, at) => [node.id, at]));
  const ends = new Uint32Array(2 * edges.length);
  const weights = new Float64Array(edges.length);
  let count = 0;
  for (const { source, target, weight } of edges) {
    const from = indices.get(source);
    const to = indices.get(target);
    if (from === undefined || to === undefined) continue;
    ends[2 * count] = from;
    ends[2 * count + 1] = to;
    weights[count] = weight;
    count += 1;
  }
  return { nodes, kept, ends: ends.slice(0, 2 * count), weights: weights.slice(0, count) };
}

export function unpacked({ nodes, kept, ends, weights }: PackedRequest): LayoutRequest {
  const edges: LayoutEdge[] = Array.from(weights, (weight, at) => ({
    source: nodes[ends[2 * at]].id,
    target: nodes[ends[2 * at + 1]].id,
    weight,
  }));
  return { nodes, edges, kept };
}
