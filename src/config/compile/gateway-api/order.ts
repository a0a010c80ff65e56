/**
 * The rules of all routes of one host at one port, in the order in which they are tried: a total order that does not
 * depend on the order of the input (HTTPRouteRule.matches, GRPCRouteRule.matches of the specification). Pure.
 */
import type { L4Route, Redirect, Route } from '#model/route/route-table.ts';
import { hostSpecificity } from '../hosts.ts';
import type { BoundRoute, BoundRule } from './bind.ts';
import { ANY_HOST } from './hostnames.ts';
import { byAgeAndKey } from './listeners.ts';
import type { RankedMatch } from './match.ts';
import { compareRanks } from './match.ts';

interface Entry {
  readonly bound: BoundRoute;
  readonly rule: BoundRule;
  readonly ranked: RankedMatch;
  readonly position: number;
}

/** `port` is the listener's, or the service's within the mesh: redirects that name none go there. */
export function orderRoutes(routes: readonly BoundRoute[], port: number): Route[] {
  const entries = routes.flatMap((bound) =>
    bound.rules.flatMap((rule) =>
      rule.matches.map((ranked, position): Entry => ({ bound, rule, ranked, position })),
    ),
  );
  entries.sort(compareEntries);
  const ordered: Route[] = [];
  let last: BoundRule | undefined;
  for (const { rule, ranked } of entries) {
    const previous = ordered.at(-1);
    // Neighbours of one rule are one route: its matches OR.
    if (rule === last && previous !== undefined)
      ordered[ordered.length - 1] = { ...previous, matches: [...previous.matches, ranked.match] };
    else ordered.push({ ...withPort(rule.route, port), matches: [ranked.match] });
    last = rule;
  }
  return ordered;
}

function compareEntries(left: Entry, right: Entry): number {
  return (
    compareRanks(left.ranked.rank, right.ranked.rank) ||
    compareRoutes(left.bound, right.bound) ||
    left.rule.index - right.rule.index ||
    left.position - right.position
  );
}

function compareRoutes({ route: left }: BoundRoute, { route: right }: BoundRoute): number {
  const byKey = byAgeAndKey(left, right);
  if (byKey !== 0 || left.kind === right.kind) return byKey;
  return left.kind < right.kind ? -1 : 1;
}

function withPort(route: Omit<Route, 'matches'>, port: number): Omit<Route, 'matches'> {
  const { action } = route;
  if (action.kind === 'redirect')
    return { ...route, action: { ...action, port: redirectPort(action, port) } };
  if (action.kind === 'respond' || !action.destinations.some(({ redirect }) => redirect))
    return route;
  const destinations = action.destinations.map((each) =>
    each.redirect === undefined
      ? each
      : { ...each, redirect: { ...each.redirect, port: redirectPort(each.redirect, port) } },
  );
  return { ...route, action: { kind: 'forward', destinations } };
}

/** HTTPRequestRedirectFilter.port: the scheme's well-known port; without a scheme the listener's. */
function redirectPort({ scheme, port }: Redirect, listenerPort: number): number {
  if (port !== undefined) return port;
  if (scheme === undefined) return listenerPort;
  return scheme === 'https' ? 443 : 80;
}

/** One rule a host, the most specific host first; of equal ones the oldest route, which then takes everything. */
export function orderBytes(
  routes: readonly { readonly bound: BoundRoute; readonly hostnames: readonly string[] }[],
  matchesSni: boolean,
): L4Route[] {
  const entries = routes.flatMap(({ bound, hostnames }) =>
    bound.l4.flatMap((rule) =>
      (matchesSni ? hostnames : [ANY_HOST]).map((host) => ({ bound, rule, host })),
    ),
  );
  entries.sort(
    (left, right) =>
      specificity(right.host) - specificity(left.host) || compareRoutes(left.bound, right.bound),
  );
  return entries.map(({ rule, host }) => {
    const matches =
      matchesSni && host !== ANY_HOST
        ? [{ sniHosts: [host], destinationSubnets: [], sourceSubnets: [] }]
        : [];
    return { ...rule, matches };
  });
}

function specificity(host: string): number {
  return host.startsWith('*') ? host.length : (hostSpecificity(host, host) ?? 0);
}
