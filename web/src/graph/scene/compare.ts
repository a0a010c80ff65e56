/** What changed between two moments: nodes and edges that came and went, and those that got worse or better. Pure. */
import type { GraphAnswer, GraphEdge, GraphNode } from '#console/api/graph.ts';
import { isWorse } from './levels.ts';
import type { Difference } from './marks.ts';

type Graph = Pick<GraphAnswer, 'nodes' | 'edges'>;

export interface Compared extends Graph {
  readonly changes: ReadonlyMap<string, Difference>;
}

/** Everything of both; what is only in the older one is shown as it was. */
export function compared(older: Graph, newer: Graph): Compared {
  const changes = new Map<string, Difference>();
  return {
    nodes: joined(older.nodes, newer.nodes, changes),
    edges: joined(older.edges, newer.edges, changes),
    changes,
  };
}

/** Of what stands for several: worse before better, else what all of them share. */
export function changeOf(
  ids: readonly string[],
  changes: ReadonlyMap<string, Difference> | undefined,
): Difference | undefined {
  if (changes === undefined || changes.size === 0) return undefined;
  const each = ids.map((id) => changes.get(id));
  if (each.includes('worse')) return 'worse';
  if (each.includes('better')) return 'better';
  return each.every((change) => change === each[0]) ? each[0] : undefined;
}

/** In words, for readers of rows and of sentences. */
export const DIFFERENCE_WORDS: Readonly<Record<Difference, string>> = {
  added: 'came since',
  removed: 'gone since',
  worse: 'worse than then',
  better: 'better than then',
};

function joined<T extends GraphNode | GraphEdge>(
  older: readonly T[],
  newer: readonly T[],
  changes: Map<string, Difference>,
): T[] {
  const before = new Map(older.map((each) => [each.id, each]));
  for (const each of newer) {
    const past = before.get(each.id);
    if (past === undefined) changes.set(each.id, 'added');
    else if (isWorse(each.health.status, past.health.status) && isTrouble(each))
      changes.set(each.id, 'worse');
    else if (isWorse(past.health.status, each.health.status) && isTrouble(past))
      changes.set(each.id, 'better');
    before.delete(each.id);
  }
  for (const id of before.keys()) changes.set(id, 'removed');
  return [...newer, ...before.values()];
}

/** Less traffic is no better health. */
function isTrouble({ health }: GraphNode | GraphEdge): boolean {
  return health.status === 'failing' || health.status === 'degraded';
}
