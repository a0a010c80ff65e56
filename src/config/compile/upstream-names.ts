/** The upstreams that compiled routes may send to: destinations and mirrors, HTTP and bytes. */
import type { L4Route, Route } from '#model/route/route-table.ts';
import type { ServiceKey } from '#model/service/service.ts';

/** Sorted, each once. */
export function upstreamNames(
  parts: Iterable<{
    readonly routes?: readonly Route[];
    readonly l4Routes?: readonly L4Route[];
  }>,
): ServiceKey[] {
  const names = new Set<ServiceKey>();
  for (const { routes = [], l4Routes = [] } of parts) {
    for (const { action, mirrors = [] } of routes) {
      const destinations = action.kind === 'forward' ? action.destinations : [];
      for (const { upstream, mirrors: own = [] } of destinations) {
        names.add(upstream);
        for (const mirror of own) names.add(mirror.upstream);
      }
      for (const { upstream } of mirrors) names.add(upstream);
    }
    for (const { destinations } of l4Routes)
      for (const { upstream } of destinations) names.add(upstream);
  }
  return [...names].sort();
}
