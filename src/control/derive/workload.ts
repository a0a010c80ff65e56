/** Pods, WorkloadEntries and a ServiceEntry's inline endpoints as the model's `Workload` (Istio: ambient/workloads.go). */
import { canonicalIp, parseIp } from '#base/ip.ts';
import type { Compiled } from '#config/compile/finding.ts';
import { Findings } from '#config/compile/finding.ts';
import type { ConfigObject } from '#config/compile/istio-kinds.ts';
import { identityOf } from '#config/compile/istio-kinds.ts';
import type { WorkloadEntrySpec } from '#config/compile/service-entry-kinds.ts';
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import { checkWorkloadEntry } from '#config/compile/validate-workload-entry.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { GatewayAddress } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { Locality, PortMapping, Workload } from '#model/workload/workload.ts';
import type { MeshSettings } from './mesh.ts';
import { ANNOTATION, LABEL, namespaceOf, selectsAll } from './mesh.ts';
import type { BoundService } from './service.ts';
import type { ServiceEntryObject } from './service-entry.ts';

export interface WorkloadContext {
  readonly mesh: MeshSettings;
  /** Candidates: the services of the workload's namespace. */
  readonly services: readonly BoundService[];
  /** By `namespace/host name`: of Services without selector, whose endpoints name a pod at these addresses. */
  readonly named?: (addresses: readonly string[]) => ReadonlyMap<string, readonly PortMapping[]>;
  readonly node?: Kinds.Node;
  readonly waypoint: GatewayAddress | undefined;
  /** Names of the selector policies in force, given the workload's labels; sorted. */
  readonly policies: readonly string[];
}

const NOWHERE: Locality = { region: '', zone: '', subzone: '' };

export function podUid(mesh: MeshSettings, pod: { namespace: string; name: string }): string {
  // The empty API group of Pods leaves two slashes.
  return `${mesh.clusterId}//Pod/${pod.namespace}/${pod.name}`;
}

/** Undefined while the pod has no address, and once it has ended. */
export function derivePod(pod: Kinds.Pod, context: WorkloadContext): LabeledWorkload | undefined {
  const { mesh } = context;
  const { status } = pod;
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const given = status?.podIPs?.map(({ ip }) => ip) ?? [status?.podIP ?? ''];
  const addresses = given.filter((address) => parseIp(address) !== undefined);
  if (addresses.length === 0) return undefined;
  const namespace = namespaceOf(pod);
  const { name, labels = {}, annotations = {} } = pod.metadata;
  const workloadName = ownerName(pod);
  const nativeTunnel = (labels[LABEL.tunnel] ?? '').split(',').includes('http');
  const captured = annotations[ANNOTATION.redirection] === 'enabled';
  const ready = status?.conditions?.some(
    ({ type, status }) => type === 'Ready' && status === 'True',
  );
  const workload: Workload = {
    uid: podUid(mesh, { namespace, name }),
    name,
    namespace,
    trustDomain: mesh.trustDomain,
    serviceAccount: pod.spec.serviceAccountName || 'default',
    addresses,
    network: mesh.network,
    protocol: captured || nativeTunnel ? 'hbone' : 'none',
    node: pod.spec.nodeName ?? '',
    workloadName,
    workloadType: 'pod',
    ...canonical(labels, workloadName),
    clusterId: mesh.clusterId,
    locality: localityOf(context.node),
    healthy: ready === true && pod.metadata.deletionTimestamp === undefined,
    hostNetwork: pod.spec.hostNetwork === true,
    nativeTunnel,
    hostname: '',
    capacity: 1,
    waypoint: context.waypoint,
    services: new Map([
      ...memberships(context.services, labels, (target, port) => podPort(pod, target, port)),
      ...(context.named?.(addresses) ?? []),
    ]),
    authorizationPolicies: context.policies,
  };
  return { workload, labels };
}

/** What a port of a service is called there, and what the service is. */
interface NamedPort {
  readonly name: string | undefined;
  readonly kind: BoundService['kind'];
}
type ResolvePort = (target: number | string, port: NamedPort) => number | undefined;

function memberships(
  services: readonly BoundService[],
  labels: Readonly<Record<string, string>>,
  resolve: ResolvePort,
): ReadonlyMap<string, readonly PortMapping[]> {
  const result = new Map<string, readonly PortMapping[]>();
  for (const bound of services) {
    if (!selectsAll(bound.membership.selector, labels)) continue;
    result.set(serviceKey(bound.service), mappings(bound, resolve));
  }
  return result;
}

