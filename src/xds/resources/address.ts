/** istio.workload.Address: a workload or a service, between its wire form and the model. */
import { formatIp, parseIp } from '#base/ip.ts';
import { DEFAULT_TRUST_DOMAIN } from '#model/identity/spiffe.ts';
import type { GatewayAddress, LoadBalancing, Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import {
  AddressMessage,
  type GatewayAddress as GatewayMessage,
  type LoadBalancing as LoadBalancingMessage,
  ServiceMessage,
  WorkloadMessage,
} from '#wire/protobuf/workload.ts';
import type { Decoded, ResourceType } from './resource-type.ts';

export type AddressValue =
  | { readonly kind: 'workload'; readonly workload: Workload }
  | { readonly kind: 'service'; readonly service: Service };

/** What a peer means when it leaves the field out (ztunnel src/state/workload.rs). */
const DEFAULT_SERVICE_ACCOUNT = 'default';
const DEFAULT_CLUSTER_ID = 'Kubernetes';

const APP_PROTOCOLS = {
  unknown: 'UNKNOWN',
  http: 'HTTP11',
  http2: 'HTTP2',
  grpc: 'GRPC',
  tcp: 'TCP',
  tls: 'TLS',
} as const;
const WORKLOAD_TYPES = {
  deployment: 'DEPLOYMENT',
  cronjob: 'CRONJOB',
  pod: 'POD',
  job: 'JOB',
} as const;
const MODES = {
  unspecified: 'UNSPECIFIED_MODE',
  strict: 'STRICT',
  failover: 'FAILOVER',
  passthrough: 'PASSTHROUGH',
} as const;
const SCOPES = {
  region: 'REGION',
  zone: 'ZONE',
  subzone: 'SUBZONE',
  node: 'NODE',
  cluster: 'CLUSTER',
  network: 'NETWORK',
} as const;

const VISIBILITIES = { public: 'PUBLIC', namespace: 'NAMESPACE' } as const;
const IP_FAMILIES = {
  automatic: 'AUTOMATIC',
  ipv4: 'IPV4_ONLY',
  ipv6: 'IPV6_ONLY',
  dual: 'DUAL',
} as const;

function inverse<K extends string, V extends string>(table: Readonly<Record<K, V>>): Map<V, K> {
  return new Map((Object.entries(table) as [K, V][]).map(([key, value]) => [value, key]));
}

const APP_PROTOCOL_OF = inverse(APP_PROTOCOLS);
const WORKLOAD_TYPE_OF = inverse(WORKLOAD_TYPES);
const MODE_OF = inverse(MODES);
const SCOPE_OF = inverse(SCOPES);
const VISIBILITY_OF = inverse(VISIBILITIES);
const IP_FAMILIES_OF = inverse(IP_FAMILIES);

/** Caught by `decode`: the message is the reason. */
class AddressReject extends Error {}

export const ADDRESS: ResourceType<AddressValue> = {
  typeUrl: 'type.googleapis.com/istio.workload.Address',
  name: (value) => (value.kind === 'workload' ? value.workload.uid : serviceKey(value.service)),
  encode(value) {
    return AddressMessage.encode(
      value.kind === 'workload'
        ? AddressMessage.create({ workload: encodeWorkload(value.workload) })
        : AddressMessage.create({ service: encodeService(value.service) }),
    );
  },
  decode(bytes): Decoded<AddressValue> {
    const address = AddressMessage.decode(bytes);
    if (typeof address === 'string') return { reason: address };
    const { workload, service } = address;
    if (workload !== undefined) {
      return accepted(() => ({ kind: 'workload' as const, workload: decodeWorkload(workload) }));
    }
    if (service !== undefined) {
      return accepted(() => ({ kind: 'service' as const, service: decodeService(service) }));
    }
    return { reason: 'neither a workload nor a service' };
  },
  aliases(value) {
    if (value.kind === 'workload') return WORKLOAD.aliases(value.workload);
    return value.service.addresses.map(({ network, address }) => `${network}/${address}`);
  },
};

/** For clients older than Address: workloads only, under the same names. */
export const WORKLOAD: ResourceType<Workload> = {
  typeUrl: 'type.googleapis.com/istio.workload.Workload',
  name: ({ uid }) => uid,
  encode: (workload) => WorkloadMessage.encode(encodeWorkload(workload)),
  decode(bytes): Decoded<Workload> {
    const wire = WorkloadMessage.decode(bytes);
    if (typeof wire === 'string') return { reason: wire };
    return accepted(() => decodeWorkload(wire));
  },
  aliases: ({ network, addresses }) => addresses.map((address) => `${network}/${address}`),
};

function accepted<T>(read: () => T): Decoded<T> {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof AddressReject) return { reason: error.message };
    throw error;
  }
}

