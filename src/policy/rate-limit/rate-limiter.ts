/**
 * Decides by rate limits. A bucket is one number, the time at which it would be full again (the generic cell rate algorithm, ITU-T
 * I.371): tokens come back evenly, and a bucket that is full need not be remembered.
 *
 *   full                 full - 1 token                empty: refused until a token is back
 *   fullAt ≤ now         fullAt = now + T              fullAt > now + (burst - 1) · T       T = unit / requests
 */
import type { Clock } from '#base/clock.ts';
import type { Provenance } from '#model/route/route-table.ts';
import type { RateLimit } from '#model/route/traffic-limits.ts';
import { KEY_CHARS_MAX, RATE_LIMIT_KEYS_MAX } from '../limits.ts';

/** What of a request the limits look at. */
export interface RateLimitFacts {
  readonly principal: string | undefined;
  readonly address: string;
  header(name: string): string | undefined;
}

/** The answer to a request over its limit. */
export interface RateLimitRefusal {
  readonly provenance: Provenance;
  readonly reason: string;
  /** Tokens that the bucket holds, and those that are left. */
  readonly limit: number;
  readonly remaining: number;
  /** Until a token is back, and until the bucket is full. At least 1. */
  readonly retryAfterSeconds: number;
  readonly resetSeconds: number;
}

/** Bucket of keys beyond the bound. Values of headers cannot hold a line feed. */
const OVERFLOW_KEY = '\n';

export class RateLimiter {
  readonly #clock: Clock;
  /** Limit id → key → when its bucket is full. */
  readonly #buckets = new Map<string, Map<string, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes a token from every limit's bucket, or none and says which limit refuses. */
  take(limits: readonly RateLimit[], facts: RateLimitFacts): RateLimitRefusal | undefined {
    const now = this.#clock.now();
    for (const limit of limits) {
      const refusal = this.#check(limit, keyOf(limit, facts), now);
      if (refusal !== undefined) return refusal;
    }
    for (const limit of limits) this.#spend(limit, keyOf(limit, facts), now);
    return undefined;
  }

  /** Forgets limits that are configured no more. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#buckets.keys()) if (!ids.has(id)) this.#buckets.delete(id);
  }

  /** Buckets that are remembered. */
  get size(): number {
    let size = 0;
    for (const buckets of this.#buckets.values()) size += buckets.size;
    return size;
  }

  #check(limit: RateLimit, key: string, now: number): RateLimitRefusal | undefined {
    const buckets = this.#buckets.get(limit.id);
    const fullAt = buckets?.get(key) ?? this.#overflowOf(buckets) ?? now;
    const tokenMs = limit.unitMs / limit.requests;
    const missingMs = Math.max(0, fullAt - now);
    const waitMs = missingMs - (limit.burst - 1) * tokenMs;
    // Sums of fractions are never quite whole.
    if (waitMs <= tokenMs * 1e-6) return undefined;
    const { kind, namespace, name } = limit.provenance;
    const whose = key === '' ? '' : ` for ${describeKey(limit, key)}`;
    return {
      provenance: limit.provenance,
      reason: `${kind} ${namespace}/${name} allows ${limit.requests} requests in ${limit.unitMs / 1000} s${whose}`,
      limit: limit.burst,
      remaining: Math.max(0, Math.floor(limit.burst - missingMs / tokenMs + 1e-6)),
      retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
      resetSeconds: Math.max(1, Math.ceil(missingMs / 1000)),
    };
  }

  #spend(limit: RateLimit, key: string, now: number): void {
    let buckets = this.#buckets.get(limit.id);
    if (buckets === undefined) {
      buckets = new Map();
      this.#buckets.set(limit.id, buckets);
    }
    let place = key;
    if (!buckets.has(key) && buckets.size >= RATE_LIMIT_KEYS_MAX) {
      for (const [each, fullAt] of buckets) if (fullAt <= now) buckets.delete(each);
      if (buckets.size >= RATE_LIMIT_KEYS_MAX) place = OVERFLOW_KEY;
    }
    const tokenMs = limit.unitMs / limit.requests;
    buckets.set(place, Math.max(now, buckets.get(place) ?? now) + tokenMs);
  }

  /** Above the bound keys that are not known share one bucket: a flood of keys frees nobody. */
  #overflowOf(buckets: Map<string, number> | undefined): number | undefined {
    return buckets !== undefined && buckets.size >= RATE_LIMIT_KEYS_MAX
      ? buckets.get(OVERFLOW_KEY)
      : undefined;
  }
}

function keyOf({ key }: RateLimit, facts: RateLimitFacts): string {
  switch (key.kind) {
    case 'overall':
      return '';
    case 'source-identity':
      return facts.principal ?? '';
    case 'source-address':
      return facts.address;
    case 'header':
      return shorten(facts.header(key.name) ?? '');
  }
}

/** Long values are remembered by their hash: what a client sends must not decide how much we keep. */
function shorten(value: string): string {
  return value.length <= KEY_CHARS_MAX ? value : `hash ${Bun.hash(value).toString(16)}`;
}

function describeKey({ key }: RateLimit, value: string): string {
  return key.kind === 'header' ? `${key.name} ${value}` : value;
}
