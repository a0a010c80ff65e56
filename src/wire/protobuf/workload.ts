/** istio.workload: addresses, workloads and services as istiod sends them to ztunnel (WDS). */
import {
  bool,
  bytes,
  enumeration,
  field,
  type MessageType,
  map,
  message,
  optional,
  repeated,
  string,
  uint32,
} from './message.ts';
import { Any, UInt32Value } from './well-known.ts';

const TunnelProtocol = enumeration('TunnelProtocol', ['NONE', 'HBONE', 'LEGACY_ISTIO_MTLS']);
const WorkloadStatus = enumeration('WorkloadStatus', ['HEALTHY', 'UNHEALTHY']);
const WorkloadType = enumeration('WorkloadType', ['DEPLOYMENT', 'CRONJOB', 'POD', 'JOB']);
const NetworkMode = enumeration('NetworkMode', ['STANDARD', 'HOST_NETWORK']);
const AppProtocol = enumeration('AppProtocol', [
  'UNKNOWN',
  'HTTP11',
  'HTTP2',
  'GRPC',
  'TCP',
  'TLS',
]);
const IpFamilies = enumeration('IPFamilies', ['AUTOMATIC', 'IPV4_ONLY', 'IPV6_ONLY', 'DUAL']);
const Visibility = enumeration('Visibility', ['PUBLIC', 'NAMESPACE']);
const Scope = enumeration('LoadBalancing.Scope', [
  'UNSPECIFIED_SCOPE',
  'REGION',
  'ZONE',
  'SUBZONE',
  'NODE',
  'CLUSTER',
  'NETWORK',
]);
const Mode = enumeration('LoadBalancing.Mode', [
  'UNSPECIFIED_MODE',
  'STRICT',
  'FAILOVER',
  'PASSTHROUGH',
]);
const HealthPolicy = enumeration('LoadBalancing.HealthPolicy', ['ONLY_HEALTHY', 'ALLOW_ALL']);
const TunnelKind = enumeration('ApplicationTunnel.Protocol', ['NONE', 'PROXY']);

export const Extension = message('istio.workload.Extension', {
  name: field(1, string),
  config: optional(2, Any),
});

export const NetworkAddress = message('istio.workload.NetworkAddress', {
  network: field(1, string),
  address: field(2, bytes),
  length: optional(3, uint32),
});

const NamespacedHostname = message('istio.workload.NamespacedHostname', {
  namespace: field(1, string),
  hostname: field(2, string),
});

export const GatewayAddress = message('istio.workload.GatewayAddress', {
  hostname: optional(1, NamespacedHostname, 'destination'),
  address: optional(2, NetworkAddress, 'destination'),
  hbone_mtls_port: field(3, uint32),
});
export type GatewayAddress = MessageType<typeof GatewayAddress>;

const WeightedWaypoint = message('istio.workload.WeightedWaypoint', {
  destination: optional(1, GatewayAddress),
  weight: field(2, uint32),
});

export const Port = message('istio.workload.Port', {
  service_port: field(1, uint32),
  target_port: field(2, uint32),
  app_protocol: field(3, AppProtocol),
});
export type Port = MessageType<typeof Port>;

export const PortList = message('istio.workload.PortList', { ports: repeated(1, Port) });

export const LoadBalancing = message('istio.workload.LoadBalancing', {
  routing_preference: repeated(1, Scope),
  mode: field(2, Mode),
  health_policy: field(3, HealthPolicy),
});
export type LoadBalancing = MessageType<typeof LoadBalancing>;

export const Locality = message('istio.workload.Locality', {
  region: field(1, string),
  zone: field(2, string),
  subzone: field(3, string),
});

const ApplicationTunnel = message('istio.workload.ApplicationTunnel', {
  protocol: field(1, TunnelKind),
  port: field(2, uint32),
});

export const ServiceMessage = message('istio.workload.Service', {
  name: field(1, string),
  namespace: field(2, string),
  hostname: field(3, string),
  addresses: repeated(4, NetworkAddress),
  ports: repeated(5, Port),
  subject_alt_names: repeated(6, string),
  waypoint: optional(7, GatewayAddress),
  load_balancing: optional(8, LoadBalancing),
  ip_families: field(9, IpFamilies),
  extensions: repeated(10, Extension),
  canonical: field(11, bool),
  ingress_use_waypoint: field(12, bool),
  weighted_waypoints: repeated(13, WeightedWaypoint),
  visibility: field(14, Visibility),
});
export type ServiceMessage = MessageType<typeof ServiceMessage>;

export const WorkloadMessage = message('istio.workload.Workload', {
  name: field(1, string),
  namespace: field(2, string),
  addresses: repeated(3, bytes),
  network: field(4, string),
  tunnel_protocol: field(5, TunnelProtocol),
  trust_domain: field(6, string),
  service_account: field(7, string),
  waypoint: optional(8, GatewayAddress),
  node: field(9, string),
  canonical_name: field(10, string),
  canonical_revision: field(11, string),
  workload_type: field(12, WorkloadType),
  workload_name: field(13, string),
  native_tunnel: field(14, bool),
  authorization_policies: repeated(16, string),
  status: field(17, WorkloadStatus),
  cluster_id: field(18, string),
  network_gateway: optional(19, GatewayAddress),
  uid: field(20, string),
  hostname: field(21, string),
  services: map(22, PortList),
  application_tunnel: optional(23, ApplicationTunnel),
  locality: optional(24, Locality),
  network_mode: field(25, NetworkMode),
  extensions: repeated(26, Extension),
  capacity: optional(27, UInt32Value),
});
export type WorkloadMessage = MessageType<typeof WorkloadMessage>;

export const AddressMessage = message('istio.workload.Address', {
  workload: optional(1, WorkloadMessage, 'type'),
  service: optional(2, ServiceMessage, 'type'),
});
