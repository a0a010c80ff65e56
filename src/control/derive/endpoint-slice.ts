/**
 * Endpoints that somebody wrote by hand for a Service without a selector (Istio: ambient/workloads.go). Those that name a pod make the
 * pod a member of the Service; every other is a workload of its own, outside the mesh. Slices that Kubernetes keeps say nothing
 * that selectors do not.
 */
import { parseIp } from '#base/ip.ts';
import { portProblem } from '#config/compile/names.ts';
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import type { EndpointSlice } from '#kube/client/kinds.ts';
import { serviceKey } from '#model/service/service.ts';
import type { PortMapping } from '#model/workload/workload.ts';
import type { MeshSettings } from './mesh.ts';
import { namespaceOf } from './mesh.ts';
import type { BoundService } from './service.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
/** By the selector of a Service. */
const KUBERNETES = 'endpointslice-controller.k8s.io';

export function isByHand({ metadata }: EndpointSlice): boolean {
  return metadata.labels?.[MANAGED_BY] !== KUBERNETES;
}

/** `namespace/name` of the pods that a slice written by hand names; of its own namespace only. */
export function podsOfSlice(slice: EndpointSlice): string[] {
  if (!isByHand(slice)) return [];
  const namespace = namespaceOf(slice);
  const names = (slice.endpoints ?? []).flatMap(({ targetRef }) =>
    targetRef?.kind === 'Pod' && (targetRef.namespace ?? namespace) === namespace
      ? [`${namespace}/${targetRef.name ?? ''}`]
      : [],
  );
  return [...new Set(names)];
}

/** What a pod at `addresses` is to the Service of a slice that names it. */
export function membershipBySlice(
  slice: EndpointSlice,
  addresses: readonly string[],
  service: BoundService,
): readonly PortMapping[] | undefined {
  const { selector = {} } = service.membership;
  if (service.kind !== 'Service' || Object.keys(selector).length > 0) return undefined;
  const isNamed = (slice.endpoints ?? []).some(
    (endpoint) =>
      endpoint.targetRef?.kind === 'Pod' &&
      endpoint.conditions?.ready !== false &&
      endpoint.addresses.some((each) => addresses.includes(each)),
  );
  return isNamed ? portsOf(slice, service) : undefined;
}

/** `namespace/host name` of the Service that the slice is for. */
export function serviceOfSlice(slice: EndpointSlice, mesh: MeshSettings): string | undefined {
  const name = slice.metadata.labels?.[SERVICE_NAME];
  if (name === undefined || slice.addressType === 'FQDN') return undefined;
  const namespace = namespaceOf(slice);
  return `${namespace}/${name}.${namespace}.svc.${mesh.domain}`;
}

export function deriveEndpointSlice(
  slice: EndpointSlice,
  context: { mesh: MeshSettings; service: BoundService },
): [string, LabeledWorkload][] {
  const { mesh, service } = context;
  const namespace = namespaceOf(slice);
  const { name } = slice.metadata;
  const services = new Map([[serviceKey(service.service), portsOf(slice, service)]]);
  return (slice.endpoints ?? []).flatMap((endpoint): [string, LabeledWorkload][] => {
    const { addresses } = endpoint;
    if (endpoint.targetRef?.kind === 'Pod' || addresses.length === 0) return [];
    if (!addresses.every((address) => parseIp(address) !== undefined)) return [];
    const uid = `${mesh.clusterId}/discovery.k8s.io/EndpointSlice/${namespace}/${name}/${addresses[0]}`;
    const workload = {
      uid,
      name,
      namespace,
      trustDomain: mesh.trustDomain,
      serviceAccount: 'default',
      addresses,
      network: mesh.network,
      protocol: 'none' as const,
      node: endpoint.nodeName ?? '',
      workloadName: name,
      workloadType: 'pod' as const,
      canonicalName: service.service.name,
      canonicalRevision: 'latest',
      clusterId: mesh.clusterId,
      locality: { region: '', zone: endpoint.zone ?? '', subzone: '' },
      // Unknown counts as ready (EndpointConditions).
      healthy: endpoint.conditions?.ready !== false,
      // Whoever may write such a slice may write any address: it names nobody.
      hostNetwork: true,
      nativeTunnel: false,
      hostname: '',
      capacity: 1,
      waypoint: undefined,
      services,
      authorizationPolicies: [],
    };
    return [[uid, { workload, labels: {} }]];
  });
}

function portsOf(slice: EndpointSlice, { membership }: BoundService): PortMapping[] {
  return membership.ports.flatMap(({ servicePort, name = '' }) => {
    const port = slice.ports?.find(
      (each) => (each.name ?? '') === name && (each.protocol ?? 'TCP') === 'TCP',
    );
    // Kubernetes allows any number, and none, for all ports: nothing that a connection could be sent to.
    if (port === undefined || portProblem(port.port) !== undefined) return [];
    return [{ servicePort, targetPort: port.port }];
  });
}
