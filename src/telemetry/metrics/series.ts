/**
 * The things that are counted: a `Counter`, `Gauge` or `Histogram` is one series (one set of label values), held
 * as a handle by whoever counts. Adding to one is a field update: no lookup, no allocation.
 */

/** Bookkeeping that every series carries for its family. */
export interface SeriesState {
  /** Rendered once: `{a="b",c="d"}`, or empty without labels. */
  readonly labels: string;
  readonly values: readonly string[];
  /** Undefined: the family's own label names. */
  names: readonly string[] | undefined;
  /** How many callers hold it; at 0 it is stale and goes after a few sweeps. */
  holders: number;
  staleSweeps: number;
}

export class Counter implements SeriesState {
  value = 0;
  names: readonly string[] | undefined = undefined;
  holders = 0;
  staleSweeps = 0;
  readonly labels: string;
  readonly values: readonly string[];

  constructor(labels: string, values: readonly string[]) {
    this.labels = labels;
    this.values = values;
  }

  add(amount: number): void {
    this.value += amount;
  }
}

export class Gauge implements SeriesState {
  value = 0;
  names: readonly string[] | undefined = undefined;
  holders = 0;
  staleSweeps = 0;
  readonly labels: string;
  readonly values: readonly string[];

  constructor(labels: string, values: readonly string[]) {
    this.labels = labels;
    this.values = values;
  }

  set(value: number): void {
    this.value = value;
  }

  add(amount: number): void {
    this.value += amount;
  }
}

/** One example a bucket, in arrays that are made once. */
export class Exemplars {
  readonly traceIds: string[];
  readonly values: Float64Array;
  readonly wallMs: Float64Array;

  constructor(buckets: number) {
    this.traceIds = new Array<string>(buckets).fill('');
    this.values = new Float64Array(buckets);
    this.wallMs = new Float64Array(buckets);
  }

  set(bucket: number, value: number, traceId: string, wallMs: number): void {
    this.traceIds[bucket] = traceId;
    this.values[bucket] = value;
    this.wallMs[bucket] = wallMs;
  }
}

export class Histogram implements SeriesState {
  sum = 0;
  count = 0;
  names: readonly string[] | undefined = undefined;
  holders = 0;
  staleSweeps = 0;
  readonly labels: string;
  readonly values: readonly string[];
  readonly bounds: readonly number[];
  /** One per bound plus the one above the last; not cumulative. */
  readonly buckets: Float64Array;
  /** The last request with a trace in each bucket; undefined until there is one. */
  exemplars: Exemplars | undefined = undefined;

  constructor(labels: string, values: readonly string[], bounds: readonly number[]) {
    this.labels = labels;
    this.values = values;
    this.bounds = bounds;
    this.buckets = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    this.buckets[this.#bucketOf(value)] += 1;
    this.sum += value;
    this.count += 1;
  }

  /** Of a request that has a trace: the bucket remembers it. */
  observeTraced(value: number, traceId: string, wallMs: number): void {
    const bucket = this.#bucketOf(value);
    this.buckets[bucket] += 1;
    this.sum += value;
    this.count += 1;
    this.exemplars ??= new Exemplars(this.buckets.length);
    this.exemplars.set(bucket, value, traceId, wallMs);
  }

  #bucketOf(value: number): number {
    const { bounds } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= bounds[middle]) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
