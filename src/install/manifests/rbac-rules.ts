/**
 * What each part may do, a row for each reason. The ClusterRoles and Roles are made of these rows, and so is the table of
 * docs/install.md: a right without a reason cannot be written.
 */
import { SESSION_SECRET } from '#console/server/access/session-key.ts';
import { PLUGGED_SECRET, ROOT_SECRET } from '#control/ca/root-secret.ts';
import { ROOT_CERT_NAME } from '#control/controllers/root-cert.ts';
import { CRL_NAME } from '#identity/trust/crl-map.ts';

export interface Grant {
  /** `removal`: the chart's hook, while Helm removes it. */
  readonly part: 'control' | 'node' | 'removal';
  /** In all namespaces and for objects without one, or only in the mesh's own namespace. */
  readonly where: 'cluster' | 'own namespace';
  readonly groups: readonly string[];
  readonly resources: readonly string[];
  /** Only objects of these names; `-R` of a revision is added to those that have one. */
  readonly names?: readonly string[];
  readonly verbs: readonly string[];
  readonly why: string;
}

const READ = ['get', 'list', 'watch'];
/** Server-side apply creates what is absent. */
const APPLY = ['create', 'patch'];

const NETWORKING = 'networking.istio.io';
const SECURITY = 'security.istio.io';
const GATEWAY = 'gateway.networking.k8s.io';

