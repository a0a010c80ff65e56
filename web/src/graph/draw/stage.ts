/**
 * The graph on the screen: one canvas with fields and edges, one above it with what moves, and one with nodes and labels. It owns the view and the frame loop; React tells it
 * what to show and is told where one looks. Nothing runs while nothing moves.
 */
import { arrivalsIn } from '../scene/arrivals.ts';
import type { Box, Scene } from '../scene/marks.ts';
import { FOLDED_NODES } from '../scene/scene.ts';
import { firstView, fitWhole, isNarrow, pan, reveal, zoomAt } from './camera.ts';
import type { Emphasis, Fading, Painted, Painting, View } from './paint.ts';
import { drawParticles, drawTicks } from './particles.ts';
import { Picture, type Showing } from './picture.ts';
import { type DrawTheme, readTheme } from './theme.ts';

export interface StageInput {
  /** The scene for a zoom; the same object while nothing changed. */
  readonly sceneAt: (zoom: number) => Scene;
  readonly emphasis: Emphasis;
  /** Traffic is shown along edges. */
  readonly isAnimated: boolean;
  /** The reader wants no motion: traffic stands still, and nothing fades. */
  readonly isCalm: boolean;
}

export interface Looking {
  readonly view: View;
  readonly scene: Scene;
  readonly painted: Painted;
}

/** The hand rests when nothing moved for so long. */
const REST_MS = 120;
/** What is new is wholly there after so long. */
const FADE_MS = 180;
/** With more, particles beside a picture that is slow to paint would hold the hand up. */
const MOVING_EDGES_MAX = 200;

export class Stage {
  readonly #back: CanvasRenderingContext2D;
  readonly #over: CanvasRenderingContext2D;
  readonly #front: CanvasRenderingContext2D;
  readonly #onLook: (looking: Looking) => void;
  readonly #picture = new Picture();
  #input: StageInput | undefined;
  #scene: Scene | undefined;
  #theme: DrawTheme;
  #view: View = { x: 0, y: 0, zoom: 1, width: 0, height: 0 };
  #movedAt = Number.NEGATIVE_INFINITY;
  #mustShow = true;
  #frame = 0;
  #hasFitted = false;
  /** As it was fitted: nobody moved it. */
  #isFirstView = false;
  #arrived: { ids: ReadonlySet<string>; atMs: number } | undefined;
  #isOverClear = true;
  #told: Painted | undefined;
  /** Frames shown since the start: benches count them. */
  frames = 0;

  constructor(
    [back, over, front]: readonly HTMLCanvasElement[],
    onLook: (looking: Looking) => void,
  ) {
    this.#back = back.getContext('2d', { alpha: false })!;
    this.#over = over.getContext('2d')!;
    this.#front = front.getContext('2d')!;
    this.#onLook = onLook;
    this.#theme = readTheme(over);
  }

  get view(): View {
    return this.#view;
  }

  get scene(): Scene | undefined {
    return this.#scene;
  }

  get theme(): DrawTheme {
    return this.#theme;
  }

  show(input: StageInput): void {
    this.#input = input;
    this.#refit();
    this.#redraw();
  }

  /** There may be another scene for this zoom now. */
  refresh(): void {
    this.#mustShow = true;
    this.#ask();
  }

  themeChanged(): void {
    this.#theme = readTheme(this.#over.canvas);
    this.#redraw();
  }

  resize(width: number, height: number): void {
    const ratio = this.#ratio;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    const { canvas: first } = this.#back;
    const isSame = width === this.#view.width && height === this.#view.height;
    // It would be emptied, for a frame.
    if (isSame && first.width === across && first.height === down) return;
    for (const { canvas } of [this.#back, this.#over, this.#front]) {
      canvas.width = across;
      canvas.height = down;
    }
    // Until there is something to show it would be black.
    this.#back.fillStyle = this.#theme.ground;
    this.#back.fillRect(0, 0, this.#back.canvas.width, this.#back.canvas.height);
    // A phone that is turned: who has not chosen where to look sees it as if it had been so from the start.
    if (isNarrow(this.#view) !== isNarrow({ width }) && this.#isFirstView) this.#hasFitted = false;
    this.#view = { ...this.#view, width, height };
    this.#refit();
    this.#redraw();
  }

  pan(dx: number, dy: number): void {
    this.#move(pan(this.#view, dx, dy));
  }

  zoom(factor: number, sx = this.#view.width / 2, sy = this.#view.height / 2): void {
    this.#move(zoomAt(this.#view, factor, sx, sy));
  }

  fit(): void {
    const bounds = this.#input?.sceneAt(this.#view.zoom).bounds;
    if (bounds === undefined) return;
    this.#view = fitWhole(this.#view, bounds);
    this.#isFirstView = false;
    this.#redraw();
  }

  reveal(box: Box): void {
    this.#move(reveal(this.#view, box));
  }

  /** The next scene is fitted, as the first one was. */
  forgetView(): void {
    this.#hasFitted = false;
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = -1;
  }

  get #ratio(): number {
    return Math.min(2, devicePixelRatio);
  }

  #refit(): void {
    if (this.#hasFitted || this.#input === undefined || this.#view.width === 0) return;
    // The farthest level: its bounds are those of all.
    const scene = this.#input.sceneAt(0);
    if (scene.nodes.length + scene.fields.length === 0) return;
    this.#view = firstView(this.#view, scene.bounds, mattersMost(scene));
    this.#hasFitted = true;
    this.#isFirstView = true;
  }

  #move(view: View): void {
    this.#view = view;
    this.#isFirstView = false;
    this.#movedAt = performance.now();
    this.#mustShow = true;
    this.#ask();
  }

  #redraw(): void {
    this.#picture.invalidate();
    this.#mustShow = true;
    this.#ask();
  }

