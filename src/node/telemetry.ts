/**
 * Counts and logs connections. `begin` when the routing decision is made, the pipe counts bytes straight into the
 * record, `finish` at the end. Label handles are cached per edge: a connection between known peers costs a
 * map look-up and field updates.
 */
import type { Clock } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
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
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { Counter } from '#telemetry/metrics/series.ts';
import {
  type AccessLogFormat,
  type ConnectionLog,
  formatConnection,
  formatEarlyFailure,
} from './access-log.ts';
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
}

interface EdgeCounters {
  readonly source: Workload | undefined;
  readonly destination: Workload | undefined;
  readonly opened: Counter;
  readonly closed: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  readonly failed: Counter;
}

export class NodeTelemetry {
  readonly #deps: TelemetryDeps;
  readonly #metrics: TcpMetrics;
  readonly #format: AccessLogFormat;
  readonly #edges = new Map<string, EdgeCounters>();
  readonly #live = new Set<ConnectionRecord>();

  constructor(deps: TelemetryDeps, options: { format: AccessLogFormat }) {
    this.#deps = deps;
    this.#format = options.format;
    this.#metrics = tcpMetrics(deps.registry);
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
    const record = new ConnectionRecord(facts, edge, this.#deps.clock.now(), (ended, error) => {
      this.#finish(ended, error);
    });
    this.#live.add(record);
    return record;
  }

  /** A connection that goes nowhere by decision: counts as failed, never as opened, and gets its log line. */
  refuse(facts: ConnectionFacts, error: MeshError): ConnectionRecord {
    const edge = this.#edge(facts, responseOf(error).flag);
    return new ConnectionRecord(facts, edge, this.#deps.clock.now(), (ended, why) => {
      edge.failed.add(1);
      this.#write(ended, why);
    });
  }

  failedEarly(facts: {
    direction: 'inbound' | 'outbound';
    source: SocketAddress;
    destination: SocketAddress;
    error: MeshError;
  }): void {
    this.#deps.log.write(formatEarlyFailure(rfc3339(this.#deps.clock), facts, this.#format));
  }

  #finish(record: ConnectionRecord, error: MeshError | undefined): void {
    const { facts } = record;
    this.#live.delete(record);
    const edge = this.#edge(facts, error === undefined ? '-' : responseOf(error).flag);
    edge.closed.add(1);
    if (error !== undefined) edge.failed.add(1);
    this.#write(record, error);
  }

  #write(record: ConnectionRecord, error: MeshError | undefined): void {
    const { clock, log } = this.#deps;
    const { facts } = record;
    const outbound = facts.direction === 'outbound';
    const end = {
      bytesSent: outbound ? record.receivedBytes : record.sentBytes,
      bytesReceived: outbound ? record.sentBytes : record.receivedBytes,
      durationMs: clock.now() - record.startedAt,
      error,
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
    const { opened, closed, received, sent, failed } = this.#metrics;
    return {
      source: facts.sourceWorkload,
      destination: facts.destinationWorkload,
      opened: opened.with(values),
      closed: closed.with(values),
      received: received.with(values),
      sent: sent.with(values),
      failed: failed.with(values),
    };
  }

  #release(edge: EdgeCounters): void {
    const { opened, closed, received, sent, failed } = this.#metrics;
    opened.release(edge.opened);
    closed.release(edge.closed);
    received.release(edge.received);
    sent.release(edge.sent);
    failed.release(edge.failed);
  }
}

/** One live connection; the pipe adds to the byte fields. */
export class ConnectionRecord implements PipeCounters {
  receivedBytes = 0;
  sentBytes = 0;
  readonly facts: ConnectionFacts;
  readonly startedAt: number;
  readonly #edge: EdgeCounters;
  readonly #onFinish: (record: ConnectionRecord, error: MeshError | undefined) => void;
  #reportedReceived = 0;
  #reportedSent = 0;
  #finished = false;

  constructor(
    facts: ConnectionFacts,
    edge: EdgeCounters,
    startedAt: number,
    onFinish: (record: ConnectionRecord, error: MeshError | undefined) => void,
  ) {
    this.facts = facts;
    this.#edge = edge;
    this.startedAt = startedAt;
    this.#onFinish = onFinish;
  }

  /** Moves what was counted since the last report into the metrics: before each scrape, and at the end. */
  report(): void {
    this.#edge.received.add(this.receivedBytes - this.#reportedReceived);
    this.#edge.sent.add(this.sentBytes - this.#reportedSent);
    this.#reportedReceived = this.receivedBytes;
    this.#reportedSent = this.sentBytes;
  }

  finish(error: MeshError | undefined): void {
    if (this.#finished) return;
    this.#finished = true;
    this.report();
    this.#onFinish(this, error);
  }
}
