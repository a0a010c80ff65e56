/**
 * What a proxy lets through of the requests that it could serve: rates by token bucket, and load by what it can bear. Compiled from
 * `LocalRateLimit` and `LoadShedding` (tulle.dev/v1); each proxy counts for itself.
 */
import type { Provenance } from './route-table.ts';

/** Whose requests share a bucket. */
export type RateLimitKey =
  | { readonly kind: 'overall' }
  /** The caller's proven identity; callers without one share a bucket. */
  | { readonly kind: 'source-identity' }
  /** The client's address; at a gateway as the proxies in front of it say. */
  | { readonly kind: 'source-address' }
  /** The value of a request header; lower-case name. Requests without it share a bucket. */
  | { readonly kind: 'header'; readonly name: string };

export interface RateLimit {
  /** Names the buckets: what is equal in two tables counts together. */
  readonly id: string;
  readonly provenance: Provenance;
  readonly key: RateLimitKey;
  /** Tokens that come back in each unit, evenly. */
  readonly requests: number;
  readonly unitMs: number;
  /** Tokens that a bucket holds. */
  readonly burst: number;
}

export interface LoadShedding {
  /** Names the counters: what is equal in two tables counts together. */
  readonly id: string;
  readonly provenance: Provenance;
  /** Requests in flight. */
  readonly maxRequests?: number;
  /** The bound finds itself from how answer times change with load, between the given ones. */
  readonly adaptive?: {
    readonly minRequests: number;
    /** Answer times may grow to this percentage of the unloaded ones before the bound shrinks; over 100. */
    readonly tolerancePercent: number;
  };
  /** The proxy itself is late by this much: its processor is the bottleneck. */
  readonly eventLoopLagMs?: number;
  /** Classes from the most important down; a request of none of them counts as the last. */
  readonly priority?: { readonly header: string; readonly classes: readonly string[] };
  /** What refused clients are told to wait. */
  readonly retryAfterSeconds: number;
}
