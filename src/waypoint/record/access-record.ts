/** Turns a finished request or connection into the record that the access log writes. */
import type { AccessRecord } from '#telemetry/access-log/record.ts';
import type { RequestRun } from '../phases/request-run.ts';
import type { TcpRun } from '../tcp/tcp-run.ts';
import type { Tunnel } from '../tunnel.ts';

interface Times {
  startMs: number;
  durationMs: number;
}

/** The record of a request is this one object, written anew: a line is made at once of it, and another for each would be waste. */
const shared: { -readonly [K in keyof AccessRecord]: AccessRecord[K] } = {
  startMs: 0,
  durationMs: 0,
  method: '',
  path: '',
  protocol: '',
  responseCode: 0,
  responseFlags: '',
  responseCodeDetails: '',
  upstreamTransportFailure: '',
  bytesReceived: 0,
  bytesSent: 0,
  upstreamServiceMs: -1,
  forwardedFor: undefined,
  userAgent: undefined,
  requestId: undefined,
  authority: '',
  upstreamHost: '',
  upstreamCluster: '',
  downstreamLocal: '',
  downstreamRemote: '',
  routeName: '',
  serverName: undefined,
  note: '',
};

/** Valid until the next request is recorded. */
export function requestRecord(run: RequestRun, { startMs, durationMs }: Times): AccessRecord {
  const { request, tunnel, current, entry } = run;
  shared.startMs = startMs;
  shared.durationMs = durationMs;
  shared.method = request.method;
  shared.path = run.originalPath;
  shared.protocol = run.protocol;
  shared.responseCode = run.status;
  shared.responseFlags = run.flags;
  shared.responseCodeDetails = run.details;
  shared.upstreamTransportFailure = run.transportFailure;
  shared.bytesReceived = run.requestBytes;
  shared.bytesSent = run.responseBytes;
  shared.upstreamServiceMs = run.upstreamMs;
  shared.forwardedFor = request.get('x-forwarded-for');
  shared.userAgent = request.get('user-agent');
  shared.requestId = request.get('x-request-id');
  shared.authority = request.authority;
  shared.upstreamHost = current?.endpoint.address ?? '';
  shared.upstreamCluster = current?.group.key ?? '';
  shared.downstreamLocal = tunnel.local;
  shared.downstreamRemote = tunnel.remote;
  shared.routeName = entry?.route.route.name ?? '';
  shared.serverName = tunnel.gateway?.sni;
  shared.note = run.note;
  return shared;
}

/** Bytes that never became a request. */
export interface Refusal {
  readonly status: number;
  readonly flags: string;
  readonly details: string;
  readonly note: string;
}

export function refusedRecord(tunnel: Tunnel, refusal: Refusal, startMs: number): AccessRecord {
  return {
    startMs,
    durationMs: 0,
    method: '-',
    path: '-',
    protocol: tunnel.isH2 ? 'HTTP/2' : 'HTTP/1.1',
    responseCode: refusal.status,
    responseFlags: refusal.flags,
    responseCodeDetails: refusal.details,
    upstreamTransportFailure: '',
    bytesReceived: 0,
    bytesSent: 0,
    upstreamServiceMs: -1,
    forwardedFor: undefined,
    userAgent: undefined,
    requestId: undefined,
    authority: '',
    upstreamHost: '',
    upstreamCluster: '',
    downstreamLocal: tunnel.local,
    downstreamRemote: tunnel.remote,
    routeName: '',
    note: refusal.note,
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
    routeName: run.routeName,
    serverName: run.sni,
    note: run.note,
  };
}
