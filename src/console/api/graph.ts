/**
 * GET /api/v1/graph and its live stream GET /api/v1/graph/events: who talks to whom. The console, `tulle graph` and others read
 * it: extend it, do not break it. Rates are per second over the window; shares are 0 to 1.
 */
import type { Health } from './health.ts';

export type GraphType = 'workload' | 'app' | 'versionedApp' | 'service';

/** How edges are written: each as an object (GraphAnswer), or all as one table of numbers (GraphTable), a sixth of their text in a large mesh. */
export type GraphForm = 'objects' | 'table';

/** Query members of both addresses. Lists are comma-separated. */
export interface GraphQuery {
  /** `30s`, `5m`, `1h`; default 60s. */
  readonly window?: string;
  /** Empty: all that the reader may see. */
  readonly namespaces?: string;
  readonly type?: GraphType;
  /** RFC 3339: the window ends there, else now. */
  readonly at?: string;
  /** Id of a node: only it and its neighbours. */
  readonly focus?: string;
  /** Also nodes and edges known from configuration that had no traffic in the window. */
  readonly idle?: 'true' | 'false';
  /** Waypoints as nodes of their own, with the edges into and out of them. */
  readonly waypoints?: 'true' | 'false';
  /** Default objects. */
  readonly form?: GraphForm;
}

export interface GraphAnswer {
  readonly generatedAt: string;
  /** End of the window, RFC 3339. */
  readonly at: string;
  /** Shorter than was asked for where reports begin later, longer where only whole minutes or hours are kept. Rates are of it. */
  readonly windowSeconds: number;
  readonly type: GraphType;
  /** The window ends now; else it is history. */
  readonly isLive: boolean;
  /** Seconds since the youngest frame of any proxy; more than a few: stale. Absent without a frame. */
  readonly ageSeconds?: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Told by an external Prometheus; else the control plane's own store is. */
  readonly source?: 'prometheus';
  /** What is to be known before it is believed: that Prometheus could not be asked, and why. */
  readonly notice?: string;
  /** The last change of configuration before `at`. */
  readonly configuration?: {
    readonly at: string;
    readonly resource: string;
    readonly change: string;
  };
  /** Only when there is nothing to show: what is missing, the first broken link first. */
  readonly diagnosis?: Diagnosis;
}

export type NodeKind =
  | 'workload'
  | 'app'
  | 'service'
  | 'waypoint'
  | 'gateway'
  | 'external'
  | 'unknown';

export interface GraphNode {
  /** `workload/ns/name`, `app/ns/name`, `app/ns/name/version`, `service/ns/name`, `waypoint/ns/name`, `gateway/ns/name`, `external/host`, `unknown`; `elsewhere`: all that the reader may not see. */
  readonly id: string;
  readonly kind: NodeKind;
  readonly namespace: string;
  readonly name: string;
  readonly app: string;
  /** Empty when there is none, or several. */
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly health: Health;
  readonly badges: readonly Badge[];
  /** Outside the mesh: no proxy of ours speaks for it. */
  readonly isOutside: boolean;
  /** Workloads. */
  readonly replicas?: { readonly ready: number; readonly desired: number };
  /** Of what came in within the window: share of answers by class, for the ring. */
  readonly inbound: Traffic;
  readonly outbound: Traffic;
  /** Endpoints that outlier detection has ejected. */
  readonly ejected?: readonly EjectedEndpoint[];
}

export type Badge =
  | 'canary'
  | 'circuit-breaker'
  | 'fault-injection'
  | 'mirroring'
  | 'timeout'
  | 'retries'
  | 'traffic-shifting'
  | 'request-routing'
  | 'waypoint'
  | 'workload-entry'
  | 'external'
  | 'not-captured'
  | 'policy'
  | 'traffic-source';

export interface Traffic {
  readonly requestsPerSecond: number;
  readonly errorRate: number;
  readonly connectionsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Requests by class in the window. `none`: not answered. */
  readonly classes: Readonly<Record<'2xx' | '3xx' | '4xx' | '5xx' | 'none', number>>;
}

export interface EjectedEndpoint {
  readonly address: string;
  readonly workload: string;
  readonly service: string;
  readonly reason: string;
  /** Milliseconds until it is let back in. */
  readonly remainingMs?: number;
  /** The proxy that ejected it. */
  readonly by: string;
}

export interface GraphEdge {
  /** `source target protocol`. */
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly protocol: 'http' | 'grpc' | 'tcp';
  readonly requestsPerSecond: number;
  readonly errorRate: number;
  /** Absent without a request in the window. */
  readonly p50Ms?: number;
  readonly p95Ms?: number;
  readonly p99Ms?: number;
  readonly bytesPerSecond: number;
  readonly connectionsPerSecond: number;
  /** Share of requests (http, grpc) or connections (tcp) under mutual TLS; absent when there were none. */
  readonly mtls?: number;
  /** Requests by status code in the window; gRPC calls by status, as `grpc 14`. */
  readonly responseCodes: Readonly<Record<string, number>>;
  /** Requests or connections by response flag in the window. */
  readonly flags: Readonly<Record<string, number>>;
  readonly health: Health;
  /** Id of the waypoint that handled it. */
  readonly via?: string;
  readonly split?: EdgeSplit;
  /** Principals seen at both ends. */
  readonly principals?: { readonly source: readonly string[]; readonly target: readonly string[] };
}

/** Percent of a weighted route: as configured and as seen. */
export interface EdgeSplit {
  readonly intended: number;
  readonly seen: number;
  readonly route: string;
}

/** GraphAnswer with `form=table`. */
export interface GraphTable extends Omit<GraphAnswer, 'edges'> {
  readonly edges: EdgeTable;
}

/** GraphDelta with `form=table`. */
export interface DeltaTable extends Omit<GraphDelta, 'edges'> {
  readonly edges: EdgeTable;
}

/** Says of its edges what GraphEdge does. What is named by number is counted from 0; -1 stands for what is absent. */
export interface EdgeTable {
  /** 18 numbers for each edge. Of texts: source, target, protocol, health's status and reason, via. Of principals: source, target. Of splits: its own. Then health's samples, requestsPerSecond, errorRate, p50Ms, p95Ms, p99Ms, bytesPerSecond, connectionsPerSecond, mtls. */
  readonly rows: readonly number[];
  /** For each edge: how many responseCodes and how many flags it has; then of each of those which text it is, and its count. */
  readonly counts: readonly number[];
  readonly texts: readonly string[];
  readonly principals: readonly (readonly string[])[];
  readonly splits: readonly EdgeSplit[];
}

export interface Diagnosis {
  readonly summary: string;
  readonly steps: readonly DiagnosisStep[];
}

export interface DiagnosisStep {
  readonly question: string;
  readonly state: 'yes' | 'no' | 'unknown';
  readonly detail: string;
  /** The command that mends it. */
  readonly command?: string;
}

/** Server-sent events of /api/v1/graph/events: first `graph`, then a `delta` each second that something changed. */
export interface GraphDelta {
  readonly generatedAt: string;
  readonly at: string;
  readonly ageSeconds?: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  readonly goneNodes: readonly string[];
  readonly goneEdges: readonly string[];
}
