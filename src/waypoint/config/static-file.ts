/**
 * Static mode: route tables and upstreams from one JSON file, no control plane. It is how the engine is measured against other
 * proxies.
 *
 *   { "listen": { "address": "127.0.0.1", "port": 18080 },   where to accept HTTP; with "hbone": HBONE
 *     "hbone": { "principal", "certificateFile", "keyFile", "rootFile" },   optional: takes and opens tunnels
 *     "service": "shop/p.shop.svc.cluster.local", "port": 80,  which table and port every connection is for
 *     "tables": [RouteTable…], "upstreams": [Upstream…],      as on the wire (model/route/route-table.ts)
 *     "accessLog": "off", "metricsPort": 0 }                   optional; metricsPort absent: no status server
 *     "telemetry": { "tracing": {…}, "accessLog": {…} }        optional; what differs from the defaults (model/telemetry/settings.ts)
 *
 * or, as a gateway, with "gateways": [GatewayConfig…] and "materials": [TlsMaterial…] (model/route/gateway-config.ts) instead of
 * "service", "port" and "tables"; "listen" then gives the address of listeners without one.
 */
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '#base/errors.ts';
import { type Principal, parsePrincipal } from '#model/identity/spiffe.ts';
import type { GatewayConfig, TlsMaterial } from '#model/route/gateway-config.ts';
import type { RouteTable, Upstream } from '#model/route/route-table.ts';
import { type ServiceKey, serviceKey } from '#model/service/service.ts';
import {
  type AccessLogSettings,
  DEFAULT_TELEMETRY,
  type TracingSettings,
} from '#model/telemetry/settings.ts';
import type { SocketAddress, TlsIdentity } from '#net/connection.ts';
import { GATEWAY_CONFIG } from '#xds/resources/gateway-config.ts';
import { ROUTE_TABLE } from '#xds/resources/route-table.ts';
import { TELEMETRY } from '#xds/resources/telemetry.ts';
import { TLS_MATERIAL } from '#xds/resources/tls-material.ts';
import { UPSTREAM } from '#xds/resources/upstream.ts';
import { WAYPOINT_ERRORS } from '../errors.ts';
import type { AccessLogChoice } from './options.ts';
import type { SnapshotInput } from './snapshot.ts';
import { ProxyTelemetry } from './telemetry.ts';

export interface StaticConfig {
  readonly listen: SocketAddress;
  readonly host: string;
  readonly port: number;
  readonly accessLog: AccessLogChoice;
  readonly metricsPort: number | undefined;
  readonly input: SnapshotInput;
  /** Set: this is a gateway. */
  readonly materials: readonly TlsMaterial[] | undefined;
  readonly mesh: { readonly principal: Principal; readonly identity: TlsIdentity } | undefined;
}

interface StaticFile {
  listen: SocketAddress;
  service?: ServiceKey;
  port?: number;
  tables?: RouteTable[];
  gateways?: GatewayConfig[];
  materials?: TlsMaterial[];
  upstreams: Upstream[];
  accessLog?: AccessLogChoice;
  metricsPort?: number;
  telemetry?: {
    tracing?: Partial<TracingSettings>;
    accessLog?: Partial<AccessLogSettings>;
  };
  hbone?: { principal: string; certificateFile: string; keyFile: string; rootFile: string };
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
    (file.tables ?? []).map((table) => [serviceKey(table), checked(ROUTE_TABLE, table)]),
  );
  const upstreams = new Map(
    file.upstreams.map((each) => [serviceKey(each), checked(UPSTREAM, each)]),
  );
  const { listen, metricsPort } = file;
  const accessLog = file.accessLog ?? 'off';
  const gateways = file.gateways?.map((each) => checked(GATEWAY_CONFIG, each));
  const telemetry = telemetryOf(file.telemetry);
  const upstream = (key: ServiceKey) => upstreams.get(key);
  const input = { tables, gateways, telemetry, upstream };
  const mesh = file.hbone && identityOf(file.hbone);
  const base = { listen, accessLog, metricsPort, input, mesh };
  if (gateways !== undefined) {
    const materials = (file.materials ?? []).map((each) => checked(TLS_MATERIAL, each));
    return { ...base, host: '', port: 0, materials };
  }
  const { service = '', port = 0 } = file;
  const table = tables.get(service);
  if (table === undefined) throw new Error(`no table for service ${service}`);
  if (!table.ports.some((each) => each.port === port)) {
    throw new Error(`${service} has no port ${port}`);
  }
  return { ...base, host: table.hostname, port, materials: undefined };
}

function telemetryOf(part: StaticFile['telemetry']): ProxyTelemetry {
  const { metrics, accessLog, tracing } = DEFAULT_TELEMETRY;
  const settings = {
    metrics,
    accessLog: { ...accessLog, ...part?.accessLog },
    tracing: { ...tracing, ...part?.tracing },
  };
  const scoped = { scope: 'static', server: settings, client: settings };
  return new ProxyTelemetry(checked(TELEMETRY, scoped), 'server');
}

function identityOf(hbone: NonNullable<StaticFile['hbone']>): StaticConfig['mesh'] {
  const principal = parsePrincipal(hbone.principal);
  if (principal === undefined) throw new Error(`${hbone.principal} is not a SPIFFE identity`);
  const identity = {
    certificateChain: readFileSync(hbone.certificateFile, 'utf8'),
    privateKey: readFileSync(hbone.keyFile, 'utf8'),
    trustBundle: readFileSync(hbone.rootFile, 'utf8'),
  };
  return { principal, identity };
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
