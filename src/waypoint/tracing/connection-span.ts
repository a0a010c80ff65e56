/** The span of a connection whose bytes a waypoint or gateway passes on. */
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import { Attributes, putPeer, putSelf } from '#telemetry/tracing/span-builder.ts';
import type { TcpRun } from '../tcp/tcp-run.ts';
import { serviceNameOf } from './proxy-self.ts';
import { labelsOf, type SpanContext } from './request-spans.ts';

export function connectionSpan(
  run: TcpRun,
  trace: RequestTrace,
  { wall, now, self }: SpanContext,
): Span {
  const { rules } = trace;
  const { tunnel, endpoint, group, flags, counters } = run;
  const attributes = new Attributes()
    .put('component', 'proxy')
    .put('node_id', self.nodeId)
    .put('network.transport', 'tcp')
    .put('client.address', tunnel.source.address)
    .put('network.peer.address', tunnel.source.address)
    .put('network.peer.port', tunnel.remotePort)
    .put('server.address', group?.config.upstream.hostname ?? run.sni ?? tunnel.host)
    .put('server.port', tunnel.port)
    .put('tls.server_name', run.sni)
    .put('upstream_cluster', group?.key)
    .put('upstream_cluster.name', group?.key)
    .put('upstream_address', endpoint?.address)
    .put('response_flags', flags)
    .put('request_size', counters.receivedBytes)
    .put('response_size', counters.sentBytes)
    .put('tulle.route', run.routeName)
    .put('tulle.reason', run.note);
  if (rules.istioTags) {
    putSelf(attributes, self);
    putPeer(attributes, 'source', tunnel.source.labels);
    if (endpoint !== undefined) putPeer(attributes, 'destination', labelsOf(endpoint, self));
  }
  const isError = flags !== '-';
  if (isError) attributes.put('error', true).put('error.type', flags);
  const service = group?.config.upstream.hostname ?? run.service?.compiled.table.hostname;
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    traceState: '',
    kind: 'server',
    // What a stranger asks a gateway for must not become a name.
    name: service === undefined ? 'tcp' : `tcp ${service}`,
    startNanos: wall.nanosAt(run.startedAt),
    endNanos: wall.nanosAt(now),
    status: isError ? 'error' : 'unset',
    statusMessage: isError ? run.note : '',
    attributes: attributes.all,
    links: [],
    service: serviceNameOf(self, rules),
    proxy: self.proxy,
  };
}
