/**
 * The record phase: metrics with Istio's labels and one access log line, for requests and for connections. Label values are
 * resolved once per edge (source, endpoint) and outcome; a request then adds to handles.
 */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import type { AccessLogFormat } from '#telemetry/access-log/format.ts';
import type { LogWriter } from '#telemetry/access-log/log-writer.ts';
import { FlowBook } from '#telemetry/flow/flow-book.ts';
import type { FlowTally } from '#telemetry/flow/flow-tally.ts';
import { SHARED_OUTCOMES_MAX } from '#telemetry/limits.ts';
import { SeriesBudget } from '#telemetry/metrics/budget.ts';
import {
  type EdgeLabels,
  httpMetrics,
  OTHER,
  OTHER_PEER,
  type PeerLabels,
  tcpMetrics,
  UNKNOWN,
  UNKNOWN_PEER,
} from '#telemetry/metrics/istio.ts';
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { type TelemetryReport, unreported } from '#telemetry/report/telemetry-report.ts';
import type { ServiceConfig } from '../config/snapshot.ts';
import { DEFAULT_PROXY_TELEMETRY, type ProxyTelemetry } from '../config/telemetry.ts';
import type { HttpEndpoint } from '../engine.ts';
import { EDGE_IDLE_MS } from '../limits.ts';
import type { RequestRun } from '../phases/request-run.ts';
import type { SourceRegistry } from '../source.ts';
import type { TcpRun } from '../tcp/tcp-run.ts';

import type { Tunnel } from '../tunnel.ts';
import { type AccessLogDeps, AccessLogs } from './access-logs.ts';
import { type Refusal, refusedRecord, requestRecord, tcpRecord } from './access-record.ts';
import { Edge, type EdgeFamilies, type HttpHandles, type TcpHandles } from './edge.ts';
import { EdgeFlows } from './edge-flows.ts';
import type { RequestObserver } from './finished.ts';
import {
  hasConnectionFailed,
  hasRequestFailed,
  type ReportedBy,
  reportedConnection,
  reportedRefusal,
  reportedRequest,
} from './reported.ts';
import { RunAttributes } from './run-attributes.ts';
import { WaypointMetrics } from './waypoint-metrics.ts';

type Outcome = Pick<RequestRun, 'status' | 'flags' | 'isGrpc' | 'grpcStatus'>;

export interface RecorderDeps {
  clock: Clock;
  registry: MetricRegistry;
  sources: SourceRegistry;
  /** Of the process; undefined: nothing is logged, whatever the settings say. */
  accessLog: LogWriter | undefined;
  format: AccessLogFormat;
  /** For logs that go elsewhere. */
  logs?: AccessLogDeps;
  /** Cluster and namespace of this waypoint: what Istio reports as the destination's. */
  cluster: string;
  /** Of this process; made here where nobody reports it. */
  flows?: FlowBook;
}

/** Who ended a connection that failed, and why, by its response flag, where this end did not refuse the other. */
const FAILED_BY: Readonly<Record<string, readonly [by: string, reason: string]>> = {
  DC: ['downstream', 'reset'],
  DT: ['self', 'lasted too long'],
  LR: ['self', 'ended'],
  NC: ['self', 'no destination'],
  NR: ['self', 'no route'],
  SI: ['self', 'idle'],
  UC: ['upstream', 'reset'],
  UF: ['upstream', 'connect failed'],
  UH: ['upstream', 'no endpoint'],
  UO: ['self', 'limit'],
};
const REFUSED = ['self', 'refused'] as const;

export class Recorder {
  readonly metrics: WaypointMetrics;
  readonly flows: FlowBook;
  readonly accessLogs: AccessLogs | undefined;
  /** In force; swapped with the snapshot. */
  telemetry: ProxyTelemetry = DEFAULT_PROXY_TELEMETRY;
  readonly #deps: RecorderDeps;
  readonly #observers: RequestObserver[] = [];
  readonly #families: EdgeFamilies;
  readonly #attributes: RunAttributes;
  readonly #budget = new SeriesBudget();
  /** By owner: what takes everything that has no place of its own. */
  readonly #shared = new Map<string, Edge>();
  #report: TelemetryReport = unreported('');

