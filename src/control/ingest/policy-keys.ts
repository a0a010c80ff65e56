/**
 * Fetches the keys that RequestAuthentications name by address and puts them into the graph, so that proxies get them inline and ask
 * nobody, as with istiod. What fails is tried again; the last good keys stay. Until there are any, tokens of their issuer are refused.
 */
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import {
  KEYS_BYTES_MAX,
  KEYS_REFRESH_MS,
  KEYS_RETRY_CAP_MS,
  KEYS_RETRY_INITIAL_MS,
  KEYS_TIMEOUT_MS,
} from '../limits.ts';
import type { PolicyCollections } from './policy-graph.ts';

export interface KeyFetcherDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly fetch: (url: string, init: { signal: AbortSignal }) => Promise<Response>;
}

export interface KeyFetcher {
  /** Every address that is wanted at the start has answered, or has not in time. */
  readonly settled: Promise<unknown>;
  readonly stop: Disposer;
}

type Keys = Pick<PolicyCollections, 'keysWanted' | 'keys'>;

export function startKeyFetcher(deps: KeyFetcherDeps, { keysWanted, keys }: Keys): KeyFetcher {
  const watched = new Map<string, WatchedAddress>();
  const watch = (location: string) => {
    const address = new WatchedAddress(deps, location, keys);
    watched.set(location, address);
    return address.look();
  };
  const forget = (location: string) => {
    watched.get(location)?.stop();
    watched.delete(location);
    keys.delete(location);
  };
  const first = [...keysWanted.entries()].map(([location]) => watch(location));
  const unsubscribe = keysWanted.subscribe((events) => {
    for (const { key, value } of events) {
      if (value === undefined) forget(key);
      else if (!watched.has(key)) void watch(key);
    }
  });
  return {
    settled: Promise.all(first),
    stop() {
      unsubscribe();
      for (const address of watched.values()) address.stop();
    },
  };
}

class WatchedAddress {
  readonly #deps: KeyFetcherDeps;
  readonly #location: string;
  readonly #keys: Keys['keys'];
  readonly #backoff: Backoff;
  #timer: Timer | undefined = undefined;
  #stopped = false;

  constructor(deps: KeyFetcherDeps, location: string, keys: Keys['keys']) {
    this.#deps = deps;
    this.#location = location;
    this.#keys = keys;
    this.#backoff = new Backoff(deps.random, {
      initialMs: KEYS_RETRY_INITIAL_MS,
      capMs: KEYS_RETRY_CAP_MS,
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async look(): Promise<void> {
    let delayMs = KEYS_REFRESH_MS;
    try {
      const jwks = await fetchKeys(this.#deps, this.#location);
      if (this.#stopped) return;
      this.#backoff.reset();
      this.#put({ jwks });
    } catch (error) {
      if (this.#stopped) return;
      delayMs = this.#backoff.nextDelayMs();
      const problem = `no keys from ${this.#location}: ${messageOf(error)}`;
      const { jwks } = this.#keys.get(this.#location) ?? {};
      const kept = jwks === undefined ? 'its tokens are refused' : 'the last good ones stay';
      this.#deps.log.warn('keys of a token issuer', { problem, kept });
      this.#put(jwks === undefined ? { problem } : { jwks, problem });
    }
    this.#timer = this.#deps.clock.after(delayMs, () => void this.look());
  }

  #put(next: { jwks?: string; problem?: string }): void {
    const now = this.#keys.get(this.#location);
    if (now?.jwks !== next.jwks || now?.problem !== next.problem)
      this.#keys.set(this.#location, next);
  }
}

/** The set at an address, or at the one that an issuer's metadata name. Throws an Error that says what is wrong. */
async function fetchKeys(deps: KeyFetcherDeps, location: string): Promise<string> {
  const { clock } = deps;
  const abort = new AbortController();
  const silence = new Error(`no answer within ${KEYS_TIMEOUT_MS} ms`);
  const timer = clock.after(KEYS_TIMEOUT_MS, () => abort.abort(silence));
  try {
    const found = await fetchJson(deps, location, abort.signal);
    if (Array.isArray(found.keys)) return JSON.stringify(found);
    if (typeof found.jwks_uri !== 'string') throw new Error('the answer has no keys');
    const keys = await fetchJson(deps, found.jwks_uri, abort.signal);
    if (!Array.isArray(keys.keys)) throw new Error(`the answer of ${found.jwks_uri} has no keys`);
    return JSON.stringify(keys);
  } finally {
    timer.cancel();
  }
}

async function fetchJson(
  { fetch }: KeyFetcherDeps,
  url: string,
  signal: AbortSignal,
): Promise<{ keys?: unknown; jwks_uri?: unknown }> {
  // The runtime's fetch would read files as well.
  if (!/^https?:/i.test(url)) throw new Error(`${url} is no http or https URL`);
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  const parsed: unknown = JSON.parse(await bounded(response, signal));
  return typeof parsed === 'object' && parsed !== null ? parsed : {};
}

async function bounded({ body }: Response, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const piece of body ?? []) {
    signal.throwIfAborted();
    bytes += piece.length;
    if (bytes > KEYS_BYTES_MAX) throw new Error(`its answer has more than ${KEYS_BYTES_MAX} bytes`);
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}
