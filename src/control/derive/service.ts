/** Kubernetes Services as the model's `Service` (facts of Istio: ambient/services.go). */
import type * as Kinds from '#kube/client/kinds.ts';
import type { Upstream } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { appProtocolOf } from './app-protocol.ts';
import { distributionOf, loadBalancing } from './load-balancing.ts';
import type { MeshSettings } from './mesh.ts';
import { namespaceOf } from './mesh.ts';
import type { WaypointBinding } from './waypoint.ts';

/** How workloads become members of a service: what the pods' and entries' derivation needs of it. */
export interface Membership {
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly ports: readonly {
    readonly servicePort: number;
    /** Number, or name of a container's or WorkloadEntry's port. */
    readonly target: number | string;
    readonly name: string | undefined;
  }[];
}

export interface BoundService {
  readonly kind: 'Service' | 'ServiceEntry';
  readonly service: Service;
  readonly membership: Membership;
  /** `namespace/name` of the waypoint in force. */
  readonly waypointKey: string | undefined;
  /** Of the one that takes a share of the connections. */
  readonly canaryKey: string | undefined;
  /** Gateways send straight to its endpoints, whatever waypoint it has. */
  readonly bypassed?: boolean;
  readonly condition: WaypointBinding['condition'];
  /** How the endpoints' addresses are found; undefined = they are addresses. */
  readonly resolution?: Upstream['resolution'];
  /** Who sees a ServiceEntry, where MeshConfig says anything about it. */
  readonly visibilityApplied?: 'Public' | 'Namespace';
  readonly createdAt: string;
}

/** Undefined for ExternalName, which has no addresses of its own. */
export function deriveService(
  object: Kinds.Service,
  context: {
    mesh: MeshSettings;
    namespace: Kinds.Namespace | undefined;
    binding: WaypointBinding;
  },
): BoundService | undefined {
  const { mesh, binding } = context;
  const { spec } = object;
  if (spec.type === 'ExternalName') return undefined;
  const namespace = namespaceOf(object);
  const { name } = object.metadata;
  const ports = (spec.ports ?? []).filter((port) => (port.protocol ?? 'TCP') === 'TCP');
  const clusterIps = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return {
    kind: 'Service',
    service: {
      name,
      namespace,
      hostname: `${name}.${namespace}.svc.${mesh.domain}`,
      addresses: clusterIps
        .filter((address) => address !== '' && address !== 'None')
        .map((address) => ({ network: mesh.network, address })),
      ports: ports.map((port) => ({
        servicePort: port.port,
        // A named target port differs from pod to pod: 0 says "ask the workload".
        targetPort: typeof port.targetPort === 'string' ? 0 : (port.targetPort ?? port.port),
        appProtocol: appProtocolOf(port),
      })),
      subjectAltNames: [],
      waypoint: binding.waypoint,
      ...(binding.weighted && { weightedWaypoints: binding.weighted }),
      ...(binding.ingress && { ingressUseWaypoint: true }),
      loadBalancing: balancingOf(object, context.namespace),
      canonical: true,
      visibility: 'public',
      ipFamilies: ipFamiliesOf(spec.ipFamilies),
    },
    membership: {
      selector: spec.selector,
      ports: ports.map((port) => ({
        servicePort: port.port,
        target: port.targetPort ?? port.port,
        name: port.name,
      })),
    },
    waypointKey: binding.key,
    canaryKey: binding.canaryKey,
    ...(binding.bypassed && { bypassed: true }),
    condition: binding.condition,
    createdAt: object.metadata.creationTimestamp ?? '',
  };
}

function balancingOf(object: Kinds.Service, namespace: Kinds.Namespace | undefined) {
  const { spec } = object;
  const includeUnhealthy = spec.publishNotReadyAddresses === true;
  if (spec.internalTrafficPolicy === 'Local')
    return { mode: 'strict', scopes: ['node'], includeUnhealthy } as const;
  const distribution = distributionOf(object, namespace, spec.trafficDistribution);
  return loadBalancing(distribution, includeUnhealthy);
}

function ipFamiliesOf(families: readonly string[] = []): Service['ipFamilies'] {
  if (families.length > 1) return 'dual';
  if (families.length === 0) return 'automatic';
  return families[0] === 'IPv6' ? 'ipv6' : 'ipv4';
}

/** Every waypoint that may get the service's traffic. */
export function waypointKeysOf(bound: Pick<BoundService, 'waypointKey' | 'canaryKey'>): string[] {
  return [bound.waypointKey, bound.canaryKey].filter((key) => key !== undefined);
}
