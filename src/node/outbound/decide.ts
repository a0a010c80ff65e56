/**
 * Where one captured outgoing connection goes, and why. Pure: snapshot, source workload and original destination
 * in, verdict out. Same order as ztunnel (src/proxy/outbound.rs): service address, then workload address, else
 * passthrough. Nothing falls back to a path with less protection.
 */
import { formatHostPort, isLoopback } from '#base/ip.ts';
import type { Random } from '#base/random.ts';
import { HBONE_PORT } from '#hbone/limits.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import {
  type GatewayAddress,
  policyInNeed,
  type Service,
  serviceKey,
} from '#model/service/service.ts';
import { whoAnswers } from '#model/workload/address-claim.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { SocketAddress } from '#net/connection.ts';
import type { NODE_ERRORS } from '../errors.ts';
import { ILLEGAL_PORTS, PORTS_SHOWN_MAX } from '../limits.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { addressOf, isElsewhere, type PickedEndpoint, pickEndpoint } from './pick-endpoint.ts';

interface Next {
  readonly destination: SocketAddress;
  /** The next hop is known by this name only: `destination.address` is empty until it has been looked up. */
  readonly hostname?: string;
  /** The next hop: endpoint or waypoint; undefined when it is not of the mesh. */
  readonly workload: Workload | undefined;
  /** What the client asked for, when that was a service. */
  readonly service: Service | undefined;
  readonly reason: string;
}

export type OutboundVerdict =
  | (Next & {
      readonly kind: 'hbone';
      readonly via: 'endpoint' | 'waypoint' | 'gateway';
      /** '' while it is to name an endpoint that is known by name only. */
      readonly authority: string;
      /** The endpoint's port, for that authority. */
      readonly targetPort?: number;
      /** Identities the peer may prove. */
      readonly expected: readonly string[];
      /** The peer is a gateway: those that who ends the tunnel within the tunnel may prove. */
      readonly inner?: readonly string[];
    })
  | (Next & { readonly kind: 'tcp' })
  | {
      readonly kind: 'refuse';
      readonly code: keyof typeof NODE_ERRORS;
      readonly service: Service | undefined;
      readonly reason: string;
    };

export interface OutboundRequest {
  readonly source: Workload;
  readonly original: SocketAddress;
}

export function decideOutbound(
  snapshot: MeshSnapshot,
  request: OutboundRequest,
  random: Random,
): OutboundVerdict {
  const { source, original } = request;
  if (loops(source, original)) {
    const reason = `connection to the proxy's own port ${original.port}`;
    return { kind: 'refuse', code: 'NODE_LOOP', service: undefined, reason };
  }
  const service = snapshot.serviceAt(source.network, original.address, source.namespace);
  if (service !== undefined) return toService(snapshot, request, service, random);
  const workload = snapshot.workloadAt(source.network, original.address);
  if (workload !== undefined) return toWorkload(snapshot, request, workload, random);
  return {
    kind: 'tcp',
    destination: original,
    workload: undefined,
    service: undefined,
    reason: 'the destination is not in the mesh',
  };
}

function loops(source: Workload, original: SocketAddress): boolean {
  if (!ILLEGAL_PORTS.includes(original.port)) return false;
  return isLoopback(original.address) || source.addresses.includes(original.address);
}

function toService(
  snapshot: MeshSnapshot,
  request: OutboundRequest,
  service: Service,
  random: Random,
): OutboundVerdict {
  const { source, original } = request;
  const gateway = waypointOf(service, random);
  // One of the waypoint's own workloads: the hop through it is done.
  if (gateway !== undefined && !snapshot.isPartOf(source, gateway)) {
    return toWaypoint(snapshot, { ...request, gateway, service }, random);
  }
  if (service.loadBalancing?.mode === 'passthrough') {
    return passThrough(snapshot, request, service, random);
  }
  const endpoints = snapshot.endpointsOf(serviceKey(service));
  const picked = pickEndpoint({ service, endpoints, servicePort: original.port, source }, random);
  if (picked !== undefined && isElsewhere(picked.workload, source)) {
    const { networkGateway: gateway, network } = picked.workload;
    return throughGateway(
      snapshot,
      { ...request, gateway, service, inner: service, network },
      random,
    );
  }
  if (picked !== undefined) return toEndpoint(snapshot, request, service, picked);
  const why = whyNone(service, original.port, endpoints.length);
  return {
    kind: 'refuse',
    code: 'NODE_NO_UPSTREAM',
    service,
    reason: `no healthy upstream: ${why}`,
  };
}

/** A port that was mistyped is found in the log, not by comparing the Service with the client. */
function whyNone({ hostname, ports }: Service, port: number, endpoints: number): string {
  if (ports.length > 0 && ports.every(({ servicePort }) => servicePort !== port)) {
    const shown = ports.slice(0, PORTS_SHOWN_MAX).map(({ servicePort }) => servicePort);
    return `${hostname} has no port ${port}, but ${shown.join(', ')}${ports.length > shown.length ? ', …' : ''}`;
  }
  const what = `${hostname}:${port}`;
  return endpoints === 0 ? `${what} has no endpoints` : `none of ${endpoints} of ${what} is usable`;
}

