/** How often one client may ask: a bucket of tokens each, bounded in number. Pure but for the time it is told. */
import { CLIENTS_MAX } from './limits.ts';

export class ClientRates {
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();
  readonly #limit: { readonly perSecond: number; readonly burst: number };

  constructor(limit: { readonly perSecond: number; readonly burst: number }) {
    this.#limit = limit;
  }

  /** Seconds to wait; 0: go on. */
  take(client: string, nowMs: number): number {
    const { perSecond, burst } = this.#limit;
    const known = this.#buckets.get(client);
    const since = known === undefined ? 0 : Math.max(0, nowMs - known.atMs);
    const tokens =
      known === undefined ? burst : Math.min(burst, known.tokens + (since / 1000) * perSecond);
    // A Map keeps insertion order: the one that was seen least recently stands in front.
    this.#buckets.delete(client);
    const left = tokens >= 1 ? tokens - 1 : tokens;
    this.#buckets.set(client, { tokens: left, atMs: nowMs });
    if (this.#buckets.size > CLIENTS_MAX) this.#forgetOldest();
    return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / perSecond);
  }

  #forgetOldest(): void {
    const first = this.#buckets.keys().next();
    if (first.done !== true) this.#buckets.delete(first.value);
  }
}
