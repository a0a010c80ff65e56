/**
 * Static mode: route tables and upstreams from one JSON file, a plain listener, no control plane and no certificates. It is how the
 * engine is measured against other proxies.
 *
 *   { "listen": { "address": "127.0.0.1", "port": 18080 },   where to accept HTTP
 *     "service": "shop/p.shop.svc.cluster.local", "port": 80,  which table and port every connection is for
 *     "tables": [RouteTable…], "upstreams": [Upstream…],      as on the wire (model/route/route-table.ts)
 *     "accessLog": "off", "metricsPort": 0 }                   optional; metricsPort absent: no status server
 */
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '#base/errors.ts';
import type { RouteTable, Upstream } from '#model/route/route-table.ts';
import { type ServiceKey, serviceKey } from '#model/service/service.ts';
import type { SocketAddress } from '#net/connection.ts';
import { ROUTE_TABLE } from '#xds/resources/route-table.ts';
import { UPSTREAM } from '#xds/resources/upstream.ts';
import { WAYPOINT_ERRORS } from '../errors.ts';
import type { AccessLogChoice } from './options.ts';
import type { SnapshotInput } from './snapshot.ts';

export interface StaticConfig {
  readonly listen: SocketAddress;
  readonly host: string;
  readonly port: number;
  readonly accessLog: AccessLogChoice;
  readonly metricsPort: number | undefined;
  readonly input: SnapshotInput;
}

interface StaticFile {
  listen: SocketAddress;
  service: ServiceKey;
  port: number;
  tables: RouteTable[];
  upstreams: Upstream[];
  accessLog?: AccessLogChoice;
  metricsPort?: number;
}

export function readStaticConfig(path: string): StaticConfig {
  try {
    return parseStaticConfig(JSON.parse(readFileSync(path, 'utf8')) as StaticFile);
  } catch (cause) {
    throw new MeshError('WAYPOINT_STATIC_FILE', `cannot use ${path}: ${messageOf(cause)}`, {
      side: 'config',
      hint: WAYPOINT_ERRORS.WAYPOINT_STATIC_FILE,
      cause,
    });
  }
}

/** Throws an Error that says what is wrong. */
export function parseStaticConfig(file: StaticFile): StaticConfig {
  const tables = new Map(
    file.tables.map((table) => [serviceKey(table), checked(ROUTE_TABLE, table)]),
  );
  const upstreams = new Map(
    file.upstreams.map((each) => [serviceKey(each), checked(UPSTREAM, each)]),
  );
  const table = tables.get(file.service);
  if (table === undefined) throw new Error(`no table for service ${file.service}`);
  if (!table.ports.some(({ port }) => port === file.port)) {
    throw new Error(`${file.service} has no port ${file.port}`);
  }
  const { listen, port, metricsPort } = file;
  const accessLog = file.accessLog ?? 'off';
  const input = { tables, upstream: (key: ServiceKey) => upstreams.get(key) };
  return { listen, host: table.hostname, port, accessLog, metricsPort, input };
}

/** The same checks as on the wire. */
function checked<T>(
  type: {
    encode(value: T): Uint8Array;
    decode(bytes: Uint8Array): { value: T } | { reason: string };
  },
  value: T,
): T {
  const decoded = type.decode(type.encode(value));
  if ('reason' in decoded) throw new Error(decoded.reason);
  return decoded.value;
}
