/**
 * A bound on requests in flight that finds itself: while answers take as long as without load it grows, when they take longer it
 * shrinks in proportion (the gradient algorithm of Netflix' concurrency-limits and of Envoy's adaptive concurrency). Looked at in
 * windows; a window with few answers says nothing.
 */
import { ADAPTIVE_BASELINE_WINDOWS, ADAPTIVE_SAMPLES_MIN, ADAPTIVE_WINDOW_MS } from '../limits.ts';

export interface AdaptiveRange {
  readonly minRequests: number;
  readonly maxRequests: number;
  readonly tolerancePercent: number;
}

export class AdaptiveBound {
  requests: number;
  #windowStart: number;
  #samples = 0;
  #sumMs = 0;
  #busiest = 0;
  /** Mean answer times of the last windows. */
  readonly #means: number[] = [];
  #next = 0;

  constructor(range: AdaptiveRange, nowMs: number) {
    this.requests = range.minRequests;
    this.#windowStart = nowMs;
  }

  /** An answer came; `active` is the number of requests in flight, this one included. */
  observe(range: AdaptiveRange, sample: { nowMs: number; tookMs: number; active: number }): void {
    this.#samples += 1;
    this.#sumMs += sample.tookMs;
    this.#busiest = Math.max(this.#busiest, sample.active);
    if (sample.nowMs - this.#windowStart < ADAPTIVE_WINDOW_MS) return;
    if (this.#samples >= ADAPTIVE_SAMPLES_MIN) this.#adapt(range);
    this.#windowStart = sample.nowMs;
    this.#samples = 0;
    this.#sumMs = 0;
    this.#busiest = 0;
  }

  #adapt(range: AdaptiveRange): void {
    const meanMs = this.#sumMs / this.#samples;
    this.#means[this.#next] = meanMs;
    this.#next = (this.#next + 1) % ADAPTIVE_BASELINE_WINDOWS;
    const unloadedMs = Math.min(...this.#means);
    // Below a millisecond the clock and the event loop are most of what is measured.
    const toleratedMs = Math.max(1, (unloadedMs * range.tolerancePercent) / 100);
    const gradient = Math.max(0.5, Math.min(1, toleratedMs / meanMs));
    const headroom = Math.sqrt(this.requests);
    const grown = this.requests * gradient + headroom;
    // A bound that nobody came near to has not proved that more can be borne.
    const isTried = this.#busiest * 2 >= this.requests;
    const next = grown > this.requests && !isTried ? this.requests : grown;
    this.requests = Math.max(range.minRequests, Math.min(range.maxRequests, next));
  }
}
