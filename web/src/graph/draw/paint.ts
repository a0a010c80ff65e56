/** Paints a scene with a pen: what the view shows of it, back to front. The same for the screen and for files. */
import { type Box, type EdgeMark, grown, type Scene, touches } from '../scene/marks.ts';
import { drawEdges, drawLabels } from './draw-edges.ts';
import { drawField, drawNode, drawStack, fieldBox } from './draw-nodes.ts';
import type { Pen } from './pen.ts';
import type { DrawTheme } from './theme.ts';

/** What part of the world is seen: its top left corner, and pixels for a unit. */
export interface View {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
  readonly width: number;
  readonly height: number;
}

export interface Emphasis {
  /** All others fade. */
  readonly focus: ReadonlySet<string> | undefined;
  readonly found: ReadonlySet<string> | undefined;
  readonly selected: ReadonlySet<string>;
}

/** What is new and not yet wholly there. */
export interface Fading {
  readonly ids: ReadonlySet<string>;
  /** 0 to 1. */
  readonly share: number;
}

export interface Painting {
  readonly scene: Scene;
  readonly view: View;
  readonly theme: DrawTheme;
  readonly emphasis: Emphasis;
  readonly fading?: Fading;
  /** Fewer than else may be: it is waited for. */
  readonly edgesMax?: number;
}

export interface Painted {
  readonly edgesInView: number;
  /** Particles run on these. */
  readonly drawn: readonly EdgeMark[];
}

/** More would be a grey mass, and slow. The strongest and all that are unhealthy are drawn; the page says how many are not. */
const EDGES_DRAWN_MAX = 900;
/** Of what is shown first, and painted whole right after. */
export const EDGES_DRAWN_FIRST = 250;
/** Labels are read, so below this they are not drawn. */
const LABELS_ZOOM = 0.6;

/** Of a mark that would be drawn with `full`. */
export function alphaOf({ fading }: Painting, id: string, full: number): number {
  return fading?.ids.has(id) === true ? full * fading.share : full;
}

export function worldBox(view: View): Box {
  return { x: view.x, y: view.y, width: view.width / view.zoom, height: view.height / view.zoom };
}

/** Namespaces and edges. Particles run above them. */
export function paintBack(pen: Pen, painting: Painting): Painted {
  const { scene, view, theme } = painting;
  const seen = grown(worldBox(view), 8);
  for (const field of scene.fields)
    if (touches(fieldBox(field, painting), seen)) drawField(pen, field, painting);
  for (const stack of scene.stacks) if (touches(stack, seen)) drawStack(pen, stack, theme);
  const edges = edgesToDraw(painting, seen);
  drawEdges(pen, edges.drawn, painting);
  return { edgesInView: edges.inView, drawn: edges.drawn };
}

/** Nodes and labels: nothing covers them. */
export function paintFront(pen: Pen, painting: Painting): void {
  const { scene, view } = painting;
  const seen = grown(worldBox(view), 8);
  for (const node of scene.nodes)
    if (touches(grown(node.box, 16), seen)) drawNode(pen, node, painting);
  if (view.zoom < LABELS_ZOOM) return;
  const labels = scene.labels.filter((label) => touches(label.box, seen));
  drawLabels(pen, scene, labels, painting);
}

/** The whole of it, for files. */
export function paint(pen: Pen, painting: Painting): void {
  paintBack(pen, painting);
  paintFront(pen, painting);
}

/** Of those with a part in view. Farther out only those of what is pointed at are drawn beyond the bound. */
function edgesToDraw(
  { scene, emphasis, edgesMax = EDGES_DRAWN_MAX }: Painting,
  seen: Box,
): { drawn: readonly EdgeMark[]; inView: number } {
  const { focus } = emphasis;
  const inView = scene.edges.filter((edge) => touches(edge.bounds, seen));
  if (inView.length <= edgesMax) return { drawn: inView, inView: inView.length };
  const pointed = focus === undefined ? [] : inView.filter((edge) => focus.has(edge.id));
  return { drawn: [...inView.slice(-edgesMax), ...pointed], inView: inView.length };
}
