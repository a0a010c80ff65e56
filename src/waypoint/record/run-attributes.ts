/** What expressions may ask about a request or a connection at a waypoint or gateway: read from it when asked. One, reused for each. */
import type { Clock } from '#base/clock.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import { parseIdentity } from '#model/identity/spiffe.ts';
import {
  type AttributeName,
  type Attributes,
  flagBits,
} from '#model/telemetry/expression/attributes.ts';
import type { HttpEndpoint } from '../engine.ts';
import type { Tunnel } from '../tunnel.ts';

/** The parts that a request has and a connection of bytes has not are optional. */
export interface AttributeSource {
  readonly tunnel: Tunnel;
  readonly startedAt: number;
  readonly flags: string;
  readonly request?: MessageHead;
  readonly response?: MessageHead;
  readonly originalPath?: string;
  readonly protocol?: string;
  readonly status?: number;
  readonly details?: string;
  readonly grpcStatus?: string;
  readonly requestBytes?: number;
  readonly responseBytes?: number;
  readonly upstreamMs?: number;
  readonly transportFailure?: string;
  readonly note?: string;
  readonly sni?: string;
  readonly endpoint?: HttpEndpoint;
  readonly current?: { readonly endpoint: HttpEndpoint };
  readonly counters?: { readonly receivedBytes: number; readonly sentBytes: number };
  /** Host name of the service that was asked for. */
  readonly serviceHost?: string;
}

export class RunAttributes implements Attributes {
  readonly #clock: Clock;
  #of: AttributeSource | undefined = undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  about(source: AttributeSource): this {
    this.#of = source;
    return this;
  }

  header(of: 'request' | 'response', name: string): string | undefined {
    const source = this.#of;
    return of === 'request' ? source?.request?.get(name) : source?.response?.get(name);
  }

  value(name: AttributeName): string | number | boolean | undefined {
    const source = this.#of;
    if (source === undefined) return undefined;
    if (name.startsWith('request.')) return this.#request(name, source);
    if (name.startsWith('response.')) return response(name, source);
    if (name.startsWith('destination.')) return destination(name, source);
    return peer(name, source);
  }

  #request(name: AttributeName, source: AttributeSource): string | number | undefined {
    const { request, startedAt, counters } = source;
    const { requestBytes = counters?.receivedBytes } = source;
    switch (name) {
      case 'request.duration':
        return this.#clock.now() - startedAt;
      case 'request.time':
        return this.#clock.wallTime() - (this.#clock.now() - startedAt);
      case 'request.size':
        return requestBytes;
      case 'request.total_size':
        return (requestBytes ?? 0) + (request?.wireBytes ?? 0);
      default:
        return request === undefined ? undefined : head(name, request, source);
    }
  }
}

function head(
  name: AttributeName,
  request: MessageHead,
  { originalPath = '', protocol }: AttributeSource,
): string | undefined {
  const query = originalPath.indexOf('?');
  switch (name) {
    case 'request.path':
      return originalPath;
    case 'request.url_path':
      return query === -1 ? originalPath : originalPath.slice(0, query);
    case 'request.query':
      return query === -1 ? '' : originalPath.slice(query + 1);
    case 'request.host':
      return request.authority;
    case 'request.scheme':
      return request.scheme;
    case 'request.method':
      return request.method;
    case 'request.protocol':
      return protocol;
    case 'request.referer':
      return request.get('referer');
    case 'request.useragent':
      return request.get('user-agent');
    case 'request.id':
      return request.get('x-request-id');
    default:
      return undefined;
  }
}

function response(name: AttributeName, source: AttributeSource): string | number | undefined {
  const { counters, upstreamMs = -1, grpcStatus, responseBytes = counters?.sentBytes } = source;
  switch (name) {
    case 'response.code':
      return source.status;
    case 'response.code_details':
      return source.details;
    case 'response.flags':
      return flagBits(source.flags);
    case 'response.grpc_status':
      return grpcStatus === undefined || grpcStatus === '' ? undefined : Number(grpcStatus);
    case 'response.size':
      return responseBytes;
    case 'response.total_size':
      return (responseBytes ?? 0) + (source.response?.wireBytes ?? 0);
    case 'response.backend_latency':
      return upstreamMs < 0 ? undefined : upstreamMs;
    default:
      return undefined;
  }
}

function destination(name: AttributeName, source: AttributeSource): string | number | undefined {
  const { tunnel } = source;
  const state = source.current?.endpoint ?? source.endpoint;
  switch (name) {
    case 'destination.address':
      return tunnel.host;
    case 'destination.port':
      return tunnel.port;
    case 'destination.service':
      return source.serviceHost;
    default:
      return state === undefined ? undefined : endpointValue(name, state);
  }
}

function endpointValue(name: AttributeName, { endpoint }: HttpEndpoint): string | undefined {
  switch (name) {
    case 'destination.principal':
      return endpoint.principal;
    case 'destination.workload':
      return endpoint.workloadName;
    case 'destination.namespace':
      return endpoint.uid.split('/')[3];
    case 'destination.app':
      return endpoint.canonicalName;
    case 'destination.version':
      return endpoint.canonicalRevision;
    case 'destination.cluster':
      return endpoint.uid.split('/')[0];
    default:
      return undefined;
  }
}

function peer(name: AttributeName, source: AttributeSource): string | number | boolean | undefined {
  const { tunnel, note, transportFailure } = source;
  const { labels, principal, address } = tunnel.source;
  const upstream = (source.current?.endpoint ?? source.endpoint)?.address;
  switch (name) {
    case 'connection.mtls':
      return tunnel.security === 'mutual_tls';
    case 'connection.requested_server_name':
      return source.sni ?? tunnel.gateway?.sni;
    case 'connection.uri_san_peer_certificate':
    case 'source.principal':
      return principal;
    case 'connection.termination_details':
      return note === '' ? undefined : note;
    case 'source.address':
      return address;
    case 'source.port':
      return tunnel.remotePort;
    case 'source.workload':
      return labels.workload;
    case 'source.namespace':
      return principal === undefined ? labels.workloadNamespace : namespaceOf(principal);
    case 'source.app':
      return labels.app;
    case 'source.version':
      return labels.version;
    case 'source.cluster':
      return labels.cluster;
    case 'upstream.address':
      return upstream?.slice(0, upstream.lastIndexOf(':'));
    case 'upstream.port':
      return upstream === undefined
        ? undefined
        : Number(upstream.slice(upstream.lastIndexOf(':') + 1));
    case 'upstream.transport_failure_reason':
      return transportFailure === '' ? undefined : transportFailure;
    default:
      return undefined;
  }
}

function namespaceOf(principal: string): string | undefined {
  return parseIdentity(principal)?.namespace;
}
