/**
 * Chooses an endpoint of a service for one connection, as ztunnel does (src/state/service.rs): healthy ones, the
 * best locality rank, then random by capacity. No retries, no round robin. Pure but for the `Random` handed in.
 */
import { isIpv6 } from '#base/ip.ts';
import type { Random } from '#base/random.ts';
import { type Service, serviceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';

export interface PickedEndpoint {
  readonly workload: Workload;
  readonly targetPort: number;
}

export interface PickRequest {
  readonly service: Service;
  readonly endpoints: readonly Workload[];
  readonly servicePort: number;
  /** Whose locality counts; undefined when the client is unknown. */
  readonly source: Workload | undefined;
  /** Endpoints of other networks are dialled all the same: they are the gateways of those. */
  readonly direct?: boolean;
  /** Of a waypoint that has a port for tunnels of its own, its service needs not list the port that is dialled. */
  readonly asWaypoint?: boolean;
}

export function pickEndpoint(request: PickRequest, random: Random): PickedEndpoint | undefined {
  const { service, endpoints, source } = request;
  const balancing = service.loadBalancing;
  let candidates: PickedEndpoint[] = [];
  let total = 0;
  let bestRank = 0;
  for (const workload of endpoints) {
    if (!workload.healthy && balancing?.includeUnhealthy !== true) continue;
    if (workload.capacity <= 0 || !isReachable(request, workload)) continue;
    const targetPort =
      targetPortOf(service, workload, request.servicePort) || ownTunnelPort(request, workload);
    if (targetPort === 0) continue;
    const rank = balancing === undefined ? 0 : localityRank(balancing.scopes, source, workload);
    if (balancing?.mode === 'strict' && rank < fullRank(balancing.scopes)) continue;
    if (balancing?.mode === 'failover' && rank > bestRank) {
      bestRank = rank;
      candidates = [];
      total = 0;
    }
    if (balancing?.mode === 'failover' && rank < bestRank) continue;
    candidates.push({ workload, targetPort });
    total += workload.capacity;
  }
  if (candidates.length < 2) return candidates[0];
  let point = random.fraction() * total;
  for (const candidate of candidates) {
    point -= candidate.workload.capacity;
    if (point < 0) return candidate;
  }
  return candidates[candidates.length - 1];
}

/** The proxy at the other end knows where its workload reads tunnels (ztunnel src/state.rs find_upstream_from_service). */
function ownTunnelPort({ asWaypoint, servicePort }: PickRequest, workload: Workload): number {
  return asWaypoint === true && workload.applicationTunnel?.port ? servicePort : 0;
}

/** By an address of the service's families, by a name to look up, or through the gateway of another network. */
function isReachable({ service, source, direct }: PickRequest, workload: Workload): boolean {
  if (direct !== true && isElsewhere(workload, source))
    return workload.networkGateway !== undefined;
  return (
    workload.hostname !== '' ||
    workload.addresses.some((address) => isOfFamily(service.ipFamilies, address))
  );
}

/** Of another network: its addresses lead nowhere, or to somebody else, from here. */
export function isElsewhere(workload: Workload, source: Workload | undefined): boolean {
  return source !== undefined && workload.network !== source.network;
}

/**
 * The address of an endpoint to dial: the one that was asked for, else one of the family that the client chose, else any
 * that the service lets count. Undefined: only its name is known.
 */
export function addressOf(
  workload: Workload,
  original: string,
  ipFamilies: Service['ipFamilies'] = 'automatic',
): string | undefined {
  if (workload.addresses.includes(original)) return original;
  const usable = workload.addresses.filter((address) => isOfFamily(ipFamilies, address));
  const family = isIpv6(original);
  return usable.find((address) => isIpv6(address) === family) ?? usable[0];
}

function isOfFamily(families: Service['ipFamilies'], address: string): boolean {
  if (families === 'ipv4') return !isIpv6(address);
  return families !== 'ipv6' || isIpv6(address);
}

/** The endpoint's own mapping wins over the service's; 0 when neither knows the port. */
export function targetPortOf(service: Service, workload: Workload, servicePort: number): number {
  const own = workload.services.get(serviceKey(service));
  const mapped = own?.find((mapping) => mapping.servicePort === servicePort);
  if (mapped !== undefined) return mapped.targetPort;
  const port = service.ports.find((candidate) => candidate.servicePort === servicePort);
  return port?.targetPort ?? 0;
}

type Scope = NonNullable<Service['loadBalancing']>['scopes'][number];

/**
 * How many leading scopes the two share. With the network first, the own one outranks whatever the others share, and of
 * others' endpoints the nearest still come first (ztunnel src/state.rs load_balance).
 */
function localityRank(
  scopes: readonly Scope[],
  source: Workload | undefined,
  workload: Workload,
): number {
  if (source === undefined) return 0;
  let rank = 0;
  for (const [index, scope] of scopes.entries()) {
    const isNetworkFirst = scope === 'network' && index === 0;
    if (scopeOf(scope, source) === scopeOf(scope, workload)) {
      rank += isNetworkFirst ? scopes.length : 1;
    } else if (!isNetworkFirst) return rank;
  }
  return rank;
}

/** Of an endpoint that shares every scope. */
function fullRank(scopes: readonly Scope[]): number {
  return scopes[0] === 'network' ? 2 * scopes.length - 1 : scopes.length;
}

function scopeOf(scope: Scope, workload: Workload): string {
  switch (scope) {
    case 'region':
    case 'zone':
    case 'subzone':
      return workload.locality[scope];
    case 'node':
      return workload.node;
    case 'cluster':
      return workload.clusterId;
    case 'network':
      return workload.network;
  }
}
