/** Particles that run along edges: how many and how fast is in the marks, where each is follows from the time alone. Ticks for those who want no motion. */
import { lengthOf, pointOn } from '../scene/edge-marks.ts';
import type { EdgeMark } from '../scene/marks.ts';
import { isLit } from './draw-edges.ts';
import type { Emphasis } from './paint.ts';
import type { Pen } from './pen.ts';
import type { DrawTheme } from './theme.ts';

/** Over all edges; the strongest keep theirs. */
export const PARTICLES_MAX = 900;

export interface ParticleOptions {
  readonly edges: readonly EdgeMark[];
  readonly seconds: number;
  readonly emphasis: Emphasis;
  readonly theme: DrawTheme;
  readonly zoom: number;
}

/** Discs for requests, diamonds in red for errors, rings for connections. */
export function drawParticles(
  pen: Pen,
  { edges, seconds, emphasis, theme, zoom }: ParticleOptions,
): void {
  const size = Math.max(1.7, 1.3 / zoom);
  let left = PARTICLES_MAX;
  for (let at = edges.length - 1; at >= 0 && left > 0; at -= 1) {
    const edge = edges[at];
    const { count, speed, errorShare, isTcp } = edge.particles;
    if (count === 0 || !isLit(emphasis, [edge.id])) continue;
    const turn = (seconds * speed) / Math.max(60, lengthOf(edge.curve));
    for (let index = 0; index < count && left > 0; index += 1) {
      left -= 1;
      const way = turn + index / count;
      const { x, y } = pointOn(edge.curve, way % 1);
      const isError = isErrorAt(Math.floor(way) * count + index, errorShare);
      if (isError) drawDiamond(pen, x, y, size + 1.4, theme.looks.failing);
      else
        drawDisc(
          pen,
          { x, y, size: size + edge.width * 0.18 },
          isTcp ? theme.looks.tcp : theme.looks.healthy,
          isTcp,
        );
    }
  }
}

const TICK_REACH = 3;
/** Of the way between two particles: from there to there an edge runs nearly straight. */
const TICK_STEP = 0.004;

/** The same numbers for readers who want no motion: a stroke across the edge for each particle, and the share of errors as diamonds at its end. */
export function drawTicks(
  pen: Pen,
  { edges, emphasis, theme, zoom }: Omit<ParticleOptions, 'seconds'>,
): void {
  const size = Math.max(1, 0.7 / zoom);
  let left = PARTICLES_MAX;
  pen.setLineDash([]);
  for (let at = edges.length - 1; at >= 0 && left > 0; at -= 1) {
    const edge = edges[at];
    const { count, errorShare, isTcp } = edge.particles;
    if (count === 0 || !isLit(emphasis, [edge.id])) continue;
    const errors = Math.ceil(count * errorShare);
    for (let index = 0; index < count && left > 0; index += 1) {
      left -= 1;
      const share = (index + 0.5) / count;
      const { x, y } = pointOn(edge.curve, share);
      if (index >= count - errors) {
        drawDiamond(pen, x, y, 3.1 * size, theme.looks.failing);
        continue;
      }
      const next = pointOn(edge.curve, share + TICK_STEP);
      const angle = Math.atan2(next.y - y, next.x - x);
      const reach = (TICK_REACH + edge.width / 2) * size;
      pen.strokeStyle = isTcp ? theme.looks.tcp : theme.looks.healthy;
      pen.lineWidth = 1.4 * size;
      pen.beginPath();
      pen.moveTo(x - reach * Math.sin(angle), y + reach * Math.cos(angle));
      pen.lineTo(x + reach * Math.sin(angle), y - reach * Math.cos(angle));
      pen.stroke();
    }
  }
}

/** The nth of them is an error whenever the share reaches the next whole number: evenly, not by chance. */
function isErrorAt(number: number, share: number): boolean {
  return Math.floor((number + 1) * share + 1e-9) > Math.floor(number * share + 1e-9);
}

function drawDisc(
  pen: Pen,
  place: { x: number; y: number; size: number },
  colour: string,
  isHollow: boolean,
): void {
  pen.beginPath();
  pen.arc(place.x, place.y, place.size, 0, Math.PI * 2);
  if (isHollow) {
    pen.strokeStyle = colour;
    pen.lineWidth = 1.2;
    pen.stroke();
  } else {
    pen.fillStyle = colour;
    pen.fill();
  }
}

function drawDiamond(pen: Pen, x: number, y: number, size: number, colour: string): void {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.moveTo(x, y - size);
  pen.lineTo(x + size, y);
  pen.lineTo(x, y + size);
  pen.lineTo(x - size, y);
  pen.closePath();
  pen.fill();
}
