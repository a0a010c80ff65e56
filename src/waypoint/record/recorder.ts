/**
 * The record phase: metrics with Istio's labels and one access log line, for requests and for connections. Label values are
 * resolved once per edge (source, endpoint) and outcome; a request then adds to handles.
 */
import type { Clock } from '#base/clock.ts';
import { type AccessLogFormat, formatAccess } from '#telemetry/access-log/format.ts';
import type { LogWriter } from '#telemetry/access-log/log-writer.ts';
import {
  type EdgeLabels,
  type HttpMetrics,
  httpMetrics,
  httpValues,
  type PeerLabels,
  type TcpMetrics,
  tcpMetrics,
  tcpValues,
  UNKNOWN_PEER,
} from '#telemetry/metrics/istio.ts';
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { Counter, Histogram } from '#telemetry/metrics/series.ts';
import type { HttpEndpoint } from '../engine.ts';
import { EDGE_IDLE_MS } from '../limits.ts';
import type { RequestRun } from '../phases/request-run.ts';
import type { Source, SourceRegistry } from '../source.ts';
import type { TcpRun } from '../tcp/tcp-run.ts';
import { requestRecord, tcpRecord } from './access-record.ts';

export interface RecorderDeps {
  clock: Clock;
  registry: MetricRegistry;
  sources: SourceRegistry;
  accessLog: LogWriter | undefined;
  format: AccessLogFormat;
  /** Cluster and namespace of this waypoint: what Istio reports as the destination's. */
  cluster: string;
}

interface HttpHandles {
  readonly requests: Counter;
  readonly durationMs: Histogram;
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
}

export interface TcpHandles {
  readonly opened: Counter;
  readonly closed: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  readonly failed: Counter;
}

/** One source and one endpoint (or, when none was picked, one service). */
class Edge {
  readonly labels: EdgeLabels;
  /** Outcomes without flag and gRPC status, by status code. */
  readonly byCode = new Map<number, HttpHandles>();
  readonly byOutcome = new Map<string, HttpHandles>();
  readonly tcp = new Map<string, TcpHandles>();
  usedAt = 0;

  constructor(labels: EdgeLabels) {
    this.labels = labels;
  }
}

/** Who ended a connection that failed, and why, by its response flag. */
const FAILED_BY: Readonly<Record<string, readonly [by: string, reason: string]>> = {
  DC: ['downstream', 'reset'],
  UF: ['upstream', 'connect failed'],
};

export class Recorder {
  readonly #deps: RecorderDeps;
  readonly #http: HttpMetrics;
  readonly #tcp: TcpMetrics;

  constructor(deps: RecorderDeps) {
    this.#deps = deps;
    this.#http = httpMetrics(deps.registry);
    this.#tcp = tcpMetrics(deps.registry);
  }

  request(run: RequestRun): void {
    const { clock, accessLog, format } = this.#deps;
    const now = clock.now();
    const durationMs = now - run.startedAt;
    const { source, security } = run.tunnel;
    const edge = this.#edge(source, run.current?.endpoint, run.current?.group ?? run);
    edge.usedAt = now;
    const handles = this.#httpHandles(edge, run, security);
    handles.requests.add(1);
    handles.durationMs.observe(durationMs);
    handles.requestBytes.observe(run.requestBytes + run.request.parts.raw.fieldsEnd);
    handles.responseBytes.observe(run.responseBytes);
    if (accessLog === undefined) return;
    const startMs = clock.wallTime() - durationMs;
    accessLog.write(formatAccess(requestRecord(run, { startMs, durationMs }), format));
  }

  /** Handles for a connection that is about to be forwarded; they are added to while it runs. */
  connection(run: TcpRun, flags: string): TcpHandles {
    const { source, security } = run.tunnel;
    const edge = this.#edge(source, run.endpoint, run.group ?? run);
    edge.usedAt = this.#deps.clock.now();
    const known = edge.tcp.get(flags);
    if (known !== undefined) return known;
    const values = tcpValues(edge.labels, { responseFlags: flags, securityPolicy: security });
    const tcp = this.#tcp;
    const handles = {
      opened: tcp.opened.with(values),
      closed: tcp.closed.with(values),
      received: tcp.received.with(values),
      sent: tcp.sent.with(values),
      failed: tcp.failed.with([...values, ...(FAILED_BY[flags] ?? ['self', 'refused'])]),
    };
    edge.tcp.set(flags, handles);
    return handles;
  }

