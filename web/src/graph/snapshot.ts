/** A snapshot and what changes in it. Pure. */
import type { GraphAnswer, GraphDelta } from '#console/api/graph.ts';

/** Order stays: what is new stands at the end. */
export function withDelta(graph: GraphAnswer, delta: GraphDelta): GraphAnswer {
  return {
    ...graph,
    generatedAt: delta.generatedAt,
    at: delta.at,
    ageSeconds: delta.ageSeconds,
    nodes: merged(graph.nodes, delta.nodes, delta.goneNodes),
    edges: merged(graph.edges, delta.edges, delta.goneEdges),
    diagnosis: delta.nodes.length + delta.edges.length > 0 ? undefined : graph.diagnosis,
  };
}

function merged<T extends { readonly id: string }>(
  old: readonly T[],
  fresh: readonly T[],
  gone: readonly string[],
): readonly T[] {
  if (fresh.length === 0 && gone.length === 0) return old;
  const changed = new Map(fresh.map((each) => [each.id, each]));
  const without = new Set(gone);
  const result: T[] = [];
  for (const each of old) {
    if (without.has(each.id)) continue;
    result.push(changed.get(each.id) ?? each);
    changed.delete(each.id);
  }
  return [...result, ...changed.values()];
}
