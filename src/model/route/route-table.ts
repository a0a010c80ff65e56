/**
 * Compiled L7 configuration, as control derives it and the waypoint enforces it; `why` reads the same.
 * Two resources: a `RouteTable` for each service bound to the waypoint, an `Upstream` for each destination
 * those tables name. Both are immutable, JSON-safe, and swapped whole.
 */
import type { HttpPolicies } from '#model/authorization/http-policies.ts';
import type { AppProtocol, ServiceKey } from '../service/service.ts';
import type { Locality } from '../workload/workload.ts';
import type { PathNormalization } from './normalize-path.ts';
import type { LoadShedding, RateLimit } from './traffic-limits.ts';

/**
 * Istio's StringMatch; `present` is the empty match. Regexes are RE2, matched against the whole string. `path-prefix` is the
 * Gateway API's: whole segments (`/a` takes `/a` and `/a/b`, not `/ab`), a trailing slash does not count.
 */
export type TextMatch =
  | { readonly kind: 'exact' | 'prefix' | 'path-prefix' | 'regex'; readonly value: string }
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
  /**
   * Claims of the verified token, by their way from its root; a string, or any of a list of strings. Without a token none
   * is there, and only `negated` conditions hold.
   */
  readonly claims?: readonly {
    readonly path: readonly string[];
    readonly match: TextMatch;
    readonly negated: boolean;
  }[];
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

/** A share in percent, 0 to 100, to a millionth. */
export type Percent = number;

/** Changes to path and authority before the request goes on. At most one of the path forms. */
export interface Rewrite {
  /** As the matched condition says: a matched prefix is replaced, else the whole path (VirtualService's `uri`). */
  readonly path?: string;
  /** The whole path, whatever matched (Gateway API's ReplaceFullPath). */
  readonly fullPath?: string;
  /** Instead of the matched path prefix, slashes joined (Gateway API's ReplacePrefixMatch). */
  readonly prefix?: string;
  readonly regex?: { readonly match: string; readonly rewrite: string };
  readonly authority?: string;
}

export interface Redirect {
  readonly status: number;
  /** The whole path; the query stays. */
  readonly path?: string;
  /** Instead of the matched path prefix, slashes joined. */
  readonly prefix?: string;
  readonly authority?: string;
  readonly scheme?: string;
  readonly port?: number;
}

/** Sent beside the request; the answer is thrown away, and nothing waits for it. */
export interface Mirror {
  readonly upstream: ServiceKey;
  readonly host: string;
  readonly port: number;
  readonly subset?: string;
  readonly percent: Percent;
  /** Nothing is sent, and the configuration's findings say why. */
  readonly broken?: RouteDestination['broken'];
}

/** Faults made on purpose; each draw is independent. */
export interface Fault {
  readonly delay?: { readonly ms: number; readonly percent: Percent };
  readonly abort?: { readonly percent: Percent } & (
    | { readonly httpStatus: number }
    | { readonly grpcStatus: number }
  );
}

