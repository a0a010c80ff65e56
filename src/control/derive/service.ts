/** Kubernetes Services and Istio ServiceEntries as the model's `Service` (facts of Istio: ambient/services.go). */
import type { ConfigObject } from '#config/compile/istio-kinds.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { LoadBalancing, Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import { appProtocolOf, declaredProtocol } from './app-protocol.ts';
import type { MeshSettings } from './mesh.ts';
import { ANNOTATION, namespaceOf } from './mesh.ts';
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
  /** Whether Pods, WorkloadEntries or both are selected. */
  readonly pods: boolean;
  readonly entries: boolean;
}

export interface BoundService {
  readonly kind: 'Service' | 'ServiceEntry';
  readonly service: Service;
  readonly membership: Membership;
  /** `namespace/name` of the waypoint in force. */
  readonly waypointKey: string | undefined;
  readonly condition: WaypointBinding['condition'];
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
      loadBalancing: loadBalancing(object, context.namespace),
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
      pods: true,
      entries: true,
    },
    waypointKey: binding.key,
    condition: binding.condition,
    createdAt: object.metadata.creationTimestamp ?? '',
  };
}

function ipFamiliesOf(families: readonly string[] = []): Service['ipFamilies'] {
  if (families.length > 1) return 'dual';
  if (families.length === 0) return 'automatic';
  return families[0] === 'IPv6' ? 'ipv6' : 'ipv4';
}

function loadBalancing(
  object: Kinds.Service,
  namespace: Kinds.Namespace | undefined,
): LoadBalancing | undefined {
  const { spec, metadata } = object;
  const includeUnhealthy = spec.publishNotReadyAddresses === true;
  if (spec.internalTrafficPolicy === 'Local')
    return { mode: 'strict', scopes: ['node'], includeUnhealthy };
  const distribution =
    spec.trafficDistribution ??
    metadata.annotations?.[ANNOTATION.trafficDistribution] ??
    namespace?.metadata.annotations?.[ANNOTATION.trafficDistribution];
  switch (distribution) {
    case 'PreferClose':
    case 'PreferSameZone':
      return { mode: 'failover', scopes: ['network', 'region', 'zone'], includeUnhealthy };
    case 'PreferSameNode': {
      const scopes = ['network', 'region', 'zone', 'subzone', 'node'] as const;
      return { mode: 'failover', scopes, includeUnhealthy };
    }
    default:
      return includeUnhealthy ? { mode: 'unspecified', scopes: [], includeUnhealthy } : undefined;
  }
}

export interface WorkloadEntrySpec {
  address?: string;
  ports?: Record<string, number>;
  labels?: Record<string, string>;
  network?: string;
  locality?: string;
  weight?: number;
  serviceAccount?: string;
}
export interface ServiceEntrySpec {
  hosts?: string[];
  addresses?: string[];
  ports?: { number: number; protocol?: string; name?: string; targetPort?: number }[];
  resolution?: string;
  endpoints?: WorkloadEntrySpec[];
  subjectAltNames?: string[];
  workloadSelector?: { labels?: Record<string, string> };
}
export type ServiceEntryObject = KubeObject &
  ConfigObject<ServiceEntrySpec> & {
    status?: { addresses?: { value?: string; host?: string }[] };
  };

/** One service for each host. */
export function deriveServiceEntry(
  object: ServiceEntryObject,
  context: { mesh: MeshSettings; binding: WaypointBinding },
): [string, BoundService][] {
  const { mesh, binding } = context;
  const spec = object.spec ?? {};
  const ports = spec.ports ?? [];
  return (spec.hosts ?? []).map((hostname) => {
    const service: Service = {
      name: object.metadata.name,
      namespace: namespaceOf(object),
      hostname,
      addresses: entryAddresses(object, hostname).map((each) => ({
        network: mesh.network,
        ...each,
      })),
      ports: ports.map((port) => ({
        servicePort: port.number,
        targetPort: port.targetPort ?? port.number,
        appProtocol: declaredProtocol(port.protocol),
      })),
      subjectAltNames: spec.subjectAltNames ?? [],
      waypoint: binding.waypoint,
      loadBalancing:
        (spec.resolution ?? 'NONE') === 'NONE'
          ? { mode: 'passthrough', scopes: [], includeUnhealthy: true }
          : undefined,
      canonical: false,
      visibility: 'public',
      ipFamilies: 'automatic',
    };
    const bound: BoundService = {
      kind: 'ServiceEntry',
      service,
      membership: {
        selector: spec.workloadSelector?.labels,
        ports: ports.map((port) => ({
          servicePort: port.number,
          target: port.targetPort ?? port.number,
          name: port.name,
        })),
        pods: true,
        entries: true,
      },
      waypointKey: binding.key,
      condition: binding.condition,
      createdAt: object.metadata.creationTimestamp ?? '',
    };
    return [serviceKey(service), bound];
  });
}

function entryAddresses(
  object: ServiceEntryObject,
  hostname: string,
): { address: string; length?: number }[] {
  const given = object.spec?.addresses ?? [];
  const allocated = (object.status?.addresses ?? [])
    .filter((each) => each.host === undefined || each.host === hostname)
    .flatMap((each) => each.value ?? []);
  return (given.length > 0 ? given : allocated).map((text) => {
    const [address, length] = text.split('/');
    return length === undefined ? { address } : { address, length: Number(length) };
  });
}
