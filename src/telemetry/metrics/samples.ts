/**
 * What a registry holds, as plain values that can cross a thread: a data worker sends its samples, the thread that
 * answers the scrape adds them up. Counters and gauges add; histograms add bucket by bucket.
 */
import { Counter, Gauge, Histogram, type SeriesState } from './series.ts';

export type MetricSample =
  | {
      readonly name: string;
      readonly values: readonly string[];
      /** Undefined: the family's own label names. */
      readonly names: readonly string[] | undefined;
      readonly value: number;
    }
  | {
      readonly name: string;
      readonly values: readonly string[];
      readonly names: readonly string[] | undefined;
      readonly sum: number;
      readonly count: number;
      readonly buckets: readonly number[];
    };

export function sampleOf(name: string, series: SeriesState): MetricSample {
  const values = [...series.values];
  const { names } = series;
  if (series instanceof Histogram) {
    const { sum, count, buckets } = series;
    return { name, values, names, sum, count, buckets: [...buckets] };
  }
  const value = series instanceof Counter || series instanceof Gauge ? series.value : 0;
  return { name, values, names, value };
}

/** A copy of `series` with the samples of the same label values added. */
export function addSamples(
  series: SeriesState,
  samples: readonly MetricSample[],
): Counter | Gauge | Histogram {
  if (series instanceof Histogram) {
    const total = new Histogram(series.labels, series.values, series.bounds);
    total.sum = series.sum;
    total.count = series.count;
    total.buckets.set(series.buckets);
    total.exemplars = series.exemplars;
    for (const sample of samples) {
      if (!('buckets' in sample)) continue;
      total.sum += sample.sum;
      total.count += sample.count;
      for (let at = 0; at < total.buckets.length; at++)
        total.buckets[at] += sample.buckets[at] ?? 0;
    }
    return total;
  }
  const total =
    series instanceof Gauge
      ? new Gauge(series.labels, series.values)
      : new Counter(series.labels, series.values);
  total.value = (series as Counter | Gauge).value;
  for (const sample of samples) if ('value' in sample) total.value += sample.value;
  return total;
}
