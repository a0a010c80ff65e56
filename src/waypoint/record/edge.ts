/**
 * One source and one endpoint (or, when none was picked, one service) as metrics see them: label values resolved once, and the handles of
 * each answer that was seen between the two. What a Telemetry changes about labels is applied here, when a handle is made.
 */
import type { MetricKey, MetricsSettings } from '#model/telemetry/settings.ts';
import type { FlowOutcome, FlowTally } from '#telemetry/flow/flow-tally.ts';
import type { Holder } from '#telemetry/metrics/budget.ts';
import {
  type EdgeLabels,
  type HttpMetrics,
  type HttpOutcome,
  httpValues,
  type TcpMetrics,
  tcpValues,
} from '#telemetry/metrics/istio.ts';
import type { Family } from '#telemetry/metrics/registry.ts';
import { applyRule, type MetricRules, rulesOf } from '#telemetry/metrics/rules.ts';
import { Counter, Histogram, type SeriesState } from '#telemetry/metrics/series.ts';
import type { EdgeFlows } from './edge-flows.ts';

export interface HttpHandles {
  readonly requests: Counter;
  readonly durationMs: Histogram;
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
  /** Of gRPC alone. */
  readonly requestMessages: Counter | undefined;
  readonly responseMessages: Counter | undefined;
  readonly flow: FlowOutcome;
}

export interface TcpHandles {
  readonly edge: Edge;
  readonly opened: Counter;
  readonly closed: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  readonly failed: Counter;
  readonly flow: FlowTally;
}

export interface EdgeFamilies {
  readonly http: HttpMetrics;
  readonly tcp: TcpMetrics;
}

/** How the connection that is reported is protected, where that is not the client's: a gateway's, onwards. */
type Security = 'mutual_tls' | 'none';

/** What is counted of a metric that is off: nobody reads it. */
const NOWHERE = new Counter('', []);
const NO_HISTOGRAM = new Histogram('', [], []);

export class Edge implements Holder {
  readonly owner: string;
  readonly labels: EdgeLabels;
  /** What `rules` was made of: in force as long as these are. */
  readonly settings: MetricsSettings;
  readonly rules: MetricRules;
  readonly security: Security | undefined;
  /** Takes what others have no place for. */
  readonly isShared: boolean;
  readonly flows: EdgeFlows;
  /** Outcomes without flag and gRPC status, by status code. */
  readonly byCode = new Map<number, HttpHandles>();
  readonly byOutcome = new Map<string, HttpHandles>();
  readonly tcp = new Map<string, TcpHandles>();
  usedAt = 0;
  hits = 0;
  /** Connections of bytes that run. */
  live = 0;
  readonly #families: EdgeFamilies;
  /** What is held, to be released. */
  readonly #held: [Family<SeriesState>, SeriesState][] = [];

  constructor(
    families: EdgeFamilies,
    parts: {
      owner: string;
      labels: EdgeLabels;
      settings: MetricsSettings;
      security: Security | undefined;
      flows: EdgeFlows;
      isShared: boolean;
    },
  ) {
    this.#families = families;
    this.owner = parts.owner;
    this.labels = parts.labels;
    this.settings = parts.settings;
    this.rules = rulesOf(parts.settings);
    this.security = parts.security;
    this.isShared = parts.isShared;
    this.flows = parts.flows;
  }

  get places(): number {
    return this.byCode.size + this.byOutcome.size + this.tcp.size;
  }

  get isBusy(): boolean {
    return this.live > 0;
  }

  makeHttp(
    outcome: HttpOutcome,
    { asked, flow }: { asked: readonly string[]; flow: FlowOutcome },
  ): HttpHandles {
    const { http } = this.#families;
    const values = httpValues(this.labels, outcome);
    const of = <S extends Counter | Histogram>(key: MetricKey, family: Family<S>, none: S): S =>
      this.#handle(key, { family, none }, { values, asked });
    const isGrpc = outcome.requestProtocol === 'grpc';
    const messages = (key: MetricKey, family: Family<Counter>) =>
      isGrpc ? of(key, family, NOWHERE) : undefined;
    return {
      requests: of('REQUEST_COUNT', http.requests, NOWHERE),
      durationMs: of('REQUEST_DURATION', http.durationMs, NO_HISTOGRAM),
      requestBytes: of('REQUEST_SIZE', http.requestBytes, NO_HISTOGRAM),
      responseBytes: of('RESPONSE_SIZE', http.responseBytes, NO_HISTOGRAM),
      requestMessages: messages('GRPC_REQUEST_MESSAGES', http.requestMessages),
      responseMessages: messages('GRPC_RESPONSE_MESSAGES', http.responseMessages),
      flow,
    };
  }

  makeTcp(
    flags: string,
    { security, failedBy }: { security: Security; failedBy: readonly [by: string, reason: string] },
    asked: readonly string[],
  ): TcpHandles {
    const { tcp } = this.#families;
    const securityPolicy = this.security ?? security;
    const values = tcpValues(this.labels, { responseFlags: flags, securityPolicy });
    const of = (key: MetricKey, family: Family<Counter>, all = values) =>
      this.#handle(key, { family, none: NOWHERE }, { values: all, asked });
    return {
      edge: this,
      opened: of('TCP_OPENED_CONNECTIONS', tcp.opened),
      closed: of('TCP_CLOSED_CONNECTIONS', tcp.closed),
      received: of('TCP_RECEIVED_BYTES', tcp.received),
      sent: of('TCP_SENT_BYTES', tcp.sent),
      // Not one of those that a Telemetry names: it follows the connections that were opened.
      failed: of('TCP_OPENED_CONNECTIONS', tcp.failed, [...values, ...failedBy]),
      flow: this.flows.tally('tcp'),
    };
  }

  release(): void {
    for (const [family, series] of this.#held) family.release(series);
    this.#held.length = 0;
  }

  #handle<S extends Counter | Histogram>(
    key: MetricKey,
    { family, none }: { family: Family<S>; none: S },
    { values, asked }: { values: readonly string[]; asked: readonly string[] },
  ): S {
    if (this.rules.isDisabled(key)) return none;
    const rule = this.rules.labelsOf(key, family.labels);
    const series =
      rule === undefined
        ? family.with(values)
        : family.with(applyRule(rule, values, asked), rule.names);
    this.#held.push([family as unknown as Family<SeriesState>, series]);
    return series;
  }
}
