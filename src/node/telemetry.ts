/**
 * Counts and logs connections. `begin` when the routing decision is made, the pipe counts bytes straight into the
 * record, `finish` at the end. Label handles are cached per edge: a connection between known peers costs a
 * map look-up and field updates.
 */
import type { Clock } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { LogLevels } from '#base/log.ts';
import { recentSlot, recentSlots } from '#base/recent.ts';
import { Roster, type Rostered } from '#base/roster.ts';
import { type Service, serviceKey } from '#model/service/service.ts';
import type { PipeCounters } from '#net/pipe/pipe.ts';
import type { LogWriter } from '#telemetry/access-log/log-writer.ts';
import { FlowBook } from '#telemetry/flow/flow-book.ts';
import { flowPeer } from '#telemetry/flow/flow-peer.ts';
import type { FlowTally } from '#telemetry/flow/flow-tally.ts';
import { SeriesBudget } from '#telemetry/metrics/budget.ts';
import {
  type EdgeLabels,
  OTHER,
  OTHER_PEER,
  TCP_LABELS,
  type TcpMetrics,
  tcpMetrics,
  tcpValues,
  UNKNOWN,
} from '#telemetry/metrics/istio.ts';
import { peerLabels } from '#telemetry/metrics/peer-labels.ts';
import type { Family, MetricRegistry } from '#telemetry/metrics/registry.ts';
import { type MetricRules, rulesOf } from '#telemetry/metrics/rules.ts';
import type { Counter } from '#telemetry/metrics/series.ts';
import { type TelemetryReport, unreported } from '#telemetry/report/telemetry-report.ts';
import {
  type AccessLogFormat,
  type ConnectionEnd,
  type ConnectionLog,
  type EarlyFailure,
  putConnection,
  putEarlyFailure,
} from './access-log.ts';
import { type CloseCause, closeCauseOf } from './close-cause.ts';
import { ConnectionAttributes } from './connection-attributes.ts';
import { EdgeCounters } from './edge-counters.ts';
import { EDGE_IDLE_MS } from './limits.ts';
import { type EndedConnection, reportedConnection } from './reported.ts';
import { type ResponseFlag, responseOf } from './respond.ts';
import { logFilter, type ScopeMap, SettingsInForce } from './telemetry-settings.ts';
import type { NodeTracing } from './tracing.ts';

export interface ConnectionFacts extends ConnectionLog {
  readonly requested: Service | undefined;
  readonly mutualTls: boolean;
}

export interface TelemetryDeps {
  clock: Clock;
  registry: MetricRegistry;
  log: Pick<LogWriter, 'put'>;
  /** Those of scope `access` decide which lines are written. */
  levels?: LogLevels;
  /** Of this thread; made here where nobody reports it. */
  flows?: FlowBook;
  /** What is measured and logged, by scope. */
  settings?: () => ScopeMap;
  /** Undefined: no spans are made. */
  tracing?: NodeTracing;
}

const NOTHING: readonly string[] = [];

type FirstEnd = 'downstream' | 'upstream' | undefined;

export const ACCESS_SCOPE = 'access';

export class NodeTelemetry {
  readonly flows: FlowBook;
  /** Takes records and spans of this thread. */
  report: TelemetryReport = unreported('');
  readonly #deps: TelemetryDeps;
  readonly #metrics: TcpMetrics;
  readonly #early: Family<Counter>;
  readonly #levels: LogLevels;
  readonly #format: AccessLogFormat;
  readonly #edges = new Map<string, EdgeCounters>();
  /** Found without their key, which is a long text. */
  readonly #recent = recentSlots<EdgeCounters>();
  readonly #live = new Roster<ConnectionRecord>();
  readonly #settings: SettingsInForce;
  readonly #attributes = new ConnectionAttributes();
  readonly #budget = new SeriesBudget();

