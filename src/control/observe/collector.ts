/**
 * Asks every proxy each second for its metrics and status (:15020) and keeps what the graph and `tulle status` need.
 * A proxy that is silent is skipped and shown as such; its neighbours are not held up.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import { isIpv6 } from '#base/ip.ts';
import { SCRAPE_PERIOD_MS, SCRAPE_TIMEOUT_MS } from '../limits.ts';
import type { ProxyReport } from './api.ts';
import { ProxyCounters } from './counters.ts';
import { EdgeStore } from './edge-store.ts';

export interface ScrapeTarget {
  /** `namespace/name` of the pod. */
  readonly key: string;
  readonly kind: 'node' | 'waypoint';
  readonly node: string;
  readonly ip: string;
}

export interface ScrapeState {
  readonly target: ScrapeTarget;
  /** When it last answered, RFC 3339. */
  readonly scrapedAt: string | undefined;
  readonly error: string | undefined;
  readonly report: ProxyReport | undefined;
}

export interface CollectorDeps {
  readonly clock: Clock;
  readonly fetch: (url: string, init: { signal: AbortSignal }) => Promise<Response>;
  readonly targets: () => readonly ScrapeTarget[];
  readonly isWaypoint: (key: string) => boolean;
}

interface Tracked {
  state: ScrapeState;
  counters: ProxyCounters;
  busy: boolean;
}

const METRICS_PORT = 15020;

export class Collector {
  readonly store = new EdgeStore();
  readonly #deps: CollectorDeps;
  readonly #tracked = new Map<string, Tracked>();
  #timer: Timer | undefined;

  constructor(deps: CollectorDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = this.#deps.clock.every(SCRAPE_PERIOD_MS, () => void this.scrapeAll());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** This second, as the store counts. */
  second(): number {
    return Math.floor(this.#deps.clock.now() / 1000);
  }

  state(key: string): ScrapeState | undefined {
    return this.#tracked.get(key)?.state;
  }

  async scrapeAll(): Promise<void> {
    const targets = this.#deps.targets();
    const keys = new Set(targets.map(({ key }) => key));
    for (const key of this.#tracked.keys()) if (!keys.has(key)) this.#tracked.delete(key);
    this.store.prune(this.second());
    await Promise.all(targets.map((target) => this.#scrape(target)));
  }

  async #scrape(target: ScrapeTarget): Promise<void> {
    const tracked = this.#track(target);
    if (tracked.busy) return;
    tracked.busy = true;
    try {
      const [metrics, report] = await Promise.all([
        this.#get(target, '/metrics', (response) => response.text()),
        this.#get(target, '/status', (response) => response.json() as Promise<ProxyReport>),
      ]);
      tracked.counters.read(metrics, {
        store: this.store,
        second: this.second(),
        isWaypoint: this.#deps.isWaypoint,
      });
      const scrapedAt = rfc3339(this.#deps.clock);
      tracked.state = { target, scrapedAt, error: undefined, report };
    } catch (error) {
      tracked.state = { ...tracked.state, target, error: messageOf(error) };
    } finally {
      tracked.busy = false;
    }
  }

  #track(target: ScrapeTarget): Tracked {
    const known = this.#tracked.get(target.key);
    // A pod of the same name with another address is another process.
    if (known !== undefined && known.state.target.ip === target.ip) return known;
    const state = { target, scrapedAt: undefined, error: undefined, report: undefined };
    const tracked = { state, counters: new ProxyCounters(), busy: false };
    this.#tracked.set(target.key, tracked);
    return tracked;
  }

  async #get<T>(
    target: ScrapeTarget,
    path: string,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const { clock, fetch } = this.#deps;
    const abort = new AbortController();
    const silence = new Error(`no answer within ${SCRAPE_TIMEOUT_MS} ms`);
    const timer = clock.after(SCRAPE_TIMEOUT_MS, () => abort.abort(silence));
    const host = isIpv6(target.ip) ? `[${target.ip}]` : target.ip;
    try {
      const response = await fetch(`http://${host}:${METRICS_PORT}${path}`, {
        signal: abort.signal,
      });
      if (!response.ok) throw new Error(`${path} answered ${response.status}`);
      return await read(response);
    } finally {
      timer.cancel();
    }
  }
}
