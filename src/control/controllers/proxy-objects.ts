/**
 * What a Gateway is made into, as one set of objects by the names that Istio's overlays use, and what all of them have in common:
 * name, labels, annotations and owner. Pure.
 */
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject, ObjectMeta } from '#kube/client/kube-client.ts';
import { ANNOTATION, LABEL, namespaceOf } from '../derive/mesh.ts';
import type { GatewayObject } from './gateway-objects.ts';

/** In the order in which they are applied: pods start with their account and find their Service. */
export interface ProxyObjects {
  readonly serviceAccount: KubeObject;
  readonly service: Kinds.Service;
  readonly deployment: Kinds.Deployment;
  /** Only where an overlay asks for it. */
  readonly horizontalPodAutoscaler: HorizontalPodAutoscaler;
  readonly podDisruptionBudget: PodDisruptionBudget;
}

/** autoscaling/v2. */
export interface HorizontalPodAutoscaler extends KubeObject {
  spec: {
    scaleTargetRef: { apiVersion: string; kind: string; name: string };
    minReplicas?: number;
    maxReplicas: number;
    metrics?: object[];
  };
}

/** policy/v1. */
export interface PodDisruptionBudget extends KubeObject {
  spec: {
    selector?: Kinds.LabelSelector;
    maxUnavailable?: number | string;
    minAvailable?: number | string;
  };
}

export const MANAGED_BY = {
  gateway: 'istio.io-gateway-controller',
  waypoint: 'istio.io-mesh-controller',
} as const;

/** Names of Services and values of labels are bounded by it (RFC 1035 labels). */
export const LABEL_CHARS_MAX = 63;

/** Share of the CPU that the pods ask for, beyond which there are to be more of them: Kubernetes' own default. */
const CPU_UTILIZATION_PERCENT = 80;

/** `suffix`: gateways are named after their class as well, waypoints after their Gateway alone. */
export function objectName({ metadata, spec }: GatewayObject, suffix: boolean): string {
  const own = suffix ? `${metadata.name}-${spec.gatewayClassName}` : metadata.name;
  return metadata.annotations?.[ANNOTATION.nameOverride] || own;
}

export function serviceAccountName(gateway: GatewayObject, suffix: boolean): string {
  const { name, annotations } = gateway.metadata;
  const own = suffix ? `${name}-${gateway.spec.gatewayClassName}` : name;
  return annotations?.[ANNOTATION.serviceAccount] || own;
}

export function proxyMetadata(
  gateway: GatewayObject,
  { name, role }: { name: string; role: keyof typeof MANAGED_BY },
): ObjectMeta {
  const { infrastructure } = gateway.spec;
  const labels = infrastructure?.labels ?? gateway.metadata.labels ?? {};
  const annotations = infrastructure?.annotations ?? gateway.metadata.annotations ?? {};
  return {
    name,
    namespace: namespaceOf(gateway),
    labels: {
      ...carried(labels),
      [LABEL.gatewayName]: gateway.metadata.name,
      [LABEL.gatewayClassName]: gateway.spec.gatewayClassName,
      [LABEL.gatewayManaged]: MANAGED_BY[role],
    },
    annotations: carried(annotations),
    ownerReferences: [
      {
        apiVersion: gateway.apiVersion,
        kind: gateway.kind,
        name: gateway.metadata.name,
        uid: gateway.metadata.uid ?? '',
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}

/**
 * What tools know the Gateway itself by must not be on what is made of it: they would take it for theirs, and delete what their
 * sources do not name. Labels of the Gateway API's own are ours to set (as Istio).
 */
const OWN_TO_THE_GATEWAY = [
  'gateway.networking.k8s.io/',
  'gateway.istio.io/',
  'tulle.dev/',
  'kubectl.kubernetes.io/',
  'argocd.argoproj.io/',
  'app.kubernetes.io/instance',
  'app.kubernetes.io/managed-by',
  'kustomize.toolkit.fluxcd.io/',
  'helm.toolkit.fluxcd.io/',
  'helm.sh/',
  'meta.helm.sh/',
];

function carried(given: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(given).filter(
    ([key]) => !OWN_TO_THE_GATEWAY.some((prefix) => key.startsWith(prefix)),
  );
  return Object.fromEntries(entries);
}

/** Needs an overlay: by itself it never makes more than one pod (as Istio's template). */
export function autoscalerOf(metadata: ObjectMeta): HorizontalPodAutoscaler {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata,
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: metadata.name },
      maxReplicas: 1,
      metrics: [
        {
          type: 'Resource',
          resource: {
            name: 'cpu',
            target: { type: 'Utilization', averageUtilization: CPU_UTILIZATION_PERCENT },
          },
        },
      ],
    },
  };
}

/** One pod at a time may be taken away: of a single one that is that one, so that a node can always be emptied. */
export function budgetOf(metadata: ObjectMeta, gatewayName: string): PodDisruptionBudget {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata,
    spec: {
      maxUnavailable: 1,
      selector: { matchLabels: { [LABEL.gatewayName]: gatewayName } },
    },
  };
}

/** What no API server would take, in words that name the remedy; undefined when there is nothing of the kind. */
export function nameFault(gateway: GatewayObject, serviceName: string): string | undefined {
  const { name } = gateway.metadata;
  if (name.length > LABEL_CHARS_MAX)
    return `the name has ${name.length} characters, and pods carry it as a label, which holds ${LABEL_CHARS_MAX}: shorten it`;
  if (serviceName.length > LABEL_CHARS_MAX || /[^a-z0-9-]/.test(serviceName))
    return `${serviceName} is no name for a Service (at most ${LABEL_CHARS_MAX} of a-z, 0-9 and -): shorten the Gateway's, or give one in the annotation ${ANNOTATION.nameOverride}`;
  return undefined;
}
