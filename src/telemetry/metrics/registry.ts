/**
 * The metric registry of one process. A family is one metric name with its label names; `with(values)` gives the
 * handle of one series. Resolve handles when configuration arrives or an edge is first seen, `release` them when it
 * goes: a released series is still exposed for a few sweeps, then removed. Families bound their series.
 */
import { assert } from '#base/assert.ts';
import type { Disposer } from '#base/disposer.ts';
import { SERIES_PER_METRIC_MAX, STALE_SWEEPS } from '../limits.ts';
import { type ExpositionFormat, familyHead, renderFamily, renderLabels } from './exposition.ts';
import { addSamples, type MetricSample, sampleOf } from './samples.ts';
import { Counter, Gauge, Histogram, type SeriesState } from './series.ts';

export type MetricType = 'counter' | 'gauge' | 'histogram';

export interface MetricOptions {
  name: string;
  help: string;
  labels: readonly string[];
  seriesMax?: number;
}

export interface HistogramOptions extends MetricOptions {
  /** Upper bounds, ascending, without +Inf. */
  bounds: readonly number[];
}

/** Label value of the one series that takes everything above the bound. */
export const OVERFLOW_VALUE = 'overflow';

export class Family<S extends SeriesState> {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly labels: readonly string[];
  readonly series = new Map<string, S>();
  readonly #make: (labels: string, values: readonly string[]) => S;
  readonly #seriesMax: number;
  /** Calls of `with` that were answered with the overflow series. */
  overflows = 0;

  constructor(
    type: MetricType,
    options: MetricOptions,
    make: (labels: string, values: readonly string[]) => S,
  ) {
    this.name = options.name;
    this.help = options.help;
    this.labels = options.labels;
    this.type = type;
    this.#make = make;
    this.#seriesMax = options.seriesMax ?? SERIES_PER_METRIC_MAX;
  }

  /**
   * The handle for these label values, in the order of `labels`, or of `names` for a series with labels of its own. Balance
   * with `release` if it can go stale.
   */
  with(values: readonly string[], names: readonly string[] = this.labels): S {
    assert(values.length === names.length, `${this.name}: one value for each label`);
    const own = names === this.labels ? undefined : names;
    const key = keyOf(values, own);
    let series = this.series.get(key);
    if (series === undefined) {
      if (this.series.size >= this.#seriesMax) return this.#overflow();
      series = this.#make(renderLabels(names, values), [...values]);
      series.names = own;
      this.series.set(key, series);
    }
    series.holders += 1;
    series.staleSweeps = 0;
    return series;
  }

  release(series: S): void {
    if (series.holders > 0) series.holders -= 1;
  }

  /** Drops series that nobody has held for `STALE_SWEEPS` calls. */
  sweep(): void {
    for (const [key, series] of this.series) {
      if (series.holders > 0) continue;
      series.staleSweeps += 1;
      if (series.staleSweeps > STALE_SWEEPS) this.series.delete(key);
    }
  }

  /** This family with the samples of other threads added, for one exposition. */
  plus(samples: readonly MetricSample[]): Family<SeriesState> {
    const { name, help, labels, type } = this;
    const make = (text: string, values: readonly string[]) => this.#make(text, values);
    const total = new Family<SeriesState>(type, { name, help, labels }, make);
    const byKey = Map.groupBy(samples, ({ values, names }) => keyOf(values, names));
    for (const [key, series] of this.series) {
      total.series.set(key, addSamples(series, byKey.get(key) ?? []));
    }
    for (const [key, others] of byKey) {
      if (total.series.has(key)) continue;
      const { values, names = labels } = others[0];
      total.series.set(key, addSamples(make(renderLabels(names, values), values), others));
    }
    return total;
  }

  #overflow(): S {
    this.overflows += 1;
    const values = this.labels.map(() => OVERFLOW_VALUE);
    const key = values.join('\u0000');
    let series = this.series.get(key);
    if (series === undefined) {
      series = this.#make(renderLabels(this.labels, values), values);
      this.series.set(key, series);
    }
    series.holders += 1;
    return series;
  }
}

function keyOf(values: readonly string[], names: readonly string[] | undefined): string {
  const key = values.join('\u0000');
  return names === undefined ? key : `${key}\u0001${names.join('\u0000')}`;
}

export class MetricRegistry {
  readonly #families = new Map<string, Family<SeriesState>>();
  readonly #collectors = new Set<() => void>();

  counter(options: MetricOptions): Family<Counter> {
    return this.#add(new Family('counter', options, (l, v) => new Counter(l, v)));
  }

  gauge(options: MetricOptions): Family<Gauge> {
    return this.#add(new Family('gauge', options, (l, v) => new Gauge(l, v)));
  }

  histogram(options: HistogramOptions): Family<Histogram> {
    const { bounds } = options;
    return this.#add(new Family('histogram', options, (l, v) => new Histogram(l, v, bounds)));
  }

  /** Runs before each exposition: the place to set gauges that are cheaper to read than to keep. */
  onCollect(collect: () => void): Disposer {
    this.#collectors.add(collect);
    return () => void this.#collectors.delete(collect);
  }

  sweep(): void {
    for (const family of this.#families.values()) family.sweep();
  }

  /** Everything as plain values, for the thread that answers the scrape. */
  samples(): MetricSample[] {
    for (const collect of this.#collectors) collect();
    return [...this.#families.values()].flatMap((family) =>
      [...family.series.values()].map((series) => sampleOf(family.name, series)),
    );
  }

  /** What is counted, as text; `others` are the samples of this process's other threads. */
  expose(others: readonly MetricSample[] = [], format: ExpositionFormat = 'text'): string {
    return [...this.exposeParts(others, format)].join('');
  }

  /** The same, a series at a time: the reader decides how much of it one turn renders. */
  *exposeParts(
    others: readonly MetricSample[] = [],
    format: ExpositionFormat = 'text',
  ): Iterable<string> {
    for (const collect of this.#collectors) collect();
    const byName = Map.groupBy(others, ({ name }) => name);
    let overflowed = '';
    for (const family of this.#families.values()) {
      const added = byName.get(family.name);
      yield* renderFamily(added === undefined ? family : family.plus(added), format);
      if (family.overflows > 0) {
        overflowed += `tulle_metric_overflows_total{metric="${family.name}"} ${family.overflows}\n`;
      }
    }
    if (overflowed !== '') {
      const head = familyHead('tulle_metric_overflows_total', OVERFLOWS_HELP, 'counter', format);
      yield `${head}${overflowed}`;
    }
    if (format === 'openmetrics') yield '# EOF\n';
  }

  #add<S extends SeriesState>(family: Family<S>): Family<S> {
    assert(!this.#families.has(family.name), `metric ${family.name} is registered once`);
    this.#families.set(family.name, family as unknown as Family<SeriesState>);
    return family;
  }
}

const OVERFLOWS_HELP = 'Series refused because a metric had too many.';