/**
 * The client has the address that it wants, whatever endpoints the service lists: nobody picks another. A workload of the
 * mesh that happens to have it is reached as it always is.
 */
function passThrough(
  snapshot: MeshSnapshot,
  request: OutboundRequest,
  service: Service,
  random: Random,
): OutboundVerdict {
  const { source, original } = request;
  const workload = snapshot.workloadAt(source.network, original.address);
  if (workload !== undefined) {
    return { ...toWorkload(snapshot, request, workload, random), service };
  }
  const reason = `${service.hostname} is passthrough`;
  return { kind: 'tcp', destination: original, workload, service, reason };
}

/** Of several by weight, one for each connection. */
function waypointOf(service: Service, random: Random): GatewayAddress | undefined {
  const weighted = service.weightedWaypoints ?? [];
  let total = 0;
  for (const { weight } of weighted) total += weight;
  if (total === 0) return service.waypoint;
  let point = random.fraction() * total;
  for (const { destination, weight } of weighted) {
    point -= weight;
    if (point < 0) return destination;
  }
  return service.waypoint;
}

function toEndpoint(
  snapshot: MeshSnapshot,
  request: OutboundRequest,
  service: Service,
  picked: PickedEndpoint,
): OutboundVerdict {
  const { targetPort } = picked;
  const address = addressOf(picked.workload, request.original.address, service.ipFamilies);
  const name = `endpoint ${picked.workload.name} of ${service.hostname}`;
  if (address === undefined) return toName(service, picked);
  const claiming = snapshot.workloadAt(picked.workload.network, address);
  const workload = whoAnswers(picked.workload, claiming ? [claiming] : [], service.namespace);
  if (workload.protocol === 'none') {
    const destination = { address, port: targetPort };
    return { kind: 'tcp', destination, workload, service, reason: `${name} is not captured` };
  }
  return {
    kind: 'hbone',
    via: 'endpoint',
    destination: { address, port: HBONE_PORT },
    authority: formatHostPort(address, targetPort),
    expected: identitiesOf(workload, service),
    workload,
    service,
    reason: name,
  };
}

/** Of an endpoint that has no address of its own: of a ServiceEntry with resolution DNS, or of a machine. */
function toName(service: Service, picked: PickedEndpoint): OutboundVerdict {
  const { workload, targetPort } = picked;
  const { hostname } = workload;
  const next = {
    hostname,
    workload,
    service,
    reason: `${hostname} of ${service.hostname}, by name`,
  };
  if (workload.protocol === 'none') {
    return { ...next, kind: 'tcp', destination: { address: '', port: targetPort } };
  }
  return {
    ...next,
    kind: 'hbone',
    via: 'endpoint',
    destination: { address: '', port: HBONE_PORT },
    authority: '',
    targetPort,
    expected: identitiesOf(workload, service),
  };
}

/** The verdict once the name of the next hop has been looked up. */
export function withAddress(
  verdict: Exclude<OutboundVerdict, { kind: 'refuse' }>,
  address: string,
): OutboundVerdict {
  const found = { hostname: undefined, destination: { address, port: verdict.destination.port } };
  if (verdict.kind === 'tcp') return { ...verdict, ...found };
  const { targetPort, authority } = verdict;
  const named = targetPort === undefined ? authority : formatHostPort(address, targetPort);
  return { ...verdict, ...found, authority: named };
}

function toWorkload(
  snapshot: MeshSnapshot,
  request: OutboundRequest,
  workload: Workload,
  random: Random,
): OutboundVerdict {
  const { source, original } = request;
  if (workload.waypoint !== undefined && !snapshot.isPartOf(source, workload.waypoint)) {
    const gateway = workload.waypoint;
    return toWaypoint(snapshot, { ...request, gateway, service: undefined }, random);
  }
  if (workload.protocol === 'none') {
    const reason = `${workload.name} is not captured`;
    return { kind: 'tcp', destination: original, workload, service: undefined, reason };
  }
  return {
    kind: 'hbone',
    via: 'endpoint',
    destination: { address: original.address, port: HBONE_PORT },
    authority: formatHostPort(original.address, original.port),
    expected: identitiesOf(workload, undefined),
    workload,
    service: undefined,
    reason: `workload ${workload.name} by its address`,
  };
}

interface WaypointRequest extends OutboundRequest {
  readonly gateway: GatewayAddress;
  readonly service: Service | undefined;
}

