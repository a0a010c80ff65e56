/** Nodes and namespaces: outline by kind, ring of answers, name, version, replicas, badges, ejected endpoints. */
import { span } from '../../ui/format.ts';
import {
  FIELD_GAP,
  FIELD_HEAD,
  FIELD_PAD,
  MAP_FIELD_PAD,
  MAP_OVERHANG,
  VERSION_GAP,
} from '../layout/types.ts';
import {
  type Box,
  besides,
  type FieldMark,
  type Level,
  NAMES_INSIDE_ZOOM,
  type NodeMark,
  type Shape,
} from '../scene/marks.ts';
import { FADED, isLit } from './draw-edges.ts';
import { drawBadge, drawDifference, drawHealth } from './glyphs.ts';
import { alphaOf, type Painting } from './paint.ts';
import { fitted, type Pen, setFont, textWidth } from './pen.ts';
import type { DrawTheme } from './theme.ts';

const RADIUS: Readonly<Record<Shape, number>> = {
  box: 7,
  pill: 22,
  gateway: 7,
  waypoint: 3,
  external: 7,
  outside: 7,
  origin: 22,
};
const TITLE_SIZE = 12.5;
const DETAIL_SIZE = 11.5;
/** Under it a node is its outline and its name. */
const DETAIL_ZOOM = 0.55;
const BADGES_SHOWN = 5;

export function drawNode(pen: Pen, mark: NodeMark, painting: Painting): void {
  const { theme, emphasis, view } = painting;
  const isShown = isLit(emphasis, [mark.id]);
  const full = isShown ? (mark.change === 'removed' ? 0.5 : 1) : FADED + 0.06;
  pen.globalAlpha = alphaOf(painting, mark.id, full);
  drawHalo(pen, mark, painting);
  drawOutline(pen, mark, theme);
  if (view.zoom < NAMES_INSIDE_ZOOM) drawFarTitle(pen, mark, painting);
  else drawContent(pen, mark, painting, view.zoom >= DETAIL_ZOOM);
  drawEjected(pen, mark, theme);
  if (mark.change !== undefined)
    drawDifference(pen, mark.change, { x: mark.box.x, y: mark.box.y, theme });
  pen.globalAlpha = 1;
}

function drawHalo(pen: Pen, { id, box, shape }: NodeMark, { theme, emphasis }: Painting): void {
  const isFound = emphasis.found?.has(id) === true;
  if (!isFound && !emphasis.selected.has(id)) return;
  pen.strokeStyle = theme.accent;
  pen.lineWidth = emphasis.selected.has(id) ? 3 : 1.5;
  pen.beginPath();
  pen.roundRect(box.x - 5, box.y - 5, box.width + 10, box.height + 10, RADIUS[shape] + 4);
  pen.stroke();
}

function drawOutline(pen: Pen, mark: NodeMark, theme: DrawTheme): void {
  const { box, shape, look } = mark;
  const radius = Math.min(RADIUS[shape], box.height / 2);
  const isThere = shape !== 'outside' && shape !== 'external' && shape !== 'origin';
  pen.fillStyle =
    isThere || look === 'failing' || look === 'degraded' ? theme.tints[look] : theme.ground;
  pen.beginPath();
  pen.roundRect(box.x, box.y, box.width, box.height, radius);
  pen.fill();
  pen.lineWidth = 1;
  pen.strokeStyle = theme.line;
  if (shape === 'outside') {
    drawOpenOutline(pen, box);
    return;
  }
  pen.setLineDash(isThere ? [] : [4, 3]);
  pen.beginPath();
  pen.roundRect(box.x, box.y, box.width, box.height, radius);
  pen.stroke();
  pen.setLineDash([]);
  // A dashed outline says that it is none of ours: a ring would hide that.
  if (isThere) drawRing(pen, mark, radius, theme);
  if (shape !== 'gateway' && shape !== 'waypoint') return;
  pen.fillStyle = theme.quiet;
  pen.beginPath();
  pen.roundRect(box.x - 3, box.y + 6, 4, box.height - 12, 2);
  if (shape === 'waypoint') pen.roundRect(box.x + box.width - 1, box.y + 6, 4, box.height - 12, 2);
  pen.fill();
}

/** Two brackets: nobody of ours speaks for it. */
function drawOpenOutline(pen: Pen, { x, y, width, height }: Box): void {
  pen.lineWidth = 1.4;
  for (const [side, inward] of [
    [x, 1],
    [x + width, -1],
  ] as const) {
    pen.beginPath();
    pen.moveTo(side + 24 * inward, y);
    pen.lineTo(side + 7 * inward, y);
    pen.bezierCurveTo(side + 2 * inward, y, side, y + 2, side, y + 7);
    pen.lineTo(side, y + height - 7);
    pen.bezierCurveTo(
      side,
      y + height - 2,
      side + 2 * inward,
      y + height,
      side + 7 * inward,
      y + height,
    );
    pen.lineTo(side + 24 * inward, y + height);
    pen.stroke();
  }
}

