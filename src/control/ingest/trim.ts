/**
 * What the control plane keeps of each object. The rest would be most of its memory: managedFields are the larger half of
 * many objects, and a pod is some kilobytes of which a few hundred bytes are read. Whoever reads a further field of a
 * kind below adds it here.
 */
import type { EndpointSlice, Node, Pod } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { isByHand } from '../derive/endpoint-slice.ts';
import { keepPem } from './gateway-api-sources.ts';
import type { MeshSources } from './mesh-graph.ts';

type Trim = (object: KubeObject) => KubeObject;

const UNREAD_ANNOTATIONS: readonly string[] = [
  'kubectl.kubernetes.io/last-applied-configuration',
  'kubectl.kubernetes.io/restartedAt',
  'deployment.kubernetes.io/revision',
];

const TRIMS: Partial<Record<keyof MeshSources, Trim>> = {
  pods: (object) => trimPod(object as Pod),
  nodes: (object) => trimNode(object as Node),
  endpointSlices: (object) => trimSlice(object as EndpointSlice),
  secrets: keepPem,
  configMaps: keepPem,
};

/** An object of its own; nothing of the given one that is not kept is held on to. */
export function trimFor(source: keyof MeshSources): Trim {
  const trim = TRIMS[source] ?? ((object) => object);
  return (object) => trim(withoutManagers(object));
}

function withoutManagers(object: KubeObject): KubeObject {
  const { managedFields: _unread, ...metadata } = object.metadata as KubeObject['metadata'] & {
    managedFields?: unknown;
  };
  const { annotations } = metadata;
  if (annotations === undefined) return { ...object, metadata };
  const read = Object.entries(annotations).filter(([name]) => !UNREAD_ANNOTATIONS.includes(name));
  return { ...object, metadata: { ...metadata, annotations: Object.fromEntries(read) } };
}

function trimPod({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { generateName: _made, ownerReferences, finalizers: _held, ...head } = metadata;
  const owners = ownerReferences?.filter(({ controller }) => controller === true);
  const { nodeName, serviceAccountName, hostNetwork, containers, initContainers } = spec;
  // Ports by name are what a Service may refer to; init containers that go on running have some as well.
  const sidecars = initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always');
  return {
    apiVersion,
    kind,
    metadata: owners === undefined ? head : { ...head, ownerReferences: owners },
    spec: {
      ...(nodeName !== undefined && { nodeName }),
      ...(serviceAccountName !== undefined && { serviceAccountName }),
      ...(hostNetwork === true && { hostNetwork }),
      containers: containers.map(trimContainer),
      ...(sidecars !== undefined &&
        sidecars.length > 0 && { initContainers: sidecars.map(trimContainer) }),
    },
    ...(status !== undefined && { status: trimPodStatus(status) }),
  };
}

function trimContainer({ name, image, ports, restartPolicy }: Pod['spec']['containers'][number]) {
  const named = ports?.filter((port) => port.name !== undefined);
  return {
    name,
    image,
    ...(named !== undefined && named.length > 0 && { ports: named }),
    ...(restartPolicy !== undefined && { restartPolicy }),
  };
}

function trimPodStatus(status: NonNullable<Pod['status']>) {
  const { phase, podIP, podIPs, conditions, startTime, containerStatuses } = status;
  const ready = conditions?.filter(({ type }) => type === 'Ready');
  const restarted = containerStatuses
    ?.filter(({ restartCount }) => restartCount > 0)
    .map(({ name, restartCount }) => ({ name, ready: true, restartCount, image: '', imageID: '' }));
  return {
    ...(phase !== undefined && { phase }),
    ...(podIP !== undefined && { podIP }),
    ...(podIPs !== undefined && { podIPs }),
    ...(startTime !== undefined && { startTime }),
    ...(restarted !== undefined && restarted.length > 0 && { containerStatuses: restarted }),
    ...(ready !== undefined && { conditions: ready.map(({ type, status }) => ({ type, status })) }),
  };
}

/** Of a node its locality is read. */
function trimNode({ apiVersion, kind, metadata }: Node): Node {
  return { apiVersion, kind, metadata };
}

/** Endpoints that are pods come from the pods and selectors: what is left of most slices is their name. */
function trimSlice(slice: EndpointSlice): EndpointSlice {
  if (isByHand(slice)) return slice;
  const endpoints = (slice.endpoints ?? []).filter(({ targetRef }) => targetRef?.kind !== 'Pod');
  return { ...slice, endpoints };
}
