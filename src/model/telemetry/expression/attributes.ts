/**
 * What an expression of a Telemetry may ask about a request or a connection, with the type of each: Envoy's attributes where they mean
 * the same, and who is at either end, as metrics report it. `Attributes` is read lazily: nothing is gathered that nobody asks for.
 */

/** Times are milliseconds since the epoch, durations milliseconds. */
export type AttributeType = 'string' | 'int' | 'bool' | 'timestamp' | 'duration' | 'headers';

export const ATTRIBUTES = {
  'request.path': 'string',
  'request.url_path': 'string',
  'request.query': 'string',
  'request.host': 'string',
  'request.scheme': 'string',
  'request.method': 'string',
  'request.headers': 'headers',
  'request.referer': 'string',
  'request.useragent': 'string',
  'request.time': 'timestamp',
  'request.id': 'string',
  'request.protocol': 'string',
  'request.duration': 'duration',
  'request.size': 'int',
  'request.total_size': 'int',
  'response.code': 'int',
  'response.code_details': 'string',
  'response.flags': 'int',
  'response.grpc_status': 'int',
  'response.headers': 'headers',
  'response.size': 'int',
  'response.total_size': 'int',
  'response.backend_latency': 'duration',
  'connection.mtls': 'bool',
  'connection.requested_server_name': 'string',
  'connection.uri_san_peer_certificate': 'string',
  'connection.termination_details': 'string',
  'source.address': 'string',
  'source.port': 'int',
  'source.principal': 'string',
  'source.workload': 'string',
  'source.namespace': 'string',
  'source.app': 'string',
  'source.version': 'string',
  'source.cluster': 'string',
  'destination.address': 'string',
  'destination.port': 'int',
  'destination.principal': 'string',
  'destination.workload': 'string',
  'destination.namespace': 'string',
  'destination.app': 'string',
  'destination.version': 'string',
  'destination.cluster': 'string',
  'destination.service': 'string',
  'upstream.address': 'string',
  'upstream.port': 'int',
  'upstream.transport_failure_reason': 'string',
} as const satisfies Readonly<Record<string, AttributeType>>;

export type AttributeName = keyof typeof ATTRIBUTES;

export function isAttribute(name: string): name is AttributeName {
  return Object.hasOwn(ATTRIBUTES, name);
}

/** Undefined: there is no such value here (a connection has no method, a request no header of that name). */
export interface Attributes {
  value(name: AttributeName): string | number | boolean | undefined;
  header(of: 'request' | 'response', name: string): string | undefined;
}

/** `response.flags` is a set of bits, as in Envoy: CoreResponseFlag in envoy/stream_info/stream_info.h, first to last. */
const FLAGS_BY_BIT =
  'LH UH UT LR UR UF UC UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM DF DO DR'.split(
    ' ',
  );

/** `flags`: short names, with commas between; `-` is none. */
export function flagBits(flags: string): number {
  if (flags === '-') return 0;
  return flags.split(',').reduce((bits, flag) => {
    const at = FLAGS_BY_BIT.indexOf(flag);
    return at === -1 ? bits : bits + 2 ** at;
  }, 0);
}
