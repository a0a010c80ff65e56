/** One namespace by itself: its apps in columns by rank, their versions on top of each other, and where its long calls bend. */
import { heightsOf, type Link, type Unit } from './columns.ts';
import {
  COLUMN_STEP,
  type LayoutEdge,
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
  /** Only those within. */
  readonly edges: readonly LayoutEdge[];
  readonly rankOf: (node: LayoutNode) => number;
  /** How many places long calls may take: with more of them single lines cannot be followed, and time would go into nothing. */
  readonly passesMax: number;
}

export function layLane({ namespace, nodes, edges, rankOf, passesMax }: LaneRequest): Lane {
  const apps = [...Map.groupBy(nodes, (node) => node.app).values()];
  const unitOf = new Map(
    apps.flatMap((members, at) => members.map((node) => [node.id, at] as const)),
  );
  const units: Unit[] = apps.map((members) => ({
    rank: rankOf(members[0]),
    height: members.length * (NODE_HEIGHT + VERSION_GAP) - VERSION_GAP,
  }));
  const passes = new Map<string, number[]>();
  const links = linksOf({ edges, unitOf, units, passes, passesMax });
  const middles = heightsOf(units, links, ROW_GAP);
  const rank = Math.min(...units.map((unit) => unit.rank));
  const left = (at: number) => (units[at].rank - rank) * COLUMN_STEP;
  const points = apps.flatMap((members, at) => {
    const top = middles[at] - units[at].height / 2;
    return members.map((node, row) => ({
      id: node.id,
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
  readonly edges: readonly LayoutEdge[];
  readonly unitOf: ReadonlyMap<string, number>;
  /** Grows by what passes. */
  readonly units: Unit[];
  readonly passes: Map<string, number[]>;
  readonly passesMax: number;
}

interface Joined {
  readonly from: number;
  readonly to: number;
  weight: number;
  readonly calls: LayoutEdge[];
}

/** Between apps; a call over more than one column goes through a unit of its own in each column between. */
function linksOf({ edges, unitOf, units, passes, passesMax }: Linking): Link[] {
  const links: Link[] = [];
  const joined = new Map<number, Joined>();
  const stride = units.length;
  for (const edge of edges) {
    const from = unitOf.get(edge.source)!;
    const to = unitOf.get(edge.target)!;
    if (from === to) continue;
    // By number: joining the texts of thousands of edges takes longer than placing them.
    const key = from * stride + to;
    const known = joined.get(key);
    if (known === undefined) joined.set(key, { from, to, weight: edge.weight, calls: [edge] });
    else {
      known.weight += edge.weight;
      known.calls.push(edge);
    }
  }
  let count = 0;
  for (const { from, to, weight, calls } of joined.values()) {
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
    for (const call of calls) passes.set(`${call.source} ${call.target}`, through);
  }
  return links;
}