function encodeWorkload(workload: Workload): WorkloadMessage {
  const keys = [...workload.services.keys()].sort();
  return WorkloadMessage.create({
    uid: workload.uid,
    name: workload.name,
    namespace: workload.namespace,
    addresses: workload.addresses.map(bytesOf),
    network: workload.network,
    tunnel_protocol: workload.protocol === 'hbone' ? 'HBONE' : 'NONE',
    trust_domain: workload.trustDomain === DEFAULT_TRUST_DOMAIN ? '' : workload.trustDomain,
    service_account: workload.serviceAccount,
    waypoint: encodeGateway(workload.waypoint),
    node: workload.node,
    canonical_name: workload.canonicalName,
    canonical_revision: workload.canonicalRevision,
    workload_type: WORKLOAD_TYPES[workload.workloadType],
    workload_name: workload.workloadName,
    native_tunnel: workload.nativeTunnel,
    authorization_policies: [...workload.authorizationPolicies],
    status: workload.healthy ? 'HEALTHY' : 'UNHEALTHY',
    cluster_id: workload.clusterId,
    hostname: workload.hostname,
    services: new Map(
      keys.map((key) => [
        key,
        {
          ports: (workload.services.get(key) ?? []).map(({ servicePort, targetPort }) => ({
            service_port: servicePort,
            target_port: targetPort,
            app_protocol: 'UNKNOWN' as const,
          })),
        },
      ]),
    ),
    application_tunnel: encodeTunnel(workload.applicationTunnel),
    network_gateway: encodeGateway(workload.networkGateway),
    locality: hasLocality(workload) ? { ...workload.locality } : undefined,
    network_mode: workload.hostNetwork ? 'HOST_NETWORK' : 'STANDARD',
    capacity: workload.capacity === 1 ? undefined : { value: workload.capacity },
  });
}

function encodeTunnel(tunnel: Workload['applicationTunnel']) {
  if (tunnel === undefined) return undefined;
  return {
    protocol: tunnel.protocol === 'proxy' ? ('PROXY' as const) : ('NONE' as const),
    port: tunnel.port,
  };
}

function hasLocality({ locality }: Workload): boolean {
  return locality.region !== '' || locality.zone !== '' || locality.subzone !== '';
}

function decodeWorkload(wire: WorkloadMessage): Workload {
  if (wire.uid === '') throw new AddressReject('workload without uid');
  return {
    uid: wire.uid,
    name: wire.name,
    namespace: wire.namespace,
    trustDomain: wire.trust_domain || DEFAULT_TRUST_DOMAIN,
    serviceAccount: wire.service_account || DEFAULT_SERVICE_ACCOUNT,
    addresses: wire.addresses.map(textOf),
    network: wire.network,
    protocol: wire.tunnel_protocol === 'HBONE' ? 'hbone' : 'none',
    node: wire.node,
    workloadName: wire.workload_name,
    workloadType: known(WORKLOAD_TYPE_OF, wire.workload_type),
    canonicalName: wire.canonical_name,
    canonicalRevision: wire.canonical_revision,
    clusterId: wire.cluster_id || DEFAULT_CLUSTER_ID,
    locality: {
      region: wire.locality?.region ?? '',
      zone: wire.locality?.zone ?? '',
      subzone: wire.locality?.subzone ?? '',
    },
    healthy: wire.status === 'HEALTHY',
    hostNetwork: wire.network_mode === 'HOST_NETWORK',
    nativeTunnel: wire.native_tunnel,
    hostname: wire.hostname,
    capacity: wire.capacity?.value ?? 1,
    waypoint: decodeGateway(wire.waypoint),
    ...(wire.application_tunnel && { applicationTunnel: decodeTunnel(wire.application_tunnel) }),
    ...(wire.network_gateway && { networkGateway: decodeGateway(wire.network_gateway) }),
    services: new Map(
      [...wire.services].map(([key, list]) => [
        key,
        list.ports.map((port) => ({
          servicePort: port.service_port,
          targetPort: port.target_port,
        })),
      ]),
    ),
    authorizationPolicies: wire.authorization_policies,
  };
}

function decodeTunnel({ protocol, port }: NonNullable<WorkloadMessage['application_tunnel']>) {
  return { protocol: protocol === 'PROXY' ? ('proxy' as const) : ('none' as const), port };
}

