/** Services and ServiceEntries as the console lists them, with their workloads and endpoints. Pure. */
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import type { EjectedEndpoint } from '#console/api/graph.ts';
import type { EndpointRow } from '#console/api/lists.ts';
import type { ServiceView } from '#console/mesh-view.ts';
import { serviceKey } from '#model/service/service.ts';
import type { BoundService } from '../../derive/service.ts';

export interface ServiceSources {
  /** Derived workloads that are endpoints of it. */
  readonly members: readonly LabeledWorkload[];
  /** Of a ServiceEntry, by its object: its hosts are outside the mesh. */
  readonly isExternal: (entry: { namespace: string; name: string }) => boolean;
  readonly ejected: () => readonly EjectedEndpoint[];
  /** Annotation health.kiali.io/rate of the Service. */
  readonly healthRate: (service: { namespace: string; name: string }) => string | undefined;
}

export function serviceView(bound: BoundService, sources: ServiceSources): ServiceView {
  const { members } = sources;
  const { kind, service, membership } = bound;
  const { name, namespace, hostname } = service;
  const rate = kind === 'Service' ? sources.healthRate({ namespace, name }) : undefined;
  const names = new Map(membership.ports.map((port) => [port.servicePort, port.name]));
  return {
    key: serviceKey(service),
    namespace,
    // Several hosts of one ServiceEntry are several services.
    name: kind === 'Service' ? name : hostname,
    host: hostname,
    kind,
    isExternal: kind === 'ServiceEntry' && sources.isExternal({ namespace, name }),
    addresses: service.addresses.map(({ address, length }) =>
      length === undefined ? address : `${address}/${length}`,
    ),
    ports: service.ports.map(({ servicePort, appProtocol }) => ({
      name: names.get(servicePort) ?? '',
      port: servicePort,
      protocol: appProtocol === 'unknown' ? 'tcp' : appProtocol,
    })),
    waypoint: bound.waypointKey ?? '',
    ...(rate !== undefined && { healthRate: rate }),
    workloads: [
      ...new Set(members.map(({ workload }) => `${workload.namespace}/${workload.workloadName}`)),
    ].sort(),
    endpoints: () => endpointRows(hostname, members, sources.ejected()),
  };
}

function endpointRows(
  host: string,
  members: readonly LabeledWorkload[],
  ejected: readonly EjectedEndpoint[],
): EndpointRow[] {
  const own = ejected.filter(({ service }) => service.slice(service.indexOf('/') + 1) === host);
  return members.map(({ workload }) => {
    const address = workload.addresses[0] ?? workload.hostname;
    const out = own.find(
      (each) => each.address === workload.name || hostOf(each.address) === address,
    );
    const { region, zone, subzone } = workload.locality;
    return {
      address,
      workload: `${workload.namespace}/${workload.workloadName}`,
      version: workload.canonicalRevision,
      locality: [region, zone, subzone].filter((part) => part !== '').join('/'),
      health: out !== undefined ? 'ejected' : workload.healthy ? 'healthy' : 'unhealthy',
      detail:
        out !== undefined ? `${out.reason} (by ${out.by})` : workload.healthy ? '' : 'not ready',
    };
  });
}

/** `10.0.0.1:8080`, `[fd00::1]:8080`, or without a port. */
function hostOf(address: string): string {
  return /^\[(.*)\]/.exec(address)?.[1] ?? address.replace(/^([^:]*):\d+$/, '$1');
}
