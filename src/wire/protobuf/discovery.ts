/** envoy.service.discovery.v3: the delta (incremental) part of the aggregated discovery service. */
import { field, type MessageType, map, message, optional, repeated, string } from './message.ts';
import { Any, Status, Struct } from './well-known.ts';

export const Node = message('envoy.config.core.v3.Node', {
  id: field(1, string),
  cluster: field(2, string),
  metadata: optional(3, Struct),
});
export type Node = MessageType<typeof Node>;

export const DeltaDiscoveryRequest = message('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
  node: optional(1, Node),
  type_url: field(2, string),
  resource_names_subscribe: repeated(3, string),
  resource_names_unsubscribe: repeated(4, string),
  initial_resource_versions: map(5, string),
  response_nonce: field(6, string),
  error_detail: optional(7, Status),
});
export type DeltaDiscoveryRequest = MessageType<typeof DeltaDiscoveryRequest>;

export const Resource = message('envoy.service.discovery.v3.Resource', {
  version: field(1, string),
  resource: optional(2, Any),
  name: field(3, string),
  aliases: repeated(4, string),
});
export type Resource = MessageType<typeof Resource>;

export const DeltaDiscoveryResponse = message('envoy.service.discovery.v3.DeltaDiscoveryResponse', {
  system_version_info: field(1, string),
  resources: repeated(2, Resource),
  type_url: field(4, string),
  nonce: field(5, string),
  removed_resources: repeated(6, string),
});
export type DeltaDiscoveryResponse = MessageType<typeof DeltaDiscoveryResponse>;

export const DELTA_ADS_METHOD =
  '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
