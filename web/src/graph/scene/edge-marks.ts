/** Edges as marks: width is the logarithm of the rate, look is health, and the curve goes from the right of one to the left of the other. Pure. */
import type { GraphEdge } from '#console/api/graph.ts';
import { byteRate, connectionRate, millis, percent, rate } from '../../ui/format.ts';
import type { Point } from '../layout/types.ts';
import type { Box, Difference, EdgeMark, Lock, Look, Particles } from './marks.ts';

export const LABELS = {
  rate: 'Rate',
  errors: 'Errors',
  p50: 'p50',
  p95: 'p95',
  p99: 'p99',
  throughput: 'Throughput',
  split: 'Split',
  none: 'None',
} as const;
export type LabelKind = keyof typeof LABELS;

export function labelOf(edge: GraphEdge, kind: LabelKind): string {
  const isTcp = edge.protocol === 'tcp';
  if (edge.health.samples === 0) return '';
  switch (kind) {
    case 'rate':
      return isTcp ? connectionRate(edge.connectionsPerSecond) : rate(edge.requestsPerSecond);
    case 'errors':
      return percent(edge.errorRate);
    case 'p50':
      return isTcp ? '' : millis(edge.p50Ms);
    case 'p95':
      return isTcp ? '' : millis(edge.p95Ms);
    case 'p99':
      return isTcp ? '' : millis(edge.p99Ms);
    case 'throughput':
      return byteRate(edge.bytesPerSecond);
    case 'split':
      return edge.split === undefined
        ? ''
        : `${edge.split.intended} % → ${percent(edge.split.seen / 100)}`;
    case 'none':
      return '';
  }
}

export function lockOf(edge: GraphEdge): Lock | undefined {
  if (edge.mtls === undefined) return undefined;
  return edge.mtls === 1 ? 'closed' : edge.mtls === 0 ? 'open' : 'half';
}

export function lookOf(edge: GraphEdge): Look {
  return edge.protocol === 'tcp' && edge.health.status === 'healthy' ? 'tcp' : edge.health.status;
}

/** 1 to 6 pixels: every tenfold of the rate adds one and a half. */
export function widthOf(edge: GraphEdge): number {
  const perSecond = edge.protocol === 'tcp' ? edge.connectionsPerSecond : edge.requestsPerSecond;
  return Math.min(6, 1 + 1.5 * Math.log10(1 + perSecond));
}

const PARTICLES_MAX = 10;

/** Density is rate, speed is one by latency. */
export function particlesOf(edge: GraphEdge): Particles {
  const isTcp = edge.protocol === 'tcp';
  const perSecond = isTcp ? edge.connectionsPerSecond : edge.requestsPerSecond;
  const count =
    perSecond <= 0 ? 0 : Math.min(PARTICLES_MAX, Math.ceil(0.6 + 2.4 * Math.log10(1 + perSecond)));
  return {
    count,
    speed: 18 + 130 / (1 + (edge.p50Ms ?? 10) / 25),
    errorShare: edge.errorRate,
    isTcp,
  };
}

export interface EdgeEnds {
  readonly source: Box;
  readonly target: Box;
  readonly bends: readonly Point[];
  /** Offsets from the middle of the side, so that edges at one node do not lie on each other. */
  readonly sourceY: number;
  readonly targetY: number;
}

/** Forward from right to left side, backward from left to right, and a bow at the right for what stands above each other. */
export function curveOf({ source, target, bends, sourceY, targetY }: EdgeEnds): number[] {
  const middle = (box: Box, offset: number) => box.y + box.height / 2 + offset;
  const isForward = target.x >= source.x + source.width;
  const isBackward = target.x + target.width <= source.x;
  const start = { x: isBackward ? source.x : source.x + source.width, y: middle(source, sourceY) };
  const end = { x: isForward ? target.x : target.x + target.width, y: middle(target, targetY) };
  if (!isForward && !isBackward) {
    const bow = 26 + Math.min(60, Math.abs(end.y - start.y) / 6);
    return [start.x, start.y, start.x + bow, start.y, end.x + bow, end.y, end.x, end.y];
  }
  const curve = [start.x, start.y];
  let from: Point = start;
  for (const to of isForward ? [...bends, end] : [end]) {
    const reach = (to.x - from.x) * 0.5;
    curve.push(from.x + reach, from.y, to.x - reach, to.y, to.x, to.y);
    from = to;
  }
  return curve;
}

/** A point on it; `share` of its pieces, not of its length. */
export function pointOn(curve: readonly number[], share: number): Point {
  const pieces = (curve.length - 2) / 6;
  const piece = Math.min(pieces - 1, Math.floor(share * pieces));
  const t = share * pieces - piece;
  const at = piece * 6;
  const u = 1 - t;
  const [a, b, c, d] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return {
    x: a * curve[at] + b * curve[at + 2] + c * curve[at + 4] + d * curve[at + 6],
    y: a * curve[at + 1] + b * curve[at + 3] + c * curve[at + 5] + d * curve[at + 7],
  };
}

/** Roughly: the way from point to point. */
export function lengthOf(curve: readonly number[]): number {
  let length = 0;
  for (let at = 2; at < curve.length; at += 2)
    length += Math.hypot(curve[at] - curve[at - 2], curve[at + 1] - curve[at - 1]);
  return length;
}

/** One wider than it is: a straight line has no height, and would touch nothing. */
export function boundsOf(curve: readonly number[]): Box {
  let [left, top, right, bottom] = [curve[0], curve[1], curve[0], curve[1]];
  for (let at = 2; at < curve.length; at += 2) {
    left = Math.min(left, curve[at]);
    right = Math.max(right, curve[at]);
    top = Math.min(top, curve[at + 1]);
    bottom = Math.max(bottom, curve[at + 1]);
  }
  return { x: left - 1, y: top - 1, width: right - left + 2, height: bottom - top + 2 };
}

/** An edge that is not all mutual TLS and not all plaintext says how much of it is. */
function sealedPart(edge: GraphEdge): string {
  return lockOf(edge) === 'half' ? `${percent(edge.mtls ?? 0)} mTLS` : '';
}

export function edgeMark(
  edge: GraphEdge,
  ends: EdgeEnds,
  options: { label: LabelKind; change?: Difference },
): EdgeMark {
  const curve = curveOf(ends);
  const split = edge.split !== undefined && options.label === 'rate' ? labelOf(edge, 'split') : '';
  const base = labelOf(edge, options.label);
  const isBad = edge.health.status === 'failing' || edge.health.status === 'degraded';
  return {
    id: edge.id,
    source: edge.source,
    target: edge.target,
    look: lookOf(edge),
    width: widthOf(edge),
    curve,
    bounds: boundsOf(curve),
    label: [base, split, sealedPart(edge)].filter((part) => part !== '').join(' · '),
    shortLabels: [split, base],
    lock: lockOf(edge),
    isGated: edge.via !== undefined,
    particles: particlesOf(edge),
    importance: (isBad ? 1000 : 0) + widthOf(edge),
    change: options.change,
  };
}
