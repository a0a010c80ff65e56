/**
 * The JSON that the control plane serves on 20001: GET /api/graph?namespace=&window=SECONDS and GET /api/status. The
 * console, `tulle graph` and `tulle status` read it; extend it, do not break it.
 */
import type { Finding } from '#config/compile/finding.ts';

export interface GraphNode {
  /** `workload/ns/name`, `service/ns/hostname`, `waypoint/ns/name`, or `unknown`. */
  readonly id: string;
  readonly kind: 'workload' | 'service' | 'waypoint' | 'unknown';
  readonly namespace: string;
  readonly name: string;
  /** Workloads: the canonical revision (`version` label) last seen. */
  readonly version?: string;
}

export interface GraphEdge {
  /** Node ids. */
  readonly source: string;
  readonly destination: string;
  readonly protocol: 'http' | 'tcp';
  readonly requestsPerSecond: number;
  /** Share of requests that were answered 5xx, or not at all; 0 to 1. */
  readonly errorRate: number;
  /** Absent without a request in the window. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly bytesSentPerSecond: number;
  readonly bytesReceivedPerSecond: number;
  readonly connectionsPerSecond: number;
  /** Share of requests (http) or connections (tcp) under mutual TLS; absent when there were none. */
  readonly mtls?: number;
  /** Requests by status code in the window. */
  readonly codes: Readonly<Record<string, number>>;
}

export interface Ejection {
  /** `namespace/hostname` of the service, and its subset when one was named. */
  readonly upstream: string;
  readonly subset?: string;
  /** `ip:port` or workload name. */
  readonly endpoint: string;
  readonly workload?: string;
  readonly reason: string;
  /** Milliseconds until it is let back in. */
  readonly remainingMs?: number;
  /** The proxy that ejected it, `namespace/name`. */
  readonly by: string;
}

export interface GraphAnswer {
  readonly generatedAt: string;
  readonly windowSeconds: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  readonly ejections: readonly Ejection[];
}

export interface ProxyStatus {
  readonly kind: 'node' | 'waypoint';
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly ip: string;
  /** Whether an xDS stream is open now. */
  readonly connected: boolean;
  /** `synced`: everything sent was acknowledged. `refused`: a NACK stands. */
  readonly sync: 'synced' | 'waiting' | 'refused' | 'disconnected';
  readonly types: readonly {
    readonly typeUrl: string;
    readonly resources: number;
    readonly nonceSent?: string;
    readonly nonceAcked?: string;
    readonly nack?: string;
    readonly state: string;
  }[];
  /** When its port 15020 last answered; absent when never. */
  readonly scrapedAt?: string;
  readonly scrapeError?: string;
  readonly certificates: readonly { readonly principal: string; readonly notAfter: string }[];
  readonly ejections: readonly Ejection[];
  /** The proxy's own /status as it came: these members, and more. */
  readonly detail?: ProxyReport;
}

export interface StatusAnswer {
  readonly generatedAt: string;
  readonly control: {
    readonly ready: boolean;
    readonly leader: boolean;
    readonly pod: string;
    readonly version: string;
    readonly startedAt: string;
  };
  readonly proxies: readonly ProxyStatus[];
  readonly waypoints: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly programmed: boolean;
    /** Services that it serves. */
    readonly services: readonly string[];
  }[];
  readonly findings: readonly Finding[];
}

/** What a proxy answers on :15020/status, as far as control reads it; everything is optional. */
export interface ProxyReport {
  readonly version?: string;
  readonly memoryBytes?: number;
  readonly notReady?: string;
  /** Of a node proxy: its pods, and what is open through it. */
  readonly workloads?: readonly unknown[];
  readonly connections?: number;
  /** Of a waypoint. */
  readonly activeRequests?: number;
  readonly certificates?: readonly { principal?: string; notAfter?: string }[];
  readonly ejections?: readonly {
    upstream?: string;
    subset?: string;
    endpoint?: string;
    workload?: string;
    reason?: string;
    remainingMs?: number;
  }[];
}
