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