  constructor(deps: RecorderDeps) {
    this.#deps = deps;
    this.metrics = new WaypointMetrics(deps.registry);
    this.flows = deps.flows ?? new FlowBook();
    const { accessLog, format, logs } = deps;
    this.accessLogs = accessLog && new AccessLogs(accessLog, format, logs);
    this.#families = { http: httpMetrics(deps.registry), tcp: tcpMetrics(deps.registry) };
    this.#attributes = new RunAttributes(deps.clock);
    this.metrics.exposeBudget(deps.registry, this.#budget);
  }

  /** Where records of requests and connections go that somebody wants. */
  reportTo(report: TelemetryReport): void {
    this.#report = report;
  }

  /** Every request when it is over, from now on. */
  observe(observer: RequestObserver): Disposer {
    this.#observers.push(observer);
    return () => {
      const at = this.#observers.indexOf(observer);
      if (at !== -1) this.#observers.splice(at, 1);
    };
  }

  request(run: RequestRun): void {
    const { clock } = this.#deps;
    const now = clock.now();
    const durationMs = now - run.startedAt;
    const { tunnel } = run;
    const at = { endpoint: run.current?.endpoint, place: run.current?.group ?? run };
    const edge = this.#edge(tunnel, at, { service: run.service, now });
    const asked = edge.rules.asks ? edge.rules.evaluate(this.#attributes.about(run)) : NOTHING;
    const handles = this.#httpHandles(edge, run, { security: tunnel.security, asked });
    const requestBytes = run.requestBytes + run.request.wireBytes;
    const responseBytes = run.responseBytes + run.responseHeadBytes;
    handles.requests.add(1);
    const { trace } = run;
    // Only what is recorded can be looked up.
    if (trace?.records !== true) handles.durationMs.observe(durationMs);
    else handles.durationMs.observeTraced(durationMs, trace.traceId, clock.wallTime());
    handles.requestBytes.observe(requestBytes);
    handles.responseBytes.observe(responseBytes);
    handles.flow.add(durationMs, requestBytes, responseBytes);
    handles.requestMessages?.add(run.requestMessages?.count ?? 0);
    handles.responseMessages?.add(run.responseMessages?.count ?? 0);
    for (const observe of this.#observers) observe(run);
    if (this.#report.wantsRecord(hasRequestFailed(run), durationMs)) {
      const facts = edge.flows.tally(run.isGrpc ? 'grpc' : 'http').facts;
      this.#report.offerRecord(reportedRequest(run, this.#reportedBy(facts, durationMs)));
    }
    const outputs = this.#outputs(run.service);
    if (outputs === undefined) return;
    const startMs = clock.wallTime() - durationMs;
    this.accessLogs?.write(outputs, {
      record: requestRecord(run, { startMs, durationMs }),
      source: run,
      attributes: this.#attributes.about(run),
    });
  }

  /** Bytes that never became a request, and what they were answered; 0 when a stream was reset. */
  refused(tunnel: Tunnel, refusal: Refusal): void {
    const { clock } = this.#deps;
    const now = clock.now();
    const at = { endpoint: undefined, place: { tunnel } };
    const edge = this.#edge(tunnel, at, { service: undefined, now });
    const { status, flags } = refusal;
    const { rules } = edge;
    const facts = { tunnel, startedAt: now, flags, status, details: refusal.details };
    const asked = rules.asks ? rules.evaluate(this.#attributes.about(facts)) : NOTHING;
    const outcome = { status, flags, isGrpc: false, grpcStatus: '' };
    const { security } = tunnel;
    const handles = this.#httpHandles(edge, outcome, { security, asked });
    handles.requests.add(1);
    handles.flow.add(0, 0, 0);
    if (this.#report.wantsRecord(true, 0)) {
      const by = this.#reportedBy(edge.flows.tally('http').facts, 0);
      this.#report.offerRecord(reportedRefusal(tunnel, refusal, by));
    }
    const outputs = this.#outputs(undefined);
    if (outputs === undefined) return;
    this.accessLogs?.write(outputs, {
      record: refusedRecord(tunnel, refusal, clock.wallTime()),
      source: { tunnel },
      attributes: this.#attributes.about(facts),
    });
  }

  /** Handles for a connection that is about to be forwarded; they are added to while it runs. */
  connection(run: TcpRun, flags: string): TcpHandles {
    const at = { endpoint: run.endpoint, place: run.group ?? run };
    const edge = this.#edge(run.tunnel, at, { service: run.service, now: this.#deps.clock.now() });
    const asked = edge.rules.asks ? edge.rules.evaluate(this.#attributes.about(run)) : NOTHING;
    const outcome = run.refusal === undefined ? flags : `${flags} ${run.refusal}`;
    const key = asked.length === 0 ? outcome : `${outcome} ${asked.join('\u0000')}`;
    const known = edge.tcp.get(key);
    if (known !== undefined) return known;
    if (!edge.isShared && !this.#budget.take(edge.owner)) {
      const shared = this.#sharedEdge(edge);
      const unasked = { flags, key: outcome, asked: [] };
      return shared.tcp.get(outcome) ?? this.#makeTcp(shared, unasked, run);
    }
    return this.#makeTcp(edge, { flags, key, asked }, run);
  }

  #makeTcp(
    edge: Edge,
    { flags, key, asked }: { flags: string; key: string; asked: readonly string[] },
    { tunnel, refusal }: TcpRun,
  ): TcpHandles {
    const failedBy =
      refusal === undefined ? (FAILED_BY[flags] ?? REFUSED) : (['self', refusal] as const);
    const handles = edge.makeTcp(flags, { security: tunnel.security, failedBy }, asked);
    edge.tcp.set(key, handles);
    return handles;
  }

  connectionClosed(run: TcpRun): void {
    const { clock } = this.#deps;
    const durationMs = clock.now() - run.startedAt;
    if (this.#report.wantsRecord(hasConnectionFailed(run), durationMs)) {
      const { flow } = this.connection(run, run.flags);
      this.#report.offerRecord(reportedConnection(run, this.#reportedBy(flow.facts, durationMs)));
    }
    const outputs = this.#outputs(run.service);
    if (outputs === undefined) return;
    const startMs = clock.wallTime() - durationMs;
    this.accessLogs?.write(outputs, {
      record: tcpRecord(run, { startMs, durationMs }),
      source: { tunnel: run.tunnel, trace: run.trace, route: run.routeName },
      attributes: this.#attributes.about(run),
    });
  }

  /** Undefined: nobody logs it. */
  #outputs(service: ServiceConfig | undefined): ReturnType<AccessLogs['outputs']> | undefined {
    const { accessLog } = this.telemetry.of(service?.key);
    if (this.accessLogs === undefined || accessLog.outputs.length === 0) return undefined;
    return this.accessLogs.outputs(accessLog);
  }

  #reportedBy(edge: FlowTally['facts'], durationMs: number): ReportedBy {
    const startMs = this.#deps.clock.wallTime() - durationMs;
    return { proxy: this.#report.proxy, startMs, durationMs, edge };
  }

  /**
   * Forgets edges that were idle for long, and those that were seen least where a workload has no place left: their series leave the
   * exposition after a few scrapes.
   */
  sweep(): void {
    const oldest = this.#deps.clock.now() - EDGE_IDLE_MS;
    const freed = new Set(this.#budget.toFree(this.#edges()));
    const { sources, registry } = this.#deps;
    for (const source of sources.all) {
      const edges = source.edges as Map<object | string, Edge>;
      for (const [key, edge] of edges) {
        if (edge.isBusy || (edge.usedAt > oldest && !freed.has(edge))) continue;
        edges.delete(key);
        this.#forget(edge);
      }
    }
    for (const [key, edge] of this.#shared) {
      if (edge.isBusy || edge.usedAt > oldest) continue;
      this.#shared.delete(key);
      edge.release();
    }
    sources.sweep();
    registry.sweep();
  }

  *#edges(): Iterable<Edge> {
    for (const { edges } of this.#deps.sources.all) yield* (edges as Map<unknown, Edge>).values();
  }

  #forget(edge: Edge): void {
    this.#budget.give(edge.owner, edge.places);
    edge.release();
  }

  #edge(
    tunnel: Pick<Tunnel, 'source' | 'security'>,
    at: { readonly endpoint: HttpEndpoint | undefined; readonly place: EdgePlace },
    { service, now }: { readonly service: ServiceConfig | undefined; readonly now: number },
  ): Edge {
    if (!tunnel.source.isKnown) tunnel.source = this.#deps.sources.current(tunnel.source);
    const { source } = tunnel;
    const edges = source.edges as Map<object | string, Edge>;
    const key = at.endpoint ?? placeOf(at.place).host;
    const { metrics } = this.telemetry.of(service?.key);
    let edge = edges.get(key);
    if (edge !== undefined && edge.settings !== metrics && !edge.isBusy) {
      // Another Telemetry is in force.
      edges.delete(key);
      this.#forget(edge);
      edge = undefined;
    }
    if (edge === undefined) {
      const made = this.#makeEdge(tunnel, at, metrics);
      const isOver = !source.isKept || this.#budget.isFull(made.owner);
      if (isOver) edge = this.#sharedEdge(made);
      else {
        edge = made;
        edges.set(key, made);
      }
    }
    edge.usedAt = now;
    edge.hits += 1;
    return edge;
  }

  #makeEdge(
    { source, security: fromClient }: Pick<Tunnel, 'source' | 'security'>,
    { endpoint, place }: { endpoint: HttpEndpoint | undefined; place: EdgePlace },
    settings: Edge['settings'],
  ): Edge {
    const destination = endpoint === undefined ? UNKNOWN_PEER : this.#endpointLabels(endpoint);
    const service = placeOf(place);
    const { reporter } = source;
    const labels: EdgeLabels = { reporter, source: source.labels, destination, service };
    const onwards = endpoint?.endpoint.protocol === 'hbone' ? 'mutual_tls' : 'none';
    // Whatever a stranger asks for has one account together.
    const isKnown = endpoint !== undefined || service.namespace !== '';
    const owner = isKnown
      ? `${destination.workloadNamespace}/${destination.workload} ${service.host}`
      : UNKNOWN;
    const security = reporter === 'source' ? onwards : undefined;
    const isMutualTls = (security ?? fromClient) === 'mutual_tls';
    const flows = new EdgeFlows(this.flows, { labels, endpoint, isMutualTls });
    return new Edge(this.#families, { owner, labels, settings, security, flows, isShared: false });
  }

  /** For what `edge` has no place for: who it comes from is not told. */
  #sharedEdge({ owner, labels, settings, security }: Edge): Edge {
    const known = this.#shared.get(owner);
    if (known !== undefined && known.settings === settings) return known;
    known?.release();
    const { service } = labels;
    const named = owner === UNKNOWN ? { host: OTHER, namespace: OTHER, name: OTHER } : service;
    const unnamed = { ...labels, source: OTHER_PEER, service: named };
    const flows = new EdgeFlows(this.flows, {
      labels: unnamed,
      endpoint: undefined,
      isMutualTls: security === 'mutual_tls',
    });
    const shared = new Edge(this.#families, {
      owner,
      labels: unnamed,
      settings,
      security,
      flows,
      isShared: true,
    });
    this.#shared.set(owner, shared);
    return shared;
  }