  constructor(deps: TelemetryDeps, options: { format: AccessLogFormat }) {
    this.#deps = deps;
    this.#format = options.format;
    this.#levels = deps.levels ?? new LogLevels('info');
    this.#metrics = tcpMetrics(deps.registry);
    this.#settings = new SettingsInForce(deps.settings ?? (() => NO_SETTINGS));
    this.#early = deps.registry.counter({
      name: 'tulle_tcp_early_failures_total',
      help: 'Connections that failed before their destination was known.',
      labels: ['reporter', 'response_flags', 'closed_by', 'reason'],
    });
    this.flows = deps.flows ?? new FlowBook();
    const refused = deps.registry
      .counter({
        name: 'tulle_metric_series_refused_total',
        help: 'What was counted under `other`, because a workload had as many series as it may have.',
        labels: [],
      })
      .with([]);
    deps.registry.onCollect(() => {
      refused.value = this.#budget.refusedTotal;
    });
    const report = () => {
      for (const record of this.#live) record.report();
    };
    deps.registry.onCollect(report);
    this.flows.onTake(report);
  }

  get live(): Iterable<ConnectionRecord> & { readonly size: number } {
    return this.#live;
  }

  begin(facts: ConnectionFacts): ConnectionRecord {
    const edge = this.#edge(facts, '-');
    edge.opened.add(1);
    edge.flow.open();
    edge.live += 1;
    const record = new ConnectionRecord(facts, edge, this.#deps.clock.now(), this.#onFinish);
    this.#live.add(record);
    if (this.#levels.allows(ACCESS_SCOPE, 'debug') && this.#logs(facts) !== false)
      this.#put(facts, undefined);
    return record;
  }

  /** A connection that goes nowhere by decision: counts as failed, never as opened, and gets its log line. */
  refuse(facts: ConnectionFacts, error: MeshError): ConnectionRecord {
    const edge = this.#edge(facts, responseOf(error).flag);
    return new ConnectionRecord(facts, edge, this.#deps.clock.now(), (ended, why, firstEnd) => {
      const cause = closeCauseOf(why, firstEnd);
      edge.fail(cause);
      this.#write(ended, why, cause);
      this.#trace(ended, why, cause);
    });
  }

  failedEarly(facts: Omit<EarlyFailure, 'cause'>): void {
    const cause = closeCauseOf(facts.error, undefined);
    const reporter = facts.direction === 'outbound' ? 'source' : 'destination';
    const { flag } = responseOf(facts.error);
    if (this.report.wantsRecord(true, 0)) {
      const nothing = { durationMs: 0, receivedBytes: 0, sentBytes: 0, edge: undefined };
      this.#offer({ ...facts, ...nothing });
    }
    this.#early.with([reporter, flag, cause.by, cause.reason]).add(1);
    if (!this.#levels.allows(ACCESS_SCOPE, 'warn')) return;
    const { clock, log } = this.#deps;
    const failure = { ...facts, cause };
    log.put(putEarlyFailure, { time: rfc3339(clock), failure, format: this.#format });
  }

  readonly #onFinish = (
    record: ConnectionRecord,
    error: MeshError | undefined,
    firstEnd: FirstEnd,
  ): void => {
    this.#live.remove(record);
    record.edge.live -= 1;
    const edge =
      error === undefined ? record.edge : this.#edge(record.facts, responseOf(error).flag);
    edge.closed.add(1);
    edge.flow.close();
    const cause = closeCauseOf(error, firstEnd);
    if (error !== undefined) edge.fail(cause);
    this.#write(record, error, cause);
    this.#trace(record, error, cause);
  };

  #trace(record: ConnectionRecord, error: MeshError | undefined, cause: CloseCause): void {
    const { facts, startedAt, receivedBytes, sentBytes } = record;
    const { tracing } = this.#deps;
    // Most connections are not traced, and end well.
    if (tracing === undefined || (error === undefined && facts.trace?.records !== true)) return;
    const flag = error === undefined ? '-' : responseOf(error).flag;
    const closedBy = cause.by;
    tracing.finished(facts, { startedAt, receivedBytes, sentBytes, flag, error, closedBy });
  }

  #write(record: ConnectionRecord, error: MeshError | undefined, cause: CloseCause): void {
    const durationMs = this.#deps.clock.now() - record.startedAt;
    if (this.report.wantsRecord(error !== undefined, durationMs)) {
      const { facts, receivedBytes, sentBytes } = record;
      const { direction, source, destination, trace } = facts;
      const edge = record.edge.flow.facts;
      const counted = { durationMs, receivedBytes, sentBytes, edge };
      this.#offer({ direction, source, destination, error, trace, ...counted });
    }
    if (!this.#levels.allows(ACCESS_SCOPE, error === undefined ? 'info' : 'error')) return;
    const { facts } = record;
    const logs = this.#logs(facts);
    if (logs === false) return;
    const outbound = facts.direction === 'outbound';
    const end = {
      bytesSent: outbound ? record.receivedBytes : record.sentBytes,
      bytesReceived: outbound ? record.sentBytes : record.receivedBytes,
      durationMs,
      error,
      cause,
    };
    if (logs !== true) {
      const { receivedBytes, sentBytes } = record;
      const flags = error === undefined ? '-' : responseOf(error).flag;
      const outcome = { ...end, receivedBytes, sentBytes, flags, reason: error?.message };
      if (!logs(this.#attributes.about(facts, outcome))) return;
    }
    this.#put(facts, end);
  }

  #put(log: ConnectionFacts, end: ConnectionEnd | undefined): void {
    const time = rfc3339(this.#deps.clock);
    this.#deps.log.put(putConnection, { time, log, end, format: this.#format });
  }

  #logs(facts: ConnectionFacts): ReturnType<typeof logFilter> {
    return logFilter(this.#settings.of(localOf(facts), facts.direction).accessLog);
  }

  /** Forgets edges that were idle for long, and those that were seen least where a workload has no place left. */
  sweep(): void {
    const oldest = this.#deps.clock.now() - EDGE_IDLE_MS;
    const own = [...this.#edges.values()].filter(({ isShared }) => !isShared);
    const freed = new Set(this.#budget.toFree(own));
    for (const [key, edge] of this.#edges) {
      if (edge.isBusy || (edge.usedAt > oldest && !freed.has(edge))) continue;
      this.#forget(key, edge);
    }
    this.#deps.registry.sweep();
  }

  #forget(key: string, edge: EdgeCounters): void {
    this.#edges.delete(key);
    edge.release();
    if (!edge.isShared) this.#budget.give(edge.owner, edge.places);
  }

  #offer(ended: Omit<EndedConnection, 'proxy' | 'endMs'>): void {
    const { report } = this;
    const endMs = this.#deps.clock.wallTime();
    report.offerRecord(reportedConnection({ ...ended, proxy: report.proxy, endMs }));
  }

  #edge(facts: ConnectionFacts, flag: ResponseFlag): EdgeCounters {
    const local = localOf(facts);
    const rules = rulesOf(this.#settings.of(local, facts.direction).metrics);
    const slot = recentSlot(facts.source.address, facts.destination.address);
    let edge = this.#recent[slot];
    if (edge === undefined || rules.asks || !edge.isOf(facts, rules, flag)) {
      edge = this.#findEdge(facts, rules, flag);
      if (!edge.isShared && !rules.asks) this.#recent[slot] = edge;
    }
    edge.hits += 1;
    edge.usedAt = this.#deps.clock.now();
    return edge;
  }

  #findEdge(facts: ConnectionFacts, rules: MetricRules, flag: ResponseFlag): EdgeCounters {
    const source = facts.sourceWorkload;
    const destination = facts.destinationWorkload;
    const asked = rules.asks ? rules.evaluate(this.#attributes.about(facts)) : NOTHING;
    const service = facts.requested === undefined ? '' : serviceKey(facts.requested);
    const plain = `${facts.direction} ${source?.uid} ${facts.sourceIdentity} ${destination?.uid} ${facts.destinationIdentity} ${service} ${facts.mutualTls} ${flag}`;
    const key = asked.length === 0 ? plain : `${plain} ${asked.join('\u0000')}`;
    let edge = this.#edges.get(key);
    const isStale =
      edge !== undefined &&
      // A workload's labels changed under the same uid, or another Telemetry is in force.
      (edge.source !== source || edge.destination !== destination || edge.rules !== rules);
    if (edge !== undefined && isStale) {
      this.#forget(key, edge);
      edge = undefined;
    }
    if (edge === undefined) {
      const owner = localOf(facts)?.uid ?? UNKNOWN;
      edge = this.#budget.take(owner)
        ? this.#addEdge(key, { owner, facts, rules, flag, asked })
        : this.#sharedEdge({ owner, facts, rules, flag });
    }
    return edge;
  }

  #addEdge(key: string, parts: EdgeParts & { asked: readonly string[] }): EdgeCounters {
    const { owner, facts, rules, flag, asked } = parts;
    const labels = labelsOf(facts);
    const values = valuesOf(labels, facts, flag);
    const flow = this.flows.tally(flowFacts(facts, labels));
    const edge = new EdgeCounters(this.#metrics, {
      owner,
      isShared: false,
      facts,
      rules,
      values,
      asked,
      flow,
      flag,
    });
    this.#edges.set(key, edge);
    return edge;
  }

  /** For what the workload has no place for: who is at the other end is not told. */
  #sharedEdge({ owner, facts, rules, flag }: EdgeParts): EdgeCounters {
    const { direction } = facts;
    const key = `${OTHER} ${owner} ${direction} ${flag}`;
    const known = this.#edges.get(key);
    if (known !== undefined && known.rules === rules) return known;
    if (known !== undefined) this.#forget(key, known);
    const labels = labelsOf(facts);
    const unnamed =
      direction === 'outbound'
        ? {
            ...labels,
            destination: OTHER_PEER,
            service: { host: OTHER, namespace: OTHER, name: OTHER },
          }
        : { ...labels, source: OTHER_PEER };
    const values = valuesOf(unnamed, { ...facts, mutualTls: false }, flag).slice(
      0,
      TCP_LABELS.length,
    );
    const flow = this.flows.tally(flowFacts(facts, unnamed));
    const asked = rules.asks ? rules.evaluate(ANYTHING).map(() => OTHER) : NOTHING;
    const edge = new EdgeCounters(this.#metrics, {
      owner,
      isShared: true,
      facts,
      rules,
      values,
      asked,
      flow,
      flag,
    });
    this.#edges.set(key, edge);
    return edge;
  }
}

