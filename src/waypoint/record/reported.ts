/** The record of a request or connection that is over, as people see it in `tulle tap` and the console. Made only when somebody wants it. */
import type { FlowTally } from '#telemetry/flow/flow-tally.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { TcpRun } from '../tcp/tcp-run.ts';
import { hasFailed as isTraced } from '../tracing/request-tracing.ts';
import type { Tunnel } from '../tunnel.ts';
import type { Refusal } from './access-record.ts';
import type { FinishedRequest } from './finished.ts';

const NOT_TRACED = { traceId: '', spanId: '' } as const;

export interface ReportedBy {
  /** `namespace/name` of our pod. */
  readonly proxy: string;
  readonly startMs: number;
  readonly durationMs: number;
  /** The edge that it was counted on. */
  readonly edge: FlowTally['facts'];
}

/** Details of answers that the destination gave, and of those that a route is there to give. */
const WANTED = new Set(['via_upstream', 'direct_response']);

/** Answered by the mesh in the place of the destination, and not because a route says so. */
function isRefused({ status, details }: Pick<FinishedRequest, 'status' | 'details'>): boolean {
  return status >= 400 && !WANTED.has(details);
}

export function hasRequestFailed(
  run: Pick<FinishedRequest, 'status' | 'flags' | 'details'>,
): boolean {
  return run.status === 0 || run.status >= 500 || run.flags !== '-' || isRefused(run);
}

export function hasConnectionFailed({ flags, note }: Pick<TcpRun, 'flags' | 'note'>): boolean {
  return flags !== '-' || note !== '';
}

export function reportedRequest(
  run: FinishedRequest & { readonly originalAuthority: string },
  by: ReportedBy,
): RequestRecord {
  const { request, tunnel, current, trace } = run;
  const hasFailed = hasRequestFailed(run);
  return {
    ...commonOf(tunnel, by),
    protocol: run.isGrpc ? 'grpc' : 'http',
    destinationAddress: current?.endpoint.address ?? '',
    method: request.method,
    authority: run.originalAuthority,
    path: run.originalPath,
    status: run.status,
    grpcStatus: run.isGrpc ? run.grpcStatus : '',
    flags: run.flags,
    reason: hasFailed ? run.note || (WANTED.has(run.details) ? '' : run.details) : '',
    route: run.entry === undefined ? '' : routeOf(run.entry.route.route.provenance),
    policy: run.policy,
    requestBytes: run.requestBytes + request.parts.raw.fieldsEnd,
    responseBytes: run.responseBytes,
    attempts: Math.max(run.attempt, 1),
    requestId: request.get('x-request-id') ?? '',
    userAgent: request.get('user-agent') ?? '',
    ...(trace?.found(isTraced(run)) ?? NOT_TRACED),
  };
}

/** Bytes that never became a request. */
export function reportedRefusal(tunnel: Tunnel, refusal: Refusal, by: ReportedBy): RequestRecord {
  return {
    ...commonOf(tunnel, by),
    ...NO_REQUEST,
    protocol: 'http',
    destinationAddress: '',
    status: refusal.status,
    flags: refusal.flags,
    reason: refusal.note || refusal.details,
    route: '',
    requestBytes: 0,
    responseBytes: 0,
  };
}

export function reportedConnection(run: TcpRun, by: ReportedBy): RequestRecord {
  const { trace, counters } = run;
  return {
    ...commonOf(run.tunnel, by),
    ...NO_REQUEST,
    protocol: 'tcp',
    destinationAddress: run.endpoint?.address ?? '',
    status: 0,
    flags: run.flags,
    reason: run.note,
    route: '',
    requestBytes: counters.receivedBytes,
    responseBytes: counters.sentBytes,
    ...trace.found(run.flags !== '-'),
  };
}

const NO_REQUEST = {
  method: '',
  authority: '',
  path: '',
  grpcStatus: '',
  policy: '',
  attempts: 1,
  requestId: '',
  userAgent: '',
  ...NOT_TRACED,
} as const;

function commonOf(tunnel: Tunnel, { proxy, startMs, durationMs, edge }: ReportedBy) {
  const { reporter, source, destination, service, isMutualTls } = edge;
  return {
    startMs: Math.round(startMs),
    durationMs,
    proxy,
    reporter,
    source,
    sourceAddress: tunnel.remote,
    destination,
    service: service.host,
    isMutualTls,
  };
}

function routeOf(of: { readonly kind: string; readonly namespace: string; readonly name: string }) {
  return `${of.kind} ${of.namespace}/${of.name}`;
}
