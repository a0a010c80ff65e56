/** Small signs: health, locks, the gate of a waypoint, badges. In boxes of 12 by 12, drawn with the pen. */
import type { Badge } from '#console/api/graph.ts';
import type { HealthStatus } from '#console/api/health.ts';
import type { Difference, Lock } from '../scene/marks.ts';
import type { Pen } from './pen.ts';
import type { DrawTheme } from './theme.ts';

const CIRCLE = Math.PI * 2;

interface Place {
  readonly x: number;
  readonly y: number;
  readonly colour: string;
  /** Behind it. */
  readonly ground: string;
}

/** Shapes as in ui/health.tsx: disc, triangle, crossed square, ring, dash. */
export function drawHealth(pen: Pen, status: HealthStatus, { x, y, colour, ground }: Place): void {
  pen.fillStyle = colour;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.6;
  pen.beginPath();
  switch (status) {
    case 'healthy':
      pen.arc(x + 6, y + 6, 3.6, 0, CIRCLE);
      pen.fill();
      break;
    case 'degraded':
      pen.moveTo(x + 6, y + 1.5);
      pen.lineTo(x + 11, y + 10.5);
      pen.lineTo(x + 1, y + 10.5);
      pen.closePath();
      pen.fill();
      break;
    case 'failing':
      pen.roundRect(x + 1.5, y + 1.5, 9, 9, 1.5);
      pen.fill();
      drawCross(pen, { x: x + 6, y: y + 6, colour: ground, ground }, 2.2);
      break;
    case 'unknown':
      pen.arc(x + 6, y + 6, 3.4, 0, CIRCLE);
      pen.stroke();
      break;
    case 'idle':
      pen.moveTo(x + 2.5, y + 6);
      pen.lineTo(x + 9.5, y + 6);
      pen.stroke();
      break;
  }
}

/** Around its middle. */
export function drawCross(pen: Pen, { x, y, colour }: Place, size: number): void {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(x - size, y - size);
  pen.lineTo(x + size, y + size);
  pen.moveTo(x + size, y - size);
  pen.lineTo(x - size, y + size);
  pen.stroke();
}

/** Between two moments, around its middle: plus, minus, an arrow down, an arrow up. */
export function drawDifference(
  pen: Pen,
  change: Difference,
  { x, y, theme }: { x: number; y: number; theme: DrawTheme },
): void {
  const colour = {
    added: theme.accent,
    removed: theme.quiet,
    worse: theme.looks.failing,
    better: theme.looks.healthy,
  }[change];
  pen.setLineDash([]);
  pen.fillStyle = theme.ground;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.arc(x, y, 7, 0, CIRCLE);
  pen.fill();
  pen.stroke();
  pen.beginPath();
  if (change === 'added' || change === 'removed') {
    pen.moveTo(x - 3.4, y);
    pen.lineTo(x + 3.4, y);
    if (change === 'added') {
      pen.moveTo(x, y - 3.4);
      pen.lineTo(x, y + 3.4);
    }
  } else {
    const way = change === 'worse' ? 1 : -1;
    pen.moveTo(x, y - 3.6 * way);
    pen.lineTo(x, y + 3.6 * way);
    pen.moveTo(x - 2.8, y + 0.8 * way);
    pen.lineTo(x, y + 3.6 * way);
    pen.lineTo(x + 2.8, y + 0.8 * way);
  }
  pen.stroke();
}

/** Closed: all mutual TLS. Half: a body half filled. Open: a shackle that stands off. */
export function drawLock(pen: Pen, lock: Lock, { x, y, colour }: Place): void {
  pen.strokeStyle = colour;
  pen.fillStyle = colour;
  pen.lineWidth = 1.2;
  pen.beginPath();
  const lift = lock === 'open' ? 1.6 : 0;
  pen.moveTo(x + 3.4, y + 5.6 - lift);
  pen.bezierCurveTo(
    x + 3.4,
    y + 1.2 - lift,
    x + 8.6,
    y + 1.2 - lift,
    x + 8.6,
    y + (lock === 'open' ? 2.6 : 5.6),
  );
  pen.stroke();
  pen.beginPath();
  pen.roundRect(x + 2, y + 5.4, 8, 5.6, 1.2);
  if (lock === 'closed') pen.fill();
  else pen.stroke();
  if (lock !== 'half') return;
  pen.beginPath();
  pen.roundRect(x + 2, y + 8.2, 8, 2.8, 1);
  pen.fill();
}