  #endpointLabels({ endpoint }: HttpEndpoint): PeerLabels {
    return {
      workload: endpoint.workloadName,
      canonicalService: endpoint.canonicalName,
      canonicalRevision: endpoint.canonicalRevision || 'latest',
      workloadNamespace: namespaceOf(endpoint.uid),
      principal: endpoint.principal,
      app: endpoint.canonicalName,
      version: endpoint.canonicalRevision || 'latest',
      cluster: this.#deps.cluster,
    };
  }

  #httpHandles(
    edge: Edge,
    run: Outcome,
    { security, asked }: { security: 'mutual_tls' | 'none'; asked: readonly string[] },
  ): HttpHandles {
    const isPlain = run.flags === '-' && !run.isGrpc && asked.length === 0;
    const outcome = isPlain ? '' : outcomeKey(run, asked);
    const known = isPlain ? edge.byCode.get(run.status) : edge.byOutcome.get(outcome);
    if (known !== undefined) return known;
    if (!edge.isShared && !this.#budget.take(edge.owner)) {
      const shared = this.#sharedEdge(edge);
      shared.usedAt = edge.usedAt;
      return this.#httpHandles(shared, run, { security, asked: asked.map(() => OTHER) });
    }
    const isOver = edge.isShared && edge.places >= SHARED_OUTCOMES_MAX;
    if (isOver) return this.#otherOutcome(edge, asked);
    const handles = edge.makeHttp(
      {
        requestProtocol: run.isGrpc ? 'grpc' : 'http',
        responseCode: run.status,
        grpcStatus: run.isGrpc ? grpcLabel(run.grpcStatus) : '',
        responseFlags: run.flags,
        securityPolicy: edge.security ?? security,
      },
      { asked, flow: edge.flows.outcome(run) },
    );
    if (isPlain) edge.byCode.set(run.status, handles);
    else edge.byOutcome.set(outcome, handles);
    return handles;
  }

  #otherOutcome(edge: Edge, asked: readonly string[]): HttpHandles {
    let handles = edge.byOutcome.get(OTHER);
    if (handles === undefined) {
      handles = edge.makeHttp(
        {
          requestProtocol: 'http',
          responseCode: OTHER,
          grpcStatus: '',
          responseFlags: OTHER,
          securityPolicy: 'unknown',
        },
        { asked, flow: edge.flows.outcome(NO_OUTCOME) },
      );
      edge.byOutcome.set(OTHER, handles);
    }
    return handles;
  }
}

