/** Edges: line by health, arrow, gate of the waypoint, label with its lock. */
import { pointOn } from '../scene/edge-marks.ts';
import type { EdgeMark, PlacedLabel, Scene } from '../scene/marks.ts';
import { drawCross, drawDifference, drawLock } from './glyphs.ts';
import { alphaOf, type Emphasis, type Painting } from './paint.ts';
import { type Pen, setFont } from './pen.ts';

const DASHES: Readonly<Record<EdgeMark['look'], number[]>> = {
  healthy: [],
  tcp: [],
  degraded: [9, 4],
  failing: [],
  unknown: [3, 4],
  idle: [1.5, 5],
};
/** Under it arrows and gates are specks. */
const FINE_ZOOM = 0.35;
export const FADED = 0.1;
/** Between the gate and the label. */
const DIFFERENCE_AT = 0.22;

export function isLit(emphasis: Emphasis, ids: readonly string[]): boolean {
  const { focus, found } = emphasis;
  if (focus !== undefined) return ids.every((id) => focus.has(id));
  return found === undefined || ids.some((id) => found.has(id));
}

export function drawEdges(pen: Pen, edges: readonly EdgeMark[], painting: Painting): void {
  for (const edge of edges) drawEdge(pen, edge, painting);
}

function drawEdge(pen: Pen, edge: EdgeMark, painting: Painting): void {
  const { theme, emphasis, view } = painting;
  const { curve, look } = edge;
  const isChosen = emphasis.selected.has(edge.id);
  const full = isLit(emphasis, [edge.id]) ? (edge.change === 'removed' ? 0.5 : 1) : FADED;
  pen.globalAlpha = alphaOf(painting, edge.id, full);
  pen.lineWidth = edge.width + (look === 'failing' ? 1.2 : 0);
  pen.strokeStyle = isChosen ? theme.accent : theme.edges[look];
  const dashes = edge.change === 'removed' ? [2, 6] : DASHES[look];
  if (dashes.length > 0) pen.setLineDash(dashes);
  trace(pen, curve);
  pen.stroke();
  if (dashes.length > 0) pen.setLineDash([]);
  if (view.zoom >= FINE_ZOOM) {
    pen.fillStyle = isChosen ? theme.accent : theme.edges[look];
    drawArrow(pen, edge);
    if (edge.isGated) drawGate(pen, edge, theme.ground);
    if (look === 'failing') {
      const at = pointOn(curve, 0.86);
      pen.fillStyle = theme.ground;
      pen.beginPath();
      pen.arc(at.x, at.y, 6, 0, Math.PI * 2);
      pen.fill();
      drawCross(pen, { ...at, colour: theme.looks.failing, ground: theme.ground }, 3.4);
    }
    if (edge.change !== undefined)
      drawDifference(pen, edge.change, { ...pointOn(curve, DIFFERENCE_AT), theme });
  }
  pen.globalAlpha = 1;
}

function trace(pen: Pen, curve: readonly number[]): void {
  pen.beginPath();
  pen.moveTo(curve[0], curve[1]);
  for (let at = 2; at < curve.length; at += 6)
    pen.bezierCurveTo(
      curve[at],
      curve[at + 1],
      curve[at + 2],
      curve[at + 3],
      curve[at + 4],
      curve[at + 5],
    );
}

function drawArrow(pen: Pen, { curve, width }: EdgeMark): void {
  const [bx, by, x, y] = curve.slice(-4);
  const angle = Math.atan2(y - by, x - bx);
  const size = 5 + width * 0.9;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x - size * cos + size * 0.5 * sin, y - size * sin - size * 0.5 * cos);
  pen.lineTo(x - size * cos - size * 0.5 * sin, y - size * sin + size * 0.5 * cos);
  pen.closePath();
  pen.fill();
}

/** Two posts across the edge, open where it passes. */
function drawGate(pen: Pen, edge: EdgeMark, ground: string): void {
  const at = pointOn(edge.curve, 0.12);
  const next = pointOn(edge.curve, 0.14);
  const angle = Math.atan2(next.y - at.y, next.x - at.x);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const reach = 4 + edge.width / 2;
  const stroke = pen.strokeStyle;
  for (const [colour, width] of [
    [ground, 5],
    [stroke, 1.8],
  ] as const) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    for (const along of [-2.6, 2.6]) {
      const [x, y] = [at.x + along * cos, at.y + along * sin];
      pen.beginPath();
      pen.moveTo(x - reach * sin, y + reach * cos);
      pen.lineTo(x + reach * sin, y - reach * cos);
      pen.stroke();
    }
  }
}

const LABEL_SIZE = 11.5;

export function drawLabels(
  pen: Pen,
  scene: Scene,
  labels: readonly PlacedLabel[],
  { theme, emphasis }: Painting,
): void {
  setFont(pen, LABEL_SIZE);
  pen.textAlign = 'left';
  pen.textBaseline = 'middle';
  for (const { edge: at, box, text } of labels) {
    const edge = scene.edges[at];
    if (!isLit(emphasis, [edge.id])) continue;
    const isBad = edge.look === 'failing' || edge.look === 'degraded';
    pen.fillStyle = emphasis.selected.has(edge.id) ? theme.accentSoft : theme.ground;
    pen.globalAlpha = 0.92;
    pen.beginPath();
    pen.roundRect(box.x, box.y, box.width, box.height, 4);
    pen.fill();
    pen.globalAlpha = 1;
    let x = box.x + 4;
    if (edge.lock !== undefined) {
      const colour = edge.lock === 'closed' ? theme.quiet : theme.looks.degraded;
      drawLock(pen, edge.lock, { x: x - 2, y: box.y + 2, colour, ground: theme.ground });
      x += 11;
    }
    pen.fillStyle = isBad ? theme.looks[edge.look] : theme.text;
    pen.fillText(text, x, box.y + box.height / 2 + 0.5);
  }
}
