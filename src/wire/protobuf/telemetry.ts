/**
 * tulle.telemetry.v1: what proxies tell the control plane, and replicas of it each other. Names of fields are those of
 * docs/telemetry-stream.proto. Columns of frames are packed numbers (packed.ts).
 */
import {
  bool,
  bytes,
  double,
  enumeration,
  field,
  fixed64,
  int64,
  type MessageType,
  message,
  optional,
  repeated,
  string,
  uint32,
} from './message.ts';

const PACKAGE = 'tulle.telemetry.v1';

export const PeerMessage = message(`${PACKAGE}.Peer`, {
  kind: field(
    1,
    enumeration('Peer.Kind', ['unknown', 'workload', 'waypoint', 'gateway', 'external']),
  ),
  namespace: field(2, string),
  workload: field(3, string),
  app: field(4, string),
  version: field(5, string),
  principal: field(6, string),
  cluster: field(7, string),
});
export type PeerMessage = MessageType<typeof PeerMessage>;

const Reporter = enumeration('Reporter', ['source', 'destination', 'waypoint', 'gateway']);

export const EdgeMessage = message(`${PACKAGE}.Edge`, {
  id: field(1, uint32),
  reporter: field(2, Reporter),
  protocol: field(3, enumeration('Edge.Protocol', ['http', 'grpc', 'tcp'])),
  source: optional(4, PeerMessage),
  destination: optional(5, PeerMessage),
  service_host: field(6, string),
  service_namespace: field(7, string),
  service_name: field(8, string),
  is_mutual_tls: field(9, bool),
});
export type EdgeMessage = MessageType<typeof EdgeMessage>;

/** One row an edge, in order of their ids; codes, flags and buckets of all rows one after the other, as many as `…_rows` says. */
export const FrameMessage = message(`${PACKAGE}.Frame`, {
  second: field(1, int64),
  /** Texts that `flag` counts from 0. */
  flags: repeated(2, string),
  /** Differences from the row before. */
  edge: field(3, bytes),
  requests: field(4, bytes),
  duration_us: field(5, bytes),
  opened: field(6, bytes),
  closed: field(7, bytes),
  failed: field(8, bytes),
  sent: field(9, bytes),
  received: field(10, bytes),
  code_rows: field(11, bytes),
  code: field(12, bytes),
  code_count: field(13, bytes),
  grpc_rows: field(14, bytes),
  grpc: field(15, bytes),
  grpc_count: field(16, bytes),
  flag_rows: field(17, bytes),
  flag: field(18, bytes),
  flag_count: field(19, bytes),
  bucket_rows: field(20, bytes),
  bucket: field(21, bytes),
  bucket_count: field(22, bytes),
});
export type FrameMessage = MessageType<typeof FrameMessage>;

export const RecordMessage = message(`${PACKAGE}.Record`, {
  start_ms: field(1, int64),
  duration_ms: field(2, double),
  proxy: field(3, string),
  reporter: field(4, Reporter),
  protocol: field(5, enumeration('Record.Protocol', ['http', 'grpc', 'tcp', 'dns'])),
  source: optional(6, PeerMessage),
  source_address: field(7, string),
  destination: optional(8, PeerMessage),
  destination_address: field(9, string),
  service: field(10, string),
  is_mutual_tls: field(11, bool),
  method: field(12, string),
  authority: field(13, string),
  path: field(14, string),
  status: field(15, uint32),
  grpc_status: field(16, string),
  flags: field(17, string),
  reason: field(18, string),
  route: field(19, string),
  policy: field(20, string),
  request_bytes: field(21, int64),
  response_bytes: field(22, int64),
  attempts: field(23, uint32),
  request_id: field(24, string),
  user_agent: field(25, string),
  trace_id: field(26, string),
  span_id: field(27, string),
});
export type RecordMessage = MessageType<typeof RecordMessage>;

const LinkMessage = message(`${PACKAGE}.Span.Link`, {
  trace_id: field(1, string),
  span_id: field(2, string),
});

const AttributeMessage = message(`${PACKAGE}.Span.Attribute`, {
  key: field(1, string),
  text: optional(2, string, 'value'),
  number: optional(3, double, 'value'),
  truth: optional(4, bool, 'value'),
});
export type AttributeMessage = MessageType<typeof AttributeMessage>;

