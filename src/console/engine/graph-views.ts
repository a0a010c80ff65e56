/**
 * Views of the mesh (type, waypoints, namespaces that may be seen) that are held ready: the shape of each, its sums once a second for all who ask or follow, and
 * the texts of what was asked for lately. `tick` begins a second; `prepare` makes one piece a call of what will surely be asked for in it.
 */
import type { GraphRequest } from '../console-data.ts';
import { GraphSums } from '../graph/graph-sums.ts';
import { AHEAD_SECONDS, MadeTexts } from '../graph/made-texts.ts';
import type { MeshPicture } from '../graph/mesh-picture.ts';
import type { Viewpoint } from '../graph/nodes.ts';
import { GraphShape } from '../graph/shape.ts';
import type { Counts } from '../store/counts.ts';
import { LIVE_WINDOW_SECONDS_MAX } from '../store/limits.ts';
import type { Summed, TelemetryStore } from '../store/telemetry-store.ts';

/** Views that are held; each is some megabytes in a large mesh. */
const VIEWS_MAX = 8;
/** Those of them whose texts are held; each is as long as its graph, 14 MB in a large mesh. */
const TEXTS_MAX = 2;

interface View {
  readonly shape: GraphShape;
  readonly sums: GraphSums;
  /** Which window of which second the sums are of; empty: of another time. */
  filled: string;
  /** Undefined: nobody took any lately. */
  texts: MadeTexts | undefined;
  /** Who took texts last, and in which second. */
  taken: { readonly request: GraphRequest; readonly second: number } | undefined;
}

/** `to` is the end of the window; `liveSeconds`: the counts are the live window of so many, 0: of another time. */
export interface Filling {
  readonly to: number;
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

  constructor({ store, mesh }: { store: TelemetryStore; mesh: MeshPicture }) {
    this.#store = store;
    this.#mesh = mesh;
  }

  tick(): void {
    this.#second++;
    for (const view of this.#views.values())
      if (view.taken && this.#second - view.taken.second > AHEAD_SECONDS) view.texts = undefined;
  }

  shape(viewpoint: Viewpoint, configured: boolean): GraphShape {
    return this.#view(viewpoint, configured).shape;
  }

  /** Live windows are summed once a second for all who ask. */
  sums(viewpoint: Viewpoint, configured: boolean, counts: Counts, of: Filling): GraphSums {
    const view = this.#view(viewpoint, configured);
    this.#fill(view, counts, of);
    return view.sums;
  }

  /** What a graph is made of, and the window that it is of. */
  summed(request: GraphRequest): Summed & { readonly sums: GraphSums } {
    const { atMs, windowSeconds, idle } = request;
    const isLive = atMs === undefined;
    const end = Math.floor((atMs ?? 0) / 1000);
    const summed = isLive
      ? this.#store.live(windowSeconds)
      : this.#store.between(end - windowSeconds, end);
    const liveSeconds = isLive ? windowSeconds : 0;
    const of = { to: summed.to, liveSeconds };
    return { ...summed, sums: this.sums(request, idle, summed.counts, of) };
  }

  /** Of the sums that were filled last for it. */
  texts(request: GraphRequest): MadeTexts {
    const view = this.#view(request, request.idle);
    view.taken = { request, second: this.#second };
    if (view.texts !== undefined) return view.texts;
    const others = [...this.#views.values()].filter(({ texts }) => texts !== undefined);
    for (const other of others.slice(0, Math.max(0, others.length + 1 - TEXTS_MAX)))
      other.texts = undefined;
    view.texts = new MadeTexts(view.sums, this.#mesh);
    return view.texts;
  }

  /** Sums of one view, or some of its texts; false: nothing is left to be made. */
  prepare(): boolean {
    return [...this.#views.values()].some((view) => this.#prepare(view));
  }

  #prepare(view: View): boolean {
    const { texts, taken, shape } = view;
    if (texts === undefined || taken === undefined || !shape.isCurrent) return false;
    const { atMs, windowSeconds } = taken.request;
    // Others are summed from the disk: too dear to be done ahead.
    if (atMs !== undefined || windowSeconds > LIVE_WINDOW_SECONDS_MAX) return false;
    const { counts, from, to } = this.#store.live(windowSeconds);
    if (this.#fill(view, counts, { to, liveSeconds: windowSeconds })) return true;
    texts.begin(to - from);
    return texts.prepare();
  }

  /** False: the sums are of that already. */
  #fill(view: View, counts: Counts, { to, liveSeconds, nodeLatency = false }: Filling): boolean {
    const filled = liveSeconds === 0 ? '' : `${this.#second} ${liveSeconds} ${nodeLatency}`;
    if (filled !== '' && view.filled === filled) return false;
    view.sums.fill(counts, to, this.#store.recorder, nodeLatency);
    view.filled = filled;
    return true;
  }

  #view({ type, waypoints, visible }: Viewpoint, configured: boolean): View {
    const key = JSON.stringify([type, waypoints, visible, configured]);
    let view = this.#views.get(key);
    this.#views.delete(key);
    if (view === undefined || !view.shape.isCurrent) {
      const { series } = this.#store.recorder;
      const shape = new GraphShape({ type, waypoints, visible }, series, this.#mesh);
      if (configured) shape.addConfigured();
      const sums = new GraphSums(shape);
      view = { shape, sums, filled: '', texts: undefined, taken: undefined };
    }
    this.#views.set(key, view);
    const first = this.#views.keys().next().value;
    if (this.#views.size > VIEWS_MAX && first !== undefined) this.#views.delete(first);
    return view;
  }
}
