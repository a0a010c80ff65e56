/** The one table from an error's code to the status a tunnel gets and the response flag that telemetry shows. */
import type { MeshError } from '#base/errors.ts';

export type ResponseFlag =
  | '-'
  | 'DENY'
  | 'CONNECT'
  | 'TLS_FAILURE'
  | 'H2_HANDSHAKE_FAILURE'
  | 'NETWORK_POLICY'
  | 'IDENTITY_ERROR'
  | 'CERT_REVOKED'
  | 'LIMIT';

interface Response {
  readonly status: 400 | 401 | 503;
  readonly flag: ResponseFlag;
}

/** Flags as ztunnel's (src/proxy/metrics.rs), and LIMIT, which is ours; anything else is CONNECT and 503. */
const RESPONSES: Readonly<Record<string, Response>> = {
  NODE_POLICY: { status: 401, flag: 'DENY' },
  NODE_POLICY_CHANGED: { status: 401, flag: 'DENY' },
  NODE_WAYPOINT_UNREADY: { status: 503, flag: 'DENY' },
  NODE_BAD_TUNNEL: { status: 400, flag: 'CONNECT' },
  NODE_LIMIT: { status: 503, flag: 'LIMIT' },
  NODE_NO_IDENTITY: { status: 503, flag: 'IDENTITY_ERROR' },
  HBONE_NO_IDENTITY: { status: 503, flag: 'IDENTITY_ERROR' },
  HBONE_CONNECT_TIMEOUT: { status: 503, flag: 'NETWORK_POLICY' },
  HBONE_HANDSHAKE_FAILED: { status: 503, flag: 'H2_HANDSHAKE_FAILURE' },
  NET_TLS_FAILED: { status: 503, flag: 'TLS_FAILURE' },
  NET_TLS_REFUSED: { status: 503, flag: 'TLS_FAILURE' },
  NET_CERTIFICATE_EXPIRED: { status: 503, flag: 'TLS_FAILURE' },
  NET_CERTIFICATE_UNTRUSTED: { status: 503, flag: 'TLS_FAILURE' },
  NET_CERTIFICATE_MISSING: { status: 503, flag: 'TLS_FAILURE' },
  NET_PEER_IDENTITY: { status: 503, flag: 'TLS_FAILURE' },
  TRUST_NO_IDENTITY: { status: 503, flag: 'TLS_FAILURE' },
  TRUST_REVOKED: { status: 503, flag: 'CERT_REVOKED' },
  TRUST_FOREIGN_DOMAIN: { status: 503, flag: 'TLS_FAILURE' },
};
const OTHERWISE: Response = { status: 503, flag: 'CONNECT' };

export function responseOf(error: MeshError): Response {
  return RESPONSES[error.code] ?? OTHERWISE;
}
