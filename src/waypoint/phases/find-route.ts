/**
 * The route phase: which table and which of its entries take a request. A pure look-up in the snapshot that the request keeps; what
 * finds nothing says why, and which answer that is.
 */
import type { RouteEntry } from '#model/route/compile.ts';
import { matchRoute, matchRoutes, type RequestView } from '#model/route/match.ts';
import { DEFAULT_NORMALIZATION, type PathNormalization } from '#model/route/normalize-path.ts';
import type { PolicyDenial } from '#model/route/route-table.ts';
import type { LoadShedding, RateLimit } from '#model/route/traffic-limits.ts';
import type { Place } from '../config/gateway.ts';
import type { ServiceConfig } from '../config/snapshot.ts';
import type { Fault } from '../respond.ts';
import type { GatewayPart, Tunnel } from '../tunnel.ts';

export type RouteFinding = RouteFound | RouteMissing;

export interface RouteFound {
  /** Undefined at a gateway. */
  readonly service: ServiceConfig | undefined;
  readonly entry: RouteEntry;
  /** Of the table or the gateway; a route may have limits of its own. */
  readonly limits: Limits;
}

export interface Limits {
  readonly rateLimits?: readonly RateLimit[] | undefined;
  readonly shedding?: readonly LoadShedding[] | undefined;
}

export interface RouteMissing {
  /** Known even so, for metrics and the log line. */
  readonly service: ServiceConfig | undefined;
  readonly entry: undefined;
  readonly fault: Fault;
  readonly reason: string;
}

/** What of a snapshot the look-up reads. */
export interface Services {
  serviceAt(host: string): ServiceConfig | undefined;
  readonly gateways?: { readonly places: ReadonlyMap<string, Place> };
}

export function findRoute(
  snapshot: Services | undefined,
  tunnel: Tunnel,
  request: RequestView,
): RouteFinding {
  const { host, port, gateway } = tunnel;
  if (gateway !== undefined) return findAtGateway(snapshot, gateway, request);
  const service = snapshot?.serviceAt(host);
  if (service === undefined) {
    const reason = `no service is bound to this waypoint at ${host}:${port}`;
    return missing(service, 'no-service', reason);
  }
  const denied = denialAt(snapshot, tunnel);
  if (denied !== undefined) return missing(service, 'denied', denied.reason);
  const decision = matchRoute(service.compiled, port, request);
  if (decision.route === undefined) return missing(service, 'no-route', decision.reason);
  return { service, entry: decision, limits: service.compiled.table };
}

/** How paths are rewritten before a route is looked for. */
export function normalizationAt(
  snapshot: Services | undefined,
  { host, gateway }: Tunnel,
): PathNormalization {
  const of =
    gateway === undefined
      ? snapshot?.serviceAt(host)?.compiled.table
      : snapshot?.gateways?.places.get(gateway.place);
  return of?.pathNormalization ?? DEFAULT_NORMALIZATION;
}

/** What refuses everything that a tunnel carries; undefined when nothing does. */
export function denialAt(snapshot: Services | undefined, tunnel: Tunnel): PolicyDenial | undefined {
  const { host, gateway } = tunnel;
  if (gateway !== undefined) return snapshot?.gateways?.places.get(gateway.place)?.denied;
  return snapshot?.serviceAt(host)?.compiled.table.denied;
}

/** By virtual host, then by its routes. */
export function findAtGateway(
  snapshot: Pick<Services, 'gateways'> | undefined,
  gateway: Pick<GatewayPart, 'place'>,
  request: RequestView,
): RouteFinding {
  const place = snapshot?.gateways?.places.get(gateway.place);
  if (place === undefined) {
    return missing(undefined, 'no-route', 'the server of this connection is configured no more');
  }
  const { denied } = place;
  if (denied !== undefined) return missing(undefined, 'denied', denied.reason);
  const { authority } = request;
  // RFC 9110 §15.5.20: a client that reuses a connection for another name of the certificate opens one of its own.
  if (place.owners?.find(authority)?.has(place.key) === false) {
    const reason = `${authority} is served by another server of port ${place.port}`;
    return missing(undefined, 'misdirected', reason);
  }
  const host = place.hosts.find(authority);
  if (host === undefined) {
    return missing(undefined, 'no-route', `no host of port ${place.port} takes ${authority}`);
  }
  if (host.routes === undefined) {
    return missing(undefined, 'https-redirect', `port ${place.port} redirects to https`);
  }
  const decision = matchRoutes(host.routes, request);
  if (decision === undefined) {
    const { method, path } = request;
    const reason = `no route of ${host.domains[0]} matches ${method} ${path}`;
    return missing(undefined, 'no-route', reason);
  }
  return { service: undefined, entry: decision, limits: place };
}

function missing(service: ServiceConfig | undefined, fault: Fault, reason: string): RouteMissing {
  return { service, entry: undefined, fault, reason };
}
