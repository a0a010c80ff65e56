/**
 * The flows of a proxy that is not ours, out of its Prometheus metrics: differences of its counters from scrape to scrape, as edges and frames. The
 * first scrape of a proxy is the baseline: what flowed before we looked is not shown as a burst.
 */
import { edgeOfLabels } from '#telemetry/flow/edge-of-labels.ts';
import type { FlowEdge, FlowSample } from '#telemetry/flow/flow-frame.ts';
import { DEFAULT_BOUNDS } from '#telemetry/metrics/istio.ts';
import type { Sample } from './exposition.ts';
import { readExposition } from './exposition.ts';
import { SCRAPED_EDGES_MAX } from './limits.ts';

const WATCHED = new Set([
  'istio_requests_total',
  'istio_request_duration_milliseconds_bucket',
  'istio_request_duration_milliseconds_sum',
  'istio_request_bytes_sum',
  'istio_response_bytes_sum',
  'istio_tcp_connections_opened_total',
  'istio_tcp_connections_closed_total',
  'istio_tcp_connections_failed_total',
  'istio_tcp_sent_bytes_total',
  'istio_tcp_received_bytes_total',
]);

type Counts = Map<number, number>;

export interface ScrapedFlows {
  /** Those that were not said before. */
  readonly edges: readonly FlowEdge[];
  readonly samples: readonly FlowSample[];
}

export class ProxyCounters {
  readonly #isGateway: boolean;
  /** By name and labels. */
  #values = new Map<string, number>();
  readonly #edges = new Map<string, number>();
  #primed = false;

  /** `isGateway`: the waypoint's process, where it reports as the source. */
  constructor(options: { isGateway: boolean }) {
    this.#isGateway = options.isGateway;
  }

  read(text: string): ScrapedFlows {
    const next = new Map<string, number>();
    const edges: FlowEdge[] = [];
    const adding = new Map<number, Adding>();
    readExposition(
      text,
      (name) => WATCHED.has(name),
      (sample) => {
        const id = sample.name + JSON.stringify(sample.labels);
        next.set(id, sample.value);
        const before = this.#values.get(id);
        if (before === undefined && !this.#primed) return;
        // A counter that fell was reset with its process: all of it is new.
        const restarted = before !== undefined && sample.value < before;
        const difference = restarted ? sample.value : sample.value - (before ?? 0);
        if (difference <= 0) return;
        const edge = this.#edge(sample, edges);
        if (edge === undefined) return;
        const added = adding.get(edge) ?? new Adding(edge);
        adding.set(edge, added);
        added.add(sample, difference);
      },
    );
    this.#values = next;
    this.#primed = true;
    return { edges, samples: [...adding.values()].map((each) => each.sample()) };
  }

  #edge({ name, labels }: Sample, fresh: FlowEdge[]): number | undefined {
    const facts = edgeOfLabels(labels, {
      isRequest: name.startsWith('istio_re'),
      isGateway: this.#isGateway,
    });
    const key = JSON.stringify(facts);
    const known = this.#edges.get(key);
    if (known !== undefined) return known;
    const id = this.#edges.size;
    if (id >= SCRAPED_EDGES_MAX) return undefined;
    this.#edges.set(key, id);
    fresh.push({ id, ...facts });
    return id;
  }
}

/** One edge within one scrape. */
class Adding {
  readonly #edge: number;
  readonly #codes: Counts = new Map();
  readonly #grpc: Counts = new Map();
  readonly #flags = new Map<string, number>();
  /** Requests at or below a bound, as Prometheus counts; by its index. */
  readonly #latency: Counts = new Map();
  readonly #sums: Record<string, number> = {};

  constructor(edge: number) {
    this.#edge = edge;
  }

  add({ name, labels }: Sample, difference: number): void {
    if (name === 'istio_request_duration_milliseconds_bucket') {
      const bound = labels.le === '+Inf' ? DEFAULT_BOUNDS.length : boundIndex(labels.le);
      if (bound !== -1) add(this.#latency, bound, difference);
      return;
    }
    this.#sums[name] = (this.#sums[name] ?? 0) + difference;
    const flag = labels.response_flags ?? '-';
    const isRequest = name === 'istio_requests_total';
    if (isRequest) {
      add(this.#codes, Number(labels.response_code ?? 0) || 0, difference);
      const status = labels.grpc_response_status ?? '';
      if (/^\d{1,3}$/.test(status)) add(this.#grpc, Number(status), difference);
    }
    if (flag !== '-' && flag !== '' && (isRequest || name.includes('_failed_')))
      add(this.#flags, flag, difference);
  }

  sample(): FlowSample {
    const sum = (name: string) => this.#sums[name] ?? 0;
    return {
      edge: this.#edge,
      requests: sum('istio_requests_total'),
      codes: [...this.#codes],
      grpcStatuses: [...this.#grpc],
      flags: [...this.#flags],
      latency: bucketsOf(this.#latency),
      durationMsSum: sum('istio_request_duration_milliseconds_sum'),
      opened: sum('istio_tcp_connections_opened_total'),
      closed: sum('istio_tcp_connections_closed_total'),
      failed: sum('istio_tcp_connections_failed_total'),
      // Received from the client is sent by the source.
      sentBytes: sum('istio_tcp_received_bytes_total') + sum('istio_request_bytes_sum'),
      receivedBytes: sum('istio_tcp_sent_bytes_total') + sum('istio_response_bytes_sum'),
    };
  }
}

function bucketsOf(below: Counts): [number, number][] {
  const buckets: [number, number][] = [];
  let before = 0;
  for (const [bucket, count] of [...below].sort(([left], [right]) => left - right)) {
    if (count > before) buckets.push([bucket, count - before]);
    before = count;
  }
  return buckets;
}

function add<K>(counts: Map<K, number>, key: K, difference: number): void {
  counts.set(key, (counts.get(key) ?? 0) + difference);
}

/** Buckets with other bounds than Istio's are left out. */
function boundIndex(le: string | undefined): number {
  return (DEFAULT_BOUNDS as readonly number[]).indexOf(Number(le));
}
