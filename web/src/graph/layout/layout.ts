/** The whole layout, pure: ranks, lanes, and where they stand; then what has a place already keeps it. */
import { keepPositions } from './keep.ts';
import { type Lane, layLane } from './lane.ts';
import { type Block, packByFlow, packInStacks, type Tie } from './pack.ts';
import { ranksOf } from './rank.ts';
import {
  type Calls,
  COLUMN_STEP,
  type LayoutAnswer,
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
  const order = Array.from(request.nodes.keys()).sort((a, b) =>
    request.nodes[a].id < request.nodes[b].id ? -1 : 1,
  );
  const nodes = order.map((at) => request.nodes[at]);
  const calls = callsOf(request, order);
  const isOneFlow = nodes.length <= ONE_FLOW_NODES_MAX;
  const groups = groupsOf(nodes);
  const lanes = lanesOf(nodes, calls, groups, isOneFlow);
  const corners = isOneFlow
    ? flowCorners(lanes, calls, nodes)
    : stackCorners(lanes, calls, groups.laneOf);
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

/** Between nodes by their places in `order`, sorted, so that it does not matter how they came; without those that lead nowhere. */
function callsOf({ ends, weights }: LayoutRequest, order: readonly number[]): Calls {
  const places = new Int32Array(order.length);
  order.forEach((node, place) => {
    places[node] = place;
  });
  const edges = weights.length;
  const keys = new Float64Array(edges);
  let count = 0;
  for (let at = 0; at < edges; at += 1) {
    const from = places[ends[2 * at]];
    const to = places[ends[2 * at + 1]];
    if (from === to) continue;
    // With its own place behind it: equal ones keep their order, and the edge is found again.
    keys[count] = (from * order.length + to) * edges + at;
    count += 1;
  }
  const sorted = keys.subarray(0, count).sort();
  const calls = emptyCalls(count);
  for (let at = 0; at < count; at += 1) {
    const pair = Math.floor(sorted[at] / edges);
    calls.from[at] = Math.floor(pair / order.length);
    calls.to[at] = pair % order.length;
    calls.weights[at] = weights[sorted[at] % edges];
  }
  return calls;
}

function emptyCalls(count: number): Calls {
  return {
    from: new Int32Array(count),
    to: new Int32Array(count),
    weights: new Float64Array(count),
  };
}

interface Groups {
  /** Indices of the nodes of each lane: nodes that stand alone, and namespaces. */
  readonly members: readonly number[][];
  readonly namespaces: readonly string[];
  /** By index of node: its lane, and its place among that lane's nodes. */
  readonly laneOf: Int32Array;
  readonly placeIn: Int32Array;
}

function groupsOf(nodes: readonly LayoutNode[]): Groups {
  const laneKey = (node: LayoutNode) =>
    node.role === 'inner' && node.namespace !== '' ? node.namespace : `\0${node.id}`;
  const groups = Map.groupBy(nodes.keys(), (at) => laneKey(nodes[at]));
  const laneOf = new Int32Array(nodes.length);
  const placeIn = new Int32Array(nodes.length);
  [...groups.values()].forEach((members, lane) => {
    members.forEach((at, place) => {
      laneOf[at] = lane;
      placeIn[at] = place;
    });
  });
  return {
    members: [...groups.values()],
    namespaces: [...groups.keys()].map((key) => (key.startsWith('\0') ? '' : key)),
    laneOf,
    placeIn,
  };
}

function lanesOf(
  nodes: readonly LayoutNode[],
  calls: Calls,
  groups: Groups,
  isOneFlow: boolean,
): Lane[] {
  const common = isOneFlow ? rankByApp(nodes, calls) : undefined;
  const within = callsWithin(calls, groups);
  return groups.members.map((members, lane) => {
    const own = members.map((at) => nodes[at]);
    return layLane({
      namespace: groups.namespaces[lane],
      nodes: own,
      calls: within[lane],
      ranks: common === undefined ? rankByApp(own, within[lane]) : members.map((at) => common[at]),
      passesMax: isOneFlow ? PASSES_MAX : 0,
    });
  });
}

/** Of each lane those that do not leave it, by place of its nodes. */
function callsWithin({ from, to, weights }: Calls, { members, laneOf, placeIn }: Groups): Calls[] {
  const counts = new Int32Array(members.length);
  for (let at = 0; at < from.length; at += 1)
    if (laneOf[from[at]] === laneOf[to[at]]) counts[laneOf[from[at]]] += 1;
  const within = members.map((_, lane) => emptyCalls(counts[lane]));
  counts.fill(0);
  for (let at = 0; at < from.length; at += 1) {
    const lane = laneOf[from[at]];
    if (lane !== laneOf[to[at]]) continue;
    const own = within[lane];
    own.from[counts[lane]] = placeIn[from[at]];
    own.to[counts[lane]] = placeIn[to[at]];
    own.weights[counts[lane]] = weights[at];
    counts[lane] += 1;
  }
  return within;
}

/** Ranks of the nodes. All versions of an app have one. What comes from outside stands first, gateways after it. */
function rankByApp(nodes: readonly LayoutNode[], calls: Calls): Int32Array {
  const units = new Map<string, number>();
  const unitOf = Int32Array.from(nodes, (node) => {
    const key = node.role === 'inner' ? `${node.namespace}/${node.app}` : node.id;
    const known = units.get(key);
    if (known !== undefined) return known;
    units.set(key, units.size);
    return units.size - 1;
  });
  const ranks = ranksOf({
    count: units.size,
    from: calls.from.map((at) => unitOf[at]),
    to: calls.to.map((at) => unitOf[at]),
  });
  const hasOrigin = nodes.some((node) => node.role === 'origin');
  const border = { origin: 0, gateway: hasOrigin ? 1 : 0 } as const;
  return Int32Array.from(nodes, ({ role }, at) =>
    role === 'origin' || role === 'gateway' ? border[role] : ranks[unitOf[at]],
  );
}

function flowCorners(lanes: readonly Lane[], calls: Calls, nodes: readonly LayoutNode[]): Point[] {
  const blocks = blocksOf(lanes, tiesOf(lanes, calls, nodes));
  const tops = packByFlow(blocks);
  return blocks.map((block, at) => ({ x: block.x, y: tops[at] }));
}

/** Namespaces that call stand before those that are called. */
function stackCorners(lanes: readonly Lane[], calls: Calls, laneOf: Int32Array): Point[] {
  // Stacks ask for no ties.
  const blocks = blocksOf(
    lanes,
    lanes.map(() => []),
  );
  const outward = new Float64Array(lanes.length);
  for (let at = 0; at < calls.from.length; at += 1) {
    outward[laneOf[calls.from[at]]] += calls.weights[at];
    outward[laneOf[calls.to[at]]] -= calls.weights[at];
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

function tiesOf(lanes: readonly Lane[], calls: Calls, nodes: readonly LayoutNode[]): Tie[][] {
  const places = new Map<string, { lane: number; y: number }>();
  lanes.forEach((lane, at) => {
    for (const point of lane.points)
      places.set(point.id, { lane: at, y: point.y + NODE_HEIGHT / 2 });
  });
  const ties: Tie[][] = lanes.map(() => []);
  for (let at = 0; at < calls.from.length; at += 1) {
    const from = places.get(nodes[calls.from[at]].id)!;
    const to = places.get(nodes[calls.to[at]].id)!;
    if (from.lane === to.lane) continue;
    const weight = calls.weights[at];
    ties[from.lane].push({ other: to.lane, ownY: from.y, otherY: to.y, weight });
    ties[to.lane].push({ other: from.lane, ownY: to.y, otherY: from.y, weight });
  }
  return ties;
}

function blocksOf(lanes: readonly Lane[], ties: readonly Tie[][]): Block[] {
  return lanes.map((lane, at) => ({
    x: lane.rank * COLUMN_STEP,
    width: Math.max(NODE_WIDTH, lane.width),
    height: lane.height,
    hasField: lane.namespace !== '',
    ties: ties[at],
  }));
}
