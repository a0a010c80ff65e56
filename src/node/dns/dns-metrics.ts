/**
 * What is counted of look-ups: ztunnel's metrics (src/dns/metrics.rs) with its labels, and who answered which name of the
 * mesh. Names that the mesh does not own share one series: what apps ask for is not for us to bound.
 */
import type { Workload } from '#model/workload/workload.ts';
import { UNKNOWN } from '#telemetry/metrics/istio.ts';
import { peerLabels } from '#telemetry/metrics/peer-labels.ts';
import type { Family, MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { Counter, Histogram } from '#telemetry/metrics/series.ts';
import { TYPE_NAMES } from '#wire/dns/codes.ts';
import type { DnsProtocol } from './answer.ts';

const ON_DEMAND_LABELS = [
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'hostname',
];

export interface LookupLabels {
  /** Undefined when the question cannot be read. */
  readonly type: number | undefined;
  readonly protocol: DnsProtocol;
  readonly client: Workload | undefined;
}

export type LookupResult = 'answered' | 'no-records' | 'forwarded' | 'failed' | 'refused';

const OTHER_NAMES = 'other';
/** As ztunnel. */
const DURATION_BOUNDS = [0.0005, 0.001, 0.01, 0.1, 1, 5];
const LABELS = [
  'request_query_type',
  'request_protocol',
  'source_canonical_service',
  'source_canonical_revision',
];

export class DnsMetrics {
  readonly #requests: Family<Counter>;
  readonly #upstreamRequests: Family<Counter>;
  readonly #upstreamFailures: Family<Counter>;
  readonly #upstreamDuration: Family<Histogram>;
  readonly #names: Family<Counter>;
  readonly #onDemand: Family<Counter>;

  constructor(registry: MetricRegistry) {
    const counter = (name: string, help: string) =>
      registry.counter({ name, help, labels: LABELS });
    this.#requests = counter('istio_dns_requests_total', 'DNS queries of captured workloads.');
    this.#upstreamRequests = counter(
      'istio_dns_upstream_requests_total',
      'DNS queries that were passed on to a name server.',
    );
    this.#upstreamFailures = counter(
      'istio_dns_upstream_failures_total',
      'DNS queries that no name server answered.',
    );
    this.#upstreamDuration = registry.histogram({
      name: 'istio_dns_upstream_request_duration_seconds',
      help: 'Time until the answer of the name server.',
      labels: LABELS,
      bounds: DURATION_BOUNDS,
    });
    this.#names = registry.counter({
      name: 'tulle_dns_lookups_total',
      help: 'DNS queries by host of the mesh, and how they ended.',
      labels: ['host', 'result'],
    });
    this.#onDemand = registry.counter({
      name: 'istio_on_demand_dns_total',
      help: 'Connections to endpoints that are known by name only.',
      labels: ON_DEMAND_LABELS,
    });
  }

  /** A connection to an endpoint that is known by name only (ztunnel src/proxy/metrics.rs OnDemandDnsLabels). */
  onDemand(client: Workload, hostname: string): void {
    const peer = peerLabels(client, { principalFromDiscovery: true });
    count(this.#onDemand, [
      peer.workload,
      peer.canonicalService,
      peer.canonicalRevision,
      peer.workloadNamespace,
      peer.principal,
      peer.app,
      peer.version,
      peer.cluster,
      hostname,
    ]);
  }

  request(labels: LookupLabels): void {
    count(this.#requests, valuesOf(labels));
  }

  forwarded(labels: LookupLabels): void {
    count(this.#upstreamRequests, valuesOf(labels));
  }

  upstreamEnded(labels: LookupLabels, { ms, failed }: { ms: number; failed: boolean }): void {
    const values = valuesOf(labels);
    const duration = this.#upstreamDuration.with(values);
    duration.observe(ms / 1000);
    this.#upstreamDuration.release(duration);
    if (failed) count(this.#upstreamFailures, values);
  }

  lookup(hostname: string | undefined, result: LookupResult): void {
    count(this.#names, [hostname ?? OTHER_NAMES, result]);
  }
}

/** Not held: a series that nobody counts in any more goes by itself. */
function count(family: Family<Counter>, values: readonly string[]): void {
  const series = family.with(values);
  series.add(1);
  family.release(series);
}

function valuesOf({ type, protocol, client }: LookupLabels): string[] {
  return [
    (type !== undefined && TYPE_NAMES[type]) || UNKNOWN,
    protocol,
    client?.canonicalName || UNKNOWN,
    client?.canonicalRevision || UNKNOWN,
  ];
}