/** Shares of answers along the border, clockwise from the top left; what nobody answered is dashed. */
function drawRing(pen: Pen, { box, shares }: NodeMark, radius: number, theme: DrawTheme): void {
  if (shares.length === 0) return;
  const around = 2 * (box.width + box.height) - 8 * radius + 2 * Math.PI * radius;
  const colours = [
    theme.edges.healthy,
    theme.quiet,
    theme.looks.degraded,
    theme.looks.failing,
    theme.looks.failing,
  ];
  pen.lineWidth = 2;
  pen.lineCap = 'butt';
  let from = 0;
  shares.forEach((share, at) => {
    if (share === 0) return;
    // A sliver is widened, so that one failure in a thousand is seen.
    const length = share === 1 ? around : Math.max(share * around, 5);
    pen.strokeStyle = colours[at];
    pen.setLineDash(at === 4 && length > 8 ? dashed(length, around) : [length, around]);
    pen.lineDashOffset = -Math.min(from, around - length);
    pen.beginPath();
    pen.roundRect(box.x, box.y, box.width, box.height, radius);
    pen.stroke();
    from += share * around;
  });
  pen.setLineDash([]);
  pen.lineDashOffset = 0;
}

function dashed(length: number, around: number): number[] {
  const dashes: number[] = [];
  for (let at = 0; at + 5 < length; at += 5) dashes.push(3, 2);
  return [...dashes, 0, around];
}

function drawContent(pen: Pen, mark: NodeMark, { theme }: Painting, hasDetail: boolean): void {
  const { box, look } = mark;
  const left = box.x + 10;
  const width = box.width - 18;
  drawHealth(pen, look, {
    x: left - 1,
    y: box.y + 8,
    colour: theme.looks[look],
    ground: theme.ground,
  });
  pen.textBaseline = 'middle';
  pen.textAlign = 'left';
  setFont(pen, TITLE_SIZE, true);
  pen.fillStyle = theme.text;
  pen.fillText(fitted(mark.title, width - 14, TITLE_SIZE, true), left + 15, box.y + 14.5);
  if (!hasDetail) return;
  setFont(pen, DETAIL_SIZE);
  let indent = 0;
  if (mark.chip !== '') {
    indent = textWidth(mark.chip, DETAIL_SIZE) + 14;
    pen.fillStyle = theme.soft;
    pen.beginPath();
    pen.roundRect(left - 1, box.y + 24, indent - 5, 15, 3);
    pen.fill();
    pen.fillStyle = theme.text;
    pen.fillText(mark.chip, left + 3, box.y + 32);
  }
  pen.fillStyle = theme.quiet;
  pen.fillText(fitted(mark.detail, width - indent, DETAIL_SIZE), left + indent, box.y + 32);
  drawBadges(pen, mark, theme);
}

/** On the upper border, from the right; rather above it, for the name is close below. */
function drawBadges(pen: Pen, { box, badges }: NodeMark, theme: DrawTheme): void {
  badges.slice(0, BADGES_SHOWN).forEach((badge, at) => {
    const x = box.x + box.width - 24 - at * 18;
    pen.fillStyle = theme.ground;
    pen.strokeStyle = theme.line;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.arc(x + 8, box.y - 3, 8, 0, Math.PI * 2);
    pen.fill();
    pen.stroke();
    drawBadge(pen, badge, { x: x + 2, y: box.y - 9, colour: theme.quiet, ground: theme.ground });
  });
}

/** The name alone, as large on the screen as it always is, where it has room. In a graph that is never folded it may stand out of its box on both sides, over edges. */
function drawFarTitle(pen: Pen, { box, title, look }: NodeMark, painting: Painting): void {
  const { theme, view, scene } = painting;
  const isMap = scene.level === 'workloads';
  const wanted = Math.round((11 / view.zoom) * 2) / 2;
  const size = isMap ? Math.min(wanted, box.height + VERSION_GAP) : wanted;
  const text = fitted(title, isMap ? box.width + 2 * MAP_OVERHANG : box.width - 8, size);
  if (text === '' || (!isMap && size > box.height)) return;
  const width = textWidth(text, size) + size / 3;
  if (width > box.width) {
    pen.fillStyle = theme.tints[look];
    pen.strokeStyle = look === 'failing' || look === 'degraded' ? theme.looks[look] : theme.line;
    pen.lineWidth = 1 / view.zoom;
    pen.beginPath();
    const [left, height] = [box.x + (box.width - width) / 2, box.height];
    pen.roundRect(left, box.y, width, height, height / 4);
    pen.fill();
    pen.stroke();
  }
  setFont(pen, size);
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.fillStyle = look === 'failing' || look === 'degraded' ? theme.looks[look] : theme.text;
  pen.fillText(text, box.x + box.width / 2, box.y + box.height / 2);
}

