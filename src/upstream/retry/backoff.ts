/** Delay before the next try: full jitter under an exponential bound (Envoy's JitteredExponentialBackOffStrategy). Pure. */
import type { Random } from '#base/random.ts';
import { RETRY_BACKOFF_CAP_FACTOR } from '../limits.ts';

/** `retry` is 1 before the second try. */
export function retryDelayMs(baseMs: number, retry: number, random: Random): number {
  const bound = Math.min(baseMs * 2 ** (retry - 1), baseMs * RETRY_BACKOFF_CAP_FACTOR);
  return random.fraction() * bound;
}
