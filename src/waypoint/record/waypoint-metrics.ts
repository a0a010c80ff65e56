/** Metrics of the waypoint beyond Istio's: what is in flight (for autoscalers), mirrored, limited, shed. See docs/resilience.md. */
import type { SeriesBudget } from '#telemetry/metrics/budget.ts';
import type { Family, MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { Counter } from '#telemetry/metrics/series.ts';
import type { Engine } from '../engine.ts';
import type { RequestTracing } from '../tracing/request-tracing.ts';

export type MirrorOutcome = 'answered' | 'failed' | 'dropped';

export class WaypointMetrics {
  readonly #mirrors: Family<Counter>;
  readonly #limited: Family<Counter>;
  readonly #shed: Family<Counter>;

  constructor(registry: MetricRegistry) {
    this.#mirrors = registry.counter({
      name: 'tulle_mirrored_requests_total',
      help: 'Copies of requests, by where they went and what became of them.',
      labels: ['destination_service', 'outcome'],
    });
    this.#limited = registry.counter({
      name: 'tulle_rate_limited_requests_total',
      help: 'Requests that a LocalRateLimit refused.',
      labels: ['destination_service'],
    });
    this.#shed = registry.counter({
      name: 'tulle_shed_requests_total',
      help: 'Requests that a LoadShedding refused.',
      labels: ['destination_service'],
    });
  }

  exposeBudget(registry: MetricRegistry, budget: SeriesBudget): void {
    const refused = registry
      .counter({
        name: 'tulle_metric_series_refused_total',
        help: 'What was counted under `other`, because a workload had as many series as it may have.',
        labels: [],
      })
      .with([]);
    registry.onCollect(() => {
      refused.value = budget.refusedTotal;
    });
  }

  limited(host: string): void {
    this.#limited.with([host]).add(1);
  }

  shed(host: string): void {
    this.#shed.with([host]).add(1);
  }

  mirrored(host: string, outcome: MirrorOutcome): void {
    this.#mirrors.with([host, outcome]).add(1);
  }
}

/** Failures whose spans were too many for their second. */
export function exposeTracing(registry: MetricRegistry, tracing: RequestTracing): void {
  const refused = registry
    .counter({
      name: 'tulle_failure_spans_refused_total',
      help: 'Requests and connections that failed without being sampled and have no spans, because a second has room for so many.',
      labels: [],
    })
    .with([]);
  let reported = 0;
  registry.onCollect(() => {
    refused.add(tracing.failures.refusedTotal - reported);
    reported = tracing.failures.refusedTotal;
  });
}

/** Gauges that are read when they are scraped: a request pays nothing for them. */
export function exposeLoad(registry: MetricRegistry, engine: Engine): void {
  const total = registry
    .gauge({
      name: 'tulle_waypoint_requests_in_flight',
      help: 'Requests and connections that this waypoint handles now.',
      labels: [],
    })
    .with([]);
  const byDestination = registry.gauge({
    name: 'tulle_destination_requests_in_flight',
    help: 'Tries that run at a destination now.',
    labels: ['destination_service', 'subset', 'port'],
  });
  const mirrors = registry
    .gauge({
      name: 'tulle_mirrored_requests_in_flight',
      help: 'Copies of requests that run now.',
      labels: [],
    })
    .with([]);
  registry.onCollect(() => {
    total.set(engine.active);
    mirrors.set(engine.mirrors.active);
    for (const group of engine.upstreams.groups) {
      const { upstream, subset, port } = group.config;
      const gauge = byDestination.with([upstream.hostname, subset ?? '', String(port)]);
      gauge.set(group.active);
      byDestination.release(gauge);
    }
  });
}
