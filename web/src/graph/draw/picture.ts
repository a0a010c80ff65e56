/**
 * The painted scene as a bitmap that is a little larger than the view. While one pans or zooms it is moved and scaled, which costs
 * nothing; it is painted anew when it no longer covers the view, or when the hand rests. A scene that paints quickly is painted each time.
 */
import {
  EDGES_DRAWN_FIRST,
  type Painted,
  type Painting,
  paintBack,
  paintFront,
  type View,
  worldBox,
} from './paint.ts';

/** On each side, as a share of the view. */
const MARGIN = 0.3;
/** Painting that takes no longer fits into a frame beside everything else. */
const QUICK_MS = 7;
/** While one zooms, a picture that no longer covers the view is shown no longer than this. */
const SCALED_MS = 220;
/** Ten steps of a wheel: nearer, a blurred picture says nothing until the hand rests. */
const SCALED_MAX = 5;

/** What lies under the particles, and what lies over them. */
interface Layers {
  readonly back: CanvasRenderingContext2D;
  readonly front: CanvasRenderingContext2D;
}

export interface Showing {
  readonly ratio: number;
  readonly isMoving: boolean;
  readonly atMs: number;
}

/** What painting a scene once told about painting it again. */
export interface PaintedBefore {
  readonly view: View;
  readonly isStale: boolean;
  readonly tookMs: number;
  readonly atMs: number;
}

/** Whether the bitmap has to be painted anew for this view, or is good enough when moved and scaled. Pure. */
export function mustPaint(
  before: PaintedBefore | undefined,
  view: View,
  { isMoving, atMs }: Pick<Showing, 'isMoving' | 'atMs'>,
): boolean {
  if (before === undefined || before.view.width === 0) return true;
  const isCovered = covers(before.view, view);
  const isFresh = !before.isStale && before.view.zoom === view.zoom && isCovered;
  if (before.tookMs < QUICK_MS || !isMoving) return !isFresh;
  const ratio = view.zoom / before.view.zoom;
  if (ratio > SCALED_MAX || ratio < 1 / SCALED_MAX) return true;
  return !isCovered && atMs - before.atMs > SCALED_MS;
}

export class Picture {
  readonly #own: Layers = {
    back: document.createElement('canvas').getContext('2d', { alpha: false })!,
    front: document.createElement('canvas').getContext('2d')!,
  };
  #before: PaintedBefore | undefined;
  painted: Painted = { edgesInView: 0, drawn: [] };

  /** Something of what is painted changed. */
  invalidate(): void {
    if (this.#before !== undefined) this.#before = { ...this.#before, isStale: true };
  }

  /** Painting takes so long that nothing else should be done while one moves. */
  get isSlow(): boolean {
    return (this.#before?.tookMs ?? 0) >= QUICK_MS;
  }

  mustPaint(view: View, showing: Showing): boolean {
    return mustPaint(this.#before, view, showing);
  }

  /** True when the bitmap is not what would be painted now: to be shown again when the hand rests. */
  show(target: Layers, painting: Painting, showing: Showing): boolean {
    const { view } = painting;
    if (!this.mustPaint(view, showing)) this.#copy(target, painting, showing);
    else {
      const began = performance.now();
      const own = this.#paint(painting, showing);
      const isFirst = this.#before === undefined;
      this.#before = { view: own, isStale: isFirst, tookMs: 0, atMs: showing.atMs };
      // Browsers keep what was drawn as a list and fill pixels when the bitmap is asked for: only then is known how long it takes.
      this.#copy(target, painting, showing);
      this.#before = { ...this.#before, tookMs: performance.now() - began };
    }
    return this.#before?.isStale === true || this.#before?.view.zoom !== view.zoom;
  }

  #copy(target: Layers, { view, theme }: Painting, { ratio }: Showing): void {
    const own = this.#before?.view ?? view;
    const scale = view.zoom / own.zoom;
    const shift = view.zoom * ratio;
    const [x, y] = [(own.x - view.x) * shift, (own.y - view.y) * shift];
    clear(target.back, theme.ground);
    clear(target.front);
    for (const layer of ['back', 'front'] as const) {
      const { canvas } = this.#own[layer];
      target[layer].drawImage(canvas, x, y, canvas.width * scale, canvas.height * scale);
    }
  }

  /** The view that the bitmap has now. */
  #paint(painting: Painting, { ratio }: Showing): View {
    const { view, theme } = painting;
    // The first one shows the strongest of what is in view and nothing around: it is waited for.
    const margin = this.#before === undefined ? 0 : MARGIN;
    // Whole pixels: a bitmap between pixels is blurred.
    const [left, top] = [
      Math.round(view.width * margin * ratio) / ratio,
      Math.round(view.height * margin * ratio) / ratio,
    ];
    const own: View = {
      zoom: view.zoom,
      x: view.x - left / view.zoom,
      y: view.y - top / view.zoom,
      width: view.width + 2 * left,
      height: view.height + 2 * top,
    };
    for (const layer of ['back', 'front'] as const) {
      const { canvas } = this.#own[layer];
      const [width, height] = [Math.ceil(own.width * ratio), Math.ceil(own.height * ratio)];
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width;
        canvas.height = height;
      }
      clear(this.#own[layer], layer === 'back' ? theme.ground : undefined);
      const scale = own.zoom * ratio;
      this.#own[layer].setTransform(scale, 0, 0, scale, -own.x * scale, -own.y * scale);
    }
    const edgesMax = this.#before === undefined ? EDGES_DRAWN_FIRST : undefined;
    this.painted = paintBack(this.#own.back, { ...painting, view: own, edgesMax });
    paintFront(this.#own.front, { ...painting, view: own });
    return own;
  }
}

function clear(pen: CanvasRenderingContext2D, ground?: string): void {
  pen.setTransform(1, 0, 0, 1, 0, 0);
  if (ground === undefined) {
    pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
    return;
  }
  pen.fillStyle = ground;
  pen.fillRect(0, 0, pen.canvas.width, pen.canvas.height);
}

function covers(own: View, view: View): boolean {
  const [a, b] = [worldBox(own), worldBox(view)];
  const slack = 0.5 / view.zoom;
  const isWide = b.x >= a.x - slack && b.x + b.width <= a.x + a.width + slack;
  return isWide && b.y >= a.y - slack && b.y + b.height <= a.y + a.height + slack;
}
