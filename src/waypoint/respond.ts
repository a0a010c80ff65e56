/**
 * The one table from "what went wrong" to what the client sees: HTTP status, Envoy's response flag and response code
 * details, and whether the text names a configuration fault. Nobody else builds error replies.
 */
import type { MeshError } from '#base/errors.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';

export type Fault =
  | 'bad-path'
  | 'no-route'
  | 'no-service'
  | 'no-destination'
  | 'broken-destination'
  | 'no-healthy-upstream'
  | 'overflow'
  | 'connect-failure'
  | 'upstream-reset'
  | 'upstream-refused'
  | 'upstream-stream-reset'
  | 'upstream-protocol-error'
  | 'request-too-large'
  | 'rate-limited'
  | 'overloaded'
  | 'request-timeout'
  | 'per-try-timeout'
  | 'stream-too-long'
  | 'shutdown'
  | 'stream-idle'
  | 'stream-idle-uploading'
  | 'denied'
  | 'unauthenticated'
  | 'misdirected'
  | 'https-redirect';

export interface Reply {
  readonly status: number;
  /** Envoy's short flag. */
  readonly flag: string;
  /** %RESPONSE_CODE_DETAILS%. */
  readonly details: string;
  /** First words of the body; the cause follows. */
  readonly text: string;
}

export const REPLIES: Readonly<Record<Fault, Reply>> = {
  'bad-path': {
    status: 400,
    flag: '-',
    details: 'path_normalization_failed',
    text: 'bad path',
  },
  'no-route': { status: 404, flag: 'NR', details: 'route_not_found', text: 'no route' },
  'no-service': { status: 404, flag: 'NR', details: 'filter_chain_not_found', text: 'no service' },
  'no-destination': {
    status: 503,
    flag: 'NC',
    details: 'cluster_not_found',
    text: 'no destination',
  },
  'broken-destination': {
    status: 503,
    flag: 'NC',
    details: 'cluster_not_found',
    text: 'no destination',
  },
  'no-healthy-upstream': {
    status: 503,
    flag: 'UH',
    details: 'no_healthy_upstream',
    text: 'no healthy upstream',
  },
  overflow: {
    status: 503,
    flag: 'UO',
    details: 'upstream_reset_before_response_started{overflow}',
    text: 'upstream connect error or disconnect before headers: overflow',
  },
  'connect-failure': {
    status: 503,
    flag: 'UF',
    details: 'upstream_reset_before_response_started{connection_failure}',
    text: 'upstream connect failure',
  },
  'upstream-reset': {
    status: 503,
    flag: 'UC',
    details: 'upstream_reset_before_response_started{connection_termination}',
    text: 'upstream disconnect before headers',
  },
  'upstream-refused': {
    status: 503,
    flag: 'UR',
    details: 'upstream_reset_before_response_started{remote_refused_stream_reset}',
    text: 'upstream refused the stream',
  },
  'upstream-stream-reset': {
    status: 503,
    flag: 'UR',
    details: 'upstream_reset_before_response_started{remote_reset}',
    text: 'upstream reset the stream',
  },
  'upstream-protocol-error': {
    status: 502,
    flag: 'UPE',
    details: 'upstream_reset_before_response_started{protocol_error}',
    text: 'upstream broke the protocol',
  },
  'request-too-large': {
    status: 413,
    flag: '-',
    details: 'request_payload_too_large',
    text: 'Payload Too Large',
  },
  'rate-limited': {
    status: 429,
    flag: 'RL',
    details: 'local_rate_limited',
    text: 'local_rate_limited',
  },
  overloaded: { status: 503, flag: 'OM', details: 'overload', text: 'overloaded' },
  'request-timeout': {
    status: 504,
    flag: 'UT',
    details: 'response_timeout',
    text: 'upstream request timeout',
  },
  'per-try-timeout': {
    status: 504,
    flag: 'UT',
    details: 'upstream_per_try_timeout',
    text: 'upstream request timeout',
  },
  'stream-too-long': {
    status: 504,
    flag: 'DT',
    details: 'max_duration_timeout',
    text: 'downstream duration timeout',
  },
  shutdown: {
    status: 503,
    flag: 'LR',
    details: 'drain_deadline',
    text: 'the proxy is shutting down',
  },
  'stream-idle': {
    status: 504,
    flag: 'SI',
    details: 'stream_idle_timeout',
    text: 'stream timeout',
  },
  // The client is the one that is late.
  'stream-idle-uploading': {
    status: 408,
    flag: 'SI',
    details: 'stream_idle_timeout',
    text: 'stream timeout',
  },
  denied: {
    status: 403,
    flag: '-',
    details: 'rbac_access_denied_matched_policy',
    text: 'RBAC: access denied',
  },
  // Which text and whether 403 instead depends on what is wrong with the token.
  unauthenticated: {
    status: 401,
    flag: '-',
    details: 'jwt_authn_access_denied',
    text: 'Jwt verification fails',
  },
  misdirected: {
    status: 421,
    flag: 'NR',
    details: 'misdirected_request',
    text: 'misdirected request',
  },
  // Envoy answers so for a virtual host with require_tls.
  'https-redirect': {
    status: 301,
    flag: '-',
    details: 'direct_response',
    text: 'moved to https',
  },
};

