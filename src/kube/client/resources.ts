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
const TULLE = 'tulle.dev';
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
  daemonSets: ref('apps', 'v1', 'daemonsets', 'DaemonSet'),
  replicaSets: ref('apps', 'v1', 'replicasets', 'ReplicaSet'),
  horizontalPodAutoscalers: ref(
    'autoscaling',
    'v2',
    'horizontalpodautoscalers',
    'HorizontalPodAutoscaler',
  ),
  podDisruptionBudgets: ref('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget'),
  leases: ref('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  customResourceDefinitions: ref(
    'apiextensions.k8s.io',
    'v1',
    'customresourcedefinitions',
    'CustomResourceDefinition',
    false,
  ),
  validatingWebhookConfigurations: ref(
    'admissionregistration.k8s.io',
    'v1',
    'validatingwebhookconfigurations',
    'ValidatingWebhookConfiguration',
    false,
  ),
  tokenReviews: ref('authentication.k8s.io', 'v1', 'tokenreviews', 'TokenReview', false),
  subjectAccessReviews: ref(
    'authorization.k8s.io',
    'v1',
    'subjectaccessreviews',
    'SubjectAccessReview',
    false,
  ),
  gatewayClasses: ref(GATEWAY, 'v1', 'gatewayclasses', 'GatewayClass', false),
  gateways: ref(GATEWAY, 'v1', 'gateways', 'Gateway'),
  httpRoutes: ref(GATEWAY, 'v1', 'httproutes', 'HTTPRoute'),
  grpcRoutes: ref(GATEWAY, 'v1', 'grpcroutes', 'GRPCRoute'),
  tcpRoutes: ref(GATEWAY, 'v1', 'tcproutes', 'TCPRoute'),
  tlsRoutes: ref(GATEWAY, 'v1', 'tlsroutes', 'TLSRoute'),
  referenceGrants: ref(GATEWAY, 'v1beta1', 'referencegrants', 'ReferenceGrant'),
  backendTlsPolicies: ref(GATEWAY, 'v1', 'backendtlspolicies', 'BackendTLSPolicy'),
  listenerSets: ref(GATEWAY, 'v1', 'listenersets', 'ListenerSet'),
  virtualServices: ref(NETWORKING, 'v1', 'virtualservices', 'VirtualService'),
  destinationRules: ref(NETWORKING, 'v1', 'destinationrules', 'DestinationRule'),
  istioGateways: ref(NETWORKING, 'v1', 'gateways', 'Gateway'),
  sidecars: ref(NETWORKING, 'v1', 'sidecars', 'Sidecar'),
  telemetries: ref('telemetry.istio.io', 'v1', 'telemetries', 'Telemetry'),
  serviceEntries: ref(NETWORKING, 'v1', 'serviceentries', 'ServiceEntry'),
  workloadEntries: ref(NETWORKING, 'v1', 'workloadentries', 'WorkloadEntry'),
  workloadGroups: ref(NETWORKING, 'v1', 'workloadgroups', 'WorkloadGroup'),
  authorizationPolicies: ref(SECURITY, 'v1', 'authorizationpolicies', 'AuthorizationPolicy'),
  requestAuthentications: ref(SECURITY, 'v1', 'requestauthentications', 'RequestAuthentication'),
  peerAuthentications: ref(SECURITY, 'v1', 'peerauthentications', 'PeerAuthentication'),
  localRateLimits: ref(TULLE, 'v1', 'localratelimits', 'LocalRateLimit'),
  loadSheddings: ref(TULLE, 'v1', 'loadsheddings', 'LoadShedding'),
} as const;
