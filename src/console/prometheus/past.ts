/**
 * Rows of Prometheus as the store's own kind of counts: series of who talks to whom, and what each carried in a window or in each step of a chart. What is drawn of
 * them is drawn by the same functions as what the store holds, which also leave out what a reader may not see. Pure.
 */
import { edgeOfLabels } from '#telemetry/flow/edge-of-labels.ts';
import type { FlowEdge, FlowPeer } from '#telemetry/flow/flow-frame.ts';
import { DEFAULT_BOUNDS, OTHER } from '#telemetry/metrics/istio.ts';
import { BUCKETS, Counts } from '../store/counts.ts';
import { codeOutcome, flagOutcome, grpcOutcome, OK_CODE, OK_GRPC } from '../store/outcome.ts';
import { isBySource, OutcomeTable, type Series, SeriesTable } from '../store/series-table.ts';
import type { Row } from './answers.ts';
import type { Measure } from './queries.ts';

/** What the mesh knows of those that metrics name. */
export interface Roles {
  /** Of a workload `namespace/name`; undefined: it is none that is known now. */
  roleOf(workload: string): FlowPeer['kind'] | undefined;
  /** Workload of a proxy's pod, both `namespace/name`. */
  workloadOfProxy(pod: string): string;
  readonly clusterId: string;
}

/** `1`, `1.0` and `1e+00` are one bound: which of them stands there depends on Prometheus' version. */
const BUCKET_BY_BOUND = new Map<number, number>(
  DEFAULT_BOUNDS.map((bound, index) => [bound, index]),
);

export class Past {
  readonly series = new SeriesTable();
  readonly outcomes = new OutcomeTable();
  readonly #roles: Roles;
  /** Waypoints that tell of requests in these rows: they may be gone by now. */
  readonly #waypoints = new Set<string>();
  readonly #steps: Counts[];
  /** Of a step's series, requests at or below each bound, as Prometheus counts them. */
  readonly #below: Map<number, Float64Array>[];
  readonly #indexOf: (second: number) => number;
  readonly #scraped: boolean[];

  /** `indexOf`: which of so many steps a value is of; others are passed over. */
  constructor(roles: Roles, steps: { readonly count: number; indexOf(second: number): number }) {
    this.#roles = roles;
    this.#steps = Array.from({ length: steps.count }, () => new Counts());
    this.#below = this.#steps.map(() => new Map());
    this.#scraped = this.#steps.map(() => false);
    this.#indexOf = steps.indexOf;
  }

