/** Workloads as people know them: the pods of a Deployment, StatefulSet, … as one, WorkloadEntries each by itself. Pure. */
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import type { PodRow } from '#console/api/lists.ts';
import type { WorkloadView } from '#console/mesh-view.ts';
import type { Namespace, Pod } from '#kube/client/kinds.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { GatewayAddress } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { ANNOTATION, LABEL, namespaceOf } from '../../derive/mesh.ts';
import { WAYPOINT_CLASSES } from '../../derive/waypoint.ts';
import { ownerName } from '../../derive/workload.ts';

/** Kiali's: how many failures are borne. */
export const HEALTH_RATE = 'health.kiali.io/rate';

export interface WorkloadSources {
  readonly namespace: (name: string) => Namespace | undefined;
  /** `namespace/name` of the waypoint behind an address. */
  readonly waypointOf: (address: GatewayAddress | undefined) => string;
  readonly clusterId: string;
}

export interface Group {
  /** `namespace/name`. */
  readonly key: string;
  readonly pods: readonly Pod[];
  /** Derived, of pods and entries alike. */
  readonly members: readonly LabeledWorkload[];
}

/** The workload that a pod is of. Undefined: a Job that is done is no workload any more. */
export function workloadKeyOfPod(pod: Pod): string | undefined {
  const { phase } = pod.status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed') return undefined;
  return `${namespaceOf(pod)}/${ownerName(pod)}`;
}

/** Undefined: none by itself. */
export function workloadKeyOf(workload: Workload, clusterId: string): string | undefined {
  if (kindOfUid(workload.uid, clusterId) === undefined) return undefined;
  return `${workload.namespace}/${workload.workloadName}`;
}

/** Undefined: a service's slice of addresses, which is no workload of its own. */
function kindOfUid(uid: string, clusterId: string): string | undefined {
  const rest = uid.slice(clusterId.length);
  if (rest.startsWith('//Pod/')) return 'Pod';
  return rest.startsWith('/networking.istio.io/WorkloadEntry/') ? 'WorkloadEntry' : undefined;
}

function kindOf({ pods, members }: Group, clusterId: string): string | undefined {
  if (pods.length > 0) return ownerKind(pods[0]);
  return members.length > 0 ? kindOfUid(members[0].workload.uid, clusterId) : undefined;
}

export function ownerKind(pod: Pod): string {
  const owner = pod.metadata.ownerReferences?.find((each) => each.controller === true);
  if (owner === undefined) return 'Pod';
  const isDeployment = owner.kind === 'ReplicaSet' && ownerName(pod) !== owner.name;
  return isDeployment ? 'Deployment' : owner.kind;
}

/** Undefined: there is nothing of it. */
export function workloadView(group: Group, sources: WorkloadSources): WorkloadView | undefined {
  const { key, pods, members } = group;
  const kind = kindOf(group, sources.clusterId);
  if (kind === undefined) return undefined;
  const [namespace, name] = key.split('/');
  const first = members[0]?.workload;
  const living = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const shown = living.length > 0 ? living : pods;
  const labels = commonLabels(
    shown.length > 0
      ? shown.map(({ metadata }) => metadata.labels ?? {})
      : members.map((each) => each.labels),
  );
  const app = first?.canonicalName ?? appOf(labels, name);
  const isCaptured =
    members.length > 0 && members.every(({ workload }) => workload.protocol === 'hbone');
  const rate = shown[0]?.metadata.annotations?.[HEALTH_RATE];
  const services = [
    ...new Set(members.flatMap(({ workload }) => [...workload.services.keys()])),
  ].sort();
  return {
    key,
    namespace,
    name,
    kind,
    app,
    versions: [...new Set(members.map(({ workload }) => workload.canonicalRevision))].sort(),
    labels,
    identity: first === undefined ? '' : formatPrincipal(first),
    isCaptured,
    notCaptured: isCaptured ? '' : whyNotCaptured({ ...group, kind }, sources.namespace),
    role: roleOf(labels),
    waypoint: sources.waypointOf(first?.waypoint),
    replicas:
      pods.length > 0
        ? { ready: living.filter(isReady).length, desired: living.length }
        : {
            ready: members.filter(({ workload }) => workload.healthy).length,
            desired: members.length,
          },
    services,
    ...(rate !== undefined && { healthRate: rate }),
    pods: () => pods.map(podRow).sort((left, right) => (left.name < right.name ? -1 : 1)),
  };
}

function appOf(labels: Readonly<Record<string, string>>, name: string): string {
  return labels['app.kubernetes.io/name'] || labels.app || name;
}

/** What differs from pod to pod says nothing of the workload. */
function commonLabels(all: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const [first = {}, ...others] = all;
  const common = Object.entries(first).filter(
    ([name, value]) => name !== 'pod-template-hash' && others.every((each) => each[name] === value),
  );
  return Object.fromEntries(common);
}

function roleOf(labels: Readonly<Record<string, string>>): WorkloadView['role'] {
  const className = labels[LABEL.gatewayClassName];
  if (labels[LABEL.gatewayName] === undefined) return 'workload';
  const isWaypoint =
    className === undefined
      ? labels[LABEL.gatewayManaged]?.includes('mesh') === true
      : WAYPOINT_CLASSES.includes(className);
  return isWaypoint ? 'waypoint' : 'gateway';
}

function whyNotCaptured(
  { key, kind, pods, members }: Group & { readonly kind: string },
  namespaces: WorkloadSources['namespace'],
): string {
  if (kind === 'WorkloadEntry') return 'a machine outside the cluster that has not joined the mesh';
  const mode = LABEL.dataplaneMode;
  const captured = members.filter(({ workload }) => workload.protocol === 'hbone').length;
  if (captured > 0) return `${captured} of ${members.length} pods are captured`;
  if (pods.every(({ spec }) => spec.hostNetwork === true))
    return 'its pods use the network of their node';
  if (pods.some(({ metadata }) => metadata.labels?.[mode] === 'none'))
    return `label ${mode}=none keeps its pods out`;
  const [namespace] = key.split('/', 1);
  const isEnrolled = namespaces(namespace)?.metadata.labels?.[mode] === 'ambient';
  const isLabelled = pods.some(({ metadata }) => metadata.labels?.[mode] === 'ambient');
  if (!isEnrolled && !isLabelled) return `namespace ${namespace} is not enrolled`;
  if (pods.every(({ status }) => status?.phase !== 'Running')) return 'none of its pods runs yet';
  const pending = pods.some(
    ({ metadata }) => metadata.annotations?.[ANNOTATION.redirection] === 'pending',
  );
  return pending
    ? 'the node proxy is about to capture its pods'
    : 'the node proxy has not captured its pods: see its log on their nodes';
}

export function isReady({ status, metadata }: Pod): boolean {
  const ready = status?.conditions?.some(
    ({ type, status: is }) => type === 'Ready' && is === 'True',
  );
  return ready === true && metadata.deletionTimestamp === undefined;
}

function podRow(pod: Pod): PodRow {
  const { metadata, spec, status } = pod;
  return {
    name: metadata.name,
    node: spec.nodeName ?? '',
    ip: status?.podIP ?? '',
    phase: metadata.deletionTimestamp === undefined ? (status?.phase ?? 'Unknown') : 'Terminating',
    isReady: isReady(pod),
    isCaptured: metadata.annotations?.[ANNOTATION.redirection] === 'enabled',
    restarts: (status?.containerStatuses ?? []).reduce(
      (sum, { restartCount }) => sum + restartCount,
      0,
    ),
    startedAt: status?.startTime ?? metadata.creationTimestamp ?? '',
  };
}