interface EdgeParts {
  readonly owner: string;
  readonly facts: ConnectionFacts;
  readonly rules: MetricRules;
  readonly flag: ResponseFlag;
}

const NO_SETTINGS: ScopeMap = new Map();
const ANYTHING = { value: () => undefined, header: () => undefined };

/** The workload of this node. */
function localOf({ direction, sourceWorkload, destinationWorkload }: ConnectionFacts) {
  return direction === 'outbound' ? sourceWorkload : destinationWorkload;
}

function labelsOf(facts: ConnectionFacts): EdgeLabels {
  const { requested } = facts;
  return {
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
}

/** Places last, and only where one is known. */
function valuesOf(
  labels: EdgeLabels,
  facts: ConnectionFacts,
  responseFlags: ResponseFlag,
): string[] {
  const securityPolicy = facts.mutualTls ? 'mutual_tls' : 'unknown';
  const values = tcpValues(labels, { responseFlags, securityPolicy });
  const places = [facts.sourceWorkload, facts.destinationWorkload].flatMap((workload) => {
    const { region = '', zone = '' } = workload?.locality ?? {};
    return [region, zone];
  });
  if (places.every((place) => place === '')) return values;
  return [...values, ...places.map((place) => (place === '' ? UNKNOWN : place))];
}

/** As the metrics name the edge, whatever became of it. */
function flowFacts(facts: ConnectionFacts, labels: EdgeLabels): FlowTally['facts'] {
  const { source, destination, service } = labels;
  return {
    reporter: facts.direction === 'outbound' ? 'source' : 'destination',
    protocol: 'tcp',
    source: flowPeer(source),
    destination: flowPeer(destination, { outside: service.host }),
    service,
    isMutualTls: facts.mutualTls,
  };
}

type OnFinish = (
  record: ConnectionRecord,
  error: MeshError | undefined,
  firstEnd: FirstEnd,
) => void;

/** One live connection; the pipe adds to the byte fields. */
export class ConnectionRecord implements PipeCounters, Rostered {
  /** Among those that are open. */
  place = -1;
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

  /** Moves what was counted since the last report into the metrics: before each scrape and frame, and at the end. */
  report(): void {
    const received = this.receivedBytes - this.#reportedReceived;
    const sent = this.sentBytes - this.#reportedSent;
    this.edge.received.add(received);
    this.edge.sent.add(sent);
    // Received from the client is sent by the source.
    this.edge.flow.bytes(received, sent);
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