/** Cross-origin requests (Fetch standard, section 3.2), with Istio's and the Gateway API's fields. */
export interface Cors {
  readonly allowOrigins: readonly TextMatch[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeSeconds?: number;
  readonly allowCredentials: boolean;
  /** A preflight from an origin that is not allowed: sent on, or answered without CORS fields. */
  readonly unmatchedPreflights: 'forward' | 'ignore';
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
  /** Filters of one backend (Gateway API); they act after the route's. */
  readonly rewrite?: Rewrite;
  readonly redirect?: Redirect;
  readonly mirrors?: readonly Mirror[];
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
  /** For the token `retriable-headers`: an answer with one of these is tried again. Lower case. */
  readonly retriableHeaders?: readonly string[];
  readonly backoffBaseMs: number;
  /** Ceiling of the growing backoff; undefined = ten times the base (Envoy). */
  readonly backoffMaxMs?: number;
  /** A retry may leave the locality that was tried (retryRemoteLocalities). */
  readonly remoteLocalities?: boolean;
  /** A retry avoids endpoints that were tried (retryIgnorePreviousHosts); undefined = unless the destination hashes and was reached. */
  readonly ignorePreviousHosts?: boolean;
}

/** First match wins, in order. */
export interface Route {
  readonly name: string;
  readonly provenance: Provenance;
  /** Entries OR; empty = every request. */
  readonly matches: readonly RouteMatch[];
  readonly action:
    | { readonly kind: 'forward'; readonly destinations: readonly RouteDestination[] }
    | ({ readonly kind: 'redirect' } & Redirect)
    | {
        readonly kind: 'respond';
        readonly status: number;
        readonly body?: string;
        /** Instead of `body`, base64. */
        readonly bodyBytes?: string;
        /** Undefined = `text/plain`. */
        readonly contentType?: string;
      };
  readonly rewrite?: Rewrite;
  readonly headers?: { readonly request?: HeaderOperations; readonly response?: HeaderOperations };
  readonly mirrors?: readonly Mirror[];
  readonly fault?: Fault;
  readonly cors?: Cors;
  /** Covers all tries; undefined = none. */
  readonly timeoutMs?: number;
  readonly retries: RetryPolicy;
  /** All of them must let a request pass, after those of the table. */
  readonly rateLimits?: readonly RateLimit[];
  /** A destination that cannot serve answers for its share itself (Gateway API): no other takes its requests. */
  readonly fixedShares?: boolean;
}

/**
 * A rule for bytes: TCP, or TLS that is passed through. First match wins; fields of one match AND, matches OR,
 * no matches = every connection.
 */
export interface L4Route {
  readonly name: string;
  readonly provenance: Provenance;
  readonly matches: readonly L4Match[];
  readonly destinations: readonly RouteDestination[];
}

export interface L4Match {
  /** Exact or `*.suffix` or `*`; any of them. Empty = every connection, also one without TLS. */
  readonly sniHosts: readonly string[];
  /** CIDRs of the address that the client dialled; any of them. */
  readonly destinationSubnets: readonly string[];
  /** CIDRs of the client; any of them. */
  readonly sourceSubnets: readonly string[];
}

export interface RouteTable {
  readonly namespace: string;
  readonly hostname: string;
  /** The service's virtual addresses, a range as CIDR: the `:authority` of a tunnel names one of them with a service port. */
  readonly addresses: readonly string[];
  readonly ports: readonly {
    readonly port: number;
    readonly protocol: AppProtocol;
    /** Never empty for HTTP ports: without a VirtualService one default route forwards to the service. */
    readonly routes: readonly Route[];
    /** For bytes that are not HTTP; absent = to the service itself. */
    readonly l4Routes?: readonly L4Route[];
  }[];
  readonly denied?: PolicyDenial;
  /** What its traffic is judged by; absent: all of it may pass. */
  readonly policies?: HttpPolicies;
  /** All of them must let a request pass. */
  readonly rateLimits?: readonly RateLimit[];
  readonly shedding?: readonly LoadShedding[];
  /** How request paths are rewritten before anything looks at them; absent: DEFAULT_NORMALIZATION. */
  readonly pathNormalization?: PathNormalization;
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
  /** Host that the tunnel's authority names instead of `address`: the endpoint is a waypoint, and this is whom it serves. */
  readonly via?: string;
  /** Expected SPIFFE URI when `protocol` is hbone. */
  readonly principal: string;
  readonly workloadName: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
}

export type LoadBalancer = 'least-request' | 'round-robin' | 'random' | 'passthrough';

/** What a request is hashed by; the first that yields a value counts, without one the pick is random (Envoy's ring_hash). */
export type HashKey =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'source-ip' }
  | {
      readonly kind: 'cookie';
      readonly name: string;
      readonly path?: string;
      /** Given: a request without the cookie is handed one; 0 = for the browser's session. */
      readonly ttlSeconds?: number;
      readonly attributes?: readonly { readonly name: string; readonly value?: string }[];
    };

export interface ConsistentHash {
  readonly keys: readonly HashKey[];
  readonly algorithm: 'ring-hash' | 'maglev';
  /** Smallest number of points on the ring, or Maglev's table size. */
  readonly size: number;
}

/** How localities are preferred. Undefined = all endpoints alike. */
export interface LocalityPolicy {
  /** `region/zone/subzone` (with `*`) of the caller → percent a locality; sums to 100. */
  readonly distribute?: readonly {
    readonly from: string;
    readonly to: Readonly<Record<string, number>>;
  }[];
  readonly failover?: readonly { readonly from: string; readonly to: string }[];
  /** Labels in order of weight, `key` or `key=value`. */
  readonly failoverPriority?: readonly string[];
  /** How far localities are told apart; undefined = to the subzone. `region`: within a region all are alike (zone aware). */
  readonly scope?: 'region';
}

export interface WarmupPolicy {
  readonly durationMs: number;
  readonly minimumPercent: Percent;
  readonly aggression: number;
}

