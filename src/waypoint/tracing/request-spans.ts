/**
 * The spans of one request at a waypoint or gateway: one for the hop, and one below it for each try that an endpoint saw. Made when the
 * request is over, from what is known then. Names of attributes are OpenTelemetry's (semantic conventions for HTTP and RPC), Envoy's and
 * Istio's; what they have no name for begins with `tulle.`.
 */
import type { Random } from '#base/random.ts';
import type { PeerLabels } from '#telemetry/metrics/istio.ts';
import { newSpanId, type RequestTrace } from '#telemetry/tracing/request-trace.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import {
  Attributes,
  OTHER_METHOD,
  putPeer,
  putSelf,
  putTags,
  spanMethod,
} from '#telemetry/tracing/span-builder.ts';
import { parseTraceparent } from '#telemetry/tracing/trace-context.ts';
import type { CompiledTracing } from '#telemetry/tracing/tracing-rules.ts';
import type { WallOffset } from '#telemetry/tracing/wall-offset.ts';
import type { HttpEndpoint, HttpGroup } from '../engine.ts';
import type { RequestCopy } from '../phases/mirror.ts';
import type { RequestRun } from '../phases/request-run.ts';
import type { UpstreamTry } from '../phases/upstream-try.ts';
import { requestRecord } from '../record/access-record.ts';
import { RunLogFacts } from '../record/run-log-facts.ts';
import type { MirrorOutcome } from '../record/waypoint-metrics.ts';
import { type ProxySelf, serviceNameOf } from './proxy-self.ts';

export interface SpanContext {
  readonly wall: WallOffset;
  readonly now: number;
  readonly self: ProxySelf;
  readonly random: Random;
}

export function spansOf(run: RequestRun, trace: RequestTrace, context: SpanContext): Span[] {
  const { forwarding } = run;
  const spans = [serverSpan(run, trace, context)];
  const { current, earlier = [] } = forwarding ?? {};
  earlier.forEach(({ attempt, endedAt, reason }, index) => {
    const about = { number: index + 1, endedAt, reason };
    spans.push(trySpan(attempt, trace, context, about));
  });
  // A try without endpoint is none; the one that failed last may be among the earlier ones.
  if (current !== undefined && earlier.at(-1)?.attempt !== current) {
    const reason = current.answered ? '' : run.note || run.transportFailure;
    const about = { number: earlier.length + 1, endedAt: context.now, reason };
    spans.push(trySpan(current, trace, context, about));
  }
  return spans;
}

function serverSpan(run: RequestRun, trace: RequestTrace, context: SpanContext): Span {
  const { tunnel, current, status } = run;
  const { rules } = trace;
  const { wall, now, self } = context;
  const attributes = new Attributes();
  putRequest(attributes, run, rules);
  putOutcome(attributes, run);
  attributes
    .put('client.address', tunnel.source.address)
    .put('peer.address', tunnel.source.address)
    .put('network.peer.address', tunnel.source.address)
    .put('network.peer.port', tunnel.remotePort)
    .put('upstream_cluster', current?.group.key)
    .put('upstream_cluster.name', current?.group.key)
    .put('upstream_address', current?.endpoint.address)
    .put('downstream_cluster', '-')
    .put('node_id', self.nodeId);
  if (rules.istioTags) {
    putSelf(attributes, self);
    putPeer(attributes, 'source', tunnel.source.labels);
    if (current !== undefined) putPeer(attributes, 'destination', labelsOf(current.endpoint, self));
  }
  if (rules.tags.length > 0) {
    const startMs = Number(wall.nanosAt(run.startedAt) / 1_000_000n);
    const record = requestRecord(run, { startMs, durationMs: now - run.startedAt });
    putTags(attributes, rules.tags, new RunLogFacts(process.env).about(record, run));
  }
  const isError = status === 0 || status >= 500;
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    traceState: trace.traceState,
    kind: 'server',
    name: nameOf(run),
    startNanos: wall.nanosAt(run.startedAt),
    endNanos: wall.nanosAt(now),
    status: isError ? 'error' : 'unset',
    statusMessage: isError ? run.note || run.details : '',
    attributes: attributes.all,
    links: linksTo(tunnel.trace, trace),
    service: serviceNameOf(self, rules),
    proxy: self.proxy,
  };
}

