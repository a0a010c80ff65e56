/**
 * Counts and logs connections. `begin` when the routing decision is made, the pipe counts bytes straight into the
 * record, `finish` at the end. Label handles are cached per edge: a connection between known peers costs a
 * map look-up and field updates.
 */
import type { Clock } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { LogLevels } from '#base/log.ts';
import { type Service, serviceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { SocketAddress } from '#net/connection.ts';
import type { PipeCounters } from '#net/pipe/pipe.ts';
import {
  type EdgeLabels,
  type TcpMetrics,
  tcpMetrics,
  tcpValues,
} from '#telemetry/metrics/istio.ts';
import { peerLabels } from '#telemetry/metrics/peer-labels.ts';
import type { Family, MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { Counter } from '#telemetry/metrics/series.ts';
import {
  type AccessLogFormat,
  type ConnectionLog,
  formatConnection,
  formatEarlyFailure,
  formatOpened,
} from './access-log.ts';
import { type CloseCause, closeCauseOf } from './close-cause.ts';
import { EDGES_MAX } from './limits.ts';
import { type ResponseFlag, responseOf } from './respond.ts';

export interface ConnectionFacts extends ConnectionLog {
  readonly requested: Service | undefined;
  readonly mutualTls: boolean;
}

export interface TelemetryDeps {
  clock: Clock;
  registry: MetricRegistry;
  /** Takes whole lines. */
  log: { write(line: string): void };
  /** Those of scope `access` decide which lines are written. */
  levels?: LogLevels;
}

interface EdgeCounters {
  readonly source: Workload | undefined;
  readonly destination: Workload | undefined;
  readonly opened: Counter;
  readonly closed: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  /** Label values of all of them. */
  readonly values: readonly string[];
  /** By cause; made when one is first seen. */
  readonly failed: Map<string, Counter>;
}

type FirstEnd = 'downstream' | 'upstream' | undefined;

export const ACCESS_SCOPE = 'access';

export class NodeTelemetry {
  readonly #deps: TelemetryDeps;
  readonly #metrics: TcpMetrics;
  readonly #early: Family<Counter>;
  readonly #levels: LogLevels;
  readonly #format: AccessLogFormat;
  readonly #edges = new Map<string, EdgeCounters>();
  readonly #live = new Set<ConnectionRecord>();

  constructor(deps: TelemetryDeps, options: { format: AccessLogFormat }) {
    this.#deps = deps;
    this.#format = options.format;
    this.#levels = deps.levels ?? new LogLevels('info');
    this.#metrics = tcpMetrics(deps.registry);
    this.#early = deps.registry.counter({
      name: 'tulle_tcp_early_failures_total',
      help: 'Connections that failed before their destination was known.',
      labels: ['reporter', 'response_flags', 'closed_by', 'reason'],
    });
    deps.registry.onCollect(() => {
      for (const record of this.#live) record.report();
    });
  }

  get live(): ReadonlySet<ConnectionRecord> {
    return this.#live;
  }

  begin(facts: ConnectionFacts): ConnectionRecord {
    const edge = this.#edge(facts, '-');
    edge.opened.add(1);
    const record = new ConnectionRecord(facts, edge, this.#deps.clock.now(), this.#onFinish);
    this.#live.add(record);
    const { clock, log } = this.#deps;
    if (this.#levels.allows(ACCESS_SCOPE, 'debug'))
      log.write(formatOpened(rfc3339(clock), facts, this.#format));
    return record;
  }

  /** A connection that goes nowhere by decision: counts as failed, never as opened, and gets its log line. */
  refuse(facts: ConnectionFacts, error: MeshError): ConnectionRecord {
    const edge = this.#edge(facts, responseOf(error).flag);
    return new ConnectionRecord(facts, edge, this.#deps.clock.now(), (ended, why, firstEnd) => {
      const cause = closeCauseOf(why, firstEnd);
      this.#failed(edge, cause);
      this.#write(ended, why, cause);
    });
  }

  failedEarly(facts: {
    direction: 'inbound' | 'outbound';
    source: SocketAddress;
    destination: SocketAddress;
    error: MeshError;
  }): void {
    const cause = closeCauseOf(facts.error, undefined);
    const reporter = facts.direction === 'outbound' ? 'source' : 'destination';
    const { flag } = responseOf(facts.error);
    this.#early.with([reporter, flag, cause.by, cause.reason]).add(1);
    if (!this.#levels.allows(ACCESS_SCOPE, 'warn')) return;
    const { clock, log } = this.#deps;
    log.write(formatEarlyFailure(rfc3339(clock), { ...facts, cause }, this.#format));
  }

  readonly #onFinish = (
    record: ConnectionRecord,
    error: MeshError | undefined,
    firstEnd: FirstEnd,
  ): void => {
    this.#live.delete(record);
    const edge =
      error === undefined ? record.edge : this.#edge(record.facts, responseOf(error).flag);
    edge.closed.add(1);
    const cause = closeCauseOf(error, firstEnd);
    if (error !== undefined) this.#failed(edge, cause);
    this.#write(record, error, cause);
  };

  #failed(edge: EdgeCounters, { by, reason }: CloseCause): void {
    const key = `${by} ${reason}`;
    let counter = edge.failed.get(key);
    if (counter === undefined) {
      counter = this.#metrics.failed.with([...edge.values, by, reason]);
      edge.failed.set(key, counter);
    }
    counter.add(1);
  }

  #write(record: ConnectionRecord, error: MeshError | undefined, cause: CloseCause): void {
    if (!this.#levels.allows(ACCESS_SCOPE, error === undefined ? 'info' : 'error')) return;
    const { clock, log } = this.#deps;
    const { facts } = record;
    const outbound = facts.direction === 'outbound';
    const end = {
      bytesSent: outbound ? record.receivedBytes : record.sentBytes,
      bytesReceived: outbound ? record.sentBytes : record.receivedBytes,
      durationMs: clock.now() - record.startedAt,
      error,
      cause,
    };
    log.write(formatConnection(rfc3339(clock), facts, end, this.#format));
  }

  #edge(facts: ConnectionFacts, flag: ResponseFlag): EdgeCounters {
    const source = facts.sourceWorkload;
    const destination = facts.destinationWorkload;
    const service = facts.requested === undefined ? '' : serviceKey(facts.requested);
    const key = `${facts.direction} ${source?.uid} ${facts.sourceIdentity} ${destination?.uid} ${facts.destinationIdentity} ${service} ${facts.mutualTls} ${flag}`;
    const known = this.#edges.get(key);
    if (known !== undefined) {
      if (known.source === source && known.destination === destination) return known;
      // A workload's labels changed under the same uid.
      this.#release(known);
    }
    if (this.#edges.size >= EDGES_MAX) {
      for (const edge of this.#edges.values()) this.#release(edge);
      this.#edges.clear();
    }
    const edge = this.#makeEdge(facts, flag);
    this.#edges.set(key, edge);
    return edge;
  }

  #makeEdge(facts: ConnectionFacts, responseFlags: ResponseFlag): EdgeCounters {
    const { requested } = facts;
    const labels: EdgeLabels = {
      reporter: facts.direction === 'outbound' ? 'source' : 'destination',
      source: peerLabels(facts.sourceWorkload, { principal: facts.sourceIdentity }),
      destination: peerLabels(facts.destinationWorkload, {
        principal: facts.destinationIdentity,
        principalFromDiscovery: true,
      }),
      service: {
        host: requested?.hostname ?? '',
        namespace: requested?.namespace ?? '',
        name: requested?.name ?? '',
      },
    };
    const securityPolicy = facts.mutualTls ? 'mutual_tls' : 'unknown';
    const values = tcpValues(labels, { responseFlags, securityPolicy });
    const { opened, closed, received, sent } = this.#metrics;
    return {
      source: facts.sourceWorkload,
      destination: facts.destinationWorkload,
      opened: opened.with(values),
      closed: closed.with(values),
      received: received.with(values),
      sent: sent.with(values),
      values,
      failed: new Map(),
    };
  }

  #release(edge: EdgeCounters): void {
    const { opened, closed, received, sent, failed } = this.#metrics;
    opened.release(edge.opened);
    closed.release(edge.closed);
    received.release(edge.received);
    sent.release(edge.sent);
    for (const counter of edge.failed.values()) failed.release(counter);
  }
}

type OnFinish = (
  record: ConnectionRecord,
  error: MeshError | undefined,
  firstEnd: FirstEnd,
) => void;

/** One live connection; the pipe adds to the byte fields. */
export class ConnectionRecord implements PipeCounters {
  receivedBytes = 0;
  sentBytes = 0;
  readonly facts: ConnectionFacts;
  readonly startedAt: number;
  readonly edge: EdgeCounters;
  readonly #onFinish: OnFinish;
  #reportedReceived = 0;
  #reportedSent = 0;
  #finished = false;

  constructor(facts: ConnectionFacts, edge: EdgeCounters, startedAt: number, onFinish: OnFinish) {
    this.facts = facts;
    this.edge = edge;
    this.startedAt = startedAt;
    this.#onFinish = onFinish;
  }

  /** Moves what was counted since the last report into the metrics: before each scrape, and at the end. */
  report(): void {
    this.edge.received.add(this.receivedBytes - this.#reportedReceived);
    this.edge.sent.add(this.sentBytes - this.#reportedSent);
    this.#reportedReceived = this.receivedBytes;
    this.#reportedSent = this.sentBytes;
  }

  /** `firstEnd`: who sent FIN first, when it ended in order. */
  finish(error: MeshError | undefined, firstEnd?: FirstEnd): void {
    if (this.#finished) return;
    this.#finished = true;
    this.report();
    this.#onFinish(this, error, firstEnd);
  }
}
