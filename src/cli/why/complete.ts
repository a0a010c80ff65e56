/**
 * Objects from files with what a cluster would have added to them: namespaces, addresses, readiness, capture, waypoints that run,
 * endpoints of services whose pods the files do not hold. Everything that is made up has a note; answers repeat it.
 */
import { allocateAddresses } from '#control/derive/allocate-addresses.ts';
import { GATEWAY_CLASSES } from '#control/derive/gateway-class.ts';
import { ANNOTATION, keyOf, LABEL, namespaceOf, selectsAll } from '#control/derive/mesh.ts';
import type { ServiceEntryObject } from '#control/derive/service-entry.ts';
import { allocatingHosts } from '#control/derive/service-entry.ts';
import { WAYPOINT_CLASSES } from '#control/derive/waypoint.ts';
import { INGESTED } from '#control/ingest/ingest.ts';
import type { EndpointSlice, Gateway, Pod, Secret, Service } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { missingMaterials } from './assumed-material.ts';
import {
  assumedAddress,
  type Labels,
  podFor,
  podOfTemplate,
  runningPod,
  type WorkloadTemplate,
  waypointParts,
} from './assumed-objects.ts';

export interface Completed {
  readonly objects: readonly KubeObject[];
  /** `Kind namespace/name` → what was assumed. */
  readonly notes: ReadonlyMap<string, string>;
  /** Neither capture nor waypoints are told of anywhere: both are taken as being in use. */
  readonly saysNothingOfAmbient: boolean;
}

const WORKLOAD_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet'];
const CLUSTER_SCOPED = new Set(
  Object.values(INGESTED)
    .filter(({ namespaced }) => !namespaced)
    .map(({ kind }) => kind),
);

export function describe(object: KubeObject): string {
  return `${object.kind} ${namespaceOf(object)}/${object.metadata.name}`;
}

export function complete(given: readonly KubeObject[], defaultNamespace: string): Completed {
  const objects = given.map((object) => withNamespace(object, defaultNamespace));
  const of = <T extends KubeObject>(kind: string) =>
    objects.filter((object) => object.kind === kind) as T[];
  const notes = new Map<string, string>();
  const waypoints = of<Gateway>('Gateway').filter(isWaypoint);
  const saysNothingOfAmbient = waypoints.length === 0 && !objects.some(tellsOfAmbient);
  const pods = of<Pod>('Pod');
  for (const template of WORKLOAD_KINDS.flatMap((kind) => of<WorkloadTemplate>(kind)))
    addPodOf(template, pods, notes);
  const services = of<Service>('Service');
  const entries = of<WorkloadEntry>('WorkloadEntry');
  const slices = of<EndpointSlice>('EndpointSlice');
  for (const service of services)
    if (lacksMembers(service, { pods, entries, slices })) {
      const pod = podFor(service);
      notes.set(describe(pod), `${describe(service)} has ready endpoints: no file holds its pods`);
      pods.push(pod);
    }
  for (const waypoint of waypoints) {
    const { service, pod } = waypointParts(waypoint);
    if (!services.some((each) => keyOf(each) === keyOf(service))) services.push(service);
    if (pods.some((each) => selectsIn(service, each, each.metadata.labels))) continue;
    notes.set(describe(pod), `waypoint ${keyOf(waypoint)} runs`);
    pods.push(pod);
  }
  const labelsOf = new Map(
    of('Namespace').map(({ metadata }) => [metadata.name, metadata.labels ?? {}]),
  );
  const materials = missingMaterials(objects);
  for (const each of materials)
    notes.set(describe(each), `${describe(each)} holds what is needed: no file holds it`);
  const rest = [...objects, ...materials]
    .filter(({ kind }) => kind !== 'Pod' && kind !== 'Service')
    .map((object) => withOurClass(object, of('GatewayClass'), notes));
  return {
    objects: [
      ...rest.map(completed),
      ...services.map(withVirtualAddress),
      ...pods.map((pod) =>
        runningPod(pod, labelsOf.get(namespaceOf(pod)) ?? {}, saysNothingOfAmbient),
      ),
    ],
    notes,
    saysNothingOfAmbient,
  };
}

interface WorkloadEntry extends KubeObject {
  readonly spec?: { readonly labels?: Labels };
}

function withNamespace(object: KubeObject, namespace: string): KubeObject {
  const { metadata } = object;
  if (metadata.namespace !== undefined || CLUSTER_SCOPED.has(object.kind)) return object;
  return { ...object, metadata: { ...metadata, namespace } };
}

function isWaypoint({ spec }: Gateway): boolean {
  return WAYPOINT_CLASSES.includes(spec?.gatewayClassName ?? '');
}

