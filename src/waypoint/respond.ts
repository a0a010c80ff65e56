/**
 * The one table from "what went wrong" to what the client sees: HTTP status, Envoy's response flag and response code
 * details, and whether the text names a configuration fault. Nobody else builds error replies.
 */
import type { MeshError } from '#base/errors.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';

export type Fault =
  | 'no-route'
  | 'no-service'
  | 'no-destination'
  | 'broken-destination'
  | 'no-healthy-upstream'
  | 'overflow'
  | 'connect-failure'
  | 'upstream-reset'
  | 'upstream-refused'
  | 'request-timeout'
  | 'per-try-timeout'
  | 'denied';

export interface Reply {
  readonly status: number;
  /** Envoy's short flag. */
  readonly flag: string;
  /** %RESPONSE_CODE_DETAILS%. */
  readonly details: string;
  /** First words of the body; the cause follows. */
  readonly text: string;
}

const REPLIES: Readonly<Record<Fault, Reply>> = {
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
  denied: {
    status: 403,
    flag: '-',
    details: 'rbac_access_denied_matched_policy',
    text: 'RBAC: access denied',
  },
};

export function replyFor(fault: Fault): Reply {
  return REPLIES[fault];
}

/** Which fault an exchange is that broke after a connection was there. */
export function faultOfExchange(error: MeshError): Fault {
  const isRefused = error.code === 'H2_STREAM_REFUSED' || error.code === 'H2_GOING_AWAY';
  return isRefused ? 'upstream-refused' : 'upstream-reset';
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
