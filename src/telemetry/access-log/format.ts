/**
 * Access log lines in the default text format that Istio gives Envoy, or the same fields as JSON, plus our note at the
 * end. Source of the format: istio pilot/pkg/model/telemetry_logging.go.
 */
import { ACCESS_LOG_FIELD_CHARS_MAX } from '../limits.ts';
import type { AccessRecord } from './record.ts';

export type AccessLogFormat = 'text' | 'json';

export function formatAccess(record: AccessRecord, format: AccessLogFormat): string {
  return format === 'json' ? formatJson(record) : formatText(record);
}

let cachedMs = -1;
let cachedTime = '';

/** RFC 3339 with milliseconds; made once a millisecond. */
function startTime(startMs: number): string {
  const whole = Math.floor(startMs);
  if (whole !== cachedMs) {
    cachedMs = whole;
    cachedTime = new Date(whole).toISOString();
  }
  return cachedTime;
}

/** The plain version of `putAccess`, which writes most lines: whoever changes one changes the other. */
function formatText(r: AccessRecord): string {
  const upstreamMs = r.upstreamServiceMs < 0 ? '-' : Math.round(r.upstreamServiceMs);
  const request = `"${word(r.method)} ${word(r.path)} ${word(r.protocol)}"`;
  const outcome = `${r.responseCode} ${r.responseFlags} ${word(r.responseCodeDetails)} - "${word(r.upstreamTransportFailure)}"`;
  const amounts = `${r.bytesReceived} ${r.bytesSent} ${Math.round(r.durationMs)} ${upstreamMs}`;
  const heads = `"${word(r.forwardedFor)}" "${word(r.userAgent)}" "${word(r.requestId)}" "${word(r.authority)}"`;
  const places = `"${word(r.upstreamHost)}" ${word(r.upstreamCluster)} - ${word(r.downstreamLocal)} ${word(r.downstreamRemote)}`;
  const end = `${word(r.serverName)} ${word(r.routeName)}`;
  const note = r.note === '' ? '' : ` "${clean(r.note)}"`;
  return `[${startTime(r.startMs)}] ${request} ${outcome} ${amounts} ${heads} ${places} ${end}${note}\n`;
}

function formatJson(r: AccessRecord): string {
  const line = {
    start_time: startTime(r.startMs),
    route_name: orNull(r.routeName),
    method: orNull(r.method),
    path: orNull(r.path),
    protocol: orNull(r.protocol),
    response_code: r.responseCode,
    response_flags: r.responseFlags,
    response_code_details: orNull(r.responseCodeDetails),
    connection_termination_details: null,
    bytes_received: r.bytesReceived,
    bytes_sent: r.bytesSent,
    duration: Math.round(r.durationMs),
    upstream_service_time: r.upstreamServiceMs < 0 ? null : String(Math.round(r.upstreamServiceMs)),
    x_forwarded_for: orNull(r.forwardedFor),
    user_agent: orNull(r.userAgent),
    request_id: orNull(r.requestId),
    authority: orNull(r.authority),
    upstream_host: orNull(r.upstreamHost),
    upstream_cluster: orNull(r.upstreamCluster),
    upstream_local_address: null,
    downstream_local_address: orNull(r.downstreamLocal),
    downstream_remote_address: orNull(r.downstreamRemote),
    requested_server_name: orNull(r.serverName),
    upstream_transport_failure_reason: orNull(r.upstreamTransportFailure),
    note: orNull(r.note),
  };
  return `${JSON.stringify(line)}\n`;
}

function orNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : cut(text);
}

/** A field of a line: `-` for nothing. */
export function word(text: string | undefined): string {
  return text === undefined || text === '' ? '-' : clean(text);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a log line
const UNSAFE = /[\u0000-\u001f\u007f"\\]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const UNSAFE_ALL = /[\u0000-\u001f\u007f"\\]/g;

/** No line breaks and no quotes from outside: a client cannot forge a line or a field. */
export function clean(text: string): string {
  const short = cut(text);
  if (!UNSAFE.test(short)) return short;
  return short.replace(UNSAFE_ALL, (char) =>
    char === '"' || char === '\\'
      ? `\\${char}`
      : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

export function cut(text: string): string {
  if (text.length <= ACCESS_LOG_FIELD_CHARS_MAX) return text;
  return `${text.slice(0, ACCESS_LOG_FIELD_CHARS_MAX)}…`;
}
