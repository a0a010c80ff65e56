/** A refresh moves nothing: nodes keep their places, and a new one takes a free place near the one it would have had. */
import {
  COLUMN_STEP,
  type LayoutAnswer,
  type LayoutNode,
  NODE_HEIGHT,
  NODE_WIDTH,
  type Point,
  type Positions,
  ROW_GAP,
} from './types.ts';

const ROW_STEP = NODE_HEIGHT + ROW_GAP;

/** Bends hold only where both layouts agree on the ends. */
export function keepPositions(
  nodes: readonly LayoutNode[],
  fresh: LayoutAnswer,
  kept: Positions,
): LayoutAnswer {
  const positions: Record<string, Point> = {};
  for (const node of nodes) if (kept[node.id] !== undefined) positions[node.id] = kept[node.id];
  const known = Object.keys(positions);
  if (known.length === 0) return fresh;
  const isSame = known.every(
    (id) => kept[id].x === fresh.positions[id].x && kept[id].y === fresh.positions[id].y,
  );
  if (isSame) return fresh;
  const [dx, dy] = shift(known, fresh.positions, kept);
  const taken = Object.values(positions);
  for (const node of nodes) {
    if (positions[node.id] !== undefined) continue;
    const wanted = { x: fresh.positions[node.id].x + dx, y: fresh.positions[node.id].y + dy };
    const place = freeNear(neighbourly(node, nodes, positions, wanted), taken);
    positions[node.id] = place;
    taken.push(place);
  }
  return { positions, bends: {} };
}

/** How far the fresh layout stands from the kept one, in the middle. */
function shift(known: readonly string[], fresh: Positions, kept: Positions): [number, number] {
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1];
  return [
    median(known.map((id) => kept[id].x - fresh[id].x)),
    median(known.map((id) => kept[id].y - fresh[id].y)),
  ];
}

/** Beside another version of its app, if one has a place. */
function neighbourly(
  node: LayoutNode,
  nodes: readonly LayoutNode[],
  positions: Positions,
  wanted: Point,
): Point {
  const sibling = nodes.find(
    (each) =>
      each.app === node.app &&
      each.namespace === node.namespace &&
      positions[each.id] !== undefined,
  );
  if (sibling === undefined || node.role !== 'inner') return wanted;
  const { x, y } = positions[sibling.id];
  return { x, y: y + NODE_HEIGHT + 8 };
}

function freeNear(wanted: Point, taken: readonly Point[]): Point {
  const isFree = ({ x, y }: Point) =>
    taken.every(
      (each) => Math.abs(each.x - x) >= NODE_WIDTH + 8 || Math.abs(each.y - y) >= NODE_HEIGHT + 8,
    );
  for (let ring = 0; ; ring += 1) {
    const tries: Point[] = [
      { x: wanted.x, y: wanted.y + ring * ROW_STEP },
      { x: wanted.x, y: wanted.y - ring * ROW_STEP },
      { x: wanted.x + ring * COLUMN_STEP, y: wanted.y },
    ];
    const free = tries.find(isFree);
    if (free !== undefined) return free;
  }
}