/** DestinationRule.outlierDetection with its defaults filled in. 0 disables a counter. */
export interface OutlierPolicy {
  readonly consecutive5xx: number;
  readonly consecutiveGatewayErrors: number;
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionPercent: number;
  readonly minHealthPercent: number;
  /** Failures of our own making (connect, timeout, reset) are counted apart and no longer as 5xx. */
  readonly splitExternalLocalOriginErrors?: boolean;
  readonly consecutiveLocalOriginFailures?: number;
  /** Statuses that count as errors, instead of 5xx. */
  readonly errorCodes?: readonly number[];
}

export interface ConnectionPoolPolicy {
  readonly connectTimeoutMs: number;
  readonly maxConnections?: number;
  readonly maxPendingRequests?: number;
  readonly maxRequests?: number;
  readonly maxRequestsPerConnection?: number;
  readonly maxRetries?: number;
  /** 0 = never. */
  readonly idleTimeoutMs: number;
  readonly h2Upgrade: 'default' | 'upgrade' | 'do-not-upgrade';
  /** The protocol of the request decides, not the port's. */
  readonly useClientProtocol?: boolean;
  readonly maxConcurrentStreams?: number;
  readonly maxConnectionDurationMs?: number;
  /** Of connections that are only bytes; undefined = an hour, 0 = never. */
  readonly tcpIdleTimeoutMs?: number;
  readonly tcpKeepalive?: {
    readonly probes?: number;
    readonly timeMs?: number;
    readonly intervalMs?: number;
  };
  readonly http2KeepAlive?: { readonly intervalMs: number; readonly timeoutMs: number };
}

/** TLS that the proxy originates towards the destination (DestinationRule.tls, BackendTLSPolicy). */
export interface UpstreamTls {
  readonly mode: 'simple' | 'mutual';
  /** Undefined = the request's authority. */
  readonly sni?: string;
  /** Any of these must be in the certificate; empty = the name that was asked for by SNI. */
  readonly subjectAltNames: readonly string[];
  /** Names a `TlsMaterial`: its roots, and for `mutual` certificate and key. Undefined = the system's roots. */
  readonly material?: string;
  /** Instead of `material`, PEM files of the proxy's own file system; without `roots` the system's. */
  readonly files?: {
    readonly certificate?: string;
    readonly privateKey?: string;
    readonly roots?: string;
    readonly revocationList?: string;
  };
  readonly insecureSkipVerify: boolean;
}

/** Retries in flight are bounded by a share of the requests in flight. */
export interface RetryBudgetPolicy {
  readonly percent: Percent;
  readonly minRetryConcurrency: number;
  readonly intervalMs: number;
}

export interface TrafficPolicy {
  readonly loadBalancer: LoadBalancer;
  /** Instead of `loadBalancer`: the same key leads to the same endpoint while the endpoints stay. */
  readonly hash?: ConsistentHash;
  readonly locality?: LocalityPolicy;
  readonly warmup?: WarmupPolicy;
  readonly connectionPool: ConnectionPoolPolicy;
  /** Undefined: off. */
  readonly outlier?: OutlierPolicy;
  readonly tls?: UpstreamTls;
  /** PROXY protocol header on each connection to the destination. */
  readonly proxyProtocol?: 'v1' | 'v2';
  readonly retryBudget?: RetryBudgetPolicy;
  /** Why nothing may be sent: the policy asks for what this proxy cannot do, and doing without would be wrong (503). */
  readonly refusal?: string;
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
  /**
   * Where addresses come from. `static` (undefined): the endpoints' own. `dns`: endpoint addresses are names, each answer is an
   * endpoint; `dns-round-robin`: each connection takes the first answer. `passthrough`: the address that the client dialled.
   * `dynamic-dns`: the request's authority is resolved (wildcard hosts).
   */
  readonly resolution?: 'static' | 'dns' | 'dns-round-robin' | 'passthrough' | 'dynamic-dns';
  readonly endpoints: readonly Endpoint[];
  /** What gateways send to instead: the waypoint of the service, whose rules and policies then apply. */
  readonly waypoint?: { readonly key: string; readonly endpoints: readonly Endpoint[] };
  readonly denied?: PolicyDenial;
  /** Proxies for which other DestinationRules are in force: by their namespace, or by a selector. The first that names one. */
  readonly variants?: readonly UpstreamVariant[];
}

export interface UpstreamVariant
  extends Pick<Upstream, 'policy' | 'portPolicies' | 'subsets' | 'provenance'> {
  /** `namespace/name` of the Gateways whose proxies they are. */
  readonly proxies: readonly string[];
}
