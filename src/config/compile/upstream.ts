/** The `Upstream` of one service: its policies and its endpoints, as the waypoint picks among them. */

import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { Endpoint, TrafficPolicy, Upstream } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import { whoAnswers } from '#model/workload/address-claim.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { DestinationPolicies } from './destination-rule.ts';

/** A workload with what only the control plane knows of it. */
export interface LabeledWorkload {
  readonly workload: Workload;
  readonly labels: Readonly<Record<string, string>>;
}

export interface UpstreamOptions {
  /** Workloads that take tunnels at an address: an entry may list one as if it were outside. */
  readonly capturedAt?: (address: string) => readonly LabeledWorkload[];
  readonly resolution?: Upstream['resolution'];
}

export function buildUpstream(
  service: Service,
  policies: DestinationPolicies,
  members: readonly LabeledWorkload[],
  { capturedAt = () => [], resolution }: UpstreamOptions = {},
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
  return {
    namespace,
    hostname,
    ports,
    ...policies,
    ...(resolution && { resolution }),
    endpoints,
  };
}

/** A ServiceEntry's subjectAltNames count where TLS settings have none (Istio: constructUpstreamTLS). */
export function withServiceNames<T extends DestinationPolicies>(
  policies: T,
  subjectAltNames: readonly string[],
): T {
  if (subjectAltNames.length === 0) return policies;
  const named = (policy: TrafficPolicy): TrafficPolicy =>
    policy.tls === undefined || policy.tls.subjectAltNames.length > 0
      ? policy
      : { ...policy, tls: { ...policy.tls, subjectAltNames } };
  const portsOf = (ports: DestinationPolicies['portPolicies'] = {}) =>
    Object.fromEntries(Object.entries(ports).map(([port, policy]) => [port, named(policy)]));
  return {
    ...policies,
    policy: named(policies.policy),
    ...(policies.portPolicies && { portPolicies: portsOf(policies.portPolicies) }),
    subsets: policies.subsets.map((subset) => ({
      ...subset,
      policy: named(subset.policy),
      ...(subset.portPolicies && { portPolicies: portsOf(subset.portPolicies) }),
    })),
  };
}

/** The waypoint of a service as the endpoints of its gateways. */
export function buildWaypointEndpoints(
  service: Service,
  waypoint: { service: Service; members: readonly LabeledWorkload[] },
): Endpoint[] {
  // What the waypoint serves goes by its address; a headless service by its name.
  const via = service.addresses[0]?.address ?? service.hostname;
  const ports = Object.fromEntries(
    service.ports.map(({ servicePort }) => [servicePort, servicePort]),
  );
  return waypoint.members.flatMap((member): Endpoint[] => {
    const endpoint = endpointOf(waypoint.service, member, () => []);
    if (endpoint === undefined) return [];
    const { uid } = endpoint;
    return [{ ...endpoint, uid: `${uid} for ${via}`, ports, via, protocol: 'hbone' }];
  });
}

/** Undefined when the workload serves no port of the service, or has no address to dial. */
function endpointOf(
  service: Service,
  member: LabeledWorkload,
  capturedAt: (address: string) => readonly LabeledWorkload[],
): Endpoint | undefined {
  const { workload, labels } = member;
  const mappings = workload.services.get(serviceKey(service));
  const address = workload.addresses[0] ?? workload.hostname;
  if (mappings === undefined || mappings.length === 0 || !address) return undefined;
  const captured = workload.protocol === 'none' ? capturedAt(address) : [];
  const claiming = captured.map((each) => each.workload);
  const peer = whoAnswers(workload, claiming, service.namespace);
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
