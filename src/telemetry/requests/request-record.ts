/**
 * One request or connection that is over, as it is shown to people: `tulle tap`, the console's live requests, the recent requests of an
 * edge, logs joined with traces. Made when it failed, while somebody asks for it, and of a few others each second (report/outbox.ts).
 */
import type { FlowPeer } from '../flow/flow-frame.ts';

export interface RequestRecord {
  /** When it began: milliseconds since the epoch, the proxy's clock. */
  readonly startMs: number;
  readonly durationMs: number;
  /** Who reports it, `namespace/name` of the pod. */
  readonly proxy: string;
  readonly reporter: 'source' | 'destination' | 'waypoint' | 'gateway';
  readonly protocol: 'http' | 'grpc' | 'tcp' | 'dns';
  readonly source: FlowPeer;
  /** `ip:port`, or empty. */
  readonly sourceAddress: string;
  readonly destination: FlowPeer;
  readonly destinationAddress: string;
  /** Host name of the service, or empty. */
  readonly service: string;
  readonly isMutualTls: boolean;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  /** 0 when nothing was answered, and for tcp. */
  readonly status: number;
  readonly grpcStatus: string;
  /** `-` for none. */
  readonly flags: string;
  /** Who ended or refused it, and why, in words; empty when it ended well. */
  readonly reason: string;
  /** `Kind namespace/name` of the route and of the policy that decided, or empty. */
  readonly route: string;
  readonly policy: string;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Tries, 1 when the first one was it. */
  readonly attempts: number;
  readonly requestId: string;
  readonly userAgent: string;
  /** Hexadecimal; empty without a trace. */
  readonly traceId: string;
  readonly spanId: string;
}

/** What somebody wants to see; empty members do not restrict. Sent by the control plane to its proxies. */
export interface TapFilter {
  readonly namespaces: readonly string[];
  /** `namespace/name` of the workload at either end. */
  readonly workloads: readonly string[];
  /** Host name of the service. */
  readonly services: readonly string[];
  readonly methods: readonly string[];
  readonly pathPrefix: string;
  /** Lowest and highest status, 0 to 599; 0 is "nothing was answered". */
  readonly statusFrom: number;
  readonly statusTo: number;
  readonly onlyFailed: boolean;
  /** Records a second and proxy at most. */
  readonly perSecondMax: number;
}