export const GRANTS: readonly Grant[] = [
  {
    part: 'control',
    where: 'cluster',
    groups: [''],
    resources: ['namespaces', 'nodes', 'pods', 'services'],
    verbs: READ,
    why: 'the workloads and services of the mesh, their labels and the zones they are in',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['discovery.k8s.io'],
    resources: ['endpointslices'],
    verbs: READ,
    why: 'which workloads serve a service',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [NETWORKING, SECURITY, 'telemetry.istio.io', 'extensions.istio.io'],
    resources: ['*'],
    verbs: READ,
    why: 'Istio’s resources, in the namespaces of those who write them',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['tulle.dev'],
    resources: ['*'],
    verbs: READ,
    why: 'Tulle’s own resources',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [GATEWAY, 'gateway.networking.x-k8s.io'],
    resources: ['*'],
    verbs: READ,
    why: 'resources of the Gateway API',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [''],
    resources: ['configmaps'],
    verbs: READ,
    why: 'the settings of the mesh, and bundles of certificate authorities that a BackendTLSPolicy names',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [''],
    resources: ['secrets'],
    verbs: READ,
    why: 'certificates and keys that a Gateway names, in its namespace or by a ReferenceGrant; others are not kept',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [''],
    resources: ['configmaps'],
    verbs: ['create'],
    why: `ConfigMaps ${ROOT_CERT_NAME} and ${CRL_NAME} in every namespace: pods mount them to know whom to trust, and whom no more (creation cannot be limited to a name)`,
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [''],
    resources: ['configmaps'],
    names: [ROOT_CERT_NAME, CRL_NAME],
    verbs: ['patch'],
    why: 'the same ConfigMaps when the trust bundle or the revocation lists change',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['authentication.k8s.io'],
    resources: ['tokenreviews'],
    verbs: ['create'],
    why: 'to check who asks for a certificate, and who logs in to the console',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['authorization.k8s.io'],
    resources: ['subjectaccessreviews'],
    verbs: ['create'],
    why: 'to show who logged in to the console only the namespaces whose pods they may list',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [''],
    resources: ['services', 'serviceaccounts'],
    verbs: [...APPLY, 'get', 'list', 'watch', 'update', 'delete'],
    why: 'the waypoint or gateway that a Gateway asks for',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['apps'],
    resources: ['deployments'],
    verbs: [...APPLY, 'get', 'list', 'watch', 'update', 'delete'],
    why: 'the waypoint or gateway that a Gateway asks for',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['autoscaling'],
    resources: ['horizontalpodautoscalers'],
    verbs: [...APPLY, 'get', 'list', 'watch', 'update', 'delete'],
    why: 'the number of its pods, where the Gateway says how many',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['policy'],
    resources: ['poddisruptionbudgets'],
    verbs: [...APPLY, 'get', 'list', 'watch', 'update', 'delete'],
    why: 'so that draining nodes leaves one of its pods',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [GATEWAY],
    resources: ['gateways/finalizers'],
    verbs: ['update'],
    why: 'what is made for a Gateway names it as its owner, which some clusters (OpenShift) allow only with this',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [GATEWAY],
    resources: ['gatewayclasses'],
    verbs: [...APPLY, 'update'],
    why: 'GatewayClasses istio, istio-waypoint, tulle and tulle-waypoint',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [GATEWAY, 'gateway.networking.x-k8s.io'],
    resources: [
      'gatewayclasses/status',
      'gateways/status',
      'listenersets/status',
      'httproutes/status',
      'grpcroutes/status',
      'tlsroutes/status',
      'tcproutes/status',
      'udproutes/status',
      'backendtlspolicies/status',
      'xbackendtrafficpolicies/status',
    ],
    verbs: ['patch', 'update'],
    why: 'whether they are accepted and in force, and why not',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [NETWORKING, SECURITY],
    resources: [
      'virtualservices/status',
      'destinationrules/status',
      'gateways/status',
      'serviceentries/status',
      'workloadentries/status',
      'authorizationpolicies/status',
      'peerauthentications/status',
      'requestauthentications/status',
    ],
    verbs: ['patch', 'update'],
    why: 'whether they are in force at the proxies, and addresses that hosts are given',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['tulle.dev'],
    resources: ['localratelimits/status', 'loadsheddings/status'],
    verbs: ['patch', 'update'],
    why: 'whether they are in force at the proxies',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: [''],
    resources: ['services/status'],
    verbs: ['patch', 'update'],
    why: 'condition istio.io/WaypointBound: whether the waypoint of a service is used',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['', 'events.k8s.io'],
    resources: ['events'],
    verbs: ['get', ...APPLY],
    why: 'to tell on an object what is wrong with it, and to count it where it repeats',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['admissionregistration.k8s.io'],
    resources: ['validatingwebhookconfigurations'],
    verbs: READ,
    why: 'whether its own configuration says whose certificate the webhook shows',
  },
  {
    part: 'control',
    where: 'cluster',
    groups: ['admissionregistration.k8s.io'],
    resources: ['validatingwebhookconfigurations'],
    names: ['istio-validator'],
    verbs: ['patch', 'update'],
    why: 'whose certificate the webhook shows, in its own configuration',
  },
  {
    part: 'control',
    where: 'own namespace',
    groups: [''],
    resources: ['secrets'],
    verbs: ['create'],
    why: `Secret ${ROOT_SECRET}, the root that certificates are signed with where no Secret ${PLUGGED_SECRET} is; and Secret ${SESSION_SECRET}, the key of the console's sessions`,
  },
  {
    part: 'control',
    where: 'own namespace',
    groups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: ['get', 'create', 'patch', 'update'],
    why: 'which replica does the work that only one may do',
  },
  {
    part: 'node',
    where: 'cluster',
    groups: [''],
    resources: ['pods', 'namespaces'],
    verbs: READ,
    why: 'which pods of its node are in the mesh',
  },
  {
    part: 'node',
    where: 'cluster',
    groups: [''],
    resources: ['pods/status'],
    verbs: ['patch'],
    why: 'annotation ambient.istio.io/redirection: whether a pod is captured',
  },
  {
    part: 'node',
    where: 'cluster',
    groups: [''],
    resources: ['nodes'],
    verbs: ['get', 'patch'],
    why: 'takes the startup taint tulle.dev/not-ready off its node once it is ready',
  },
  {
    part: 'node',
    where: 'cluster',
    groups: [''],
    resources: ['events'],
    verbs: ['get', ...APPLY],
    why: 'to tell on a pod why it could not be captured, and to count it where it repeats',
  },
  {
    part: 'node',
    where: 'own namespace',
    groups: ['apps'],
    resources: ['daemonsets'],
    names: ['ztunnel'],
    verbs: ['get'],
    why: 'told to end, it leaves the CNI plugin in place for a successor, and takes it away when the DaemonSet is gone',
  },
  {
    part: 'removal',
    where: 'own namespace',
    groups: ['apps'],
    resources: ['daemonsets', 'deployments'],
    verbs: ['get', 'list', 'delete'],
    why: 'ends the node proxies, which let their pods go, and then the control plane',
  },
  {
    part: 'removal',
    where: 'own namespace',
    groups: ['coordination.k8s.io'],
    resources: ['leases'],
    verbs: ['get', 'list', 'create', 'update', 'delete'],
    why: 'the lock that keeps an installation from running meanwhile, and the lease of the leader',
  },
  {
    part: 'removal',
    where: 'own namespace',
    groups: [''],
    resources: ['secrets'],
    names: [ROOT_SECRET],
    verbs: ['get', 'list', 'delete'],
    why: 'the root that the control plane made',
  },
  {
    part: 'removal',
    where: 'cluster',
    groups: [''],
    resources: ['configmaps'],
    names: [ROOT_CERT_NAME, CRL_NAME],
    verbs: ['get', 'list', 'delete'],
    why: 'the root and the revocation lists in every namespace',
  },
  {
    part: 'removal',
    where: 'cluster',
    groups: [''],
    resources: ['pods'],
    verbs: ['list'],
    why: 'which pods are captured, and which of the node proxies still end',
  },
  {
    part: 'removal',
    where: 'cluster',
    groups: ['admissionregistration.k8s.io'],
    resources: ['validatingwebhookconfigurations'],
    verbs: ['get', 'list', 'delete'],
    why: 'nobody is to ask a webhook that ends',
  },
  {
    part: 'removal',
    where: 'cluster',
    groups: ['', 'apps', 'autoscaling', 'policy'],
    resources: [
      'services',
      'serviceaccounts',
      'deployments',
      'horizontalpodautoscalers',
      'poddisruptionbudgets',
    ],
    verbs: ['get', 'list', 'delete'],
    why: 'what the control plane made of Gateways',
  },
  {
    part: 'removal',
    where: 'cluster',
    groups: [GATEWAY],
    resources: ['gatewayclasses'],
    verbs: ['get', 'list', 'delete'],
    why: 'the classes that the control plane made',
  },
];

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** `rename` gives names of objects what a revision adds to them. */
export function policyRules(
  part: Grant['part'],
  where: Grant['where'],
  rename: (name: string) => string,
): PolicyRule[] {
  return GRANTS.filter((grant) => grant.part === part && grant.where === where).map(
    ({ groups, resources, names, verbs }) => ({
      apiGroups: groups,
      resources,
      ...(names !== undefined && { resourceNames: names.map(rename) }),
      verbs,
    }),
  );
}