export function replyFor(fault: Fault): Reply {
  return REPLIES[fault];
}

/** One more flag, behind those that are there, as Envoy writes several; `-` is none. */
export function withFlag(flags: string, flag: string): string {
  if (flags === '-' || flag === '-') return flags === '-' ? flag : flags;
  return flags.split(',').includes(flag) ? flags : `${flags},${flag}`;
}

/** Which fault an exchange is that broke after a connection was there. */
export function faultOfExchange(error: MeshError): Fault {
  switch (error.code) {
    case 'H2_STREAM_REFUSED':
    case 'H2_GOING_AWAY':
      return 'upstream-refused';
    case 'H2_STREAM_RESET':
      return 'upstream-stream-reset';
    case 'H1_BAD_MESSAGE':
    case 'H1_RESPONSE_CUT':
    case 'H2_PROTOCOL':
    case 'H2_CALM':
    case 'HTTP_UPGRADE_UNSUPPORTED':
      return 'upstream-protocol-error';
    default:
      return 'upstream-reset';
  }
}

/** Flag and details of an answer that broke off in its middle. */
export function brokenAnswer(error: MeshError): { flag: string; details: string } {
  const { flag, details } = replyFor(faultOfExchange(error));
  return { flag, details: details.replace('before_response_started', 'after_response_started') };
}

/** What a request is logged as that its client ended, or that the driver answered itself (`answered`, 0 for nothing). */
export function abortedRequest(
  error: MeshError,
  answered: number,
): { status: number; flag: string; details: string } {
  if (error.code === 'HTTP_BODY_TIMEOUT') {
    return { status: answered, flag: 'SI', details: 'stream_idle_timeout' };
  }
  if (error.code === 'H1_BAD_MESSAGE') {
    return { status: answered, flag: 'DPE', details: 'http1.codec_error' };
  }
  if (error.code === 'H2_PROTOCOL') {
    return { status: answered, flag: 'DPE', details: 'http2.protocol_error' };
  }
  return { status: answered, flag: 'DC', details: 'downstream_remote_disconnect' };
}

/** What bytes are logged as that never became a request. */
export function refusedBytes(error: MeshError, isH2: boolean): { flag: string; details: string } {
  if (error.code === 'H1_HEAD_TIMEOUT') return { flag: '-', details: 'request_header_timeout' };
  return { flag: 'DPE', details: isH2 ? 'http2.violation' : 'http1.codec_error' };
}

/** Short plain text: what happened, then the cause. gRPC callers get a trailers-only answer instead of a body. */
export function replyHead(
  reply: { status: number },
  body: Uint8Array,
  grpcText?: string,
): MessageHead {
  if (grpcText !== undefined) {
    const head = MessageHead.response(200);
    head.set('content-type', 'application/grpc');
    head.set('grpc-status', String(grpcStatusOf(reply.status)));
    head.set('grpc-message', encodeGrpcMessage(grpcText));
    return head;
  }
  const head = MessageHead.response(reply.status);
  head.set('content-type', 'text/plain');
  head.set('content-length', String(body.length));
  return head;
}

/** HTTP status to gRPC status, as the gRPC specification maps them (doc/http-grpc-status-mapping.md). */
export function grpcStatusOf(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

/** Percent-encodes what is not printable ASCII, and the percent sign (gRPC over HTTP/2, Status-Message). */
function encodeGrpcMessage(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  let encoded = '';
  for (const byte of bytes) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