function mappings({ kind, membership }: BoundService, resolve: ResolvePort): PortMapping[] {
  // A port whose name this workload lacks is left out for it alone.
  return membership.ports.flatMap((port) => {
    const targetPort = resolve(port.target, { name: port.name, kind });
    return targetPort === undefined ? [] : [{ servicePort: port.servicePort, targetPort }];
  });
}

/** Target ports of ServiceEntries are numbers only: it is the port's own name that may be a container's as well. */
function podPort(pod: Kinds.Pod, target: number | string, port: NamedPort): number | undefined {
  if (typeof target === 'string') return containerPort(pod, target);
  const own = port.kind === 'ServiceEntry' && port.name;
  return (own ? containerPort(pod, own) : undefined) ?? target;
}

function containerPort(pod: Kinds.Pod, name: string): number | undefined {
  const restartable = (pod.spec.initContainers ?? []).filter(
    (container) => container.restartPolicy === 'Always',
  );
  for (const container of [...pod.spec.containers, ...restartable])
    for (const port of container.ports ?? [])
      if (port.name === name && (port.protocol ?? 'TCP') === 'TCP') return port.containerPort;
  return undefined;
}

/** What its owner calls the workload, else the name of the Deployment, StatefulSet, … that the pod belongs to, else its own. */
export function ownerName(pod: Kinds.Pod): string {
  const given = pod.metadata.labels?.[LABEL.workloadName];
  if (given) return given;
  const owner = pod.metadata.ownerReferences?.find((each) => each.controller === true);
  if (owner === undefined) return pod.metadata.name;
  const hash = pod.metadata.labels?.['pod-template-hash'];
  if (owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`))
    return owner.name.slice(0, -hash.length - 1);
  // A CronJob's Jobs end in the minute they were made for.
  if (owner.kind === 'Job') return owner.name.replace(/-\d{8,10}$/, '');
  return owner.name;
}

function canonical(
  labels: Readonly<Record<string, string>>,
  workloadName: string,
): { canonicalName: string; canonicalRevision: string } {
  return {
    canonicalName:
      labels['service.istio.io/canonical-name'] ||
      labels['app.kubernetes.io/name'] ||
      labels.app ||
      workloadName,
    canonicalRevision:
      labels['service.istio.io/canonical-revision'] ||
      labels['app.kubernetes.io/version'] ||
      labels.version ||
      'latest',
  };
}

function localityOf(node: Kinds.Node | undefined): Locality {
  const labels = node?.metadata.labels ?? {};
  return {
    region: labels['topology.kubernetes.io/region'] ?? '',
    zone: labels['topology.kubernetes.io/zone'] ?? '',
    subzone: labels['topology.istio.io/subzone'] ?? '',
  };
}

export type WorkloadEntryObject = KubeObject &
  ConfigObject<WorkloadEntrySpec> & { status?: { conditions?: Kinds.Condition[] } };

/** The object itself when nothing is wrong with it. */
export function checkedWorkloadEntry(object: WorkloadEntryObject): Compiled<WorkloadEntryObject> {
  const findings = new Findings('WorkloadEntry', identityOf(object));
  checkWorkloadEntry(object.spec ?? {}, 'spec', { findings, names: true });
  return { value: findings.failed ? undefined : object, findings: findings.list };
}

export function deriveWorkloadEntry(
  object: WorkloadEntryObject,
  context: WorkloadContext,
): LabeledWorkload | undefined {
  const spec = object.spec ?? {};
  if (!isOnNetwork(spec)) return undefined;
  const { name } = object.metadata;
  const namespace = namespaceOf(object);
  const labels = { ...object.metadata.labels, ...spec.labels };
  const uid = `${context.mesh.clusterId}/networking.istio.io/WorkloadEntry/${namespace}/${name}`;
  const services = memberships(context.services, labels, (target, port) =>
    entryPort(spec, target, port),
  );
  const { annotations = {} } = object.metadata;
  const captured = annotations[ANNOTATION.redirection] === 'enabled';
  const workloadName = annotations[ANNOTATION.registrationGroup] || labels[LABEL.workloadName];
  const identity = { uid, name, namespace, labels, services, captured, workloadName };
  const workload = entryWorkload(spec, identity, context);
  return { workload: { ...workload, healthy: isHealthyEntry(object) }, labels };
}

/**
 * Health checks of such workloads write the condition; without any it counts as healthy, unless somebody announced that they will
 * come (pilot/pkg/model/status/helper.go, autoregistration).
 */
function isHealthyEntry({ metadata, status }: WorkloadEntryObject): boolean {
  const condition = status?.conditions?.find(({ type }) => type === 'Healthy');
  if (condition !== undefined) return condition.status !== 'False';
  return metadata.annotations?.[ANNOTATION.healthChecks] !== 'true';
}

/** The endpoints that a ServiceEntry lists itself; for a DNS entry without any, each of its hosts, as its own endpoint only. */
export function deriveInlineEndpoints(
  object: ServiceEntryObject,
  context: { mesh: MeshSettings; services: readonly BoundService[] },
): [string, LabeledWorkload][] {
  const { mesh, services } = context;
  const spec = object.spec ?? {};
  const namespace = namespaceOf(object);
  const { name } = object.metadata;
  // Nothing leads to endpoints of an entry whose hosts are all another's, or hidden from everybody.
  const listed = (services.length > 0 ? (spec.endpoints ?? []) : []).map((endpoint) => ({
    endpoint,
    of: services,
  }));
  // A selector says that the endpoints are elsewhere.
  const byName = (spec.resolution ?? '').startsWith('DNS') && spec.workloadSelector === undefined;
  const named = services
    .filter(({ service }) => byName && !service.hostname.includes('*'))
    .map((of) => ({ endpoint: { address: of.service.hostname } as WorkloadEntrySpec, of: [of] }));
  return (listed.length > 0 ? listed : named).flatMap(
    ({ endpoint, of }): [string, LabeledWorkload][] => {
      if (!isOnNetwork(endpoint)) return [];
      const uid = `${mesh.clusterId}/networking.istio.io/ServiceEntry/${namespace}/${name}/${endpoint.address}`;
      const labels = endpoint.labels ?? {};
      const memberOf = new Map(
        of.map((bound) => [
          serviceKey(bound.service),
          mappings(bound, (target, port) => entryPort(endpoint, target, port)),
        ]),
      );
      const identity = { uid, name, namespace, labels, services: memberOf };
      const inherited = { mesh, services: [], waypoint: undefined, policies: [] };
      return [[uid, { workload: entryWorkload(endpoint, identity, inherited), labels }]];
    },
  );
}

/** By the name of the target port where it has one, else by that of the service's port. */
function entryPort(
  { ports = {} }: WorkloadEntrySpec,
  target: number | string,
  { name = '' }: NamedPort,
): number | undefined {
  if (typeof target === 'number') return ports[name] ?? target;
  return ports[target] ?? ports[name];
}

/** As much as discovery can say of it. */
function capacityOf(weight: number | undefined): number {
  const isCapacity = Number.isInteger(weight) && weight !== undefined && weight > 0;
  return isCapacity ? Math.min(weight, 0xffffffff) : 1;
}

/** A Unix socket is of the machine that it is on: no other can be told of it. */
function isOnNetwork({ address }: WorkloadEntrySpec): boolean {
  return address !== undefined && !address.startsWith('unix://');
}

function entryWorkload(
  spec: WorkloadEntrySpec,
  identity: {
    uid: string;
    name: string;
    namespace: string;
    labels: Readonly<Record<string, string>>;
    services: Workload['services'];
    captured?: boolean;
    /** Instead of its name. */
    workloadName?: string | undefined;
  },
  context: WorkloadContext,
): Workload {
  const { mesh } = context;
  const { labels, captured = false, ...named } = identity;
  const workloadName = identity.workloadName || named.name;
  const address = canonicalIp(spec.address ?? '');
  const isAddress = parseIp(address) !== undefined;
  const [region = '', zone = '', subzone = ''] = (spec.locality ?? '').split('/');
  const nativeTunnel = (labels[LABEL.tunnel] ?? '').split(',').includes('http');
  return {
    ...named,
    trustDomain: mesh.trustDomain,
    serviceAccount: spec.serviceAccount || 'default',
    addresses: isAddress ? [address] : [],
    network: spec.network || mesh.network,
    protocol: captured || nativeTunnel ? 'hbone' : 'none',
    node: '',
    workloadName,
    workloadType: 'pod',
    ...canonical(labels, workloadName),
    clusterId: mesh.clusterId,
    locality: spec.locality ? { region, zone, subzone } : NOWHERE,
    healthy: true,
    hostNetwork: false,
    nativeTunnel,
    hostname: isAddress ? '' : address,
    capacity: capacityOf(spec.weight),
    waypoint: context.waypoint,
    authorizationPolicies: context.policies,
  };
}
