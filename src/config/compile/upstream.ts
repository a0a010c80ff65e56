/** The `Upstream` of one service: its policies and its endpoints, as the waypoint picks among them. */

import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { Endpoint, Upstream } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { DestinationPolicies } from './destination-rule.ts';

/** A workload with what only the control plane knows of it. */
export interface LabeledWorkload {
  readonly workload: Workload;
  readonly labels: Readonly<Record<string, string>>;
}

export function buildUpstream(
  service: Service,
  policies: DestinationPolicies,
  members: readonly LabeledWorkload[],
  /** The workload that takes tunnels at an address: an entry may list it as if it were outside. */
  capturedAt: (address: string) => LabeledWorkload | undefined = () => undefined,
): Upstream {
  const { namespace, hostname } = service;
  const endpoints: Endpoint[] = [];
  for (const member of members) {
    const endpoint = endpointOf(service, member, capturedAt);
    if (endpoint !== undefined) endpoints.push(endpoint);
  }
  const ports = service.ports.map(({ servicePort, appProtocol }) => ({
    port: servicePort,
    protocol: appProtocol,
  }));
  return { namespace, hostname, ports, ...policies, endpoints };
}

/** Undefined when the workload serves no port of the service, or has no address to dial. */
function endpointOf(
  service: Service,
  member: LabeledWorkload,
  capturedAt: (address: string) => LabeledWorkload | undefined,
): Endpoint | undefined {
  const { workload, labels } = member;
  const mappings = workload.services.get(serviceKey(service));
  const address = workload.addresses[0] ?? workload.hostname;
  if (mappings === undefined || mappings.length === 0 || !address) return undefined;
  const peer =
    workload.protocol === 'none' ? (capturedAt(address)?.workload ?? workload) : workload;
  const ports: Record<number, number> = {};
  for (const { servicePort, targetPort } of mappings) ports[servicePort] = targetPort;
  return {
    uid: workload.uid,
    name: workload.name,
    address,
    ports,
    labels,
    locality: workload.locality,
    node: workload.node,
    weight: workload.capacity,
    healthy: workload.healthy || service.loadBalancing?.includeUnhealthy === true,
    protocol: peer.protocol,
    principal: formatPrincipal(peer),
    workloadName: workload.workloadName,
    canonicalName: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision,
  };
}
