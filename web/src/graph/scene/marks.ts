/** What is drawn, as plain values: made from a snapshot by pure functions, painted by draw/, exported the same way. */
import type { Badge, EjectedEndpoint } from '#console/api/graph.ts';
import type { HealthStatus } from '#console/api/health.ts';

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export type Level = 'namespaces' | 'apps' | 'workloads';

/** `tcp` is healthy traffic that is no requests. */
export type Look = HealthStatus | 'tcp';

export type Shape = 'box' | 'pill' | 'gateway' | 'waypoint' | 'external' | 'outside' | 'origin';

export interface NodeMark {
  readonly id: string;
  readonly box: Box;
  readonly shape: Shape;
  readonly look: HealthStatus;
  readonly title: string;
  /** Under the title: replicas, rate. */
  readonly detail: string;
  /** Version. */
  readonly chip: string;
  readonly badges: readonly Badge[];
  /** Shares of 2xx, 3xx, 4xx, 5xx and unanswered. */
  readonly shares: readonly number[];
  readonly ejected: readonly EjectedEndpoint[];
  readonly change?: Difference;
}

export type Lock = 'closed' | 'half' | 'open';

export interface EdgeMark {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly look: Look;
  readonly width: number;
  /** Start, then for each piece two controls and an end: x, y each. */
  readonly curve: readonly number[];
  readonly bounds: Box;
  readonly label: string;
  /** Where the whole label has no room: the first of them that has. */
  readonly shortLabels: readonly string[];
  readonly lock: Lock | undefined;
  readonly isGated: boolean;
  readonly particles: Particles;
  /** Drawn first and labelled first when there is no room for all. */
  readonly importance: number;
  readonly change?: Difference;
}

export interface Particles {
  /** On the edge at one time. */
  readonly count: number;
  /** Pixels a second at zoom 1. */
  readonly speed: number;
  readonly errorShare: number;
  readonly isTcp: boolean;
}

export interface FieldMark {
  readonly id: string;
  readonly box: Box;
  readonly title: string;
  readonly look: HealthStatus;
  /** For far out: what the namespace is about in numbers. */
  readonly detail: string;
}

/** Between two moments. */
export type Difference = 'added' | 'removed' | 'worse' | 'better';

export interface PlacedLabel {
  readonly edge: number;
  readonly text: string;
  readonly box: Box;
}

export interface Scene {
  readonly level: Level;
  readonly nodes: readonly NodeMark[];
  /** The most important last: it is drawn on top. */
  readonly edges: readonly EdgeMark[];
  readonly fields: readonly FieldMark[];
  /** Around the versions of one app. */
  readonly stacks: readonly Box[];
  /** Only where there is room. */
  readonly labels: readonly PlacedLabel[];
  readonly bounds: Box;
}

/** What is made in steps, between which something else may be done. */
export type Steps<T> = Generator<undefined, T, undefined>;

export function union(boxes: readonly Box[]): Box {
  let [left, top, right, bottom] = [
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];
  for (const box of boxes) {
    left = Math.min(left, box.x);
    top = Math.min(top, box.y);
    right = Math.max(right, box.x + box.width);
    bottom = Math.max(bottom, box.y + box.height);
  }
  if (boxes.length === 0) return { x: 0, y: 0, width: 1, height: 1 };
  return { x: left, y: top, width: right - left, height: bottom - top };
}

export function touches(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Below this zoom a node is too small for its name, which stands out of it. */
export const NAMES_INSIDE_ZOOM = 0.42;

/** With room at its sides. */
export function besides({ x, width, ...rest }: Box, room: number): Box {
  return { ...rest, x: x - room, width: width + 2 * room };
}

export function grown(box: Box, by: number): Box {
  return { x: box.x - by, y: box.y - by, width: box.width + 2 * by, height: box.height + 2 * by };
}
