/** Pods: defaults of pod specs (templates share them), the initial status, and which fields may change later. */
import {
  type ApiObject,
  cloneJson,
  equalJson,
  isJsonObject,
  type JsonObject,
} from '#kube/meta/object.ts';
import { memberOf, objectsIn } from './members.ts';
import type { KindStrategy } from './strategy.ts';

const MODE_0644 = 420;
const PROJECTED_TOKEN_SECONDS = 3600;

export const POD_STRATEGY: KindStrategy = {
  defaults(pod) {
    const spec = memberOf(pod, 'spec');
    defaultPodSpec(spec);
    // The service account admission plug-in's part.
    spec.serviceAccountName ??= spec.serviceAccount ?? 'default';
    spec.serviceAccount = spec.serviceAccountName;
    spec.enableServiceLinks ??= true;
  },
  prepareCreate(pod) {
    pod.status = { phase: 'Pending', qosClass: qosClass(pod.spec as JsonObject) };
  },
  validate(pod, old) {
    if (old === undefined) return [];
    const before = frozenSpec(old);
    const after = frozenSpec(pod);
    if (before.nodeName === undefined) delete after.nodeName;
    if (equalJson(before, after)) return [];
    return [
      {
        field: 'spec',
        reason: 'FieldValueForbidden',
        message:
          'Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
      },
    ];
  },
};

/** Kubernetes' SetDefaults_PodSpec and SetDefaults_Container. */
export function defaultPodSpec(spec: JsonObject): void {
  spec.restartPolicy ??= 'Always';
  spec.terminationGracePeriodSeconds ??= 30;
  spec.dnsPolicy ??= 'ClusterFirst';
  spec.securityContext ??= {};
  spec.schedulerName ??= 'default-scheduler';
  for (const list of [spec.containers, spec.initContainers, spec.ephemeralContainers])
    for (const container of objectsIn(list)) defaultContainer(container, spec.hostNetwork === true);
  for (const volume of objectsIn(spec.volumes)) defaultVolume(volume);
}

function defaultContainer(container: JsonObject, hostNetwork: boolean): void {
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  container.imagePullPolicy ??= pullPolicy(String(container.image ?? ''));
  container.resources ??= {};
  for (const port of objectsIn(container.ports)) {
    port.protocol ??= 'TCP';
    if (hostNetwork) port.hostPort ??= port.containerPort;
  }
  for (const variable of objectsIn(container.env)) {
    const from = variable.valueFrom;
    if (isJsonObject(from) && isJsonObject(from.fieldRef)) from.fieldRef.apiVersion ??= 'v1';
  }
  for (const name of ['readinessProbe', 'livenessProbe', 'startupProbe'])
    if (isJsonObject(container[name])) defaultProbe(container[name]);
}

function defaultProbe(probe: JsonObject): void {
  probe.timeoutSeconds ??= 1;
  probe.periodSeconds ??= 10;
  probe.successThreshold ??= 1;
  probe.failureThreshold ??= 3;
  if (!isJsonObject(probe.httpGet)) return;
  probe.httpGet.path ??= '/';
  probe.httpGet.scheme ??= 'HTTP';
}

function defaultVolume(volume: JsonObject): void {
  for (const name of ['configMap', 'secret', 'downwardAPI', 'projected'])
    if (isJsonObject(volume[name])) volume[name].defaultMode ??= MODE_0644;
  const projected = isJsonObject(volume.projected) ? volume.projected : {};
  for (const source of objectsIn(projected.sources))
    if (isJsonObject(source.serviceAccountToken))
      source.serviceAccountToken.expirationSeconds ??= PROJECTED_TOKEN_SECONDS;
  if (Object.keys(volume).length === 1) volume.emptyDir = {};
}

function pullPolicy(image: string): string {
  const tag = /:([^/:@]+)$/.exec(image)?.[1];
  if (image.includes('@')) return 'IfNotPresent';
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function qosClass(spec: JsonObject): string {
  const resources = objectsIn(spec.containers).map((container) => container.resources);
  const some = resources.filter((item) => isJsonObject(item) && Object.keys(item).length > 0);
  if (some.length === 0) return 'BestEffort';
  const guaranteed = resources.every(
    (item) =>
      isJsonObject(item) &&
      item.limits !== undefined &&
      equalJson(item.limits, item.requests ?? item.limits),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

/** The spec without what an update may change. */
function frozenSpec(pod: ApiObject): JsonObject {
  const spec = cloneJson(pod.spec as JsonObject);
  for (const list of [spec.containers, spec.initContainers])
    for (const container of objectsIn(list)) delete container.image;
  delete spec.activeDeadlineSeconds;
  delete spec.tolerations;
  delete spec.terminationGracePeriodSeconds;
  delete spec.ephemeralContainers;
  return spec;
}
