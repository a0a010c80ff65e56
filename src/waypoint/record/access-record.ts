/** Turns a finished request or connection into the record that the access log writes. */
import type { AccessRecord } from '#telemetry/access-log/record.ts';
import type { RequestRun } from '../phases/request-run.ts';
import type { TcpRun } from '../tcp/tcp-run.ts';

interface Times {
  startMs: number;
  durationMs: number;
}

export function requestRecord(run: RequestRun, { startMs, durationMs }: Times): AccessRecord {
  const { request, tunnel, current, entry } = run;
  return {
    startMs,
    durationMs,
    method: request.method,
    path: run.originalPath,
    protocol: run.protocol,
    responseCode: run.status,
    responseFlags: run.flags,
    responseCodeDetails: run.details,
    upstreamTransportFailure: run.transportFailure,
    bytesReceived: run.requestBytes,
    bytesSent: run.responseBytes,
    upstreamServiceMs: run.upstreamMs,
    forwardedFor: request.get('x-forwarded-for'),
    userAgent: request.get('user-agent'),
    requestId: request.get('x-request-id'),
    authority: request.authority,
    upstreamHost: current?.endpoint.address ?? '',
    upstreamCluster: current?.group.key ?? '',
    downstreamLocal: tunnel.local,
    downstreamRemote: tunnel.remote,
    routeName: entry?.route.route.name ?? '',
    note: run.note,
  };
}

export function tcpRecord(run: TcpRun, { startMs, durationMs }: Times): AccessRecord {
  const { tunnel, endpoint, group } = run;
  return {
    startMs,
    durationMs,
    method: '',
    path: '',
    protocol: '',
    responseCode: 0,
    responseFlags: run.flags,
    responseCodeDetails: '',
    upstreamTransportFailure: run.transportFailure,
    bytesReceived: run.counters.receivedBytes,
    bytesSent: run.counters.sentBytes,
    upstreamServiceMs: -1,
    forwardedFor: undefined,
    userAgent: undefined,
    requestId: undefined,
    authority: '',
    upstreamHost: endpoint?.address ?? '',
    upstreamCluster: group?.key ?? '',
    downstreamLocal: tunnel.local,
    downstreamRemote: tunnel.remote,
    routeName: '',
    note: run.note,
  };
}
