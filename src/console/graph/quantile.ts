/** Percentiles of latencies that were counted by buckets. Pure. */
import { DEFAULT_BOUNDS } from '#telemetry/metrics/istio.ts';
import { BUCKETS } from '../store/counts.ts';

/** Linear within the bucket, as Prometheus' histogram_quantile; undefined without a latency. Above the last bound nothing more is known. */
export function quantile(latency: Uint32Array, base: number, share: number): number | undefined {
  one[0] = share;
  return quantiles(latency, base, one, oneFound) ? oneFound[0] : undefined;
}

const one = [0];
const oneFound = new Float64Array(1);

/** Several at once, of ascending shares; false without a latency. */
export function quantiles(
  latency: Uint32Array,
  base: number,
  shares: readonly number[],
  into: Float64Array,
): boolean {
  let total = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) total += latency[base + bucket];
  if (total === 0) return false;
  let below = 0;
  let at = 0;
  for (let bucket = 0; bucket < BUCKETS && at < shares.length; bucket++) {
    const count = latency[base + bucket];
    if (count === 0) continue;
    while (at < shares.length && below + count >= shares[at] * total) {
      const lower = bucket === 0 ? 0 : DEFAULT_BOUNDS[bucket - 1];
      const upper = bucket === DEFAULT_BOUNDS.length ? lower : DEFAULT_BOUNDS[bucket];
      into[at] = lower + ((upper - lower) * (shares[at] * total - below)) / count;
      at++;
    }
    below += count;
  }
  return true;
}
