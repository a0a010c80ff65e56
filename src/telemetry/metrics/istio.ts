/**
 * Istio's metric names, label names and their order, so that existing dashboards and Kiali's queries work as they are.
 * `edgeValues` turns what is known about both workloads into label values; `unknown` where nothing is.
 * Sources: ztunnel src/proxy/metrics.rs; istio/proxy extensions istio_stats.
 */

import type { Family, MetricRegistry } from './registry.ts';
import type { Counter, Histogram } from './series.ts';

/** What a series says about one of the two workloads. Field names are ours, label names Istio's. */
export interface PeerLabels {
  readonly workload: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly workloadNamespace: string;
  /** Full `spiffe://…`; empty when the peer proved nothing. */
  readonly principal: string;
  readonly app: string;
  readonly version: string;
  readonly cluster: string;
}

export interface EdgeLabels {
  readonly reporter: 'source' | 'destination' | 'waypoint';
  readonly source: PeerLabels;
  readonly destination: PeerLabels;
  /** The service the client asked for. */
  readonly service: { readonly host: string; readonly namespace: string; readonly name: string };
}

export const EDGE_LABELS = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_service',
  'destination_service_namespace',
  'destination_service_name',
  'destination_workload',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_cluster',
] as const;

/** Where the two are; of node proxies' metrics, and only where one of the two is known, as ztunnel. */
export const LOCALITY_LABELS = [
  'source_region',
  'source_zone',
  'destination_region',
  'destination_zone',
] as const;

export const TCP_LABELS = [
  ...EDGE_LABELS,
  'request_protocol',
  'response_flags',
  'connection_security_policy',
] as const;

/** Istio's labels, then ours: who ended the connection, and why. */
export const TCP_FAILED_LABELS = [...TCP_LABELS, 'closed_by', 'reason'] as const;

export const HTTP_LABELS = [
  ...EDGE_LABELS,
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
] as const;

/** Envoy's default histogram bounds. */
export const DEFAULT_BOUNDS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
] as const;

export const UNKNOWN = 'unknown';
/** A revision that nobody gave. */
export const LATEST = 'latest';
/** What the series have that take everything for which a workload has no place any more. */
export const OTHER = 'other';

export const UNKNOWN_PEER: PeerLabels = {
  workload: UNKNOWN,
  canonicalService: UNKNOWN,
  canonicalRevision: UNKNOWN,
  workloadNamespace: UNKNOWN,
  principal: UNKNOWN,
  app: UNKNOWN,
  version: UNKNOWN,
  cluster: UNKNOWN,
};

export const OTHER_PEER: PeerLabels = {
  workload: OTHER,
  canonicalService: OTHER,
  canonicalRevision: OTHER,
  workloadNamespace: OTHER,
  principal: OTHER,
  app: OTHER,
  version: OTHER,
  cluster: OTHER,
};

/** Values for `EDGE_LABELS`, in order. */
export function edgeValues(edge: EdgeLabels): string[] {
  const { reporter, source, destination, service } = edge;
  const values = [
    reporter,
    source.workload,
    source.canonicalService,
    source.canonicalRevision,
    source.workloadNamespace,
    source.principal,
    source.app,
    source.version,
    source.cluster,
    service.host,
    service.namespace,
    service.name,
    destination.workload,
    destination.canonicalService,
    destination.canonicalRevision,
    destination.workloadNamespace,
    destination.principal,
    destination.app,
    destination.version,
    destination.cluster,
  ];
  return values.map((value) => (value === '' ? UNKNOWN : value));
}

export interface TcpOutcome {
  /** `-` when nothing went wrong. */
  readonly responseFlags: string;
  readonly securityPolicy: 'mutual_tls' | 'none' | 'unknown';
}

export function tcpValues(edge: EdgeLabels, outcome: TcpOutcome): string[] {
  return [...edgeValues(edge), 'tcp', outcome.responseFlags, outcome.securityPolicy];
}