  #ask(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame((atMs) => {
      this.#frame = 0;
      this.#draw(atMs);
    });
  }

  #draw(atMs: number): void {
    const input = this.#input;
    if (input === undefined || this.#view.width === 0) return;
    const isMoving = atMs - this.#movedAt < REST_MS;
    const showing = { ratio: this.#ratio, isMoving, atMs };
    const scene = this.#sceneNow(input, showing);
    const isFirst = this.#scene === undefined;
    const isNew = scene !== this.#scene;
    if (isNew) {
      this.#picture.invalidate();
      const ids = input.isCalm ? undefined : arrivalsIn(this.#scene, scene);
      if (ids !== undefined && ids.size > 0) this.#arrived = { ids, atMs };
    }
    this.#scene = scene;
    const painting: Painting = {
      scene,
      view: this.#view,
      theme: this.#theme,
      emphasis: input.emphasis,
      fading: this.#fading(atMs),
    };
    if (this.#mustShow || isNew) {
      const isBlurred = this.#picture.show(
        { back: this.#back, front: this.#front },
        painting,
        showing,
      );
      this.#mustShow = isBlurred || isMoving || painting.fading !== undefined;
      const { painted } = this.#picture;
      // Told when something was painted, not for each frame: React would be busy with that alone.
      if (painted !== this.#told) this.#onLook({ view: this.#view, scene, painted });
      this.#told = painted;
    }
    this.frames += 1;
    // The first picture is waited for: traffic follows with the one that is painted right after it.
    const isRunning = !isFirst && this.#drawTraffic(painting, input, showing);
    if (isRunning || this.#mustShow) this.#ask();
  }

  /** While a picture that takes long is only moved, no scene is made for what it does not show. */
  #sceneNow(input: StageInput, showing: Showing): Scene {
    const isOnlyMoved =
      showing.isMoving && this.#picture.isSlow && !this.#picture.mustPaint(this.#view, showing);
    if (isOnlyMoved && this.#scene !== undefined) return this.#scene;
    return input.sceneAt(this.#view.zoom);
  }

  /** Each frame of it is painted anew; where that takes long, what is new is there at once. */
  #fading(atMs: number): Fading | undefined {
    if (this.#arrived === undefined) return undefined;
    const share = (atMs - this.#arrived.atMs) / FADE_MS;
    this.#picture.invalidate();
    if (share < 1 && !this.#picture.isSlow) return { ids: this.#arrived.ids, share };
    this.#arrived = undefined;
    this.#mustShow = true;
    return undefined;
  }

  /** True while something flows in view. */
  #drawTraffic(painting: Painting, { isAnimated, isCalm }: StageInput, showing: Showing): boolean {
    const { drawn } = this.#picture.painted;
    const isHeldUp = showing.isMoving && this.#picture.isSlow && drawn.length > MOVING_EDGES_MAX;
    this.#clearOver();
    if (!isAnimated || isHeldUp) return false;
    const { view, theme, emphasis } = painting;
    const scale = view.zoom * this.#ratio;
    this.#over.setTransform(scale, 0, 0, scale, -view.x * scale, -view.y * scale);
    this.#isOverClear = false;
    const options = { edges: drawn, emphasis, theme, zoom: view.zoom };
    if (isCalm) {
      drawTicks(this.#over, options);
      return false;
    }
    drawParticles(this.#over, { ...options, seconds: showing.atMs / 1000 });
    return drawn.some((edge) => edge.particles.count > 0);
  }

  #clearOver(): void {
    if (this.#isOverClear) return;
    this.#over.setTransform(1, 0, 0, 1, 0, 0);
    this.#over.clearRect(0, 0, this.#over.canvas.width, this.#over.canvas.height);
    this.#isOverClear = true;
  }
}

/** Of a graph that is never folded: what fails, else what is degraded, else what is called most. Large ones are seen whole, by namespace. */
function mattersMost({ nodes }: Scene): Box | undefined {
  if (nodes.length > FOLDED_NODES) return undefined;
  const worst = (['failing', 'degraded'] as const).map((look) =>
    nodes.find((mark) => mark.look === look),
  );
  return (worst[0] ?? worst[1] ?? nodes[0])?.box;
}
