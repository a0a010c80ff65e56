/**
 * Views of the mesh (type, waypoints, namespaces that may be seen) that are held ready: the shape of each, its sums once a second for all who ask or follow, and
 * the texts of what was asked for lately. `tick` begins a second. Then `prepare` makes one piece a call of what will surely be asked for in it, beside what was
 * made of the second before: who asks meanwhile is told that one, and does not wait.
 */
import type { GraphRequest } from '../console-data.ts';
import { GraphSums } from '../graph/graph-sums.ts';
import { AHEAD_SECONDS, Lately, MadeTexts } from '../graph/made-texts.ts';
import type { MeshPicture } from '../graph/mesh-picture.ts';
import type { Viewpoint } from '../graph/nodes.ts';
import { GraphShape } from '../graph/shape.ts';
import { LIVE_WINDOW_SECONDS_MAX } from '../store/limits.ts';
import type { Summed, TelemetryStore } from '../store/telemetry-store.ts';

/** Views that are held; each is some megabytes in a large mesh. */
const VIEWS_MAX = 8;
/** Those of them whose texts are held; each has twice the length of its graph, 14 MB in a large mesh. */
const TEXTS_MAX = 2;

interface View {
  readonly shape: GraphShape;
  /** What is told. */
  made: Made;
  /** What is made beside it, to be told next. */
  next: Made | undefined;
  readonly lately: Lately;
  /** Who took texts last, and in which second. */
  taken: { readonly request: GraphRequest; readonly second: number } | undefined;
}

interface Made {
  readonly sums: GraphSums;
  /** Undefined: nobody took any lately. */
  texts: MadeTexts | undefined;
  /** What the sums are of; undefined: of another time. */
  filled: LiveFilling | undefined;
}

/** A live window as it was in one second, as counted here. */
interface LiveFilling {
  readonly second: number;
  readonly windowSeconds: number;
  readonly nodeLatency: boolean;
  readonly window: GraphWindow;
}

/** Seconds since the epoch. */
export interface GraphWindow {
  readonly from: number;
  readonly to: number;
  readonly hasTraffic: boolean;
}

/** `liveSeconds`: the counts are the live window of so many, 0: of another time. */
export interface Filling {
  readonly liveSeconds: number;
  readonly nodeLatency?: boolean;
}

export class GraphViews {
  readonly #store: TelemetryStore;
  readonly #mesh: MeshPicture;
  /** In the order in which they were used last. */
  readonly #views = new Map<string, View>();
  /** As counted here. */
  #second = 0;
  #isPreparing = false;
  #renewed = false;

  constructor({ store, mesh }: { store: TelemetryStore; mesh: MeshPicture }) {
    this.#store = store;
    this.#mesh = mesh;
  }

