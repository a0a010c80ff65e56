/** What is reported, to the messages of wire/protobuf/telemetry.ts and back. Pure. Reading never throws. */
import type { MessageType } from '#wire/protobuf/message.ts';
import {
  type AttributeMessage,
  EdgeMessage,
  PeerMessage,
  RecordMessage,
  SpanMessage,
  TapMessage,
} from '#wire/protobuf/telemetry.ts';
import type { FlowEdge, FlowPeer } from '../flow/flow-frame.ts';
import { STATUS_MAX } from '../requests/match-tap.ts';
import type { RequestRecord, TapFilter } from '../requests/request-record.ts';
import type { Span } from '../tracing/span.ts';
import { TAPPED_RECORDS_PER_SECOND_MAX, TEXT_CHARS_MAX } from './limits.ts';

const NO_PEER: FlowPeer = PeerMessage.create();

export function edgeMessage(edge: FlowEdge): MessageType<typeof EdgeMessage> {
  const { id, reporter, protocol, source, destination, service, isMutualTls } = edge;
  return EdgeMessage.create({
    id,
    reporter,
    protocol,
    source,
    destination,
    service_host: service.host,
    service_namespace: service.namespace,
    service_name: service.name,
    is_mutual_tls: isMutualTls,
  });
}

export function edgeOf(message: EdgeMessage): FlowEdge {
  return {
    id: message.id,
    reporter: message.reporter,
    protocol: message.protocol,
    source: peerOf(message.source),
    destination: peerOf(message.destination),
    service: {
      host: cut(message.service_host),
      namespace: cut(message.service_namespace),
      name: cut(message.service_name),
    },
    isMutualTls: message.is_mutual_tls,
  };
}

function peerOf(peer: PeerMessage | undefined): FlowPeer {
  if (peer === undefined) return NO_PEER;
  const { kind, namespace, workload, app, version, principal, cluster } = peer;
  return {
    kind,
    namespace: cut(namespace),
    workload: cut(workload),
    app: cut(app),
    version: cut(version),
    principal: cut(principal),
    cluster: cut(cluster),
  };
}

/** Names of fields on the wire, and ours. */
const RECORD_TEXTS = [
  ['proxy', 'proxy'],
  ['source_address', 'sourceAddress'],
  ['destination_address', 'destinationAddress'],
  ['service', 'service'],
  ['method', 'method'],
  ['authority', 'authority'],
  ['path', 'path'],
  ['grpc_status', 'grpcStatus'],
  ['flags', 'flags'],
  ['reason', 'reason'],
  ['route', 'route'],
  ['policy', 'policy'],
  ['request_id', 'requestId'],
  ['user_agent', 'userAgent'],
  ['trace_id', 'traceId'],
  ['span_id', 'spanId'],
] as const;

export function recordMessage(record: RequestRecord): MessageType<typeof RecordMessage> {
  const message = RecordMessage.create({
    start_ms: record.startMs,
    duration_ms: record.durationMs,
    reporter: record.reporter,
    protocol: record.protocol,
    source: record.source,
    destination: record.destination,
    is_mutual_tls: record.isMutualTls,
    status: record.status,
    request_bytes: record.requestBytes,
    response_bytes: record.responseBytes,
    attempts: record.attempts,
  });
  for (const [wire, own] of RECORD_TEXTS) message[wire] = cut(record[own]);
  return message;
}

/** `proxy`: who sent it, whatever it says. */
export function recordOf(message: RecordMessage, proxy: string): RequestRecord {
  const texts = {} as Record<(typeof RECORD_TEXTS)[number][1], string>;
  for (const [wire, own] of RECORD_TEXTS) texts[own] = cut(message[wire]);
  return {
    ...texts,
    proxy,
    startMs: message.start_ms,
    durationMs: message.duration_ms,
    reporter: message.reporter,
    protocol: message.protocol,
    source: peerOf(message.source),
    destination: peerOf(message.destination),
    isMutualTls: message.is_mutual_tls,
    status: message.status,
    requestBytes: message.request_bytes,
    responseBytes: message.response_bytes,
    attempts: message.attempts,
  };
}

export function spanMessage(span: Span): MessageType<typeof SpanMessage> {
  return SpanMessage.create({
    trace_id: span.traceId,
    span_id: span.spanId,
    parent_span_id: span.parentSpanId,
    trace_state: cut(span.traceState),
    kind: span.kind,
    name: cut(span.name),
    start_nanos: span.startNanos,
    end_nanos: span.endNanos,
    status: span.status,
    status_message: cut(span.statusMessage),
    attributes: Object.entries(span.attributes).map(([key, value]) => attribute(key, value)),
    links: span.links.map(({ traceId, spanId }) => ({ trace_id: traceId, span_id: spanId })),
    service: span.service,
    proxy: span.proxy,
  });
}

/** `proxy`: who sent it, whatever it says. */
export function spanOf(message: SpanMessage, proxy: string): Span {
  return {
    traceId: cut(message.trace_id),
    spanId: cut(message.span_id),
    parentSpanId: cut(message.parent_span_id),
    traceState: cut(message.trace_state),
    kind: message.kind,
    name: cut(message.name),
    startNanos: message.start_nanos,
    endNanos: message.end_nanos,
    status: message.status,
    statusMessage: cut(message.status_message),
    attributes: Object.fromEntries(
      message.attributes.map(({ key, text, number, truth }) => [
        key,
        number ?? truth ?? cut(text ?? ''),
      ]),
    ),
    links: message.links.map(({ trace_id, span_id }) => ({ traceId: trace_id, spanId: span_id })),
    service: cut(message.service),
    proxy,
  };
}

function attribute(key: string, value: string | number | boolean): AttributeMessage {
  return {
    key,
    text: typeof value === 'string' ? cut(value) : undefined,
    number: typeof value === 'number' ? value : undefined,
    truth: typeof value === 'boolean' ? value : undefined,
  };
}

export function tapMessage(filter: TapFilter): MessageType<typeof TapMessage> {
  return TapMessage.create({
    namespaces: [...filter.namespaces],
    workloads: [...filter.workloads],
    services: [...filter.services],
    methods: [...filter.methods],
    path_prefix: filter.pathPrefix,
    status_from: filter.statusFrom,
    status_to: filter.statusTo,
    only_failed: filter.onlyFailed,
    per_second_max: filter.perSecondMax,
  });
}

export function tapOf(message: TapMessage): TapFilter {
  return {
    namespaces: message.namespaces,
    workloads: message.workloads,
    services: message.services,
    methods: message.methods,
    pathPrefix: message.path_prefix,
    statusFrom: message.status_from,
    statusTo: Math.min(message.status_to, STATUS_MAX),
    onlyFailed: message.only_failed,
    perSecondMax: Math.min(message.per_second_max, TAPPED_RECORDS_PER_SECOND_MAX),
  };
}

function cut(text: string): string {
  return text.length > TEXT_CHARS_MAX ? text.slice(0, TEXT_CHARS_MAX) : text;
}
