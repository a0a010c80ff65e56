/** Where the kinds that are installed live in the API, and an object's name for people. */
import type { KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';

function ref(
  group: string,
  resource: string,
  kind: string,
  { namespaced = true, version = 'v1' } = {},
): ResourceRef {
  return { group, version, resource, kind, namespaced };
}

const RBAC = 'rbac.authorization.k8s.io';

export const REFS = {
  Namespace: RESOURCES.namespaces,
  ResourceQuota: ref('', 'resourcequotas', 'ResourceQuota'),
  PodMonitor: ref('monitoring.coreos.com', 'podmonitors', 'PodMonitor'),
  ServiceAccount: RESOURCES.serviceAccounts,
  ConfigMap: RESOURCES.configMaps,
  Secret: RESOURCES.secrets,
  Service: RESOURCES.services,
  Lease: RESOURCES.leases,
  CustomResourceDefinition: RESOURCES.customResourceDefinitions,
  Deployment: RESOURCES.deployments,
  DaemonSet: RESOURCES.daemonSets,
  PodDisruptionBudget: RESOURCES.podDisruptionBudgets,
  HorizontalPodAutoscaler: RESOURCES.horizontalPodAutoscalers,
  ClusterRole: ref(RBAC, 'clusterroles', 'ClusterRole', { namespaced: false }),
  ClusterRoleBinding: ref(RBAC, 'clusterrolebindings', 'ClusterRoleBinding', { namespaced: false }),
  Role: ref(RBAC, 'roles', 'Role'),
  RoleBinding: ref(RBAC, 'rolebindings', 'RoleBinding'),
  ValidatingWebhookConfiguration: RESOURCES.validatingWebhookConfigurations,
  GatewayClass: RESOURCES.gatewayClasses,
} as const satisfies Record<string, ResourceRef>;

export type InstalledKind = keyof typeof REFS;

export function refOf({ kind }: { kind: string }): ResourceRef {
  return REFS[kind as InstalledKind];
}

/** `Deployment istio-system/istiod` */
export function nameOf({ kind, metadata }: KubeObject): string {
  const { namespace, name } = metadata;
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
