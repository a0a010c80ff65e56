/**
 * Which route takes a request, and which of its destinations. Pure: the proxies and `why` call the same functions. The first route
 * in order wins (VirtualService semantics); fields of one entry AND, entries OR.
 */
import type { Random } from '#base/random.ts';
import type {
  CompiledDestination,
  CompiledRoutes,
  CompiledTable,
  RouteEntry,
  WeightedDestinations,
} from './compile.ts';
import type { RequestView } from './request-view.ts';

export type { RequestView } from './request-view.ts';

export type RouteDecision = RouteEntry | NoRoute;

export interface NoRoute {
  readonly route: undefined;
  readonly reason: string;
}

export function matchRoute(
  table: CompiledTable,
  port: number,
  request: RequestView,
): RouteDecision {
  const compiled = table.ports.get(port);
  const { hostname } = table.table;
  if (compiled === undefined)
    return { route: undefined, reason: `${hostname} has no port ${port}` };
  const entry = matchRoutes(compiled, request);
  if (entry !== undefined) return entry;
  return { route: undefined, reason: noRouteReason(compiled, request, `${hostname}:${port}`) };
}

/** Of one service port or one virtual host; undefined when no route takes the request (see `noRouteReason`). */
export function matchRoutes(routes: CompiledRoutes, request: RequestView): RouteEntry | undefined {
  return routes.index.find(request);
}

/** `place`: what the routes belong to, `host:port`. */
export function noRouteReason(
  { entries }: CompiledRoutes,
  request: RequestView,
  place: string,
): string {
  const queryStart = request.path.indexOf('?');
  const path = queryStart === -1 ? request.path : request.path.slice(0, queryStart);
  return `none of the ${entries.length} match entries for ${place} takes ${request.method} ${path} (${sourcesOf(entries)})`;
}

/** The objects whose rules these are. */
function sourcesOf(entries: readonly RouteEntry[]): string {
  const names = entries.map(({ route: { route } }) => {
    const { kind, namespace, name } = route.provenance;
    return `${kind} ${namespace}/${name}`;
  });
  return [...new Set(names)].join(', ') || 'no rules';
}

/** A destination by weight; undefined when the route forwards nowhere (all weights 0). */
export function pickDestination(
  route: WeightedDestinations,
  random: Random,
): CompiledDestination | undefined {
  const { destinations } = route;
  if (destinations.length <= 1) return destinations[0];
  const point = random.fraction() * route.weightTotal;
  for (const candidate of destinations) if (point < candidate.weightEnd) return candidate;
  return destinations[destinations.length - 1];
}

/** Like `pickDestination`, among those not yet given up on; undefined when none is left. */
export function pickOtherDestination(
  route: WeightedDestinations,
  random: Random,
  excluded: readonly CompiledDestination[],
): CompiledDestination | undefined {
  let total = 0;
  for (const candidate of route.destinations) {
    if (!excluded.includes(candidate)) total += candidate.destination.weight;
  }
  let point = random.fraction() * total;
  let last: CompiledDestination | undefined;
  for (const candidate of route.destinations) {
    if (excluded.includes(candidate)) continue;
    last = candidate;
    point -= candidate.destination.weight;
    if (point < 0) return candidate;
  }
  return last;
}
