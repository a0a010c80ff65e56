/** What the templates of access logs may ask about a request or a connection that is over. One, reused for each line. */
import { hostname } from 'node:os';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { LogFacts, LogOperator } from '#model/telemetry/log-template.ts';
import type { AccessRecord } from '#telemetry/access-log/record.ts';
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
import type { Environment } from '#telemetry/tracing/tracing-rules.ts';
import type { Tunnel } from '../tunnel.ts';

const HOSTNAME = hostname();

/** Beside the record: what only some templates ask for. */
export interface LogSource {
  readonly tunnel: Tunnel;
  readonly request?: MessageHead;
  readonly originalPath?: string;
  readonly response?: MessageHead;
  readonly responseTrailers?: MessageHead;
  readonly isGrpc?: boolean;
  readonly grpcStatus?: string;
  readonly attempt?: number;
  readonly policy?: string;
  readonly trace?: RequestTrace;
  readonly route?: string;
}

export class RunLogFacts implements LogFacts {
  readonly #environment: Environment;
  #record: AccessRecord | undefined = undefined;
  #source: LogSource | undefined = undefined;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  about(record: AccessRecord, source: LogSource): this {
    this.#record = record;
    this.#source = source;
    return this;
  }

  get startMs(): number {
    return this.#record?.startMs ?? 0;
  }

  environment(name: string): string | undefined {
    return this.#environment[name];
  }

  header(of: 'request' | 'response' | 'trailer', name: string): string | undefined {
    const { request, response, responseTrailers, originalPath } = this.#source ?? {};
    if (of === 'trailer') return responseTrailers?.get(name);
    if (of === 'response') {
      return name === ':status' ? response && String(response.status) : response?.get(name);
    }
    switch (name) {
      case ':method':
        return request?.method;
      case ':path':
        return request?.path;
      case ':authority':
        return request?.authority;
      case ':scheme':
        return request?.scheme;
      case 'x-envoy-original-path':
        return request?.get(name) ?? (originalPath === request?.path ? undefined : originalPath);
      default:
        return request?.get(name);
    }
  }

  value(operator: LogOperator): string | number | undefined {
    const record = this.#record;
    const source = this.#source;
    if (record === undefined || source === undefined) return undefined;
    if (operator.startsWith('DOWNSTREAM_')) return downstream(operator, source);
    if (operator.startsWith('UPSTREAM_')) return upstream(operator, record, source);
    switch (operator) {
      case 'BYTES_RECEIVED':
        return record.bytesReceived;
      case 'BYTES_SENT':
        return record.bytesSent;
      case 'DURATION':
        return Math.round(record.durationMs);
      case 'RESPONSE_DURATION':
        return record.upstreamServiceMs < 0 ? undefined : Math.round(record.upstreamServiceMs);
      case 'RESPONSE_CODE':
        return record.responseCode;
      case 'RESPONSE_CODE_DETAILS':
        return record.responseCodeDetails;
      case 'RESPONSE_FLAGS':
        return record.responseFlags;
      case 'PROTOCOL':
        return record.protocol;
      case 'REQUESTED_SERVER_NAME':
        return record.serverName;
      case 'ROUTE_NAME':
        return record.routeName;
      case 'HOSTNAME':
        return HOSTNAME;
      case 'TULLE_NOTE':
        return record.note;
      default:
        return own(operator, source);
    }
  }
}

function own(operator: LogOperator, source: LogSource): string | number | undefined {
  const { trace, grpcStatus = '' } = source;
  switch (operator) {
    case 'TRACE_ID':
      return trace?.traceId;
    case 'SPAN_ID':
      return trace?.records === true ? trace.spanId : undefined;
    case 'GRPC_STATUS':
      return source.isGrpc === true ? (GRPC_NAMES[Number(grpcStatus)] ?? grpcStatus) : undefined;
    case 'GRPC_STATUS_NUMBER':
      return source.isGrpc === true && grpcStatus !== '' ? Number(grpcStatus) : undefined;
    case 'TULLE_POLICY':
      return source.policy;
    case 'TULLE_ROUTE':
      return source.route;
    default:
      return undefined;
  }
}

function downstream(operator: LogOperator, { tunnel }: LogSource): string | number | undefined {
  switch (operator) {
    case 'DOWNSTREAM_REMOTE_ADDRESS':
    case 'DOWNSTREAM_DIRECT_REMOTE_ADDRESS':
      return tunnel.remote;
    case 'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
    case 'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT':
      return tunnel.source.address;
    case 'DOWNSTREAM_REMOTE_PORT':
      return tunnel.remotePort ?? portOf(tunnel.remote);
    case 'DOWNSTREAM_LOCAL_ADDRESS':
      return tunnel.local;
    case 'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT':
      return tunnel.local.replace(/:\d+$/, '');
    case 'DOWNSTREAM_LOCAL_PORT':
      return portOf(tunnel.local);
    case 'DOWNSTREAM_PEER_URI_SAN':
      return tunnel.source.principal;
    default:
      return undefined;
  }
}

function upstream(
  operator: LogOperator,
  record: AccessRecord,
  { attempt }: LogSource,
): string | number | undefined {
  const { upstreamHost: host } = record;
  switch (operator) {
    case 'UPSTREAM_HOST':
    case 'UPSTREAM_REMOTE_ADDRESS':
      return host;
    case 'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
      return host.replace(/:\d+$/, '');
    case 'UPSTREAM_REMOTE_PORT':
      return portOf(host);
    case 'UPSTREAM_CLUSTER':
    case 'UPSTREAM_CLUSTER_RAW':
      return record.upstreamCluster;
    case 'UPSTREAM_REQUEST_ATTEMPT_COUNT':
      return attempt;
    case 'UPSTREAM_TRANSPORT_FAILURE_REASON':
      return record.upstreamTransportFailure;
    default:
      return undefined;
  }
}

function portOf(address: string): number | undefined {
  const port = /:(\d+)$/.exec(address)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** As Envoy spells them in camel case. */
const GRPC_NAMES: readonly string[] = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];