/** Hollow dots on the border, with the time until the first is let in again. */
function drawEjected(pen: Pen, { box, ejected }: NodeMark, theme: DrawTheme): void {
  if (ejected.length === 0) return;
  pen.strokeStyle = theme.looks.failing;
  pen.fillStyle = theme.ground;
  pen.lineWidth = 1.6;
  const y = box.y + box.height;
  ejected.slice(0, 8).forEach((_, at) => {
    pen.beginPath();
    pen.arc(box.x + 16 + at * 11, y, 3.8, 0, Math.PI * 2);
    pen.fill();
    pen.stroke();
  });
  const back = ejected.flatMap((each) => each.remainingMs ?? []).sort((a, b) => a - b)[0];
  if (back === undefined) return;
  setFont(pen, 10);
  pen.textAlign = 'left';
  pen.textBaseline = 'middle';
  pen.fillStyle = theme.looks.failing;
  pen.fillText(
    `ejected, back in ${span(back / 1000)}`,
    box.x + 12 + Math.min(8, ejected.length) * 11,
    y + 9,
  );
}

/** Around the versions of one app. */
export function drawStack(pen: Pen, box: Box, theme: DrawTheme): void {
  pen.strokeStyle = theme.line;
  pen.lineWidth = 1;
  pen.setLineDash([2, 3]);
  pen.beginPath();
  pen.roundRect(box.x, box.y, box.width, box.height, 11);
  pen.stroke();
  pen.setLineDash([]);
}

/** As it is painted: wide enough for names that stand out of their nodes. */
export function fieldBox({ box }: FieldMark, { scene, view }: Painting): Box {
  const isMap = scene.level === 'workloads' && view.zoom < NAMES_INSIDE_ZOOM;
  return isMap ? besides(box, MAP_FIELD_PAD - FIELD_PAD) : box;
}

export function drawField(pen: Pen, field: FieldMark, painting: Painting): void {
  const { title, detail, look, id } = field;
  const { theme, view, scene, emphasis } = painting;
  const box = fieldBox(field, painting);
  const isFar = scene.level === 'namespaces';
  const isShown = !isFar || isLit(emphasis, [id]);
  pen.globalAlpha = isShown ? 1 : FADED + 0.06;
  pen.fillStyle = isFar ? theme.tints[look] : theme.field;
  pen.strokeStyle = isFar ? theme.looks[look] : theme.fieldLine;
  pen.lineWidth = isFar ? 1.5 / view.zoom : 1;
  pen.beginPath();
  pen.roundRect(box.x, box.y, box.width, box.height, 12);
  pen.fill();
  pen.stroke();
  const size = titleSize(scene.level, view.zoom, box.height);
  pen.textAlign = isFar ? 'center' : 'left';
  pen.textBaseline = 'middle';
  setFont(pen, size, true);
  pen.fillStyle = isFar ? theme.text : theme.quiet;
  if (!isFar) {
    // Far out the head is too low for a name: it stands between the lowest node of the field above and the first of its own.
    const y =
      box.y + (view.zoom < NAMES_INSIDE_ZOOM ? (FIELD_HEAD - FIELD_GAP - FIELD_PAD) / 2 : 13);
    pen.fillText(fitted(title, box.width - 24, size, true), box.x + 12, y);
  } else {
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    pen.fillText(fitted(title, box.width - 8, size, true), x, y - size * 0.7);
    setFont(pen, size * 0.9);
    pen.fillStyle = theme.quiet;
    pen.fillText(fitted(detail, box.width - 8, size * 0.9), x, y + size * 0.7);
  }
  pen.globalAlpha = 1;
}

/** On the screen. Text of a size that was not written before takes a browser a millisecond, and hardly two namespaces have the same height. */
const SIZE_STEP_PX = 0.5;

/** Near, a title stands in the head of its field; farther out it is as large on the screen as it always is, where the field has room for it. */
function titleSize(level: Level, zoom: number, height: number): number {
  if (level === 'workloads' && zoom < NAMES_INSIDE_ZOOM)
    return Math.min(11 / zoom, FIELD_HEAD + FIELD_GAP);
  if (level === 'workloads') return zoom < 0.6 ? 17 : 12;
  const pixels = Math.min((height * zoom) / 4, 12);
  const steps = Math.floor(pixels / SIZE_STEP_PX);
  return (Math.max(1, steps) * SIZE_STEP_PX) / zoom;
}
