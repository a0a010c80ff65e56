/** Where labels of edges stand: on their edge, where they cover no node and no other label; the most important ones first. Pure. */
import { pointOn } from './edge-marks.ts';
import {
  type Box,
  type EdgeMark,
  grown,
  type Lock,
  type NodeMark,
  type PlacedLabel,
  type Steps,
  touches,
} from './marks.ts';

export const LABEL_HEIGHT = 16;
const CHARACTER_WIDTH = 5.7;
const LOCK_WIDTH = 14;
/** Pixels of an edge between two columns are few: the middle first, then nearer to the ends. */
const PLACES = [0.5, 0.38, 0.62, 0.26, 0.74, 0.16, 0.84];
/** Above, nobody could read them. */
const LABELS_MAX = 600;
/** Of the most important edges so many are tried: farther down hardly one finds room. */
const TRIED_MAX = 2000;
const TRIED_IN_STEP = 100;
/** A grid of cells keeps the search for what is covered short. */
const CELL = 256;

function widthOf(text: string, lock: Lock | undefined): number {
  const width = text.length * CHARACTER_WIDTH + (lock === undefined ? 0 : LOCK_WIDTH);
  return width === 0 ? 0 : width + 8;
}

export function* placeLabels(
  edges: readonly EdgeMark[],
  nodes: readonly NodeMark[],
): Steps<PlacedLabel[]> {
  const grid = new Map<string, Box[]>();
  for (const node of nodes) add(grid, grown(node.box, 3));
  const order = edges.map((_, at) => at).sort((a, b) => edges[b].importance - edges[a].importance);
  const placed: PlacedLabel[] = [];
  yield;
  for (const [index, at] of order.slice(0, TRIED_MAX).entries()) {
    if (index % TRIED_IN_STEP === 0) yield;
    if (placed.length === LABELS_MAX) break;
    const place = placeOf(grid, edges[at]);
    if (place === undefined) continue;
    add(grid, grown(place.box, 2));
    placed.push({ edge: at, ...place });
  }
  return placed;
}

type Place = Omit<PlacedLabel, 'edge'>;

function placeOf(grid: Grid, edge: EdgeMark): Place | undefined {
  for (const text of [edge.label, ...edge.shortLabels]) {
    const place = freePlace(grid, edge, text);
    if (place !== undefined) return place;
  }
  return undefined;
}

function freePlace(grid: Grid, edge: EdgeMark, text: string): Place | undefined {
  const width = widthOf(text, edge.lock);
  if (width === 0) return undefined;
  for (const share of PLACES) {
    const { x, y } = pointOn(edge.curve, share);
    const box = { x: x - width / 2, y: y - LABEL_HEIGHT / 2, width, height: LABEL_HEIGHT };
    if (!covers(grid, box)) return { text, box };
  }
  return undefined;
}

type Grid = ReadonlyMap<string, readonly Box[]>;

function cellsOf(box: Box): string[] {
  const keys: string[] = [];
  for (let x = Math.floor(box.x / CELL); x <= Math.floor((box.x + box.width) / CELL); x += 1)
    for (let y = Math.floor(box.y / CELL); y <= Math.floor((box.y + box.height) / CELL); y += 1)
      keys.push(`${x} ${y}`);
  return keys;
}

function add(grid: Map<string, Box[]>, box: Box): void {
  for (const key of cellsOf(box)) {
    const cell = grid.get(key);
    if (cell === undefined) grid.set(key, [box]);
    else cell.push(box);
  }
}

function covers(grid: ReadonlyMap<string, readonly Box[]>, box: Box): boolean {
  return cellsOf(box).some((key) => grid.get(key)?.some((other) => touches(other, box)));
}
