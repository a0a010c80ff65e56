/** Delay before the next try: full jitter under an exponential bound (Envoy's JitteredExponentialBackOffStrategy). Pure. */
import type { Random } from '#base/random.ts';
import { RETRY_BACKOFF_CAP_FACTOR } from '../limits.ts';

export interface Backoff {
  readonly baseMs: number;
  /** Undefined = ten times the base. */
  readonly maxMs: number | undefined;
  /** 1 before the second try. */
  readonly retry: number;
}

export function retryDelayMs({ baseMs, maxMs, retry }: Backoff, random: Random): number {
  const bound = Math.min(baseMs * 2 ** (retry - 1), maxMs ?? baseMs * RETRY_BACKOFF_CAP_FACTOR);
  return random.fraction() * bound;
}
