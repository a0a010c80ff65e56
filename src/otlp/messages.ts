/**
 * OTLP: what the trace and log services take and answer, field by field (opentelemetry-proto, collector/{trace,logs}/v1). Members are
 * named as OTLP's JSON names them, so that both encodings come from the same values.
 */
import {
  bool,
  bytes,
  double,
  field,
  fixed64,
  int32,
  int64,
  type MessageType,
  message,
  optional,
  repeated,
  string,
  uint32,
} from '#wire/protobuf/message.ts';

export const AnyValue = message('opentelemetry.proto.common.v1.AnyValue', {
  stringValue: optional(1, string, 'value'),
  boolValue: optional(2, bool, 'value'),
  intValue: optional(3, int64, 'value'),
  doubleValue: optional(4, double, 'value'),
});
export type AnyValue = MessageType<typeof AnyValue>;

export const KeyValue = message('opentelemetry.proto.common.v1.KeyValue', {
  key: field(1, string),
  value: optional(2, AnyValue),
});
export type KeyValue = MessageType<typeof KeyValue>;

export const Resource = message('opentelemetry.proto.resource.v1.Resource', {
  attributes: repeated(1, KeyValue),
});
export type Resource = MessageType<typeof Resource>;

export const Scope = message('opentelemetry.proto.common.v1.InstrumentationScope', {
  name: field(1, string),
  version: field(2, string),
});

const SpanLink = message('opentelemetry.proto.trace.v1.Span.Link', {
  traceId: field(1, bytes),
  spanId: field(2, bytes),
});

const SpanStatus = message('opentelemetry.proto.trace.v1.Status', {
  message: field(2, string),
  code: field(3, int32),
});

export const OtlpSpan = message('opentelemetry.proto.trace.v1.Span', {
  traceId: field(1, bytes),
  spanId: field(2, bytes),
  traceState: field(3, string),
  parentSpanId: field(4, bytes),
  name: field(5, string),
  kind: field(6, int32),
  startTimeUnixNano: field(7, fixed64),
  endTimeUnixNano: field(8, fixed64),
  attributes: repeated(9, KeyValue),
  links: repeated(13, SpanLink),
  status: optional(15, SpanStatus),
});
export type OtlpSpan = MessageType<typeof OtlpSpan>;

export const ScopeSpans = message('opentelemetry.proto.trace.v1.ScopeSpans', {
  scope: optional(1, Scope),
  spans: repeated(2, OtlpSpan),
});

export const ResourceSpans = message('opentelemetry.proto.trace.v1.ResourceSpans', {
  resource: optional(1, Resource),
  scopeSpans: repeated(2, ScopeSpans),
});

export const ExportTraceRequest = message(
  'opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest',
  { resourceSpans: repeated(1, ResourceSpans) },
);

export const LogRecord = message('opentelemetry.proto.logs.v1.LogRecord', {
  timeUnixNano: field(1, fixed64),
  severityNumber: field(2, int32),
  severityText: field(3, string),
  body: optional(5, AnyValue),
  attributes: repeated(6, KeyValue),
  traceId: field(9, bytes),
  spanId: field(10, bytes),
  observedTimeUnixNano: field(11, fixed64),
});
export type LogRecord = MessageType<typeof LogRecord>;

export const ScopeLogs = message('opentelemetry.proto.logs.v1.ScopeLogs', {
  scope: optional(1, Scope),
  logRecords: repeated(2, LogRecord),
});

export const ResourceLogs = message('opentelemetry.proto.logs.v1.ResourceLogs', {
  resource: optional(1, Resource),
  scopeLogs: repeated(2, ScopeLogs),
});

export const ExportLogsRequest = message(
  'opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest',
  { resourceLogs: repeated(1, ResourceLogs) },
);

/** Of both services; members of the same numbers. */
export const PartialSuccess = message('opentelemetry.proto.collector.ExportPartialSuccess', {
  rejected: field(1, int64),
  errorMessage: field(2, string),
});
export const ExportAnswer = message('opentelemetry.proto.collector.ExportServiceResponse', {
  partialSuccess: optional(1, PartialSuccess),
});

/** What an HTTP answer says of an error. */
export const RpcStatus = message('google.rpc.Status', {
  code: field(1, uint32),
  message: field(2, string),
});
