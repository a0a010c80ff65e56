/**
 * `/config_dump` in the shape of ztunnel's (src/state.rs, src/admin.rs), so that tools which read one read the other. Names
 * of fields are theirs; what we know more is added. Never a key: certificates are what peers see anyway.
 */
import { X509Certificate } from 'node:crypto';
import { rfc3339At } from '#base/clock.ts';
import type { SvidStatus, SvidStore } from '#identity/svid/svid-store.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import type { GatewayAddress, Service, ServiceKey } from '#model/service/service.ts';
import { shownTelemetry } from '#model/telemetry/shown.ts';
import type { Workload } from '#model/workload/workload.ts';
import { splitCertificates } from '#wire/x509/pem.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';

export interface CertificateDump {
  readonly pem: string;
  readonly serialNumber: string;
  readonly validFrom: string;
  readonly expirationTime: string;
}

export interface CertsDump {
  readonly identity: string;
  readonly state: 'Available' | 'Initializing' | 'Unavailable';
  readonly certChain: readonly CertificateDump[];
  readonly rootCerts: readonly CertificateDump[];
  readonly lastError: string | undefined;
}

const STATES = { ready: 'Available', pending: 'Initializing', unavailable: 'Unavailable' } as const;

export function* certsOf(identities: SvidStore): Iterable<CertsDump> {
  for (const status of identities.status()) yield certsDump(status, identities);
}

function certsDump({ principal, state, lastError }: SvidStatus, identities: SvidStore): CertsDump {
  const identity = identities.get(principal);
  return {
    identity: principal,
    state: STATES[state],
    certChain: dumpPem(identity?.certificateChain),
    rootCerts: dumpPem(identity?.trustBundle),
    lastError,
  };
}

function dumpPem(pem = ''): CertificateDump[] {
  return splitCertificates(pem).map((text) => {
    const certificate = new X509Certificate(text);
    return {
      pem: Buffer.from(text).toString('base64'),
      serialNumber: certificate.serialNumber.toLowerCase(),
      validFrom: rfc3339At(Date.parse(certificate.validFrom)),
      expirationTime: rfc3339At(Date.parse(certificate.validTo)),
    };
  });
}

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
