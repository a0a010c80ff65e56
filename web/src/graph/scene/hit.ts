/** What is under a point, what stands in a direction, and what belongs together. Pure. */
import type { Point } from '../layout/types.ts';
import { pointOn } from './edge-marks.ts';
import { type Box, grown, type NodeMark, type Scene } from './marks.ts';

/** Pixels at zoom 1 around an edge that still mean it. */
const REACH = 7;
const SAMPLES = 24;

export interface Hit {
  readonly kind: 'node' | 'edge' | 'field';
  readonly id: string;
}

const holds = (box: { x: number; y: number; width: number; height: number }, { x, y }: Point) =>
  x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;

/** As holds(grown(…)), without making a box for each of many edges at each move of the hand. */
function isNear(box: Box, { x, y }: Point, reach: number): boolean {
  const isAcross = x >= box.x - reach && x <= box.x + box.width + reach;
  return isAcross && y >= box.y - reach && y <= box.y + box.height + reach;
}

export function hitAt(scene: Scene, point: Point, zoom: number): Hit | undefined {
  const node = scene.nodes.findLast((mark) => holds(grown(mark.box, 3), point));
  if (node !== undefined) return { kind: 'node', id: node.id };
  const label = scene.labels.find((each) => holds(each.box, point));
  if (label !== undefined) return { kind: 'edge', id: scene.edges[label.edge].id };
  const reach = REACH / Math.min(1, zoom);
  let best: { id: string; distance: number } | undefined;
  for (const edge of scene.edges) {
    if (!isNear(edge.bounds, point, reach)) continue;
    for (let step = 0; step <= SAMPLES * ((edge.curve.length - 2) / 6); step += 1) {
      const { x, y } = pointOn(
        edge.curve,
        Math.min(1, step / (SAMPLES * ((edge.curve.length - 2) / 6))),
      );
      const distance = Math.hypot(x - point.x, y - point.y);
      if (distance < reach + edge.width && (best === undefined || distance < best.distance))
        best = { id: edge.id, distance };
    }
  }
  if (best !== undefined) return { kind: 'edge', id: best.id };
  const field = scene.fields.find((mark) => holds(mark.box, point));
  return field === undefined ? undefined : { kind: 'field', id: field.id };
}

export type Direction = 'left' | 'right' | 'up' | 'down';

/** The nearest node in a direction: what is aside counts double. */
export function neighbourIn(
  scene: Scene,
  from: string | undefined,
  direction: Direction,
): NodeMark | undefined {
  const start = scene.nodes.find((mark) => mark.id === from);
  if (start === undefined)
    return scene.nodes.toSorted((a, b) => a.box.x - b.box.x || a.box.y - b.box.y)[0];
  const sign = direction === 'left' || direction === 'up' ? -1 : 1;
  const isAcross = direction === 'left' || direction === 'right';
  let best: { mark: NodeMark; cost: number } | undefined;
  for (const mark of scene.nodes) {
    const dx = mark.box.x - start.box.x;
    const dy = mark.box.y - start.box.y;
    const along = sign * (isAcross ? dx : dy);
    if (along <= 1) continue;
    const cost = along + 2 * Math.abs(isAcross ? dy : dx);
    if (best === undefined || cost < best.cost) best = { mark, cost };
  }
  return best?.mark;
}

/** A node or edge with what it talks to; undefined when the scene holds none of that name. */
export function togetherWith(scene: Scene, id: string): ReadonlySet<string> | undefined {
  const ids = new Set([id]);
  for (const edge of scene.edges) {
    if (edge.id === id) ids.add(edge.source).add(edge.target);
    else if (edge.source === id || edge.target === id)
      ids.add(edge.id).add(edge.source).add(edge.target);
  }
  const isThere = ids.size > 1 || scene.nodes.some((node) => node.id === id);
  return isThere ? ids : undefined;
}
