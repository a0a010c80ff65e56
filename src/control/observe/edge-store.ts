/**
 * What flowed over each edge in each of the last seconds: differences of the proxies' counters. Bounded in time
 * (SAMPLES_MAX) and in edges (EDGES_MAX, the idle ones go first). Owned by collector.ts, read by graph.ts.
 */
import { EDGES_MAX, SAMPLES_MAX } from '../limits.ts';

export interface EdgeKey {
  readonly source: string;
  readonly destination: string;
  readonly protocol: 'http' | 'tcp';
}

/** One second on one edge. */
export interface EdgeSample {
  readonly second: number;
  requests: number;
  errors: number;
  mtlsRequests: number;
  codes: Record<string, number>;
  /** Upper bound in milliseconds → requests at or below it (cumulative, as Prometheus counts). */
  latency: Record<string, number>;
  opened: number;
  mtlsOpened: number;
  sent: number;
  received: number;
}

export type Quantity =
  | 'requests'
  | 'errors'
  | 'mtlsRequests'
  | 'opened'
  | 'mtlsOpened'
  | 'sent'
  | 'received';

export class EdgeStore {
  readonly #edges = new Map<string, { key: EdgeKey; samples: EdgeSample[] }>();

  get size(): number {
    return this.#edges.size;
  }

  /** The sample of an edge and second, to be added to. */
  sample(key: EdgeKey, second: number): EdgeSample {
    const id = `${key.source}\n${key.destination}\n${key.protocol}`;
    let edge = this.#edges.get(id);
    // A Map keeps insertion order: moving the busy edge to the end leaves the idle ones in front.
    if (edge !== undefined) this.#edges.delete(id);
    else edge = { key, samples: [] };
    this.#edges.set(id, edge);
    if (this.#edges.size > EDGES_MAX) this.#dropIdlest();
    const last = edge.samples.at(-1);
    if (last?.second === second) return last;
    const sample = emptySample(second);
    edge.samples.push(sample);
    if (edge.samples.length > SAMPLES_MAX) edge.samples.shift();
    return sample;
  }

  /** Each edge's sum over the seconds after `since`; edges on which nothing flowed are left out. */
  *totals(since: number): Generator<{ key: EdgeKey; total: EdgeSample }> {
    for (const { key, samples } of this.#edges.values()) {
      const total = emptySample(0);
      for (let at = samples.length - 1; at >= 0 && samples[at].second > since; at--)
        add(total, samples[at]);
      if (QUANTITIES.some((name) => total[name] > 0)) yield { key, total };
    }
  }

  /** Forgets edges that were idle for the longest window. */
  prune(second: number): void {
    for (const [id, { samples }] of this.#edges) {
      const last = samples.at(-1);
      if (last === undefined || last.second <= second - SAMPLES_MAX) this.#edges.delete(id);
    }
  }

  #dropIdlest(): void {
    const first = this.#edges.keys().next();
    if (first.done !== true) this.#edges.delete(first.value);
  }
}

export function emptySample(second: number): EdgeSample {
  return {
    second,
    requests: 0,
    errors: 0,
    mtlsRequests: 0,
    codes: {},
    latency: {},
    opened: 0,
    mtlsOpened: 0,
    sent: 0,
    received: 0,
  };
}

const QUANTITIES: Quantity[] = [
  'requests',
  'errors',
  'mtlsRequests',
  'opened',
  'mtlsOpened',
  'sent',
  'received',
];

function add(total: EdgeSample, sample: EdgeSample): void {
  for (const name of QUANTITIES) total[name] += sample[name];
  for (const kind of ['codes', 'latency'] as const)
    for (const [key, count] of Object.entries(sample[kind]))
      total[kind][key] = (total[kind][key] ?? 0) + count;
}

/** Linear within the bucket, as Prometheus' histogram_quantile; undefined without a request. */
export function quantile(
  latency: Readonly<Record<string, number>>,
  share: number,
): number | undefined {
  const buckets = Object.entries(latency)
    .map(([bound, count]) => ({
      bound: bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound),
      count,
    }))
    .sort((left, right) => left.bound - right.bound);
  const total = buckets.at(-1)?.count ?? 0;
  if (total <= 0) return undefined;
  const rank = share * total;
  let lower = 0;
  let below = 0;
  for (const { bound, count } of buckets) {
    if (count >= rank) {
      // Above the last finite bound nothing more is known.
      if (!Number.isFinite(bound)) return lower;
      return count === below ? bound : lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    lower = bound;
    below = count;
  }
  return lower;
}
