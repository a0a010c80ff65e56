/**
 * Asks every proxy each second for its status (:15020), and one that has no telemetry stream for its metrics: their differences go to the same sink
 * as what others report. A proxy that is silent is skipped and shown as such; its neighbours are not held up.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { TelemetrySink } from '#console/telemetry-sink.ts';
import type { FlowEdge } from '#telemetry/flow/flow-frame.ts';
import { SCRAPE_PERIOD_MS, SCRAPE_TIMEOUT_MS } from '../limits.ts';
import type { ProxyReport } from './api.ts';
import { CounterRate, type ProcessUse } from './counter-rate.ts';
import { ProxyCounters, type ScrapedFlows } from './counters.ts';
import { SCRAPE_WITHOUT_STREAM_MS } from './limits.ts';

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
  readonly sink: TelemetrySink;
  readonly refine: (edge: FlowEdge) => FlowEdge;
  /** It has, or had, a telemetry stream: that tells more. */
  readonly hasStreamed: (proxy: string) => boolean;
  /** Another round of all proxies begins. */
  readonly onRound: () => void;
}

interface Tracked {
  state: ScrapeState;
  /** Undefined once it is known to report by itself. */
  counters: ProxyCounters | undefined;
  readonly cpu: CounterRate;
  readonly seenAt: number;
  /** The sink was told of it. */
  isOpen: boolean;
  busy: boolean;
}

const METRICS_PORT = 15020;

export class Collector {
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

  /** This second, as frames count. */
  second(): number {
    return Math.floor(this.#deps.clock.wallTime() / 1000);
  }

  state(key: string): ScrapeState | undefined {
    return this.#tracked.get(key)?.state;
  }

  /** What the process of a proxy uses, as far as it says so. */
  use(key: string): ProcessUse | undefined {
    const tracked = this.#tracked.get(key);
    return (
      tracked && { memoryBytes: tracked.state.report?.memoryBytes, cpu: tracked.cpu.perSecond }
    );
  }

  async scrapeAll(): Promise<void> {
    const targets = this.#deps.targets();
    const keys = new Set(targets.map(({ key }) => key));
    this.#deps.onRound();
    for (const [key, tracked] of this.#tracked) if (!keys.has(key)) this.#drop(key, tracked);
    await Promise.all(targets.map((target) => this.#scrape(target)));
  }

  async #scrape(target: ScrapeTarget): Promise<void> {
    const tracked = this.#track(target);
    if (tracked.busy) return;
    tracked.busy = true;
    try {
      if (this.#deps.hasStreamed(target.key)) this.#close(target.key, tracked);
      const { counters } = tracked;
      const [metrics, report] = await Promise.all([
        counters && this.#get(target, '/metrics', (response) => response.text()),
        this.#get(target, '/status', (response) => response.json() as Promise<ProxyReport>),
      ]);
      if (counters !== undefined && metrics !== undefined)
        this.#book(target.key, tracked, counters.read(metrics));
      const scrapedAt = rfc3339(this.#deps.clock);
      tracked.state = { target, scrapedAt, error: undefined, report };
      if (report.cpuSeconds !== undefined)
        tracked.cpu.add(this.#deps.clock.now(), report.cpuSeconds);
    } catch (error) {
      tracked.state = { ...tracked.state, target, error: messageOf(error) };
    } finally {
      tracked.busy = false;
    }
  }

  #book(proxy: string, tracked: Tracked, { edges, samples }: ScrapedFlows): void {
    const { clock, sink, refine, hasStreamed } = this.#deps;
    // It may have begun to report while it was asked.
    if (hasStreamed(proxy)) return;
    const isOurs = clock.now() - tracked.seenAt < SCRAPE_WITHOUT_STREAM_MS;
    if (!tracked.isOpen) sink.opened(proxy);
    tracked.isOpen = true;
    for (const edge of edges) sink.edge(proxy, refine(edge));
    // It may be one that is about to report these seconds itself.
    if (isOurs) return;
    const second = this.second();
    sink.frame(proxy, { second, samples }, { second, receivedMs: clock.wallTime() });
  }

  /** It reports by itself. */
  #close(proxy: string, tracked: Tracked): void {
    tracked.counters = undefined;
    // The stream opened it anew since: this is not its end.
    if (tracked.isOpen && !this.#deps.hasStreamed(proxy)) this.#deps.sink.closed(proxy);
    tracked.isOpen = false;
  }

  #drop(key: string, tracked: Tracked): void {
    this.#tracked.delete(key);
    this.#close(key, tracked);
  }

  #track(target: ScrapeTarget): Tracked {
    const known = this.#tracked.get(target.key);
    // A pod of the same name with another address is another process.
    if (known !== undefined && known.state.target.ip === target.ip) return known;
    if (known !== undefined) this.#drop(target.key, known);
    const state = { target, scrapedAt: undefined, error: undefined, report: undefined };
    const counters = new ProxyCounters({ isGateway: target.kind === 'waypoint' });
    const seenAt = this.#deps.clock.now();
    const cpu = new CounterRate();
    const tracked = { state, counters, cpu, seenAt, isOpen: false, busy: false };
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
    try {
      const response = await fetch(`http://${formatHostPort(target.ip, METRICS_PORT)}${path}`, {
        signal: abort.signal,
      });
      if (!response.ok) throw new Error(`${path} answered ${response.status}`);
      return await read(response);
    } finally {
      timer.cancel();
    }
  }
}
