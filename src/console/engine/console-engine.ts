/**
 * Everything that ConsoleData answers, synchronous and in one place: store, mesh picture, graphs, requests, traces. It runs in the console's own thread
 * (engine-worker.ts); tests run it where they are. `tick` is called each second.
 */
import type { Clock } from '#base/clock.ts';
import { rfc3339At } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { FlowEdge, FlowFrame } from '#telemetry/flow/flow-frame.ts';
import type { GraphAnswer } from '../api/graph.ts';
import type { NodeTraffic } from '../api/lists.ts';
import type { MtlsCell, StoreState } from '../api/mesh.ts';
import type { SeriesAnswer, TimelineAnswer } from '../api/series.ts';
import type {
  GraphRequest,
  MtlsRequest,
  Packing,
  RangeRequest,
  SeriesRequest,
} from '../console-data.ts';
import { buildGraph, type GraphMoment } from '../graph/build.ts';
import { GraphSums } from '../graph/graph-sums.ts';
import { deltaText, graphText } from '../graph/graph-text.ts';
import { LiveGraph } from '../graph/live-graph.ts';
import { MadeTexts } from '../graph/made-texts.ts';
import { MeshPicture, type MeshUpdate } from '../graph/mesh-picture.ts';
import type { Viewpoint } from '../graph/nodes.ts';
import {
  type EarlierSteps,
  type Steps,
  seriesOf,
  seriesWithEarlier,
  stepsOf,
  timelineOf,
} from '../graph/over-time.ts';
import { GraphShape } from '../graph/shape.ts';
import { SPARK_STEP_SECONDS, Sparks } from '../graph/sparks.ts';
import { mtlsCellsOf, nodeTrafficOf, passedTrafficOf } from '../graph/summaries.ts';
import type { Counts } from '../store/counts.ts';
import type { OutcomeTable, SeriesTable } from '../store/series-table.ts';
import { type StoreLimits, TelemetryStore } from '../store/telemetry-store.ts';
import type { FrameTime } from '../telemetry-sink.ts';
import { RequestStore } from '../traces/request-store.ts';
import { TraceStore } from '../traces/trace-store.ts';
import { GraphViews, type GraphWindow } from './graph-views.ts';
import { ReadyAnswers } from './ready-answers.ts';

export interface EngineDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly directory: string | undefined;
}

/** What another source tells of a window; seconds since the epoch. */
export interface PastWindow {
  readonly series: SeriesTable;
  readonly outcomes: OutcomeTable;
  readonly counts: Counts;
  readonly from: number;
  readonly to: number;
}

interface Followed {
  readonly live: LiveGraph;
  readonly send: (event: 'graph' | 'delta', json: Uint8Array) => void;
  shape: GraphShape;
}

const CHANGE_MARKS_MAX = 200;
const EVICT_EVERY_SECONDS = 60;

