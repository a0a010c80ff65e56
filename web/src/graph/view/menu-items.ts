/** What can be done with a node or an edge of the graph: the choices of its menu. Pure. */
import type { GraphAnswer, GraphEdge, GraphNode } from '#console/api/graph.ts';

/** A view of its own, with its members of the address, or something done here. */
export type MenuChoice =
  | {
      readonly title: string;
      readonly path: string;
      readonly query?: Readonly<Record<string, string>>;
    }
  | { readonly title: string; readonly act: 'select' | 'focus' | 'copy'; readonly id: string };

/** Kinds that run as pods: they have a page and logs. */
const RUNNING: readonly GraphNode['kind'][] = ['workload', 'waypoint', 'gateway'];

/** None for what is not in the graph. */
export function menuOf(
  { nodes, edges }: Pick<GraphAnswer, 'nodes' | 'edges'>,
  id: string,
): readonly MenuChoice[] {
  const find = (wanted: string) => nodes.find((each) => each.id === wanted);
  const node = find(id);
  if (node !== undefined) return ofNode(node);
  const edge = edges.find((each) => each.id === id);
  return edge === undefined ? [] : ofEdge(edge, find(edge.source), find(edge.target));
}

/** What the menu is of, in a few words. */
export function menuTitle(
  { nodes, edges }: Pick<GraphAnswer, 'nodes' | 'edges'>,
  id: string,
): string {
  const name = (of: string) => nodes.find((each) => each.id === of)?.name ?? of;
  const edge = edges.find((each) => each.id === id);
  return edge === undefined ? name(id) : `${name(edge.source)} → ${name(edge.target)}`;
}

function ofNode(node: GraphNode): readonly MenuChoice[] {
  const { id, kind, namespace, name } = node;
  const choices: MenuChoice[] = [];
  const isRunning = RUNNING.includes(kind);
  const place = `${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
  if (isRunning) choices.push({ title: 'Open', path: `/workloads/${place}` });
  else if (kind === 'service') choices.push({ title: 'Open', path: `/services/${place}` });
  else if (kind === 'app') choices.push({ title: 'Open', path: `/apps/${place}` });
  choices.push({ title: 'Only its neighbourhood', act: 'focus', id });
  if (isRunning)
    choices.push({ title: 'Logs', path: `/workloads/${place}`, query: { tab: 'logs' } });
  choices.push(...behind({ node: id }));
  const query = whyQuery(isRunning ? node : undefined, isRunning ? undefined : node);
  if (query !== undefined) choices.push({ title: 'Why', path: '/why', query });
  return [...choices, { title: 'Copy its id', act: 'copy', id }];
}

function ofEdge(
  edge: GraphEdge,
  source: GraphNode | undefined,
  target: GraphNode | undefined,
): readonly MenuChoice[] {
  const { id } = edge;
  const choices: MenuChoice[] = [{ title: 'Open', act: 'select', id }];
  for (const end of [source, target])
    if (end !== undefined) choices.push({ title: `To ${end.name}`, act: 'select', id: end.id });
  choices.push(...behind({ edge: id }));
  const query = whyQuery(source, target?.kind === 'workload' ? source : target);
  if (query !== undefined) choices.push({ title: 'Why', path: '/why', query });
  return [...choices, { title: 'Copy its id', act: 'copy', id }];
}

/** From the picture to the requests behind it. */
const behind = (query: Readonly<Record<string, string>>): readonly MenuChoice[] => [
  { title: 'Requests', path: '/traffic', query: { ...query, tab: 'recent' } },
  { title: 'Traces', path: '/traffic', query: { ...query, tab: 'traces' } },
];

/** Who asks, as far as one of the graph asks, and whom; undefined where nothing could be asked. */
function whyQuery(
  source: GraphNode | undefined,
  target: GraphNode | undefined,
): Record<string, string> | undefined {
  const query: Record<string, string> = {};
  if (source !== undefined && source.kind === 'workload')
    query.from = `${source.namespace}/${source.name}`;
  if (target?.kind === 'service') query.host = `${target.name}.${target.namespace}`;
  if (target?.kind === 'external') query.host = target.name;
  return Object.keys(query).length === 0 ? undefined : query;
}