const NOTHING: readonly string[] = [];
const NO_OUTCOME = { status: 0, flags: '-', isGrpc: false, grpcStatus: '' } as const;

function outcomeKey(run: Outcome, asked: readonly string[]): string {
  const status = run.isGrpc ? grpcLabel(run.grpcStatus) : '-';
  const outcome = `${run.status} ${run.flags} ${status}`;
  return asked.length === 0 ? outcome : `${outcome} ${asked.join('\u0000')}`;
}

/** Statuses of gRPC end at 16; whatever else an application writes there must not become a label. */
function grpcLabel(status: string): string {
  return GRPC_STATUS.test(status) ? status : status === '' ? '' : UNKNOWN;
}
const GRPC_STATUS = /^(?:\d|1[0-6])$/;

/** What names the service of an edge: the group that was picked, else what the tunnel asked for. */
type EdgePlace =
  | { readonly config: { readonly upstream: { namespace: string; hostname: string } } }
  | {
      readonly tunnel: { readonly host: string; readonly gateway?: object };
      readonly service?: {
        readonly compiled: { readonly table: { namespace: string; hostname: string } };
      };
    };

function placeOf(at: EdgePlace): EdgeLabels['service'] {
  if ('config' in at) return serviceLabels(at.config.upstream);
  const table = at.service?.compiled.table;
  if (table !== undefined) return serviceLabels(table);
  // Whatever host a stranger asks a gateway for must not become a label.
  const host = at.tunnel.gateway === undefined ? at.tunnel.host : 'unknown';
  return { host, namespace: '', name: host };
}

function serviceLabels(service: { namespace: string; hostname: string }): EdgeLabels['service'] {
  const { hostname, namespace } = service;
  const dot = hostname.indexOf('.');
  // As Istio: the short name for cluster services, the whole host for outside ones.
  const isLocal = hostname.includes('.svc.');
  return {
    host: hostname,
    namespace,
    name: isLocal && dot > 0 ? hostname.slice(0, dot) : hostname,
  };
}

/** `<cluster>//Pod/<namespace>/<name>`. */
function namespaceOf(uid: string): string {
  return uid.split('/')[3] ?? '';
}