  tick(): void {
    this.#second++;
    this.#isPreparing = false;
    for (const view of this.#views.values())
      if (view.taken && this.#second - view.taken.second > AHEAD_SECONDS) forgetTexts(view);
  }

  /** `prepare` will be called until it is false. */
  beginPreparing(): void {
    this.#isPreparing = true;
  }

  /** Whether another second is told of some view, since this was asked last. */
  takeRenewed(): boolean {
    const renewed = this.#renewed;
    this.#renewed = false;
    return renewed;
  }

  shape(viewpoint: Viewpoint, configured: boolean): GraphShape {
    return this.#view(viewpoint, configured).shape;
  }

  /** Live windows are summed once a second for all who ask. */
  sums(viewpoint: Viewpoint, configured: boolean, summed: Summed, of: Filling): GraphSums {
    const { made } = this.#view(viewpoint, configured);
    this.#fill(made, summed, of);
    return made.sums;
  }

  /** What a graph is made of, and the window that it is of: while this second is prepared, the one before. */
  summed(request: GraphRequest): GraphWindow & { readonly sums: GraphSums } {
    const { atMs, windowSeconds, idle } = request;
    const { made, taken } = this.#view(request, idle);
    const { sums, filled } = made;
    if (atMs !== undefined) {
      const end = Math.floor(atMs / 1000);
      const summed = this.#store.between(end - windowSeconds, end);
      this.#fill(made, summed, { liveSeconds: 0 });
      return { sums, ...windowOf(summed) };
    }
    const isRenewedSoon =
      this.#isPreparing &&
      taken?.request.atMs === undefined &&
      taken?.request.windowSeconds === windowSeconds &&
      windowSeconds <= LIVE_WINDOW_SECONDS_MAX;
    const isOfLast =
      filled?.second === this.#second - 1 &&
      filled.windowSeconds === windowSeconds &&
      made.texts !== undefined;
    if (isRenewedSoon && isOfLast) return { sums, ...filled.window };
    const summed = this.#store.live(windowSeconds);
    this.#fill(made, summed, { liveSeconds: windowSeconds });
    return { sums, ...windowOf(summed) };
  }

  /** Of the sums that `summed` gave for it. */
  texts(request: GraphRequest): MadeTexts {
    const view = this.#view(request, request.idle);
    view.taken = { request, second: this.#second };
    const { made, lately } = view;
    if (made.texts !== undefined) return made.texts;
    const others = [...this.#views.values()].filter((each) => each.made.texts !== undefined);
    for (const other of others.slice(0, Math.max(0, others.length + 1 - TEXTS_MAX)))
      forgetTexts(other);
    made.texts = new MadeTexts(made.sums, this.#mesh, lately);
    return made.texts;
  }

  /** Sums of one view, or some of its texts; false: nothing is left to be made. */
  prepare(): boolean {
    if ([...this.#views.values()].some((view) => this.#prepare(view))) return true;
    this.#isPreparing = false;
    return false;
  }

  #prepare(view: View): boolean {
    const { made, taken, shape } = view;
    if (made.texts === undefined || taken === undefined || !shape.isCurrent) return false;
    const { atMs, windowSeconds } = taken.request;
    // Others are summed from the disk: too dear to be done ahead.
    if (atMs !== undefined || windowSeconds > LIVE_WINDOW_SECONDS_MAX) return false;
    const summed = this.#store.live(windowSeconds);
    const liveSeconds = windowSeconds;
    if (this.#isOfNow(made, { liveSeconds })) return prepareTexts(made.texts, summed);
    view.next ??= newMade(shape);
    const { next } = view;
    if (this.#fill(next, summed, { liveSeconds })) return true;
    next.texts ??= new MadeTexts(next.sums, this.#mesh, view.lately);
    if (prepareTexts(next.texts, summed)) return true;
    view.made = next;
    view.next = made;
    this.#renewed = true;
    return false;
  }

  /** False: the sums are of that already. */
  #fill(made: Made, summed: Summed, of: Filling): boolean {
    if (this.#isOfNow(made, of)) return false;
    const { liveSeconds: windowSeconds, nodeLatency = false } = of;
    made.sums.fill(summed.counts, summed.to, this.#store.recorder, nodeLatency);
    const filled = { second: this.#second, windowSeconds, nodeLatency, window: windowOf(summed) };
    made.filled = windowSeconds === 0 ? undefined : filled;
    return true;
  }

  #isOfNow({ filled }: Made, { liveSeconds, nodeLatency = false }: Filling): boolean {
    return (
      filled !== undefined &&
      filled.second === this.#second &&
      filled.windowSeconds === liveSeconds &&
      filled.nodeLatency === nodeLatency
    );
  }

  #view({ type, waypoints, visible }: Viewpoint, configured: boolean): View {
    const key = JSON.stringify([type, waypoints, visible, configured]);
    let view = this.#views.get(key);
    this.#views.delete(key);
    if (view === undefined || !view.shape.isCurrent) {
      const { series } = this.#store.recorder;
      const shape = new GraphShape({ type, waypoints, visible }, series, this.#mesh);
      if (configured) shape.addConfigured();
      const made = newMade(shape);
      view = { shape, made, next: undefined, lately: new Lately(), taken: undefined };
    }
    this.#views.set(key, view);
    const first = this.#views.keys().next().value;
    if (this.#views.size > VIEWS_MAX && first !== undefined) this.#views.delete(first);
    return view;
  }
}

function newMade(shape: GraphShape): Made {
  return { sums: new GraphSums(shape), texts: undefined, filled: undefined };
}

function forgetTexts(view: View): void {
  view.made.texts = undefined;
  view.next = undefined;
}

function prepareTexts(texts: MadeTexts, { from, to }: Summed): boolean {
  texts.begin(to - from);
  return texts.prepare();
}

function windowOf({ from, to, counts }: Summed): GraphWindow {
  return { from, to, hasTraffic: counts.touchedCount > 0 };
}
