/**
 * What one proxy saw in one second, edge by edge: what the control plane's graph is made of. Proxies send frames on their telemetry
 * stream (telemetry/requests/request-record.ts and telemetry/tracing/span.ts say what else it carries). Differences, never sums: a frame that comes
 * twice is told by its second.
 */

/** One end of an edge, as far as the reporting proxy knows it. Texts are empty where nothing is known. */
export interface FlowPeer {
  readonly kind: 'workload' | 'waypoint' | 'gateway' | 'external' | 'unknown';
  readonly namespace: string;
  /** Name of the workload (its Deployment), a host name or address for what is external. */
  readonly workload: string;
  readonly app: string;
  readonly version: string;
  /** Full `spiffe://…`; empty when it proved nothing. */
  readonly principal: string;
  readonly cluster: string;
}

/** Said on a stream before the first frame that speaks of it. */
export interface FlowEdge {
  /** Of this stream, small: 0 upwards, given again to another edge once this one was idle for long. */
  readonly id: number;
  /** `gateway`: an edge proxy of ours; Istio's metrics call it `source`. */
  readonly reporter: 'source' | 'destination' | 'waypoint' | 'gateway';
  readonly protocol: 'http' | 'grpc' | 'tcp';
  readonly source: FlowPeer;
  readonly destination: FlowPeer;
  /** The service the client asked for; empty when it asked for an address. */
  readonly service: { readonly host: string; readonly namespace: string; readonly name: string };
  readonly isMutualTls: boolean;
}

/** One edge, one second: what was added in it. */
export interface FlowSample {
  readonly edge: number;
  /** Requests that ended (http, grpc). */
  readonly requests: number;
  /** By status code; 0 when nothing was answered. For gRPC the gRPC status stands in `grpcStatuses` as well. */
  readonly codes: readonly (readonly [code: number, count: number])[];
  readonly grpcStatuses: readonly (readonly [status: number, count: number])[];
  /** By response flag, without `-`. */
  readonly flags: readonly (readonly [flag: string, count: number])[];
  /** Index into DEFAULT_BOUNDS (its length for what is above), and how many. */
  readonly latency: readonly (readonly [bucket: number, count: number])[];
  readonly durationMsSum: number;
  /** Connections (tcp). */
  readonly opened: number;
  readonly closed: number;
  readonly failed: number;
  /** From the source to the destination, and back: payloads and heads (http), bytes (tcp). */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export interface FlowFrame {
  /** Seconds since the epoch, by the proxy's clock; the control plane keeps the offset to its own. */
  readonly second: number;
  readonly samples: readonly FlowSample[];
}
