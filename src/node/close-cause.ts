/**
 * Who ended a connection and why, for the log line and the failed metric alike. Pure. `by` is one of few words; `reason`
 * is a stable word, or the name of the policy or limit that decided.
 */
import type { MeshError } from '#base/errors.ts';
import { refusalOf } from '#identity/trust/refusal.ts';

export type Initiator = 'downstream' | 'upstream' | 'self' | 'operator' | 'policy';

export interface CloseCause {
  readonly by: Initiator;
  readonly reason: string;
}

/** `by` where the error's side does not say it. */
interface Cause {
  readonly by?: Initiator;
  /** Undefined: the message says it, in one of few sentences of ours. */
  readonly reason?: string;
}

const CAUSES: Readonly<Record<string, Cause>> = {
  NET_RESET: { reason: 'reset' },
  NET_RESET_LOCAL: { reason: 'reset' },
  NET_CONNECT_REFUSED: { reason: 'connect refused' },
  NET_CONNECT_TIMEOUT: { reason: 'connect timeout' },
  NET_CONNECT_FAILED: { reason: 'connect failed' },
  NET_TLS_FAILED: { reason: 'TLS failure' },
  HBONE_REFUSED: { reason: 'tunnel refused' },
  HBONE_NO_ANSWER: { reason: 'answer timeout' },
  HBONE_CONNECT_TIMEOUT: { reason: 'connect timeout' },
  HBONE_HANDSHAKE_FAILED: { reason: 'HTTP/2 handshake failure' },
  HBONE_TUNNEL_RESET: { reason: 'reset' },
  HBONE_TUNNEL_RESET_LOCAL: { reason: 'reset' },
  HBONE_CONNECTION_LOST: { reason: 'connection lost' },
  HBONE_BAD_REQUEST: { by: 'self', reason: 'bad tunnel request' },
  HBONE_NO_IDENTITY: { reason: 'no certificate' },
  HBONE_POOL_CLOSED: { by: 'operator', reason: 'shutdown' },
  NODE_NO_IDENTITY: { reason: 'no certificate' },
  NODE_WORKLOAD_UNKNOWN: { reason: 'unknown workload' },
  NODE_NO_UPSTREAM: { by: 'self', reason: 'no healthy upstream' },
  NODE_WAYPOINT_UNREADY: { by: 'self', reason: 'no healthy waypoint' },
  NODE_LOOP: { by: 'self', reason: 'loop' },
  NODE_BAD_TUNNEL: { by: 'self', reason: 'bad tunnel request' },
  NODE_POLICY: { by: 'policy', reason: 'policy' },
  NODE_POLICY_CHANGED: { by: 'policy', reason: 'policy changed' },
  NODE_LIMIT: { by: 'self', reason: 'limit' },
  NODE_CLOSED: { by: 'operator' },
};

/** `firstEnd`: who sent FIN first, for a connection that ended in order. */
export function closeCauseOf(
  error: MeshError | undefined,
  firstEnd: 'downstream' | 'upstream' | undefined,
): CloseCause {
  if (error === undefined) return { by: firstEnd ?? 'downstream', reason: 'FIN' };
  const refusal = refusalOf(error);
  if (refusal !== undefined) return { by: 'self', reason: refusal };
  const cause = CAUSES[error.code];
  const by = cause?.by ?? (error.side === 'config' ? 'operator' : error.side);
  const timedOut = error.code === 'NET_RESET' && /ETIMEDOUT/.test(String(error.cause));
  const reason = cause === undefined ? error.code : (cause.reason ?? error.message);
  return { by, reason: error.decidedBy ?? (timedOut ? 'timeout' : reason) };
}
