/**
 * `/config_dump` in the shape of ztunnel's (src/state.rs, src/admin.rs), so that tools which read one read the other. Names
 * of fields are theirs; what we know more is added. Certificates are as `/certs` shows them: never with a key.
 */
import type { Authorization } from '#model/authorization/authorization.ts';
import type { GatewayAddress, Service, ServiceKey } from '#model/service/service.ts';
import { shownTelemetry } from '#model/telemetry/shown.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';

export function* workloadsOf(snapshot: MeshSnapshot): Iterable<object> {
  for (const workload of snapshot.workloads.values()) yield workloadDump(workload);
}

function workloadDump(workload: Workload): object {
  const { addresses, protocol, healthy, waypoint, networkGateway, services, ...rest } = workload;
  return {
    ...rest,
    workloadIps: addresses,
    protocol: protocol === 'hbone' ? 'HBONE' : 'TCP',
    status: healthy ? 'Healthy' : 'Unhealthy',
    waypoint: gatewayDump(waypoint),
    networkGateway: gatewayDump(networkGateway),
    services: [...services.keys()],
  };
}

export function* servicesOf(snapshot: MeshSnapshot): Iterable<object> {
  for (const [key, service] of snapshot.services) yield serviceDump(service, key, snapshot);
}

function serviceDump(service: Service, key: ServiceKey, snapshot: MeshSnapshot): object {
  const { addresses, ports, waypoint, ...rest } = service;
  const endpoints = snapshot.endpointsOf(key).map((workload) => [
    workload.uid,
    {
      workloadUid: workload.uid,
      status: workload.healthy ? 'Healthy' : 'Unhealthy',
      port: Object.fromEntries(
        (workload.services.get(key) ?? []).map((port) => [port.servicePort, port.targetPort]),
      ),
    },
  ]);
  return {
    ...rest,
    vips: addresses.map(({ network, address }) => `${network}/${address}`),
    ports: Object.fromEntries(ports.map((port) => [port.servicePort, port.targetPort])),
    waypoint: gatewayDump(waypoint),
    endpoints: Object.fromEntries(endpoints),
  };
}

function gatewayDump(gateway: GatewayAddress | undefined): object | undefined {
  if (gateway === undefined) return undefined;
  const { service, address, hbonePort } = gateway;
  const destination = service ?? (address && `${address.network}/${address.address}`);
  return { destination, hboneMtlsPort: hbonePort };
}

const SCOPES = {
  global: 'Global',
  namespace: 'Namespace',
  'workload-selector': 'WorkloadSelector',
} as const;

/** Ours: what is measured and logged of the workloads. */
export function* telemetryScopesOf({ telemetry }: MeshSnapshot): Iterable<object> {
  for (const scoped of telemetry.values()) yield shownTelemetry(scoped);
}

export function* policiesOf(snapshot: MeshSnapshot): Iterable<object> {
  for (const policy of snapshot.authorizations) yield policyDump(policy);
}

function policyDump({ scope, action, ...rest }: Authorization): object {
  return { ...rest, scope: SCOPES[scope], action: action === 'deny' ? 'Deny' : 'Allow' };
}