  /** All measures of one question: who is a waypoint is known only from all of them. */
  book(answers: readonly { readonly measure: Measure; readonly rows: readonly Row[] }[]): void {
    for (const { rows } of answers)
      for (const { labels } of rows)
        if (labels.reporter === 'waypoint') this.#waypoints.add(this.#tellerOf(labels));
    this.#waypoints.delete('');
    for (const { measure, rows } of answers) for (const row of rows) this.#row(measure, row);
    this.#below.forEach((series, index) => {
      for (const [id, below] of series) addLatency(this.#steps[index], id, below);
      series.clear();
    });
  }

  get count(): number {
    return this.#steps.length;
  }

  /** What flowed in a step; undefined where nothing was scraped. */
  counts(index: number): Counts | undefined {
    return this.#scraped[index] ? this.#steps[index] : undefined;
  }

  /** Of one step. */
  get window(): Counts {
    return this.#steps[0];
  }

  #row(measure: Measure, { labels, values }: Row): void {
    if (measure === 'scraped') {
      for (const [second] of values) this.#scraped[this.#indexOf(second)] = true;
      return;
    }
    const isRequest =
      measure === 'requests' ||
      measure === 'latency' ||
      measure === 'requestBytes' ||
      measure === 'responseBytes';
    const edge = this.#edgeOf(labels, isRequest);
    if (edge === undefined) return;
    const teller = edge.reporter === 'waypoint' ? this.#tellerOf(labels) : '';
    const series = this.series.intern({ id: 0, ...edge }, teller);
    // How its destination was before that time is not known.
    series.lastFailed = Number.POSITIVE_INFINITY;
    // The other side's word is passed over where this one tells of the same window.
    if (isBySource(series)) series.pair.lastBySource = Number.POSITIVE_INFINITY;
    for (const [second, value] of values) {
      const index = this.#indexOf(second);
      if (index >= 0 && index < this.#steps.length)
        this.#add(index, series, measure, labels, value);
    }
  }

  #add(
    index: number,
    { id }: Series,
    measure: Measure,
    labels: Row['labels'],
    value: number,
  ): void {
    const counts = this.#steps[index];
    const count = Math.round(value);
    if (!(count > 0)) return;
    counts.touch(id);
    switch (measure) {
      case 'requests':
        counts.requests[id] += count;
        this.#outcomes(counts, id, labels, count);
        break;
      case 'latency': {
        const bound =
          labels.le === '+Inf' ? DEFAULT_BOUNDS.length : BUCKET_BY_BOUND.get(Number(labels.le));
        if (bound === undefined) break;
        const known = this.#below[index].get(id) ?? new Float64Array(BUCKETS);
        known[bound] += value;
        this.#below[index].set(id, known);
        break;
      }
      case 'opened':
        counts.opened[id] += count;
        break;
      case 'failed':
        counts.failed[id] += count;
        this.#flag(counts, id, labels, count);
        break;
      case 'sent':
      case 'requestBytes':
        counts.sent[id] += count;
        break;
      case 'received':
      case 'responseBytes':
        counts.received[id] += count;
    }
  }

  #outcomes(counts: Counts, id: number, labels: Row['labels'], count: number): void {
    const code = Number(labels.response_code);
    const status = labels.grpc_response_status ?? '';
    if (code !== OK_CODE)
      counts.addOutcome(
        id,
        this.outcomes.id(codeOutcome(code >= 0 && code < 1000 ? code : 0)),
        count,
      );
    if (/^\d{1,3}$/.test(status) && Number(status) !== OK_GRPC)
      counts.addOutcome(id, this.outcomes.id(grpcOutcome(Number(status))), count);
    this.#flag(counts, id, labels, count);
  }

  #flag(counts: Counts, id: number, labels: Row['labels'], count: number): void {
    const flag = labels.response_flags ?? '-';
    if (flag !== '-' && flag !== '')
      counts.addOutcome(id, this.outcomes.id(flagOutcome(flag.slice(0, 16))), count);
  }

  /** Undefined: of another cluster's mesh. */
  #edgeOf(labels: Row['labels'], isRequest: boolean): Omit<FlowEdge, 'id'> | undefined {
    const { clusterId } = this.#roles;
    const isForeign = (cluster: string) => cluster !== '' && cluster !== clusterId;
    const edge = edgeOfLabels(labels, {
      isRequest,
      // Node proxies tell of connections alone.
      isGateway: isRequest || this.#roleOf(labels, 'source') === 'gateway',
    });
    const { source, destination } = edge;
    const isOurs =
      source.cluster === clusterId ||
      destination.cluster === clusterId ||
      !(isForeign(source.cluster) || isForeign(destination.cluster));
    if (!isOurs) return undefined;
    return { ...edge, source: this.#refined(source), destination: this.#refined(destination) };
  }

  #roleOf(labels: Row['labels'], side: 'source' | 'destination'): FlowPeer['kind'] | undefined {
    const key = `${labels[`${side}_workload_namespace`]}/${labels[`${side}_workload`]}`;
    return this.#roles.roleOf(key) ?? (this.#waypoints.has(key) ? 'waypoint' : undefined);
  }

  #refined(peer: FlowPeer): FlowPeer {
    const { kind, namespace, workload } = peer;
    if (kind !== 'workload') return peer;
    // What had no place in a proxy's metrics is nobody's, and no namespace of that name.
    if (workload === OTHER && namespace === OTHER)
      return { ...peer, kind: 'unknown', namespace: '', workload: '', app: '', version: '' };
    const key = `${namespace}/${workload}`;
    const role = this.#roles.roleOf(key) ?? (this.#waypoints.has(key) ? 'waypoint' : undefined);
    return role === undefined ? peer : { ...peer, kind: role };
  }

  #tellerOf({ namespace = '', pod = '' }: Row['labels']): string {
    return namespace === '' || pod === '' ? '' : this.#roles.workloadOfProxy(`${namespace}/${pod}`);
  }
}

/** From "so many at or below" to so many in each; what extrapolation made of it never falls. */
function addLatency(counts: Counts, id: number, below: Float64Array): void {
  let before = 0;
  counts.touch(id);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const upTo = Math.round(below[bucket]);
    if (upTo <= before) continue;
    counts.latency[id * BUCKETS + bucket] += upTo - before;
    before = upTo;
  }
}
