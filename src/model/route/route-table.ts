/**
 * Compiled L7 configuration, as control derives it and the waypoint enforces it; `why` reads the same.
 * Two resources: a `RouteTable` for each service bound to the waypoint, an `Upstream` for each destination
 * those tables name. Both are immutable, JSON-safe, and swapped whole.
 */
import type { AppProtocol, ServiceKey } from '../service/service.ts';
import type { Locality } from '../workload/workload.ts';

/** Istio's StringMatch; `present` is the empty match. Regexes are RE2, matched against the whole string. */
export type TextMatch =
  | { readonly kind: 'exact' | 'prefix' | 'regex'; readonly value: string }
  | { readonly kind: 'present' };

/** All conditions of one match entry hold (AND). Header names are lower case. */
export interface RouteMatch {
  readonly path?: TextMatch;
  readonly ignorePathCase?: boolean;
  readonly method?: TextMatch;
  readonly scheme?: TextMatch;
  readonly authority?: TextMatch;
  readonly headers: readonly { readonly name: string; readonly match: TextMatch }[];
  readonly withoutHeaders: readonly { readonly name: string; readonly match: TextMatch }[];
  readonly queryParams: readonly { readonly name: string; readonly match: TextMatch }[];
}

export interface HeaderOperations {
  readonly set: Readonly<Record<string, string>>;
  readonly add: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

/** The object and rule a compiled piece came from, for logs, `why` and status. */
export interface Provenance {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly rule?: string | number;
}

export interface RouteDestination {
  /** Names an `Upstream`. */
  readonly upstream: ServiceKey;
  readonly host: string;
  readonly port: number;
  readonly subset?: string;
  /** Relative; zero-weight destinations are dropped when there are several. */
  readonly weight: number;
  readonly headers?: { readonly request?: HeaderOperations; readonly response?: HeaderOperations };
  /**
   * Set when the destination cannot be served whatever the endpoints do (unknown host, missing subset): the
   * request is answered with this status and the message names the resource at fault.
   */
  readonly broken?: { readonly status: number; readonly flag: string; readonly reason: string };
}

/** A policy that the waypoint is bound by and cannot judge: all its traffic is refused (403), with the reason. */
export interface PolicyDenial {
  /** `AuthorizationPolicy shop/only-get`. */
  readonly policy: string;
  readonly reason: string;
}

export interface RetryPolicy {
  /** Retries after the first try; 0 disables. */
  readonly attempts: number;
  readonly perTryTimeoutMs?: number;
  /** Envoy's tokens: connect-failure, refused-stream, 5xx, gateway-error, reset, retriable-status-codes, … */
  readonly on: readonly string[];
  readonly statusCodes: readonly number[];
  readonly backoffBaseMs: number;
}

/** First match wins, in order. */
export interface Route {
  readonly name: string;
  readonly provenance: Provenance;
  /** Entries OR; empty = every request. */
  readonly matches: readonly RouteMatch[];
  readonly action:
    | { readonly kind: 'forward'; readonly destinations: readonly RouteDestination[] }
    | {
        readonly kind: 'redirect';
        readonly status: number;
        readonly path?: string;
        readonly authority?: string;
        readonly scheme?: string;
        readonly port?: number;
      }
    | { readonly kind: 'respond'; readonly status: number; readonly body?: string };
  readonly rewrite?: {
    readonly path?: string;
    readonly authority?: string;
    readonly regex?: { readonly match: string; readonly rewrite: string };
  };
  readonly headers?: { readonly request?: HeaderOperations; readonly response?: HeaderOperations };
  /** Covers all tries; undefined = none. */
  readonly timeoutMs?: number;
  readonly retries: RetryPolicy;
}

export interface RouteTable {
  readonly namespace: string;
  readonly hostname: string;
  /** The service's virtual addresses: the `:authority` of a tunnel names one of them with a service port. */
  readonly addresses: readonly string[];
  readonly ports: readonly {
    readonly port: number;
    readonly protocol: AppProtocol;
    /** Never empty for HTTP ports: without a VirtualService one default route forwards to the service. */
    readonly routes: readonly Route[];
  }[];
  readonly denied?: PolicyDenial;
}

export interface Endpoint {
  /** Workload uid. */
  readonly uid: string;
  readonly name: string;
  readonly address: string;
  /** service port → target port. */
  readonly ports: Readonly<Record<number, number>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly locality: Locality;
  readonly node: string;
  readonly weight: number;
  readonly healthy: boolean;
  readonly protocol: 'hbone' | 'none';
  /** Expected SPIFFE URI when `protocol` is hbone. */
  readonly principal: string;
  readonly workloadName: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
}

export type LoadBalancer = 'least-request' | 'round-robin' | 'random' | 'passthrough';

/** DestinationRule.outlierDetection with its defaults filled in. 0 disables a counter. */
export interface OutlierPolicy {
  readonly consecutive5xx: number;
  readonly consecutiveGatewayErrors: number;
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionPercent: number;
  readonly minHealthPercent: number;
}

export interface ConnectionPoolPolicy {
  readonly connectTimeoutMs: number;
  readonly maxConnections?: number;
  readonly maxPendingRequests?: number;
  readonly maxRequests?: number;
  readonly maxRequestsPerConnection?: number;
  readonly maxRetries?: number;
  readonly idleTimeoutMs: number;
  readonly h2Upgrade: 'default' | 'upgrade' | 'do-not-upgrade';
}

export interface TrafficPolicy {
  readonly loadBalancer: LoadBalancer;
  readonly connectionPool: ConnectionPoolPolicy;
  /** Undefined: off. */
  readonly outlier?: OutlierPolicy;
}

export interface Subset {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly policy: TrafficPolicy;
  /** portLevelSettings: replaces `policy` whole for that service port. */
  readonly portPolicies?: Readonly<Record<number, TrafficPolicy>>;
}

export interface Upstream {
  readonly namespace: string;
  readonly hostname: string;
  readonly ports: readonly { readonly port: number; readonly protocol: AppProtocol }[];
  /** The whole destination, when no subset is named. */
  readonly policy: TrafficPolicy;
  /** portLevelSettings: replaces `policy` whole for that service port. */
  readonly portPolicies?: Readonly<Record<number, TrafficPolicy>>;
  readonly subsets: readonly Subset[];
  /** DestinationRule that shaped it. */
  readonly provenance?: Provenance;
  readonly endpoints: readonly Endpoint[];
  readonly denied?: PolicyDenial;
}