/** The waypoint gets the original, untranslated destination as authority. */
function toWaypoint(
  snapshot: MeshSnapshot,
  request: WaypointRequest,
  random: Random,
): OutboundVerdict {
  const { gateway, original, service } = request;
  const name = gateway.service
    ? `${gateway.service.namespace}/${gateway.service.hostname}`
    : (gateway.address?.address ?? 'unknown');
  const found = gatewayEndpoint(snapshot, request, random);
  if (found === undefined) {
    const policy = policyInNeed(gateway);
    const reason =
      policy === undefined
        ? `waypoint ${name} has no healthy endpoint`
        : `${policy} needs a waypoint to judge traffic of ${service?.hostname}, which has none: tulle waypoint apply -n ${service?.namespace}, or annotate the policy with tulle.dev/unenforced-policy=ignore`;
    return { kind: 'refuse', code: 'NODE_WAYPOINT_UNREADY', service, reason };
  }
  const { workload, targetPort, gatewayService: waypointService } = found;
  if (service !== undefined && isElsewhere(workload, request.source)) {
    const { networkGateway, network } = workload;
    const through = {
      ...request,
      gateway: networkGateway,
      service,
      inner: waypointService,
      network,
    };
    return throughGateway(snapshot, through, random);
  }
  const hop = hopTo(workload, targetPort, { original, families: waypointService?.ipFamilies });
  if (hop === undefined) {
    const reason = `waypoint ${name} has no address`;
    return { kind: 'refuse', code: 'NODE_WAYPOINT_UNREADY', service, reason };
  }
  return {
    kind: 'hbone',
    via: 'waypoint',
    ...hop,
    authority: formatHostPort(original.address, original.port),
    expected: identitiesOf(workload, waypointService),
    workload,
    service,
    reason: `waypoint ${name}`,
  };
}

interface GatewayRequest extends OutboundRequest {
  readonly gateway: GatewayAddress | undefined;
  readonly network: string;
  readonly service: Service;
  /** Whose names the end of the inner tunnel may prove: a gateway tells us no workload of its network. */
  readonly inner: Service | undefined;
}

/** Both tunnels ask for the service by its name: addresses mean nothing in the other network (ztunnel src/proxy/outbound.rs). */
function throughGateway(
  snapshot: MeshSnapshot,
  request: GatewayRequest,
  random: Random,
): OutboundVerdict {
  const { gateway, network, service, original, source } = request;
  const refuse = (reason: string): OutboundVerdict => ({
    kind: 'refuse',
    code: 'NODE_NO_UPSTREAM',
    service,
    reason,
  });
  // Dialled as it is, although it is of that network.
  const direct = true;
  const found = gateway && gatewayEndpoint(snapshot, { gateway, source, direct }, random);
  if (found === undefined) return refuse(`network ${network} has no gateway that is reachable`);
  const { workload, targetPort, gatewayService } = found;
  const hop = hopTo(workload, targetPort, { original });
  if (hop === undefined) return refuse(`the gateway of network ${network} has no address`);
  const inner = request.inner?.subjectAltNames.filter((name) => name.startsWith('spiffe://')) ?? [];
  if (inner.length === 0) {
    return refuse(`${service.hostname} names nobody in network ${network} whom we may trust`);
  }
  return {
    kind: 'hbone',
    via: 'gateway',
    ...hop,
    authority: `${service.hostname}:${original.port}`,
    expected: identitiesOf(workload, gatewayService),
    inner,
    workload,
    service,
    reason: `the gateway of network ${network}`,
  };
}

/** By an address of the workload, else by its name. */
function hopTo(
  workload: Workload,
  port: number,
  { original, families }: { original: SocketAddress; families?: Service['ipFamilies'] },
): { destination: SocketAddress; hostname?: string } | undefined {
  const address = addressOf(workload, original.address, families);
  if (address !== undefined) return { destination: { address, port } };
  const { hostname } = workload;
  return hostname === '' ? undefined : { destination: { address: '', port }, hostname };
}

/** One of the workloads behind the address or name of a waypoint, or of another network's gateway. */
function gatewayEndpoint(
  snapshot: MeshSnapshot,
  { gateway, source, direct }: { gateway: GatewayAddress; source: Workload; direct?: boolean },
  random: Random,
): (PickedEndpoint & { gatewayService: Service | undefined }) | undefined {
  const gatewayService = snapshot.serviceOfGateway(gateway, source.namespace);
  if (gatewayService !== undefined) {
    const endpoints = snapshot.endpointsOf(serviceKey(gatewayService));
    const servicePort = gateway.hbonePort;
    const asWaypoint = direct !== true;
    const wanted = { service: gatewayService, endpoints, servicePort, source, direct, asWaypoint };
    const picked = pickEndpoint(wanted, random);
    return picked && { ...picked, gatewayService };
  }
  const workload = snapshot.workloadOfGateway(gateway);
  if (workload === undefined || !workload.healthy) return undefined;
  return { workload, targetPort: gateway.hbonePort, gatewayService: undefined };
}

/** Of workloads whose services have no names of their own: the pool of tunnels knows the same list at a glance. */
const alone = new WeakMap<Workload, readonly string[]>();

/** The workload's identity and the service's extra names (ztunnel src/state.rs workload_and_services_san). */
function identitiesOf(workload: Workload, service: Service | undefined): readonly string[] {
  const own = formatPrincipal(workload);
  if (service === undefined || service.subjectAltNames.length === 0) {
    let list = alone.get(workload);
    if (list === undefined) {
      list = [own];
      alone.set(workload, list);
    }
    return list;
  }
  return [own, ...service.subjectAltNames.filter((name) => name.startsWith('spiffe://'))];
}
