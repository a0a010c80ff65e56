/**
 * Which rule takes a connection of bytes: a rule of the gateway's listener, or of the service's port (by server name, by addresses),
 * else the service itself. A pure look-up, as find-route.ts for requests; what finds nothing says why.
 */
import type { WeightedDestinations } from '#model/route/compile.ts';
import { type CompiledL4Routes, matchL4 } from '#model/route/l4-routes.ts';
import { authorizeConnection, policiesAt } from '../phases/authorize.ts';
import { denialAt, type Services } from '../phases/find-route.ts';
import type { Tunnel } from '../tunnel.ts';

export type L4Finding =
  | { readonly route: WeightedDestinations; readonly name: string }
  | {
      readonly route: undefined;
      /** Envoy's response flag. */
      readonly flag: string;
      readonly details: string;
      readonly reason: string;
    };

export function findL4(
  snapshot: Services | undefined,
  tunnel: Tunnel,
  sni: string | undefined,
): L4Finding {
  const denied = denialAt(snapshot, tunnel);
  if (denied !== undefined) {
    const details = 'rbac_access_denied_matched_policy';
    return { route: undefined, flag: '-', details, reason: denied.reason };
  }
  const policies = policiesAt(snapshot, tunnel);
  const verdict = policies && authorizeConnection(policies, tunnel, sni);
  if (verdict?.allow === false) {
    const { details, reason } = verdict;
    return { route: undefined, flag: '-', details, reason };
  }
  const { host, port, gateway } = tunnel;
  if (gateway !== undefined) {
    const place = snapshot?.gateways?.places.get(gateway.place);
    if (place === undefined) return noRoute('the server of this connection is configured no more');
    return byRules(place.l4, tunnel, sni);
  }
  const compiled = snapshot?.serviceAt(host)?.compiled.ports.get(port);
  if (compiled === undefined) return noRoute(`no service is bound here at ${host}:${port}`);
  if (compiled.l4 !== undefined) return byRules(compiled.l4, tunnel, sni);
  const route = compiled.entries[0]?.route;
  if (route === undefined) return noRoute(`no route for ${host}:${port}`);
  return { route, name: route.route.name };
}

/**
 * Whether the first bytes must be looked at for a server name: before a rule can be chosen, because it says where to go (TLS to a
 * wildcard host), or because policies may ask for it.
 */
export function needsServerName(snapshot: Services | undefined, tunnel: Tunnel): boolean {
  const { host, port } = tunnel;
  if (tunnel.gateway !== undefined) return false;
  const service = snapshot?.serviceAt(host);
  if (service === undefined) return false;
  const { table, ports } = service.compiled;
  const asksForName = table.hostname.startsWith('*') || service.policies !== undefined;
  if (asksForName && table.ports.find((each) => each.port === port)?.protocol === 'tls')
    return true;
  return ports.get(port)?.l4?.entries.some(({ sniHosts }) => sniHosts.length > 0) === true;
}

function byRules(l4: CompiledL4Routes, tunnel: Tunnel, sni: string | undefined): L4Finding {
  const { host: destination, port, source } = tunnel;
  const found = matchL4(l4, { sni, destination, source: source.address });
  if (found !== undefined) return { route: found.route, name: found.route.route.name };
  const asked = sni === undefined ? 'a connection without server name' : `server name ${sni}`;
  return noRoute(`no route of port ${port} takes ${asked} from ${source.address}`);
}

function noRoute(reason: string): L4Finding {
  return { route: undefined, flag: 'NR', details: 'filter_chain_not_found', reason };
}