export class ConsoleEngine {
  readonly store: TelemetryStore;
  readonly mesh = new MeshPicture();
  readonly requests: RequestStore;
  readonly traces: TraceStore;
  readonly #clock: Clock;
  readonly #views: GraphViews;
  readonly #answers = new ReadyAnswers((request, packing) =>
    this.#textOf(this.#momentOf(request), request, packing),
  );
  readonly #followed = new Map<number, Followed>();
  readonly #sparks = new Sparks();
  #ticks = 0;
  #droppedByProxies = { spans: 0, records: 0 };

  constructor(deps: EngineDeps, limits: StoreLimits = {}) {
    this.#clock = deps.clock;
    const viaOf = (proxy: string) => this.mesh.workloadOfProxy(proxy);
    this.store = new TelemetryStore({ ...deps, viaOf }, limits);
    this.#views = new GraphViews(this);
    const { database } = this.store;
    this.requests = new RequestStore({ database, mesh: this.mesh });
    this.traces = new TraceStore({ database, mesh: this.mesh });
  }

  edge(proxy: string, edge: FlowEdge): void {
    this.store.recorder.edge(proxy, edge);
  }

  frame(proxy: string, frame: FlowFrame, at: FrameTime): void {
    this.store.recorder.frame(proxy, frame, at);
  }

  dropped({ spans, records }: { spans: number; records: number }): void {
    this.#droppedByProxies.spans += spans;
    this.#droppedByProxies.records += records;
  }

  updateMesh(update: MeshUpdate): void {
    this.mesh.apply(update);
    this.#answers.forget();
  }

  tick(): void {
    const nowMs = this.#clock.wallTime();
    this.store.tick();
    this.#ticks++;
    this.#views.tick();
    this.#answers.nextSecond();
    this.requests.flush();
    this.traces.flush(nowMs);
    if (this.#ticks % SPARK_STEP_SECONDS === 1) this.#spark();
    if (this.#ticks % EVICT_EVERY_SECONDS === 1) {
      this.requests.evict(nowMs);
      this.traces.evict(nowMs);
    }
    for (const followed of this.#followed.values()) this.#tell(followed);
  }

  graph(request: GraphRequest): GraphAnswer {
    return buildGraph(this.#momentOf(request), this.mesh, request);
  }

  /** Held for others who ask the same: not to be changed or handed over. */
  graphJson(request: GraphRequest, packing: Packing = 'identity'): Uint8Array<ArrayBuffer> {
    return this.#answers.get(request, packing);
  }

  /** A graph of what another source told, drawn as the store's are, and as much of it as the reader may see. */
  pastGraph(
    request: GraphRequest,
    packing: Packing,
    { series, outcomes, counts, from, to }: PastWindow,
  ): Uint8Array<ArrayBuffer> {
    const shape = new GraphShape(request, series, this.mesh);
    if (request.idle) shape.addConfigured();
    const sums = new GraphSums(shape);
    sums.fill(counts, to, { series, outcomes });
    const hasTraffic = counts.touchedCount > 0;
    const about = this.#aboutMoment(request, { from, to, hasTraffic });
    const moment: GraphMoment = { ...about, sums, source: 'prometheus' };
    const texts = new MadeTexts(sums, this.mesh);
    return graphText(moment, this.mesh, texts, { request, packing });
  }

  /** What the store knows of it, and why no other source tells it. */
  graphWithNotice(request: GraphRequest, packing: Packing, notice: string) {
    return this.#textOf({ ...this.#momentOf(request), notice }, request, packing);
  }

  /** Of charts that begin before `store.heldFrom()`. */
  stepsOf(request: SeriesRequest, stepSecondsMin: number): Steps {
    return stepsOf(request, this.store.kept().secondsFrom, false, stepSecondsMin);
  }

  pastSeries(request: SeriesRequest, steps: Steps, earlier: EarlierSteps): SeriesAnswer {
    const view = seriesView(request);
    const shapes = {
      own: this.#views.shape(view, false),
      earlier: new GraphShape(view, earlier.series, this.mesh),
    };
    return seriesWithEarlier(this.store, shapes, request, { steps, earlier });
  }

  /** After a tick: `prepare` will be called until it is false, and who asks meanwhile may be told of the second before. */
  beginPreparing(): void {
    this.#views.beginPreparing();
  }

  /** Until it is false: makes what will surely be asked for. */
  prepare(): boolean {
    const isMore = this.#views.prepare();
    if (this.#views.takeRenewed()) this.#answers.forget();
    return isMore || this.#answers.prepare();
  }

  follow(id: number, request: GraphRequest, send: Followed['send']): void {
    const shape = this.#views.shape(request, request.idle);
    const followed = { live: new LiveGraph(request), send, shape };
    this.#followed.set(id, followed);
    this.#begin(followed);
  }

  /** What one who joins later starts with; what others are told next fits on it. */
  followedGraph(id: number): Uint8Array | undefined {
    const followed = this.#followed.get(id);
    return followed && this.graphJson(followed.live.request);
  }

  unfollow(id: number): void {
    this.#followed.delete(id);
  }

  timeline(request: RangeRequest): TimelineAnswer {
    const marks = this.store.history.list({ ...request, limit: CHANGE_MARKS_MAX });
    return timelineOf(this.store, request, marks);
  }

  series(request: SeriesRequest): SeriesAnswer {
    return seriesOf(this.store, this.#views.shape(seriesView(request), false), request);
  }

  /** By node id; workloads, services, apps and namespaces. */
  traffic(windowSeconds: number): [string, NodeTraffic][] {
    const summed = this.store.live(windowSeconds);
    const view = { type: 'workload', waypoints: false, visible: undefined } as const;
    const of = { liveSeconds: windowSeconds, nodeLatency: true };
    const sums = this.#views.sums(view, true, summed, of);
    const seconds = summed.to - summed.from;
    const rows = nodeTrafficOf(sums, this.mesh, seconds, (id) => this.#sparks.of(id));
    if (!this.mesh.workloads.values().some(({ role }) => role === 'waypoint')) return rows;
    const passed = this.#views.sums({ ...view, waypoints: 'passed' }, false, summed, of);
    return [...rows, ...passedTrafficOf(passed, this.mesh, seconds)];
  }

  mtlsCells(request: MtlsRequest): MtlsCell[] {
    const { counts, to } = this.store.live(request.windowSeconds);
    return mtlsCellsOf(counts, to, { ...this.store.recorder, mesh: this.mesh }, request);
  }

  storeState(): StoreState {
    const { database, blocks } = this.store;
    const oldest = blocks.oldest(2) ?? blocks.oldest(1) ?? blocks.oldest(0);
    const { overflowed } = this.store.recorder.series;
    const tooMany =
      overflowed > 0
        ? 'There are more kinds of traffic than are told apart: what is new is shown as one node, "everything else".'
        : undefined;
    return {
      isPersistent: database.isPersistent,
      bytes: database.bytes,
      oldest: oldest === undefined ? undefined : rfc3339At(oldest * 1000),
      problem:
        database.problem === undefined
          ? tooMany
          : `${database.problem.message} Since ${database.problem.since}.`,
      droppedSpans: this.traces.dropped + this.#droppedByProxies.spans,
      droppedRecords: this.requests.dropped + this.#droppedByProxies.records,
    };
  }

  close(): void {
    this.requests.flush();
    this.traces.flush(this.#clock.wallTime(), true);
    this.store.close();
  }

  #tell(followed: Followed): void {
    const moment = this.#momentOf(followed.live.request);
    // Numbers of edges mean something else now: the reader starts anew.
    if (moment.sums.shape !== followed.shape) {
      this.#begin(followed);
      return;
    }
    const delta = followed.live.delta(moment, this.mesh);
    if (delta === undefined) return;
    const { request } = followed.live;
    const told = { texts: this.#views.texts(request), form: request.form };
    followed.send('delta', deltaText(delta, moment, this.mesh, told));
  }

  #begin(followed: Followed): void {
    const { live } = followed;
    const moment = this.#momentOf(live.request);
    followed.shape = moment.sums.shape;
    live.begin(moment, this.mesh);
    followed.send('graph', this.graphJson(live.request));
  }

  #momentOf(request: GraphRequest): GraphMoment {
    const { sums, ...window } = this.#views.summed(request);
    return { sums, ...this.#aboutMoment(request, window) };
  }

  /** All but its sums. */
  #aboutMoment(
    request: GraphRequest,
    { from, to, hasTraffic }: GraphWindow,
  ): Omit<GraphMoment, 'sums'> {
    const nowMs = this.#clock.wallTime();
    const isLive = request.atMs === undefined;
    const { newest } = this.store.recorder;
    const ageSeconds = newest < 0 ? undefined : Math.max(0, Math.floor(nowMs / 1000) - newest - 1);
    return {
      from,
      to,
      nowMs,
      isLive,
      ageSeconds,
      configuration: this.store.history.before(to * 1000, request.visible),
      facts: {
        ageSeconds,
        hasTraffic,
        windowSeconds: to - from,
        storeProblem:
          isLive || this.store.database.isPersistent
            ? ''
            : (this.store.database.problem?.message ?? ''),
      },
    };
  }

  #textOf(moment: GraphMoment, request: GraphRequest, packing: Packing): Uint8Array<ArrayBuffer> {
    return graphText(moment, this.mesh, this.#views.texts(request), { request, packing });
  }

  #spark(): void {
    const to = this.store.windows.head + 1;
    const summed = this.store.between(to - SPARK_STEP_SECONDS, to);
    const view = { type: 'workload', waypoints: false, visible: undefined } as const;
    const sums = this.#views.sums(view, true, summed, { liveSeconds: 0 });
    this.#sparks.add(sums, this.store.recorder.newest >= to - SPARK_STEP_SECONDS);
  }
}

/** A waypoint's charts are of what passes it, all else has its hops as well. */
function seriesView({ type, visible, of }: SeriesRequest): Viewpoint {
  const isOfWaypoint = 'node' in of && of.node.startsWith('waypoint/');
  return { type, waypoints: isOfWaypoint ? 'passed' : true, visible };
}
