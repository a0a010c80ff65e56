/**
 * Which route takes a request, and which of its destinations. Pure: the waypoint and `why` call the same functions. Routes are
 * tried in order and the first match wins (VirtualService semantics); fields of one entry AND, entries OR.
 */
import type { Random } from '#base/random.ts';
import type {
  CompiledDestination,
  CompiledRoute,
  CompiledTable,
  NamedMatcher,
  RouteEntry,
} from './compile.ts';

/** What a route may look at. An HTTP head satisfies it as it is. */
export interface RequestView {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  /** With the query. */
  readonly path: string;
  /** Every value of a field joined by `,`; undefined when absent. `name` is lower case. */
  getAll(name: string): string | undefined;
}

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
  if (compiled === undefined) {
    return { route: undefined, reason: `${table.table.hostname} has no port ${port}` };
  }
  const { path } = request;
  const queryStart = path.indexOf('?');
  const barePath = queryStart === -1 ? path : path.slice(0, queryStart);
  for (const entry of compiled.entries) {
    if (matchesEntry(entry, request, barePath, queryStart)) return entry;
  }
  const count = compiled.entries.length;
  return {
    route: undefined,
    reason: `none of the ${count} match entries for ${table.table.hostname}:${port} takes ${request.method} ${barePath} (${sourcesOf(compiled.entries)})`,
  };
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
  route: CompiledRoute,
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
  route: CompiledRoute,
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

function matchesEntry(
  entry: RouteEntry,
  request: RequestView,
  path: string,
  queryStart: number,
): boolean {
  if (entry.path !== undefined && !entry.path.test(path)) return false;
  if (entry.method !== undefined && !entry.method.test(request.method)) return false;
  if (entry.scheme !== undefined && !entry.scheme.test(request.scheme)) return false;
  if (entry.authority !== undefined && !entry.authority.test(request.authority)) return false;
  for (const condition of entry.headers) if (!matchesHeader(condition, request)) return false;
  for (const condition of entry.withoutHeaders) if (!lacksHeader(condition, request)) return false;
  if (entry.queryParams.length === 0) return true;
  const query = queryStart === -1 ? '' : request.path.slice(queryStart + 1);
  for (const condition of entry.queryParams) if (!matchesQuery(condition, query)) return false;
  return true;
}

function matchesHeader({ name, matcher }: NamedMatcher, request: RequestView): boolean {
  const value = fieldOf(name, request);
  return value !== undefined && matcher.test(value);
}

/** A missing header counts as empty, except for the presence test (Envoy's treat_missing_header_as_empty). */
function lacksHeader({ name, matcher }: NamedMatcher, request: RequestView): boolean {
  const value = fieldOf(name, request);
  return matcher.isPresence ? value === undefined : !matcher.test(value ?? '');
}

function fieldOf(name: string, request: RequestView): string | undefined {
  switch (name) {
    case ':method':
      return request.method;
    case ':authority':
    case 'host':
      return request.authority;
    case ':path':
      return request.path;
    case ':scheme':
      return request.scheme;
    default:
      return request.getAll(name);
  }
}

/** The first value counts; no percent-decoding, as Envoy's query matcher does. */
function matchesQuery({ name, matcher }: NamedMatcher, query: string): boolean {
  let start = 0;
  while (start <= query.length) {
    let end = query.indexOf('&', start);
    if (end === -1) end = query.length;
    const pair = query.slice(start, end);
    const equals = pair.indexOf('=');
    const key = equals === -1 ? pair : pair.slice(0, equals);
    if (key === name && key !== '')
      return matcher.test(equals === -1 ? '' : pair.slice(equals + 1));
    start = end + 1;
  }
  return false;
}
