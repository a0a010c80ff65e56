/**
 * What the console knows of traffic, time and changes, as its API asks for it. Behind it a thread of its own stores, sums and answers, so that nothing
 * here holds the control loop; what is large comes as JSON text that is passed on as it is. engine/create-console-data.ts makes it.
 */

import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { GraphAnswer, GraphForm, GraphType } from './api/graph.ts';
import type { NodeTraffic } from './api/lists.ts';
import type { MtlsCell, PolicyHits, StoreState } from './api/mesh.ts';
import type { Change, ChangeAnswer, SeriesAnswer, TimelineAnswer } from './api/series.ts';
import type { RequestRow, TraceAnswer, TraceRow } from './api/traffic.ts';
import type { Waypoints } from './graph/nodes.ts';
import type { MeshView } from './mesh-view.ts';
import type { PrometheusOptions } from './prometheus/client.ts';
import type { TelemetrySink } from './telemetry-sink.ts';

/** Namespaces that the reader may see; undefined: all of them. What is elsewhere is shown as one anonymous node. */
export type Visible = readonly string[] | undefined;

/** `GraphQuery`, read. */
export interface GraphRequest {
  readonly windowSeconds: number;
  /** Empty: all that are visible. */
  readonly namespaces: readonly string[];
  readonly type: GraphType;
  /** The window ends there; undefined: now. */
  readonly atMs: number | undefined;
  readonly focus: string | undefined;
  readonly idle: boolean;
  readonly waypoints: Waypoints;
  readonly visible: Visible;
  /** Of its text. */
  readonly form: GraphForm;
}

/** How the text of an answer is packed, as in Content-Encoding. */
export type Packing = 'identity' | 'gzip' | 'zstd';

export interface GraphListener {
  /** JSON text of a GraphAnswer or GraphTable; first of all, and again when much has changed at once (the reader starts anew). */
  graph(json: Uint8Array): void;
  /** JSON text of a GraphDelta or DeltaTable. */
  delta(json: Uint8Array): void;
}

export interface RangeRequest {
  readonly fromMs: number;
  readonly toMs: number;
  readonly visible: Visible;
}

export interface SeriesRequest extends RangeRequest {
  readonly type: GraphType;
  /** Id of a node, or of an edge of the graph of that type. */
  readonly of:
    | { readonly node: string; readonly direction: 'inbound' | 'outbound' }
    | { readonly edge: string };
}

export interface ChangesRequest extends RangeRequest {
  /** `Kind namespace/name`; undefined: all. */
  readonly resource?: string;
  readonly limit: number;
}

/** Empty lists and undefined members do not restrict. */
export interface RequestsRequest {
  readonly visible: Visible;
  readonly namespaces: readonly string[];
  /** `namespace/name` at either end. */
  readonly workloads: readonly string[];
  readonly services: readonly string[];
  readonly methods: readonly string[];
  readonly pathPrefix: string;
  /** Both ends belong to it; 0 is "nothing was answered". */
  readonly status: { readonly from: number; readonly to: number } | undefined;
  readonly onlyFailed: boolean;
  readonly node: string | undefined;
  readonly edge: string | undefined;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  readonly limit: number;
}

export interface TracesRequest extends RequestsRequest {
  readonly sort: 'newest' | 'slowest';
}

export interface TracesPage {
  readonly traces: readonly TraceRow[];
  readonly oldest?: string;
}

export interface MtlsRequest {
  readonly windowSeconds: number;
  readonly by: 'workload' | 'namespace';
  readonly visible: Visible;
}

export interface ConsoleData {
  /** Where carriers deliver. */
  readonly sink: TelemetrySink;
  graph(request: Omit<GraphRequest, 'form'>): Promise<GraphAnswer>;
  /** The same as JSON text: thousands of edges are not read to be written again. */
  graphJson(request: GraphRequest, packing?: Packing): Promise<Uint8Array>;
  /** Live graphs only. One computation serves all who asked for the same. */
  subscribeGraph(request: GraphRequest, listener: GraphListener): () => void;
  timeline(request: RangeRequest): Promise<TimelineAnswer>;
  series(request: SeriesRequest): Promise<SeriesAnswer>;
  changes(request: ChangesRequest): Promise<readonly Change[]>;
  /** Undefined: forgotten, never there, or not to be seen. */
  change(version: number, visible: Visible): Promise<ChangeAnswer | undefined>;
  /** Of workloads, services, apps and namespaces, by node id (`namespace/NAME` for namespaces), over the last seconds. */
  traffic(windowSeconds: number): Promise<ReadonlyMap<string, NodeTraffic>>;
  mtlsCells(request: MtlsRequest): Promise<readonly MtlsCell[]>;
  policyHits(windowSeconds: number): Promise<readonly PolicyHits[]>;
  requests(request: RequestsRequest): Promise<readonly RequestRow[]>;
  /** Each request that a proxy reports from now on. */
  tap(request: RequestsRequest, listener: (row: RequestRow) => void): () => void;
  traces(request: TracesRequest): Promise<TracesPage>;
  trace(traceId: string, visible: Visible): Promise<TraceAnswer | undefined>;
  storeState(): Promise<StoreState>;
  /** Of the thread that stores and answers: how often it died and was started again, and how many seconds of proxies no other one could be told. */
  thread(): ThreadState;
  /** What is known is on disk; the thread ends. */
  close(): Promise<void>;
}

export interface ThreadState {
  readonly deaths: number;
  readonly lostSeconds: number;
}

export interface ConsoleDataDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly mesh: MeshView;
  /** Where the store lives; undefined: in memory, gone with the process. */
  readonly directory?: string;
  /** Where the past is asked for; undefined: nowhere else than in the store. */
  readonly prometheus?: PrometheusOptions;
}