export const SpanMessage = message(`${PACKAGE}.Span`, {
  trace_id: field(1, string),
  span_id: field(2, string),
  parent_span_id: field(3, string),
  trace_state: field(4, string),
  kind: field(5, enumeration('Span.Kind', ['server', 'client', 'internal'])),
  name: field(6, string),
  start_nanos: field(7, fixed64),
  end_nanos: field(8, fixed64),
  status: field(9, enumeration('Span.Status', ['unset', 'ok', 'error'])),
  status_message: field(10, string),
  attributes: repeated(11, AttributeMessage),
  links: repeated(12, LinkMessage),
  service: field(13, string),
  proxy: field(14, string),
});
export type SpanMessage = MessageType<typeof SpanMessage>;

export const TapMessage = message(`${PACKAGE}.Tap`, {
  namespaces: repeated(1, string),
  workloads: repeated(2, string),
  services: repeated(3, string),
  methods: repeated(4, string),
  path_prefix: field(5, string),
  status_from: field(6, uint32),
  status_to: field(7, uint32),
  only_failed: field(8, bool),
  per_second_max: field(9, uint32),
});
export type TapMessage = MessageType<typeof TapMessage>;

/** All that are wanted, in the place of those said before. */
export const TapsMessage = message(`${PACKAGE}.Taps`, { taps: repeated(1, TapMessage) });

const HelloMessage = message(`${PACKAGE}.Hello`, {
  /** `namespace/name` of the pod. */
  proxy: field(1, string),
  version: field(2, string),
});

const DroppedMessage = message(`${PACKAGE}.Dropped`, {
  spans: field(1, int64),
  records: field(2, int64),
});

/** Proxy to control plane. */
export const ReportMessage = message(`${PACKAGE}.Report`, {
  /** First of a stream. */
  hello: optional(1, HelloMessage),
  edges: repeated(2, EdgeMessage),
  /** Each a Frame. */
  frames: repeated(3, bytes),
  records: repeated(4, RecordMessage),
  spans: repeated(5, SpanMessage),
  dropped: optional(6, DroppedMessage),
  /** Frames from here on are later than this second, whatever was said before. */
  resent_since: optional(7, int64),
  /** The sender's clock when it was sent. */
  now_ms: field(8, double),
});
export type ReportMessage = MessageType<typeof ReportMessage>;

const ResendMessage = message(`${PACKAGE}.Resend`, { since: field(1, int64) });

/** Control plane to proxy. */
export const OrderMessage = message(`${PACKAGE}.Order`, {
  resend: optional(1, ResendMessage),
  taps: optional(2, TapsMessage),
  /** Reports of this stream that were taken so far. */
  taken: field(3, uint32),
});
export type OrderMessage = MessageType<typeof OrderMessage>;

const KnownMessage = message(`${PACKAGE}.WatchRequest.Known`, {
  proxy: field(1, string),
  second: field(2, int64),
});

/** Replica to replica: what it wants to be told. */
export const WatchMessage = message(`${PACKAGE}.WatchRequest`, {
  /** The last second that is known of a proxy: it is relayed from then on. */
  known: repeated(1, KnownMessage),
  taps: optional(2, TapsMessage),
  /** Relays of this stream that were taken so far. */
  taken: field(3, uint32),
});
export type WatchMessage = MessageType<typeof WatchMessage>;

/** Replica to replica: a proxy connected to it; one report of it as it came; or its stream is over. */
export const RelayMessage = message(`${PACKAGE}.Relay`, {
  proxy: field(1, string),
  /** Since when its stream is open. */
  connected_ms: field(2, double),
  /** Its clock minus that of the relaying replica. */
  offset_ms: field(3, double),
  report: field(4, bytes),
  is_closed: field(5, bool),
  now_ms: field(6, double),
});
export type RelayMessage = MessageType<typeof RelayMessage>;

export const REPORT_METHOD = `/${PACKAGE}.Telemetry/Report`;
export const WATCH_METHOD = `/${PACKAGE}.Telemetry/Watch`;
