/** The record of a connection that is over, as people see it in `tulle tap` and the console. Made only when somebody wants it. */
import type { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { SocketAddress } from '#net/connection.ts';
import { NOBODY } from '#telemetry/flow/flow-book.ts';
import type { FlowTally } from '#telemetry/flow/flow-tally.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
import { closeCauseOf } from './close-cause.ts';
import { responseOf } from './respond.ts';

export interface EndedConnection {
  /** `namespace/name` of our pod. */
  readonly proxy: string;
  /** Milliseconds since the epoch. */
  readonly endMs: number;
  readonly durationMs: number;
  readonly source: SocketAddress;
  /** Next hop. */
  readonly destination: SocketAddress;
  /** From the client, and to it. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly error: MeshError | undefined;
  /** The edge that it was counted on; undefined: it failed before anything was known. */
  readonly edge: FlowTally['facts'] | undefined;
  readonly direction: 'inbound' | 'outbound';
  readonly trace?: RequestTrace;
}

export function reportedConnection(ended: EndedConnection): RequestRecord {
  const { error, edge, durationMs } = ended;
  return {
    startMs: Math.round(ended.endMs - durationMs),
    durationMs,
    proxy: ended.proxy,
    reporter: edge?.reporter ?? (ended.direction === 'outbound' ? 'source' : 'destination'),
    protocol: 'tcp',
    source: edge?.source ?? NOBODY,
    sourceAddress: addressOf(ended.source),
    destination: edge?.destination ?? NOBODY,
    destinationAddress: addressOf(ended.destination),
    service: edge?.service.host ?? '',
    isMutualTls: edge?.isMutualTls ?? false,
    method: '',
    authority: '',
    path: '',
    status: 0,
    grpcStatus: '',
    flags: error === undefined ? '-' : responseOf(error).flag,
    reason: error?.message ?? '',
    route: '',
    policy: policyOf(error),
    requestBytes: ended.receivedBytes,
    responseBytes: ended.sentBytes,
    attempts: 1,
    requestId: '',
    userAgent: '',
    traceId: '',
    spanId: '',
    ...ended.trace?.found(error !== undefined),
  };
}

/** What an error of L4 policy says decided it; a demand for mutual TLS names its PeerAuthentication in words. */
export function policyOf(error: MeshError | undefined): string {
  if (error?.decidedBy === undefined || closeCauseOf(error, undefined).by !== 'policy') return '';
  const kind = /\bPeerAuthentication\b/.test(error.message)
    ? 'PeerAuthentication'
    : 'AuthorizationPolicy';
  return `${kind} ${error.decidedBy}`;
}

function addressOf({ address, port }: SocketAddress): string {
  return address === '' ? '' : formatHostPort(address, port);
}
