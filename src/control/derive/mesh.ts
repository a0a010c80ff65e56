/** Settings of the mesh that derivations need, and the labels they read (Istio: pkg/config/constants). */
import type { KubeObject } from '#kube/client/kube-client.ts';

export interface MeshSettings {
  readonly clusterId: string;
  /** DNS suffix of services, `cluster.local`. */
  readonly domain: string;
  readonly trustDomain: string;
  readonly rootNamespace: string;
  readonly network: string;
  /** Which of several control planes this is (revision.ts). */
  readonly revision: string;
  /** Fate of traffic that a policy is about and no proxy on its way can judge; `ignore` is Istio's. */
  readonly unenforcedPolicy: 'deny' | 'ignore';
  /** Traffic for a waypoint that was never ready or does not exist: refused, or passed by it as Istio does. */
  readonly unreadyWaypoint: 'refuse' | 'bypass';
}

export const DEFAULT_MESH: MeshSettings = {
  clusterId: 'Kubernetes',
  domain: 'cluster.local',
  trustDomain: 'cluster.local',
  rootNamespace: 'istio-system',
  network: '',
  revision: 'default',
  unenforcedPolicy: 'deny',
  unreadyWaypoint: 'refuse',
};

export const LABEL = {
  revision: 'istio.io/rev',
  tag: 'istio.io/tag',
  useWaypoint: 'istio.io/use-waypoint',
  useWaypointNamespace: 'istio.io/use-waypoint-namespace',
  useCanary: 'istio.io/use-waypoint-canary',
  useCanaryNamespace: 'istio.io/use-waypoint-canary-namespace',
  ingressUseWaypoint: 'istio.io/ingress-use-waypoint',
  waypointFor: 'istio.io/waypoint-for',
  gatewayName: 'gateway.networking.k8s.io/gateway-name',
  gatewayClassName: 'gateway.networking.k8s.io/gateway-class-name',
  gatewayManaged: 'gateway.istio.io/managed',
  classDefaults: 'gateway.istio.io/defaults-for-class',
  dataplaneMode: 'istio.io/dataplane-mode',
  tunnel: 'networking.istio.io/tunnel',
  workloadName: 'service.istio.io/workload-name',
  autoAllocate: 'networking.istio.io/enable-autoallocate-ip',
} as const;

export const ANNOTATION = {
  /** Of what is made of a Gateway: another name than its own, and an account that exists already. */
  nameOverride: 'gateway.istio.io/name-override',
  serviceAccount: 'gateway.istio.io/service-account',
  /** ClusterIP, NodePort or LoadBalancer. */
  serviceType: 'networking.istio.io/service-type',
  redirection: 'ambient.istio.io/redirection',
  /** Of a WorkloadEntry: somebody probes it and will say when it is healthy. */
  healthChecks: 'proxy.istio.io/health-checks-enabled',
  /** Of a WorkloadEntry that registered itself: its WorkloadGroup. */
  registrationGroup: 'istio.io/autoRegistrationGroup',
  canaryWeight: 'istio.io/use-waypoint-canary-weight',
  trafficDistribution: 'networking.istio.io/traffic-distribution',
  dryRun: 'istio.io/dry-run',
  /** `deny` or `ignore`: what happens to traffic that no proxy can judge by this policy. */
  unenforcedPolicy: 'tulle.dev/unenforced-policy',
} as const;

/** Every label of the selector is on the object. An empty selector selects nothing here: callers decide. */
export function selectsAll(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const terms = Object.entries(selector ?? {});
  return terms.length > 0 && terms.every(([key, value]) => labels?.[key] === value);
}

export function namespaceOf(object: KubeObject): string {
  return object.metadata.namespace ?? '';
}

export function keyOf(object: KubeObject): string {
  return `${namespaceOf(object)}/${object.metadata.name}`;
}
