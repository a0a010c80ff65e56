/** Hides and finds in a graph. Pure. */
import type { GraphAnswer } from '#console/api/graph.ts';
import type { Test } from './parse.ts';

type Graph = Pick<GraphAnswer, 'nodes' | 'edges'>;

/** Without the nodes and edges that match; an edge goes with either end. */
export function hidden<G extends Graph>(graph: G, test: Test | undefined): G {
  if (test === undefined) return graph;
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const nodes = graph.nodes.filter((node) => !test({ node }));
  const kept = new Set(nodes.map((node) => node.id));
  const edges = graph.edges.filter(
    (edge) =>
      kept.has(edge.source) &&
      kept.has(edge.target) &&
      !test({ edge, source: byId.get(edge.source), target: byId.get(edge.target) }),
  );
  return { ...graph, nodes, edges };
}

/** Ids of nodes and edges that match; undefined when nothing is asked. */
export function found(
  { nodes, edges }: Graph,
  test: Test | undefined,
): ReadonlySet<string> | undefined {
  if (test === undefined) return undefined;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return new Set([
    ...nodes.filter((node) => test({ node })).map((node) => node.id),
    ...edges
      .filter((edge) =>
        test({ edge, source: byId.get(edge.source), target: byId.get(edge.target) }),
      )
      .map((edge) => edge.id),
  ]);
}