interface TryFacts {
  /** From 1. */
  readonly number: number;
  readonly endedAt: number;
  /** Why it brought no answer, or none that was taken. */
  readonly reason: string;
}

function trySpan(
  attempt: UpstreamTry,
  trace: RequestTrace,
  { wall, self, random }: SpanContext,
  { number, endedAt, reason }: TryFacts,
): Span {
  const { run, endpoint, group, status } = attempt;
  const { rules } = trace;
  const attributes = new Attributes();
  putUpstream(attributes, endpoint, group);
  attributes
    .put('http.request.method', spanMethod(run.request.method))
    .put('url.full', urlOf(run, run.request.path), rules.pathCharsMax)
    .put('http.response.status_code', status || undefined)
    .put('http.request.resend_count', number > 1 ? number - 1 : undefined)
    .put('network.protocol.name', 'http')
    .put('network.protocol.version', versionOf(attempt.protocol))
    .put('tulle.attempt', number)
    .put('tulle.reason', reason);
  const isError = status === 0 || status >= 400;
  if (isError) attributes.put('error.type', status === 0 ? 'no_answer' : String(status));
  if (rules.istioTags) putPeer(attributes, 'destination', labelsOf(endpoint, self));
  return {
    traceId: trace.traceId,
    spanId: attempt.spanId || newSpanId(random),
    parentSpanId: trace.spanId,
    traceState: trace.traceState,
    kind: 'client',
    name: nameOf(run),
    startNanos: wall.nanosAt(attempt.startedAt),
    endNanos: wall.nanosAt(endedAt),
    status: isError ? 'error' : 'unset',
    statusMessage: isError ? reason : '',
    attributes: attributes.all,
    links: linksTo(parseTraceparent(attempt.carrier), trace),
    service: serviceNameOf(self, rules),
    proxy: self.proxy,
  };
}

export function copySpan(
  copy: RequestCopy,
  trace: RequestTrace,
  { wall, now, self, outcome }: SpanContext & { readonly outcome: MirrorOutcome },
): Span {
  const { head, group, endpoint, status } = copy;
  const { rules } = trace;
  const attributes = new Attributes();
  const method = spanMethod(head.method);
  putUpstream(attributes, endpoint, group);
  attributes
    .put('http.request.method', method)
    .put('http.response.status_code', status || undefined)
    .put('tulle.mirror', outcome);
  if (rules.istioTags) putPeer(attributes, 'destination', labelsOf(endpoint, self));
  const isError = outcome !== 'answered' || status >= 400;
  return {
    traceId: trace.traceId,
    spanId: copy.spanId,
    parentSpanId: trace.spanId,
    traceState: trace.traceState,
    kind: 'client',
    name: `${method} ${group.config.upstream.hostname} mirror`,
    startNanos: wall.nanosAt(copy.startedAt),
    endNanos: wall.nanosAt(now),
    status: isError ? 'error' : 'unset',
    statusMessage: outcome === 'answered' ? '' : `the copy was ${outcome}`,
    attributes: attributes.all,
    links: [],
    service: serviceNameOf(self, rules),
    proxy: self.proxy,
  };
}

/** Few in number, whatever clients ask for: the method, and the route that took it. */
function nameOf({ request, entry, serviceHost, tunnel }: RequestRun): string {
  const method = spanMethod(request.method);
  const host = tunnel.gateway === undefined ? serviceHost : '';
  const route = entry?.route.route.name ?? '';
  const place = [host, route].filter((part) => part !== '').join(' ');
  return place === '' ? method : `${method} ${place}`;
}

