/**
 * Endpoints that somebody wrote by hand for a Service without a selector: what is behind them is no pod, so each is a
 * workload of its own, outside the mesh (Istio: ambient/workloads.go). Those of pods come from the pods themselves.
 */
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import type { EndpointSlice } from '#kube/client/kinds.ts';
import { serviceKey } from '#model/service/service.ts';
import type { PortMapping } from '#model/workload/workload.ts';
import type { MeshSettings } from './mesh.ts';
import { namespaceOf } from './mesh.ts';
import type { BoundService } from './service.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';

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
      hostNetwork: false,
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
    const port = slice.ports?.find((each) => (each.name ?? '') === name);
    return port === undefined ? [] : [{ servicePort, targetPort: port.port }];
  });
}
