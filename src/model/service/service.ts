/** A service: a named group of endpoints behind virtual addresses. Mirrors istio.workload.Service (WDS). */

/** `namespace/hostname`, the WDS resource name. */
export type ServiceKey = string;

export interface GatewayAddress {
  /** One of `service` (a hostname in a namespace) or `address`. */
  readonly service?: { readonly namespace: string; readonly hostname: string };
  readonly address?: { readonly network: string; readonly address: string };
  readonly hbonePort: number;
}

/** How bytes on a port are to be read; from appProtocol, else the port name's prefix (Istio's rules). */
export type AppProtocol = 'unknown' | 'http' | 'http2' | 'grpc' | 'tcp' | 'tls';

export interface ServicePort {
  readonly servicePort: number;
  /** 0 when the target port is named: then the workload's own mapping decides. */
  readonly targetPort: number;
  readonly appProtocol: AppProtocol;
}

export interface LoadBalancing {
  readonly mode: 'unspecified' | 'strict' | 'failover' | 'passthrough';
  readonly scopes: readonly ('region' | 'zone' | 'subzone' | 'node' | 'cluster' | 'network')[];
  /** publishNotReadyAddresses. */
  readonly includeUnhealthy: boolean;
}

export interface WeightedWaypoint {
  readonly destination: GatewayAddress;
  readonly weight: number;
}

export interface Service {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  /** Virtual addresses; empty for headless. `length` is a prefix length for CIDR addresses. */
  readonly addresses: readonly {
    readonly network: string;
    readonly address: string;
    readonly length?: number;
  }[];
  readonly ports: readonly ServicePort[];
  readonly subjectAltNames: readonly string[];
  readonly waypoint: GatewayAddress | undefined;
  /** Instead of `waypoint`, one of these for each connection. */
  readonly weightedWaypoints?: readonly WeightedWaypoint[];
  /** Traffic from gateways goes through the waypoint as well. */
  readonly ingressUseWaypoint?: boolean;
  readonly loadBalancing: LoadBalancing | undefined;
  /** Wins ties on hostname lookup; true for Kubernetes Services. */
  readonly canonical: boolean;
  /** `namespace`: clients in other namespaces do not see it. */
  readonly visibility: 'public' | 'namespace';
  /** Which of an endpoint's addresses count; matters for headless services with dual-stack pods. */
  readonly ipFamilies: 'automatic' | 'ipv4' | 'ipv6' | 'dual';
}

/** Whether clients of a namespace may know of the service. */
export function isVisibleTo(service: Service, clientNamespace: string): boolean {
  return service.visibility === 'public' || service.namespace === clientNamespace;
}

export function serviceKey(service: { namespace: string; hostname: string }): ServiceKey {
  return `${service.namespace}/${service.hostname}`;
}

const NEEDED_WAYPOINT = '.needs-a-waypoint.invalid';

/**
 * Stands in for the waypoint that a policy needs and its service has not: nothing ever serves it, so every node proxy
 * refuses the service's traffic, and can say for which policy.
 */
export function neededWaypoint(policy: {
  kind: string;
  namespace: string;
  name: string;
}): GatewayAddress {
  const hostname = `${policy.name}.${policy.kind.toLowerCase()}${NEEDED_WAYPOINT}`;
  return { service: { namespace: policy.namespace, hostname }, hbonePort: 15008 };
}

/** `authorizationpolicy shop/only-get` when the gateway stands in for one that the policy needs. */
export function policyInNeed(gateway: GatewayAddress): string | undefined {
  const { hostname, namespace } = gateway.service ?? { hostname: '', namespace: '' };
  if (!hostname.endsWith(NEEDED_WAYPOINT)) return undefined;
  const named = hostname.slice(0, -NEEDED_WAYPOINT.length);
  const dot = named.lastIndexOf('.');
  return `${named.slice(dot + 1)} ${namespace}/${named.slice(0, dot)}`;
}