function putRequest(attributes: Attributes, run: RequestRun, rules: CompiledTracing): void {
  const { request, tunnel, originalPath, originalAuthority: authority } = run;
  const method = spanMethod(request.method);
  const at = originalPath.indexOf('?');
  const userAgent = request.get('user-agent');
  const requestId = request.get('x-request-id');
  attributes
    .put('component', 'proxy')
    .put('guid:x-request-id', requestId)
    .put('http.url', urlOf(run, originalPath), rules.pathCharsMax)
    .put('http.method', request.method)
    .put('http.protocol', run.protocol)
    .put('user_agent', userAgent)
    .put('http.request.method', method)
    .put('http.request.method_original', method === OTHER_METHOD ? request.method : undefined)
    .put('url.scheme', schemeOf(run))
    .put('url.path', at === -1 ? originalPath : originalPath.slice(0, at), rules.pathCharsMax)
    .put('url.query', at === -1 ? '' : originalPath.slice(at + 1), rules.pathCharsMax)
    .put('server.address', authority.replace(/:\d+$/, ''))
    .put('server.port', tunnel.port)
    .put('network.protocol.name', 'http')
    .put('network.protocol.version', versionOf(tunnel.isH2 ? 'h2' : 'h1'))
    .put('user_agent.original', userAgent);
  if (!run.isGrpc) return;
  const [, service, rpc] = /^\/(.+)\/([^/?]+)/.exec(originalPath) ?? [];
  attributes.put('rpc.system', 'grpc').put('rpc.service', service).put('rpc.method', rpc);
}

function putOutcome(attributes: Attributes, run: RequestRun): void {
  const { status, flags, note, policy } = run;
  attributes
    .put('http.status_code', status || undefined)
    .put('http.response.status_code', status || undefined)
    .put('response_flags', flags)
    .put('request_size', run.requestBytes)
    .put('response_size', run.responseBytes)
    .put('tulle.response_code_details', run.details)
    .put('tulle.route', run.route)
    .put('tulle.policy', policy)
    .put('tulle.reason', note)
    .put('tulle.attempts', run.attempt || undefined);
  if (run.isGrpc && run.grpcStatus !== '') {
    attributes
      .put('grpc.status_code', run.grpcStatus)
      .put('rpc.grpc.status_code', Number(run.grpcStatus));
  }
  if (status === 0 || status >= 500) {
    attributes.put('error', true).put('error.type', flags === '-' ? String(status) : flags);
  }
}

function putUpstream(attributes: Attributes, endpoint: HttpEndpoint, group: HttpGroup): void {
  const { upstream, port, subset } = group.config;
  attributes
    .put('component', 'proxy')
    .put('server.address', upstream.hostname)
    .put('server.port', port)
    .put('network.peer.address', endpoint.endpoint.address)
    .put('network.peer.port', endpoint.port)
    .put('upstream_cluster', group.key)
    .put('upstream_cluster.name', group.key)
    .put('upstream_address', endpoint.address)
    .put('tulle.subset', subset)
    .put('tulle.endpoint', endpoint.endpoint.name);
}

function schemeOf({ tunnel }: RequestRun): string {
  return tunnel.gateway?.scheme ?? 'http';
}

function urlOf(run: RequestRun, path: string): string {
  return `${schemeOf(run)}://${run.request.authority}${path}`;
}

function versionOf(protocol: 'h1' | 'h2' | undefined): string | undefined {
  if (protocol === undefined) return undefined;
  return protocol === 'h2' ? '2' : '1.1';
}

/** A span of another trace that carried it. */
export function linksTo(
  carrier: { readonly traceId: string; readonly spanId: string } | undefined,
  { traceId }: RequestTrace,
): Span['links'] {
  if (carrier === undefined || carrier.traceId === traceId) return [];
  return [{ traceId: carrier.traceId, spanId: carrier.spanId }];
}

/** `<cluster>//Pod/<namespace>/<name>` names the namespace. */
export function labelsOf({ endpoint }: HttpEndpoint, { labels }: ProxySelf): PeerLabels {
  const { canonicalName, canonicalRevision, workloadName, uid, principal } = endpoint;
  const version = canonicalRevision || 'latest';
  return {
    workload: workloadName,
    canonicalService: canonicalName,
    canonicalRevision: version,
    workloadNamespace: uid.split('/')[3] ?? '',
    principal,
    app: canonicalName,
    version,
    cluster: labels.cluster,
  };
}
