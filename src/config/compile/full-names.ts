/** Short names of hosts and gateways in a VirtualService made full (Istio: ResolveVirtualServiceShortnames). */
import { resolveHost } from './hosts.ts';
import type { DestinationSpec } from './istio-kinds.ts';
import type { HttpRouteSpec, TcpRouteSpec, TlsRouteSpec } from './virtual-service-kinds.ts';

/** The name in `gateways` that stands for traffic between workloads. */
export const MESH_GATEWAY = 'mesh';

export interface NameScope {
  /** Of the object that holds the names. */
  readonly namespace: string;
  /** DNS suffix of services, `cluster.local`. */
  readonly domain: string;
}

/** `namespace/name`; `mesh` stays. The old form `name.namespace.svc…` is understood. */
export function fullGatewayName(name: string, namespace: string): string {
  if (name === MESH_GATEWAY) return name;
  if (name.startsWith('./')) return `${namespace}${name.slice(1)}`;
  if (name.includes('/')) return name;
  const [short, its = namespace] = name.split('.');
  return `${its}/${short}`;
}

export function fullHttpRule(rule: HttpRouteSpec, scope: NameScope): HttpRouteSpec {
  return {
    ...rule,
    mirrorPercent: rule.mirrorPercent ?? rule.mirror_percent,
    match: rule.match?.map((match) => match && withFullGateways(match, scope)),
    route: rule.route?.map((each) => withFullDestination(each, scope)),
    mirror: rule.mirror && fullDestination(rule.mirror, scope),
    mirrors: rule.mirrors?.map((each) => withFullDestination(each, scope)),
    delegate: rule.delegate && {
      name: rule.delegate.name,
      namespace: rule.delegate.namespace || scope.namespace,
    },
  };
}

export function fullL4Rule<R extends TlsRouteSpec | TcpRouteSpec>(rule: R, scope: NameScope): R {
  return {
    ...rule,
    match: rule.match?.map((match) => withFullGateways(match, scope)),
    route: rule.route?.map((each) => withFullDestination(each, scope)),
  };
}

function withFullGateways<M extends { gateways?: string[] }>(match: M, scope: NameScope): M {
  const gateways = match.gateways?.map((name) => fullGatewayName(name, scope.namespace));
  return { ...match, gateways };
}

function withFullDestination<D extends { destination?: DestinationSpec }>(
  each: D,
  scope: NameScope,
): D {
  return { ...each, destination: each.destination && fullDestination(each.destination, scope) };
}

function fullDestination(spec: DestinationSpec, scope: NameScope): DestinationSpec {
  return { ...spec, host: resolveHost(spec.host ?? '', scope) };
}
