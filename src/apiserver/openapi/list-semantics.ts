/**
 * How lists and maps of the built-in kinds merge: what Kubernetes' Go types say by listType, patchStrategy and
 * patchMergeKey tags, by OpenAPI definition. The packages carry none of it; kubectl and server-side apply need it.
 */
import type { Schema } from '#config/schema/schema.ts';

/** `keys` of a map-type list, with the strategic patch key when it is another. */
interface Merge {
  keys?: readonly string[];
  patchKey?: string;
  set?: true;
  atomic?: true;
  /** `patchStrategy: merge` on a set of scalars. */
  patchMerge?: true;
  retainKeys?: true;
  defaults?: Record<string, unknown>;
}

const byName: Merge = { keys: ['name'] };
const byType: Merge = { keys: ['type'] };
const atomic: Merge = { atomic: true };
const containerPorts: Merge = {
  keys: ['containerPort', 'protocol'],
  patchKey: 'containerPort',
  defaults: { protocol: 'TCP' },
};

const container: Record<string, Merge> = {
  args: atomic,
  command: atomic,
  env: byName,
  envFrom: atomic,
  ports: containerPorts,
  resizePolicy: atomic,
  volumeDevices: { keys: ['devicePath'] },
  volumeMounts: { keys: ['mountPath'] },
};
const statusConditions: Record<string, Merge> = { conditions: byType };

const CORE = 'io.k8s.api.core.v1.';
const APPS = 'io.k8s.api.apps.v1.';
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

const MERGES: Record<string, Record<string, Merge>> = {
  [`${META}ObjectMeta`]: {
    finalizers: { set: true, patchMerge: true },
    ownerReferences: { keys: ['uid'] },
    managedFields: atomic,
  },
  [`${META}LabelSelector`]: { matchExpressions: atomic },
  [`${META}LabelSelectorRequirement`]: { values: atomic },
  [`${CORE}Container`]: container,
  [`${CORE}EphemeralContainer`]: container,
  [`${CORE}PodSpec`]: {
    containers: byName,
    initContainers: byName,
    ephemeralContainers: byName,
    hostAliases: { keys: ['ip'] },
    imagePullSecrets: { ...byName, defaults: { name: '' } },
    readinessGates: atomic,
    resourceClaims: byName,
    schedulingGates: byName,
    tolerations: atomic,
    topologySpreadConstraints: {
      keys: ['topologyKey', 'whenUnsatisfiable'],
      patchKey: 'topologyKey',
    },
    volumes: byName,
  },
  [`${CORE}PodStatus`]: {
    conditions: byType,
    containerStatuses: atomic,
    initContainerStatuses: atomic,
    hostIPs: atomic,
    podIPs: { keys: ['ip'] },
  },
  [`${CORE}ServiceSpec`]: {
    ports: { keys: ['port', 'protocol'], patchKey: 'port', defaults: { protocol: 'TCP' } },
    clusterIPs: atomic,
    externalIPs: atomic,
    ipFamilies: atomic,
    loadBalancerSourceRanges: atomic,
  },
  [`${CORE}ServiceStatus`]: statusConditions,
  [`${CORE}NodeSpec`]: { podCIDRs: { set: true, patchMerge: true }, taints: atomic },
  [`${CORE}NodeStatus`]: { addresses: byType, conditions: byType, images: atomic },
  [`${CORE}NamespaceSpec`]: { finalizers: atomic },
  [`${CORE}NamespaceStatus`]: statusConditions,
  [`${CORE}ServiceAccount`]: { secrets: byName, imagePullSecrets: atomic },
  [`${CORE}SecretVolumeSource`]: { items: atomic },
  [`${CORE}ConfigMapVolumeSource`]: { items: atomic },
  [`${CORE}ProjectedVolumeSource`]: { sources: atomic },
  [`${CORE}Capabilities`]: { add: atomic, drop: atomic },
  [`${CORE}HTTPGetAction`]: { httpHeaders: atomic },
  [`${CORE}ExecAction`]: { command: atomic },
  [`${APPS}DeploymentStatus`]: statusConditions,
  [`${APPS}ReplicaSetStatus`]: statusConditions,
  'io.k8s.api.discovery.v1.EndpointSlice': { endpoints: atomic, ports: atomic },
  'io.k8s.api.discovery.v1.Endpoint': { addresses: { set: true } },
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionSpec': {
    versions: atomic,
  },
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus': {
    conditions: byType,
    storedVersions: atomic,
  },
};

/** Objects that are replaced whole. */
const ATOMIC_TYPES = new Set([
  `${META}LabelSelector`,
  `${CORE}NodeSelector`,
  `${CORE}NodeSelectorTerm`,
  `${CORE}SecretKeySelector`,
  `${CORE}ConfigMapKeySelector`,
  `${CORE}ObjectFieldSelector`,
  `${CORE}ResourceFieldSelector`,
  `${CORE}ObjectReference`,
  `${CORE}LocalObjectReference`,
  `${CORE}TypedLocalObjectReference`,
  `${CORE}SecretReference`,
  `${META}OwnerReference`,
]);

const ATOMIC_MAPS: Record<string, readonly string[]> = {
  [`${CORE}PodSpec`]: ['nodeSelector'],
  [`${CORE}ServiceSpec`]: ['selector'],
};

/** Completes the schema of a definition in place. */
export function addMergeSemantics(definition: string, schema: Schema): void {
  if (ATOMIC_TYPES.has(definition)) schema['x-kubernetes-map-type'] = 'atomic';
  for (const name of ATOMIC_MAPS[definition] ?? []) {
    const member = schema.properties?.[name];
    if (member !== undefined) member['x-kubernetes-map-type'] = 'atomic';
  }
  for (const [name, merge] of Object.entries(MERGES[definition] ?? {})) {
    const member = schema.properties?.[name];
    if (member?.type === 'array') applyMerge(member, merge);
  }
}

function applyMerge(list: Schema, merge: Merge): void {
  if (merge.atomic === true) list['x-kubernetes-list-type'] = 'atomic';
  if (merge.set === true) list['x-kubernetes-list-type'] = 'set';
  if (merge.patchMerge === true) list['x-kubernetes-patch-strategy'] = 'merge';
  if (merge.keys === undefined) return;
  list['x-kubernetes-list-type'] = 'map';
  list['x-kubernetes-list-map-keys'] = [...merge.keys];
  list['x-kubernetes-patch-strategy'] = 'merge';
  list['x-kubernetes-patch-merge-key'] = merge.patchKey ?? merge.keys[0];
  addKeyDefaults(list, merge.defaults ?? {});
}

/** A key may be left out when the type has a default: an item without `protocol` is the TCP one. */
function addKeyDefaults(list: Schema, defaults: Record<string, unknown>): void {
  const item = list.items?.$target ?? list.items;
  for (const [key, value] of Object.entries(defaults)) {
    const member = item?.properties?.[key];
    if (member !== undefined) member.default = value;
  }
}
