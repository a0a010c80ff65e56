/** One namespace by itself: its apps in columns by rank, their versions on top of each other, and where its long calls bend. */
import { heightsOf, type Link, type Unit } from './columns.ts';
import {
  type Calls,
  COLUMN_STEP,
  type LayoutNode,
  NODE_HEIGHT,
  NODE_WIDTH,
  type Point,
  ROW_GAP,
  VERSION_GAP,
} from './types.ts';

export interface Lane {
  readonly namespace: string;
  readonly points: readonly { readonly id: string; readonly x: number; readonly y: number }[];
  readonly bends: ReadonlyMap<string, readonly Point[]>;
  /** From the left border of its first column. */
  readonly width: number;
  readonly height: number;
  /** Its first column. */
  readonly rank: number;
}

/** The room of a passing call. */
const PASS_HEIGHT = 8;

export interface LaneRequest {
  readonly namespace: string;
  readonly nodes: readonly LayoutNode[];
  /** Only those within; by index of `nodes`. */
  readonly calls: Calls;
  /** Of each node. */
  readonly ranks: ArrayLike<number>;
  /** How many places long calls may take: with more of them single lines cannot be followed, and time would go into nothing. */
  readonly passesMax: number;
}

export function layLane({ namespace, nodes, calls, ranks, passesMax }: LaneRequest): Lane {
  const apps = [...Map.groupBy(nodes.keys(), (at) => nodes[at].app).values()];
  const unitOf = new Int32Array(nodes.length);
  for (const [unit, members] of apps.entries()) for (const at of members) unitOf[at] = unit;
  const units: Unit[] = apps.map((members) => ({
    rank: ranks[members[0]],
    height: members.length * (NODE_HEIGHT + VERSION_GAP) - VERSION_GAP,
  }));
  const passes = new Map<string, number[]>();
  const links = linksOf({ nodes, calls, unitOf, units, passes, passesMax });
  const middles = heightsOf(units, links, ROW_GAP);
  const rank = Math.min(...units.map((unit) => unit.rank));
  const left = (at: number) => (units[at].rank - rank) * COLUMN_STEP;
  const points = apps.flatMap((members, at) => {
    const top = middles[at] - units[at].height / 2;
    return members.map((member, row) => ({
      id: nodes[member].id,
      x: left(at),
      y: Math.round(top + row * (NODE_HEIGHT + VERSION_GAP)),
    }));
  });
  const bends = new Map(
    [...passes].map(([key, through]) => [
      key,
      through.map((at) => ({ x: left(at) + NODE_WIDTH / 2, y: Math.round(middles[at]) })),
    ]),
  );
  return {
    namespace,
    points,
    bends,
    rank,
    width: Math.max(...points.map((point) => point.x)) + NODE_WIDTH,
    height: Math.max(...units.map((unit, at) => middles[at] + unit.height / 2)),
  };
}

interface Linking {
  readonly nodes: readonly LayoutNode[];
  readonly calls: Calls;
  readonly unitOf: Int32Array;
  /** Grows by what passes. */
  readonly units: Unit[];
  readonly passes: Map<string, number[]>;
  readonly passesMax: number;
}

interface Joined {
  readonly from: number;
  readonly to: number;
  weight: number;
  /** Places in the calls. */
  readonly calls: number[];
}

/** Between apps; a call over more than one column goes through a unit of its own in each column between. */
function linksOf({ nodes, calls, unitOf, units, passes, passesMax }: Linking): Link[] {
  const links: Link[] = [];
  const joined = new Map<number, Joined>();
  const stride = units.length;
  for (let at = 0; at < calls.from.length; at += 1) {
    const from = unitOf[calls.from[at]];
    const to = unitOf[calls.to[at]];
    if (from === to) continue;
    // By number: joining the texts of thousands of edges takes longer than placing them.
    const key = from * stride + to;
    const known = joined.get(key);
    if (known === undefined) joined.set(key, { from, to, weight: calls.weights[at], calls: [at] });
    else {
      known.weight += calls.weights[at];
      known.calls.push(at);
    }
  }
  let count = 0;
  for (const { from, to, weight, calls: own } of joined.values()) {
    const between = units[to].rank - units[from].rank - 1;
    if (between < 1 || count + between > passesMax) {
      links.push({ from, to, weight });
      continue;
    }
    count += between;
    const through = Array.from(
      { length: between },
      (_, step) => units.push({ rank: units[from].rank + step + 1, height: PASS_HEIGHT }) - 1,
    );
    // Straight lines for long calls: what passes holds to itself more than to its ends.
    const chain = [from, ...through, to];
    for (let at = 1; at < chain.length; at += 1)
      links.push({ from: chain[at - 1], to: chain[at], weight: weight * (between > 1 ? 4 : 2) });
    for (const at of own)
      passes.set(`${nodes[calls.from[at]].id} ${nodes[calls.to[at]].id}`, through);
  }
  return links;
}