  connectionClosed(run: TcpRun): void {
    const { clock, accessLog, format } = this.#deps;
    if (accessLog === undefined) return;
    const durationMs = clock.now() - run.startedAt;
    const startMs = clock.wallTime() - durationMs;
    accessLog.write(formatAccess(tcpRecord(run, { startMs, durationMs }), format));
  }

  /** Forgets edges that were idle for long: their series leave the exposition after a few scrapes. */
  sweep(): void {
    const oldest = this.#deps.clock.now() - EDGE_IDLE_MS;
    for (const source of this.#deps.sources.all) {
      for (const [key, edge] of source.edges as Map<object | string, Edge>) {
        if (edge.usedAt > oldest) continue;
        source.edges.delete(key);
        this.#release(edge);
      }
    }
    this.#deps.sources.sweep();
    this.#deps.registry.sweep();
  }

  #edge(source: Source, endpoint: HttpEndpoint | undefined, at: EdgePlace): Edge {
    const edges = source.edges as Map<object | string, Edge>;
    const key = endpoint ?? placeOf(at).host;
    let edge = edges.get(key);
    if (edge === undefined) {
      const destination = endpoint === undefined ? UNKNOWN_PEER : this.#endpointLabels(endpoint);
      const service = placeOf(at);
      edge = new Edge({ reporter: 'waypoint', source: source.labels, destination, service });
      edges.set(key, edge);
    }
    return edge;
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

  #httpHandles(edge: Edge, run: RequestRun, security: 'mutual_tls' | 'none'): HttpHandles {
    const isPlain = run.flags === '-' && !run.isGrpc;
    const outcome = isPlain
      ? ''
      : `${run.status} ${run.flags} ${run.isGrpc ? run.grpcStatus : '-'}`;
    const known = isPlain ? edge.byCode.get(run.status) : edge.byOutcome.get(outcome);
    if (known !== undefined) return known;
    const values = httpValues(edge.labels, {
      requestProtocol: run.isGrpc ? 'grpc' : 'http',
      responseCode: run.status,
      grpcStatus: run.grpcStatus,
      responseFlags: run.flags,
      securityPolicy: security,
    });
    const http = this.#http;
    const handles = {
      requests: http.requests.with(values),
      durationMs: http.durationMs.with(values),
      requestBytes: http.requestBytes.with(values),
      responseBytes: http.responseBytes.with(values),
    };
    if (isPlain) edge.byCode.set(run.status, handles);
    else edge.byOutcome.set(outcome, handles);
    return handles;
  }

  #release(edge: Edge): void {
    const http = this.#http;
    for (const handles of [...edge.byCode.values(), ...edge.byOutcome.values()]) {
      http.requests.release(handles.requests);
      http.durationMs.release(handles.durationMs);
      http.requestBytes.release(handles.requestBytes);
      http.responseBytes.release(handles.responseBytes);
    }
    const tcp = this.#tcp;
    for (const handles of edge.tcp.values()) {
      tcp.opened.release(handles.opened);
      tcp.closed.release(handles.closed);
      tcp.received.release(handles.received);
      tcp.sent.release(handles.sent);
      tcp.failed.release(handles.failed);
    }
  }
}

/** What names the service of an edge: the group that was picked, else what the tunnel asked for. */
type EdgePlace =
  | { readonly config: { readonly upstream: { namespace: string; hostname: string } } }
  | {
      readonly tunnel: { readonly host: string };
      readonly service?: {
        readonly compiled: { readonly table: { namespace: string; hostname: string } };
      };
    };

function placeOf(at: EdgePlace): EdgeLabels['service'] {
  if ('config' in at) return serviceLabels(at.config.upstream);
  const table = at.service?.compiled.table;
  if (table !== undefined) return serviceLabels(table);
  return { host: at.tunnel.host, namespace: '', name: at.tunnel.host };
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