function tellsOfAmbient(object: KubeObject): boolean {
  const { labels = {}, annotations = {} } = object.metadata;
  const template = (object as WorkloadTemplate).spec?.template?.metadata?.labels ?? {};
  return (
    labels[LABEL.dataplaneMode] !== undefined ||
    template[LABEL.dataplaneMode] !== undefined ||
    labels[LABEL.useWaypoint] !== undefined ||
    annotations[ANNOTATION.redirection] !== undefined
  );
}

function selectsIn(service: Service, object: KubeObject, labels: Labels | undefined): boolean {
  return namespaceOf(object) === namespaceOf(service) && selectsAll(service.spec?.selector, labels);
}

function addPodOf(template: WorkloadTemplate, pods: Pod[], notes: Map<string, string>): void {
  const pod = podOfTemplate(template);
  const own = pod.metadata.labels ?? {};
  const isThere = pods.some(
    (each) => namespaceOf(each) === namespaceOf(pod) && selectsAll(own, each.metadata.labels),
  );
  if (isThere) return;
  notes.set(describe(pod), `a pod of ${describe(template)} runs and is ready`);
  pods.push(pod);
}

function lacksMembers(
  service: Service,
  from: {
    pods: readonly Pod[];
    entries: readonly WorkloadEntry[];
    slices: readonly EndpointSlice[];
  },
): boolean {
  const { selector = {}, type } = service.spec ?? {};
  if (type === 'ExternalName' || Object.keys(selector).length === 0) return false;
  return !(
    from.pods.some((pod) => selectsIn(service, pod, pod.metadata.labels)) ||
    from.entries.some((entry) =>
      selectsIn(service, entry, { ...entry.metadata.labels, ...entry.spec?.labels }),
    ) ||
    from.slices.some(
      ({ metadata }) =>
        metadata.namespace === service.metadata.namespace &&
        metadata.labels?.['kubernetes.io/service-name'] === service.metadata.name,
    )
  );
}

function completed(object: KubeObject): KubeObject {
  switch (object.kind) {
    case 'Gateway':
      return isWaypoint(object as Gateway) ? programmed(object as Gateway) : object;
    case 'ServiceEntry':
      return withAllocated(object as ServiceEntryObject);
    case 'Secret':
      return withoutStrings(object as Secret & { stringData?: Record<string, string> });
    default:
      return object;
  }
}

/** A Gateway of a class that the files do not define, and that is nobody else's by name, is taken as ours. */
function withOurClass(
  object: KubeObject,
  classes: readonly KubeObject[],
  notes: Map<string, string>,
): KubeObject {
  const { spec } = object as { spec?: { gatewayClassName?: string } };
  const name = spec?.gatewayClassName;
  if (object.kind !== 'Gateway' || name === undefined || /^(istio|tulle)(-|$)/.test(name))
    return object;
  if (classes.some(({ metadata }) => metadata.name === name)) return object;
  const [ours] = GATEWAY_CLASSES;
  notes.set(describe(object), `its class ${name} is ${ours}: no file holds the GatewayClass`);
  return { ...object, spec: { ...spec, gatewayClassName: ours } } as KubeObject;
}

/** A waypoint is in force once its Gateway has an address. */
function programmed(gateway: Gateway): Gateway {
  if (gateway.status?.addresses?.length) return gateway;
  const { namespace, name } = gateway.metadata;
  const value = `${name}.${namespace}.svc.cluster.local`;
  return { ...gateway, status: { ...gateway.status, addresses: [{ type: 'Hostname', value }] } };
}

function withVirtualAddress(service: Service): Service {
  const { type, clusterIP, clusterIPs } = service.spec ?? {};
  if (type === 'ExternalName' || clusterIP !== undefined || clusterIPs !== undefined)
    return service;
  return { ...service, spec: { ...service.spec, clusterIP: assumedAddress() } };
}

function withAllocated(entry: ServiceEntryObject): ServiceEntryObject {
  const hosts = allocatingHosts(entry);
  const present = entry.status?.addresses ?? [];
  if (hosts.length === 0 || present.length > 0) return entry;
  const addresses = allocateAddresses({
    owner: keyOf(entry),
    hosts,
    present,
    isTaken: () => false,
  });
  return { ...entry, status: { ...entry.status, addresses } };
}

/** The API server keeps `stringData` as `data`. */
function withoutStrings(secret: Secret & { stringData?: Record<string, string> }): Secret {
  const { stringData, ...rest } = secret;
  if (stringData === undefined) return secret;
  const data = { ...secret.data };
  for (const [key, value] of Object.entries(stringData))
    data[key] = Buffer.from(value).toString('base64');
  return { ...rest, data };
}
