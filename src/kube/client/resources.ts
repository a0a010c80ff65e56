/** Where the kinds that Tulle reads and writes live in the Kubernetes REST tree. One row a kind. */
import type { ResourceRef } from './kube-client.ts';

function ref(
  group: string,
  version: string,
  resource: string,
  kind: string,
  namespaced = true,
): ResourceRef {
  return { group, version, resource, kind, namespaced };
}

const NETWORKING = 'networking.istio.io';
const SECURITY = 'security.istio.io';
const GATEWAY = 'gateway.networking.k8s.io';

export const RESOURCES = {
  namespaces: ref('', 'v1', 'namespaces', 'Namespace', false),
  nodes: ref('', 'v1', 'nodes', 'Node', false),
  pods: ref('', 'v1', 'pods', 'Pod'),
  services: ref('', 'v1', 'services', 'Service'),
  serviceAccounts: ref('', 'v1', 'serviceaccounts', 'ServiceAccount'),
  configMaps: ref('', 'v1', 'configmaps', 'ConfigMap'),
  secrets: ref('', 'v1', 'secrets', 'Secret'),
  events: ref('', 'v1', 'events', 'Event'),
  endpointSlices: ref('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
  deployments: ref('apps', 'v1', 'deployments', 'Deployment'),
  replicaSets: ref('apps', 'v1', 'replicasets', 'ReplicaSet'),
  leases: ref('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  customResourceDefinitions: ref(
    'apiextensions.k8s.io',
    'v1',
    'customresourcedefinitions',
    'CustomResourceDefinition',
    false,
  ),
  tokenReviews: ref('authentication.k8s.io', 'v1', 'tokenreviews', 'TokenReview', false),
  gatewayClasses: ref(GATEWAY, 'v1', 'gatewayclasses', 'GatewayClass', false),
  gateways: ref(GATEWAY, 'v1', 'gateways', 'Gateway'),
  virtualServices: ref(NETWORKING, 'v1', 'virtualservices', 'VirtualService'),
  destinationRules: ref(NETWORKING, 'v1', 'destinationrules', 'DestinationRule'),
  serviceEntries: ref(NETWORKING, 'v1', 'serviceentries', 'ServiceEntry'),
  workloadEntries: ref(NETWORKING, 'v1', 'workloadentries', 'WorkloadEntry'),
  authorizationPolicies: ref(SECURITY, 'v1', 'authorizationpolicies', 'AuthorizationPolicy'),
  requestAuthentications: ref(SECURITY, 'v1', 'requestauthentications', 'RequestAuthentication'),
  peerAuthentications: ref(SECURITY, 'v1', 'peerauthentications', 'PeerAuthentication'),
} as const;
