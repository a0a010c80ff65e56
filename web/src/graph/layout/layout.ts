/** The whole layout, pure: ranks, lanes, and where they stand; then what has a place already keeps it. */
import { keepPositions } from './keep.ts';
import { type Lane, layLane } from './lane.ts';
import { type Block, packByFlow, packInStacks, type Tie } from './pack.ts';
import { ranksOf } from './rank.ts';
import {
  COLUMN_STEP,
  type LayoutAnswer,
  type LayoutEdge,
  type LayoutNode,
  type LayoutRequest,
  NODE_HEIGHT,
  NODE_WIDTH,
  type Point,
} from './types.ts';

/** Above, one scale of columns for all would be wider than any screen. */
const ONE_FLOW_NODES_MAX = 120;
const ASPECT = 1.8;
/** In one namespace of a small mesh. */
const PASSES_MAX = 400;

export function layOut(request: LayoutRequest): LayoutAnswer {
  const nodes = request.nodes.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const edges = ordered(request.edges, nodes);
  const isOneFlow = nodes.length <= ONE_FLOW_NODES_MAX;
  const lanes = lanesOf(nodes, edges, isOneFlow);
  const corners = isOneFlow ? flowCorners(lanes, edges) : stackCorners(lanes, edges);
  const positions: Record<string, Point> = {};
  const bends: Record<string, readonly Point[]> = {};
  lanes.forEach((lane, at) => {
    const { x, y } = corners[at];
    for (const point of lane.points) positions[point.id] = { x: x + point.x, y: y + point.y };
    for (const [key, points] of lane.bends)
      bends[key] = points.map((point) => ({ x: x + point.x, y: y + point.y }));
  });
  if (request.kept === undefined || Object.keys(request.kept).length === 0)
    return { positions, bends };
  return keepPositions(nodes, { positions, bends }, request.kept);
}

/** In an order that does not depend on how they came; without those that lead to nowhere. By number: joining texts takes longer than the layout. */
function ordered(edges: readonly LayoutEdge[], nodes: readonly LayoutNode[]): LayoutEdge[] {
  const indices = new Map(nodes.map((node, at) => [node.id, at]));
  const keys = new Float64Array(edges.length);
  let count = 0;
  edges.forEach(({ source, target }, at) => {
    const from = indices.get(source);
    const to = indices.get(target);
    if (from === undefined || to === undefined || from === to) return;
    // With its own place behind it: equal ones keep their order, and the edge is found again.
    keys[count] = (from * nodes.length + to) * edges.length + at;
    count += 1;
  });
  return Array.from(keys.subarray(0, count).sort(), (key) => edges[key % edges.length]);
}

/** Nodes that stand alone, and namespaces. */
function lanesOf(
  nodes: readonly LayoutNode[],
  edges: readonly LayoutEdge[],
  isOneFlow: boolean,
): Lane[] {
  const laneKey = (node: LayoutNode) =>
    node.role === 'inner' && node.namespace !== '' ? node.namespace : `\0${node.id}`;
  const groups = Map.groupBy(nodes, laneKey);
  const keyOf = new Map(nodes.map((node) => [node.id, laneKey(node)]));
  const inner = Map.groupBy(
    edges.filter((edge) => keyOf.get(edge.source) === keyOf.get(edge.target)),
    (edge) => keyOf.get(edge.source)!,
  );
  const common = isOneFlow ? rankByApp(nodes, edges) : undefined;
  return [...groups].map(([key, members]) => {
    const within = inner.get(key) ?? [];
    const ranks = common ?? rankByApp(members, within);
    return layLane({
      namespace: key.startsWith('\0') ? '' : key,
      nodes: members,
      edges: within,
      rankOf: (node) => ranks.get(node.id) ?? 0,
      passesMax: isOneFlow ? PASSES_MAX : 0,
    });
  });
}

/** All versions of an app have one rank. What comes from outside stands first, gateways after it. */
function rankByApp(
  nodes: readonly LayoutNode[],
  edges: readonly LayoutEdge[],
): Map<string, number> {
  const indices = new Map<string, number>();
  const indexOf = new Map<string, number>();
  for (const node of nodes) {
    const key = node.role === 'inner' ? `${node.namespace}/${node.app}` : node.id;
    if (!indices.has(key)) indices.set(key, indices.size);
    indexOf.set(node.id, indices.get(key)!);
  }
  const pairs = edges.map(
    (edge) => [indexOf.get(edge.source)!, indexOf.get(edge.target)!] as const,
  );
  const ranks = ranksOf({ count: indices.size, edges: pairs });
  const hasOrigin = nodes.some((node) => node.role === 'origin');
  const border = { origin: 0, gateway: hasOrigin ? 1 : 0 } as const;
  return new Map(
    nodes.map((node) => {
      if (node.role === 'origin' || node.role === 'gateway') return [node.id, border[node.role]];
      return [node.id, ranks[indexOf.get(node.id)!]];
    }),
  );
}

function flowCorners(lanes: readonly Lane[], edges: readonly LayoutEdge[]): Point[] {
  const blocks = blocksOf(lanes, edges);
  const tops = packByFlow(blocks);
  return blocks.map((block, at) => ({ x: block.x, y: tops[at] }));
}

/** Namespaces that call stand before those that are called. */
function stackCorners(lanes: readonly Lane[], edges: readonly LayoutEdge[]): Point[] {
  // Stacks ask for no ties.
  const blocks = blocksOf(lanes, []);
  const outward = lanes.map(() => 0);
  const laneOf = new Map(
    lanes.flatMap((lane, at) => lane.points.map((point) => [point.id, at] as const)),
  );
  for (const edge of edges) {
    outward[laneOf.get(edge.source)!] += edge.weight;
    outward[laneOf.get(edge.target)!] -= edge.weight;
  }
  const order = lanes.map((_, at) => at).sort((a, b) => outward[b] - outward[a] || a - b);
  const corners = packInStacks(
    order.map((at) => blocks[at]),
    ASPECT,
  );
  const result: Point[] = new Array(lanes.length);
  order.forEach((at, index) => {
    result[at] = corners[index];
  });
  return result;
}

function blocksOf(lanes: readonly Lane[], edges: readonly LayoutEdge[]): Block[] {
  const places = new Map<string, { lane: number; y: number }>();
  lanes.forEach((lane, at) => {
    if (edges.length === 0) return;
    for (const point of lane.points)
      places.set(point.id, { lane: at, y: point.y + NODE_HEIGHT / 2 });
  });
  const ties: Tie[][] = lanes.map(() => []);
  for (const edge of edges) {
    const [from, to] = [places.get(edge.source)!, places.get(edge.target)!];
    if (from.lane === to.lane) continue;
    ties[from.lane].push({ other: to.lane, ownY: from.y, otherY: to.y, weight: edge.weight });
    ties[to.lane].push({ other: from.lane, ownY: to.y, otherY: from.y, weight: edge.weight });
  }
  return lanes.map((lane, at) => ({
    x: lane.rank * COLUMN_STEP,
    width: Math.max(NODE_WIDTH, lane.width),
    height: lane.height,
    hasField: lane.namespace !== '',
    ties: ties[at],
  }));
}
