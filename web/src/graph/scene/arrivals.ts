/** What is new in a scene, so that it can fade in at its place. Pure. */
import type { Scene } from './marks.ts';

/** Another view, or most of a graph at once: nobody looks for what changed in it. */
const ARRIVALS_SHARE_MAX = 0.5;

/** Ids of nodes and edges that were not in the scene before. None when that was another level, or another graph. */
export function arrivalsIn(before: Scene | undefined, after: Scene): ReadonlySet<string> {
  const arrived = new Set<string>();
  if (before === undefined || before.level !== after.level || before.nodes.length === 0)
    return arrived;
  const nodes = new Set(before.nodes.map((mark) => mark.id));
  for (const { id } of after.nodes) if (!nodes.has(id)) arrived.add(id);
  if (arrived.size > after.nodes.length * ARRIVALS_SHARE_MAX) return new Set();
  const edges = new Set(before.edges.map((mark) => mark.id));
  for (const { id } of after.edges) if (!edges.has(id)) arrived.add(id);
  return arrived;
}
