/** State of the control plane and its proxies: GET /api/v1/status, `tulle status` and the console's mesh page are made of it. */
import type { Finding } from '#config/compile/finding.ts';

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
  readonly certificates: readonly {
    readonly principal: string;
    readonly notBefore?: string;
    readonly notAfter: string;
    readonly serial?: string;
  }[];
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
    /** Kinds of the API that it cannot follow now, and what to do about it. */
    readonly problems?: readonly {
      /** `list` or `watch`. */
      readonly verb: string;
      readonly resource: string;
      readonly code: string;
      readonly message: string;
      /** Since when, RFC 3339. */
      readonly since: string;
      /** What was known before is in force; else the control plane waits for it. */
      readonly isKnown: boolean;
    }[];
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
  /** Used since it began. */
  readonly cpuSeconds?: number;
  readonly notReady?: string;
  /** Of a node proxy: its pods. */
  readonly workloads?: readonly unknown[];
  /** Open: through a node proxy, or to a waypoint or gateway. */
  readonly connections?: number;
  readonly certificates?: readonly {
    principal?: string;
    notBefore?: string;
    notAfter?: string;
    serial?: string;
  }[];
  readonly ejections?: readonly {
    upstream?: string;
    subset?: string;
    endpoint?: string;
    workload?: string;
    reason?: string;
    remainingMs?: number;
  }[];
}
