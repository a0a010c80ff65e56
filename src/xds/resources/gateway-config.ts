/** tulle.v1.GatewayConfig: what one gateway listens on and routes, as JSON of the model. */
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import { decodeJson, encodeJson, isObject, missingList, missingText } from './json.ts';
import type { Decoded, ResourceType } from './resource-type.ts';
import { routesProblem } from './route-table.ts';

const PROTOCOLS: ReadonlySet<unknown> = new Set(['http', 'https', 'tcp', 'tls']);
const TLS_MODES: ReadonlySet<unknown> = new Set([
  'simple',
  'mutual',
  'optional',
  'unverified',
  'istio-mutual',
]);

export const GATEWAY_CONFIG: ResourceType<GatewayConfig> = {
  typeUrl: 'type.googleapis.com/tulle.v1.GatewayConfig',
  name: ({ namespace, name }) => `${namespace}/${name}`,
  encode: encodeJson,
  decode(bytes): Decoded<GatewayConfig> {
    const json = decodeJson(bytes);
    if (typeof json === 'string') return { reason: json };
    const missing = missingText(json, ['namespace', 'name']) ?? missingList(json, ['listeners']);
    if (missing !== undefined) return { reason: `field ${missing} is missing or malformed` };
    for (const listener of json.listeners as Record<string, unknown>[]) {
      const reason = listenerProblem(listener);
      if (reason !== undefined) return { reason };
    }
    return { value: json as unknown as GatewayConfig };
  },
  aliases: () => [],
};

function listenerProblem(listener: Record<string, unknown>): string | undefined {
  const { port } = listener;
  if (!Number.isInteger(port) || Number(port) < 1 || Number(port) > 65_535) {
    return `a listener with port ${String(port)}`;
  }
  if (missingList(listener, ['servers']) !== undefined)
    return `port ${port} has no list of servers`;
  for (const server of listener.servers as Record<string, unknown>[]) {
    const reason = serverProblem(server);
    if (reason !== undefined) return `port ${port}, server ${String(server.name)}: ${reason}`;
  }
  return undefined;
}

function serverProblem(server: Record<string, unknown>): string | undefined {
  const { protocol, tls, hosts } = server;
  if (typeof server.name !== 'string') return 'no name';
  if (!PROTOCOLS.has(protocol)) return `unknown protocol ${String(protocol)}`;
  if (!isTexts(hosts)) return 'no list of hosts';
  // What this proxy does not understand of who may connect must not be served without it.
  if (
    tls !== undefined &&
    (!isObject(tls) || !TLS_MODES.has(tls.mode) || !isTexts(tls.certificates))
  ) {
    return 'its TLS settings are of a kind that this proxy does not know';
  }
  if (protocol === 'https' && tls === undefined) return 'HTTPS without TLS settings';
  if (missingList(server, ['virtualHosts', 'l4Routes']) !== undefined) {
    return 'no list of virtual hosts or of routes for bytes';
  }
  for (const host of server.virtualHosts as Record<string, unknown>[]) {
    if (!isTexts(host.domains)) return 'a virtual host without domains';
    if (missingList(host, ['routes']) !== undefined) return 'a virtual host without list of routes';
    const reason = routesProblem(host.routes);
    if (reason !== undefined) return reason;
  }
  for (const route of server.l4Routes as Record<string, unknown>[]) {
    if (missingList(route, ['matches', 'destinations']) !== undefined) {
      return `route ${String(route.name)}: no matches or destinations`;
    }
  }
  return undefined;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