function encodeService(service: Service): ServiceMessage {
  return ServiceMessage.create({
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    addresses: service.addresses.map(({ network, address, length }) => ({
      network,
      address: bytesOf(address),
      length,
    })),
    ports: service.ports.map(({ servicePort, targetPort, appProtocol }) => ({
      service_port: servicePort,
      target_port: targetPort,
      app_protocol: APP_PROTOCOLS[appProtocol],
    })),
    subject_alt_names: [...service.subjectAltNames],
    waypoint: encodeGateway(service.waypoint),
    load_balancing: encodeLoadBalancing(service.loadBalancing),
    canonical: service.canonical,
    visibility: VISIBILITIES[service.visibility],
    ip_families: IP_FAMILIES[service.ipFamilies],
    ingress_use_waypoint: service.ingressUseWaypoint === true,
    weighted_waypoints: (service.weightedWaypoints ?? []).map(({ destination, weight }) => ({
      destination: encodeGateway(destination),
      weight,
    })),
  });
}

function decodeService(wire: ServiceMessage): Service {
  if (wire.hostname === '') throw new AddressReject('service without hostname');
  return {
    name: wire.name,
    namespace: wire.namespace,
    hostname: wire.hostname,
    addresses: wire.addresses.map(({ network, address, length }) => ({
      network,
      address: textOf(address),
      ...(length === undefined ? {} : { length }),
    })),
    ports: wire.ports.map((port) => ({
      servicePort: port.service_port,
      targetPort: port.target_port,
      appProtocol: known(APP_PROTOCOL_OF, port.app_protocol),
    })),
    subjectAltNames: wire.subject_alt_names,
    waypoint: decodeGateway(wire.waypoint),
    loadBalancing: decodeLoadBalancing(wire.load_balancing),
    canonical: wire.canonical,
    visibility: known(VISIBILITY_OF, wire.visibility),
    ipFamilies: known(IP_FAMILIES_OF, wire.ip_families),
    ...optionsOf(wire),
  };
}

/** What is left out when it is at its default. */
function optionsOf(wire: ServiceMessage) {
  const { ingress_use_waypoint, weighted_waypoints } = wire;
  return {
    ...(ingress_use_waypoint && { ingressUseWaypoint: true }),
    ...(weighted_waypoints.length > 0 && {
      weightedWaypoints: weighted_waypoints.map(({ destination, weight }) => {
        if (destination === undefined) throw new AddressReject('weighted waypoint without address');
        return { destination: gatewayOf(destination), weight };
      }),
    }),
  };
}

function encodeLoadBalancing(policy: LoadBalancing | undefined): LoadBalancingMessage | undefined {
  if (policy === undefined) return undefined;
  return {
    routing_preference: policy.scopes.map((scope) => SCOPES[scope]),
    mode: MODES[policy.mode],
    health_policy: policy.includeUnhealthy ? 'ALLOW_ALL' : 'ONLY_HEALTHY',
  };
}

function decodeLoadBalancing(wire: LoadBalancingMessage | undefined): LoadBalancing | undefined {
  if (wire === undefined) return undefined;
  return {
    mode: known(MODE_OF, wire.mode),
    scopes: wire.routing_preference.flatMap((scope) =>
      scope === 'UNSPECIFIED_SCOPE' ? [] : [known(SCOPE_OF, scope)],
    ),
    includeUnhealthy: wire.health_policy === 'ALLOW_ALL',
  };
}

function encodeGateway(gateway: GatewayAddress | undefined): GatewayMessage | undefined {
  if (gateway === undefined) return undefined;
  const { service, address, hbonePort } = gateway;
  return {
    hostname: service === undefined ? undefined : { ...service },
    address:
      address === undefined || service !== undefined
        ? undefined
        : { network: address.network, address: bytesOf(address.address), length: undefined },
    hbone_mtls_port: hbonePort,
  };
}

function decodeGateway(wire: GatewayMessage | undefined): GatewayAddress | undefined {
  return wire === undefined ? undefined : gatewayOf(wire);
}

function gatewayOf(wire: GatewayMessage): GatewayAddress {
  const hbonePort = wire.hbone_mtls_port;
  if (wire.hostname !== undefined) return { service: wire.hostname, hbonePort };
  if (wire.address === undefined) throw new AddressReject('gateway without destination');
  const { network, address } = wire.address;
  return { address: { network, address: textOf(address) }, hbonePort };
}

/** Tables are total over what the codec lets through. */
function known<V extends string, K extends string>(table: Map<V, K>, name: string): K {
  const found = table.get(name as V);
  if (found === undefined) throw new AddressReject(`unknown value ${name}`);
  return found;
}

function bytesOf(address: string): Uint8Array {
  return parseIp(address) ?? new Uint8Array();
}

function textOf(address: Uint8Array): string {
  const text = formatIp(address);
  if (text === undefined) throw new AddressReject(`address of ${address.length} bytes`);
  return text;
}