/** Lines of points; a circle is `[x, y, radius]` after the point list's `o`. */
type Stroke = readonly number[] | { readonly circle: readonly [number, number, number] };

const BADGES: Readonly<Record<Badge, readonly Stroke[]>> = {
  canary: [
    [1.5, 6, 6, 1.5, 10.5, 6, 6, 10.5, 1.5, 6],
    [6, 1.5, 6, 10.5],
  ],
  'circuit-breaker': [
    [1, 6, 4, 6],
    [4, 6, 7.5, 2.5],
    [8, 6, 11, 6],
  ],
  'fault-injection': [[7, 1, 3, 7, 6, 7, 5, 11, 9, 5, 6, 5, 7, 1]],
  mirroring: [
    [2, 2, 5, 6, 2, 10],
    [10, 2, 7, 6, 10, 10],
    [6, 1, 6, 11],
  ],
  timeout: [{ circle: [6, 6, 4.6] }, [6, 3.2, 6, 6, 8.2, 7.4]],
  retries: [
    [10, 3, 10, 6, 7, 6],
    [10, 6, 8.6, 3.4, 6, 2.2, 3.4, 3.2, 2, 6, 3.2, 8.8, 6, 10, 8.8, 9],
  ],
  'traffic-shifting': [
    [1, 6, 5, 6, 10.5, 2.5],
    [5, 6, 10.5, 9.5],
  ],
  'request-routing': [
    [2, 10.5, 2, 6, 10, 6],
    [7.5, 3.5, 10, 6, 7.5, 8.5],
    [2, 6, 2, 1.5],
  ],
  waypoint: [
    [3, 1.5, 3, 10.5],
    [9, 1.5, 9, 10.5],
    [0.5, 6, 11.5, 6],
  ],
  'workload-entry': [
    [1.5, 2.5, 10.5, 2.5, 10.5, 9.5, 1.5, 9.5, 1.5, 2.5],
    [4, 6, 8, 6],
  ],
  external: [
    [6, 2, 2, 2, 2, 10, 10, 10, 10, 6],
    [7, 1.5, 10.5, 1.5, 10.5, 5],
    [10.5, 1.5, 5.5, 6.5],
  ],
  'not-captured': [{ circle: [6, 6, 4.6] }, [2.8, 9.2, 9.2, 2.8]],
  policy: [[6, 1, 10.5, 2.6, 10, 7, 6, 11, 2, 7, 1.5, 2.6, 6, 1]],
  'traffic-source': [{ circle: [2.8, 6, 1.8] }, [4.6, 6, 11, 6], [8.4, 3.4, 11, 6, 8.4, 8.6]],
};

export function drawBadge(pen: Pen, badge: Badge, { x, y, colour }: Place): void {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.2;
  for (const stroke of BADGES[badge]) {
    pen.beginPath();
    if ('circle' in stroke)
      pen.arc(x + stroke.circle[0], y + stroke.circle[1], stroke.circle[2], 0, CIRCLE);
    else
      for (let at = 0; at < stroke.length; at += 2)
        pen[at === 0 ? 'moveTo' : 'lineTo'](x + stroke[at], y + stroke[at + 1]);
    pen.stroke();
  }
}

export const BADGE_WORDS: Readonly<Record<Badge, string>> = {
  canary: 'Canary',
  'circuit-breaker': 'Ejects failing endpoints',
  'fault-injection': 'Injects faults',
  mirroring: 'Mirrored',
  timeout: 'Timeout',
  retries: 'Retries',
  'traffic-shifting': 'Weighted routes',
  'request-routing': 'Routes by request',
  waypoint: 'Waypoint',
  'workload-entry': 'Workload entry',
  external: 'External',
  'not-captured': 'Not captured',
  policy: 'Policy applies',
  'traffic-source': 'Where traffic begins',
};