export interface HttpOutcome extends TcpOutcome {
  readonly requestProtocol: 'http' | 'grpc';
  /** 0 when no response was sent. */
  readonly responseCode: number | typeof OTHER;
  /** Empty unless gRPC. */
  readonly grpcStatus: string;
}

export function httpValues(edge: EdgeLabels, outcome: HttpOutcome): string[] {
  const { requestProtocol, responseCode, grpcStatus, responseFlags, securityPolicy } = outcome;
  const code = String(responseCode);
  return [...edgeValues(edge), requestProtocol, code, grpcStatus, responseFlags, securityPolicy];
}

export interface TcpMetrics {
  readonly opened: Family<Counter>;
  readonly closed: Family<Counter>;
  readonly received: Family<Counter>;
  readonly sent: Family<Counter>;
  readonly failed: Family<Counter>;
}

export interface HttpMetrics {
  readonly requests: Family<Counter>;
  readonly durationMs: Family<Histogram>;
  readonly requestBytes: Family<Histogram>;
  readonly responseBytes: Family<Histogram>;
  /** Of gRPC. */
  readonly requestMessages: Family<Counter>;
  readonly responseMessages: Family<Counter>;
}

export function tcpMetrics(registry: MetricRegistry): TcpMetrics {
  const counter = (name: string, help: string, labels: readonly string[] = TCP_LABELS) =>
    registry.counter({ name, help, labels });
  return {
    opened: counter('istio_tcp_connections_opened_total', 'TCP connections opened.'),
    closed: counter('istio_tcp_connections_closed_total', 'TCP connections closed.'),
    received: counter('istio_tcp_received_bytes_total', 'Bytes read from the client side.'),
    sent: counter('istio_tcp_sent_bytes_total', 'Bytes read from the server side.'),
    failed: counter(
      'istio_tcp_connections_failed_total',
      'TCP connections that failed.',
      TCP_FAILED_LABELS,
    ),
  };
}

export function httpMetrics(registry: MetricRegistry): HttpMetrics {
  const counter = (name: string, help: string) =>
    registry.counter({ name, help, labels: HTTP_LABELS });
  const histogram = (name: string, help: string) =>
    registry.histogram({ name, help, labels: HTTP_LABELS, bounds: DEFAULT_BOUNDS });
  return {
    requests: counter('istio_requests_total', 'Requests handled.'),
    durationMs: histogram('istio_request_duration_milliseconds', 'Duration of requests.'),
    requestBytes: histogram('istio_request_bytes', 'Size of requests, heads included.'),
    responseBytes: histogram('istio_response_bytes', 'Size of responses, heads included.'),
    requestMessages: counter('istio_request_messages_total', 'gRPC messages from clients.'),
    responseMessages: counter('istio_response_messages_total', 'gRPC messages from servers.'),
  };
}

/** Counts connections refused or closed because the certificate of the peer at that side is revoked. */
export function crlRejections(registry: MetricRegistry): (side: 'downstream' | 'upstream') => void {
  const family = registry.counter({
    name: 'istio_crl_policy_rejections_total',
    help: 'Connections refused or closed because a revocation list names the certificate of the peer.',
    labels: ['reporter'],
  });
  const counters = {
    downstream: family.with(['destination']),
    upstream: family.with(['source']),
  };
  return (side) => counters[side].add(1);
}

/** `istio_build`: which build of which component answers here; and its memory, as Prometheus' own clients name it. */
export function exposeProcess(registry: MetricRegistry, build: { component: string; tag: string }) {
  const family = registry.gauge({
    name: 'istio_build',
    help: 'Component and version of this process.',
    labels: ['component', 'tag'],
  });
  family.with([build.component, build.tag]).set(1);
  const memory = registry
    .gauge({
      name: 'process_resident_memory_bytes',
      help: 'Resident memory of the process.',
      labels: [],
    })
    .with([]);
  registry.onCollect(() => memory.set(process.memoryUsage.rss()));
}
