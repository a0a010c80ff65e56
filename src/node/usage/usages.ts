/**
 * The usage of every pod of this node. Counts each refusal in a metric, and says it in the log now and then: a flood of
 * newcomers must not become a flood of lines.
 */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { FairLoop } from '#net/fair/fair-loop.ts';
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { LIMIT_LOG_PERIOD_MS } from '../limits.ts';
import { type LimitName, Meter } from './meter.ts';
import type { PodLimits } from './pod-limits.ts';
import { type OnLimit, PodUsage } from './pod-usage.ts';

interface Named {
  readonly namespace: string;
  readonly name: string;
}

export interface UsageReport {
  readonly namespace: string;
  readonly pod: string;
  readonly bufferedBytes: number;
  readonly queuedBytes: number;
  /** Of either. */
  readonly bufferedBytesMax: number;
  readonly limits: Readonly<Record<string, { current: number; max: number; refused: number }>>;
}

export class Usages {
  readonly limits: PodLimits;
  /** Pods ever begun and ended here. */
  opened = 0;
  closed = 0;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #loop: FairLoop;
  readonly #hits;
  readonly #open = new Map<PodUsage, Named>();

  constructor(deps: { clock: Clock; log: Logger; registry: MetricRegistry }, limits: PodLimits) {
    this.limits = limits;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#loop = new FairLoop(deps);
    this.#hits = deps.registry.counter({
      name: 'tulle_limit_hits_total',
      help: 'Connections and streams refused because their pod was at a limit.',
      labels: ['limit', 'namespace', 'pod'],
    });
    const sockets = deps.registry.gauge({
      name: 'istio_tcp_sockets_open',
      help: 'Open sockets that were accepted, by reporter.',
      labels: ['reporter'],
    });
    const [source, destination] = ['source', 'destination'].map((each) => sockets.with([each]));
    deps.registry.onCollect(() => {
      const usages = [...this.#open.keys()];
      source.set(usages.reduce((sum, { outbound }) => sum + outbound.current, 0));
      destination.set(usages.reduce((sum, { inbound }) => sum + inbound.current, 0));
    });
  }

  open(pod: Named): PodUsage {
    const usage = new PodUsage(this.limits, this.#loop.share(), this.#reporter(pod));
    this.#open.set(usage, pod);
    this.opened += 1;
    return usage;
  }

  /** A limit that all pods share. */
  shared(limit: LimitName, max: number): Meter {
    return new Meter(limit, max, this.#reporter({ namespace: '*', name: '*' }));
  }

  close(usage: PodUsage): void {
    if (!this.#open.delete(usage)) return;
    this.closed += 1;
    usage.share.close();
  }

  report(): UsageReport[] {
    return [...this.#open].map(([usage, pod]) => ({
      namespace: pod.namespace,
      pod: pod.name,
      bufferedBytes: usage.bytes,
      queuedBytes: usage.queued.bytes,
      bufferedBytesMax: usage.bytesMax,
      limits: Object.fromEntries(
        usage.meters.map(({ limit, current, max, refused }) => [limit, { current, max, refused }]),
      ),
    }));
  }

  #reporter(pod: Named): OnLimit {
    const nextLog = new Map<LimitName, number>();
    return ({ limit, max, refused }) => {
      const series = this.#hits.with([limit, pod.namespace, pod.name]);
      series.add(1);
      this.#hits.release(series);
      const now = this.#clock.now();
      if (now < (nextLog.get(limit) ?? Number.NEGATIVE_INFINITY)) return;
      nextLog.set(limit, now + LIMIT_LOG_PERIOD_MS);
      const name = `${pod.namespace}/${pod.name}`;
      this.#log.warn('limit reached, newcomers of this pod are refused', {
        pod: name,
        limit,
        max,
        refused,
      });
    };
  }
}
