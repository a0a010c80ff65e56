/** tulle.v1.RouteTable: the compiled routes of one service, as JSON of the model. */
import type { RouteTable } from '#model/route/route-table.ts';
import { serviceKey } from '#model/service/service.ts';
import { decodeJson, encodeJson, isObject, missingList, missingText } from './json.ts';
import type { Decoded, ResourceType } from './resource-type.ts';

const ACTIONS: ReadonlySet<unknown> = new Set(['forward', 'redirect', 'respond']);

export const ROUTE_TABLE: ResourceType<RouteTable> = {
  typeUrl: 'type.googleapis.com/tulle.v1.RouteTable',
  name: serviceKey,
  encode: encodeJson,
  decode(bytes): Decoded<RouteTable> {
    const json = decodeJson(bytes);
    if (typeof json === 'string') return { reason: json };
    const missing = missingText(json, ['namespace', 'hostname']) ?? missingList(json, ['ports']);
    if (missing !== undefined) return { reason: `field ${missing} is missing or malformed` };
    for (const port of json.ports as Record<string, unknown>[]) {
      const reason = portProblem(port);
      if (reason !== undefined) return { reason };
    }
    return { value: json as unknown as RouteTable };
  },
  aliases: () => [],
};

/** A control plane newer than this proxy may send actions that it cannot do: refused, the last good table stays. */
function portProblem(port: Record<string, unknown>): string | undefined {
  if (typeof port.port !== 'number') return 'a port without number';
  if (missingList(port, ['routes']) !== undefined) return `port ${port.port} has no list of routes`;
  return routesProblem(port.routes);
}

/** Of a service port or of a virtual host; `routes` is a list of objects. */
export function routesProblem(routes: unknown): string | undefined {
  for (const route of routes as Record<string, unknown>[]) {
    const { action, name } = route;
    if (!isObject(action) || !ACTIONS.has(action.kind)) return `route ${name}: unknown action`;
    if (missingList(route, ['matches']) !== undefined) return `route ${name}: no list of matches`;
    if (!isObject(route.retries)) return `route ${name}: no retry policy`;
    if (action.kind === 'forward' && missingList(action, ['destinations']) !== undefined) {
      return `route ${name}: no list of destinations`;
    }
  }
  return undefined;
}
