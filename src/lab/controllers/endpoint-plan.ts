/** The EndpointSlices of a Service: pure, from the pods its selector matches. */
import type { EndpointSlice, Pod, Service } from '#kube/client/kinds.ts';
import { isReady } from './replica-plan.ts';
import { templateHash } from './rollout-plan.ts';

export const SERVICE_NAME = 'kubernetes.io/service-name';
export const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
export const THIS_CONTROLLER = 'endpointslice-controller.k8s.io';

type SlicePort = NonNullable<EndpointSlice['ports']>[number];

export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Record<string, string> = {},
): boolean {
  const entries = Object.entries(selector ?? {});
  return entries.length > 0 && entries.every(([key, value]) => labels[key] === value);
}

/** One slice for each distinct set of port numbers: a named target port may differ from pod to pod. */
export function endpointSlicesFor(service: Service, pods: readonly Pod[]): EndpointSlice[] {
  const groups = new Map<string, { ports: SlicePort[]; endpoints: EndpointSlice['endpoints'] }>();
  for (const pod of pods) {
    if (pod.metadata.namespace !== service.metadata.namespace) continue;
    if (!selects(service.spec.selector, pod.metadata.labels)) continue;
    const endpoint = endpointFor(service, pod);
    if (endpoint === undefined) continue;
    const ports = portsFor(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpoint);
    groups.set(key, group);
  }
  // A service that selects nothing has one empty slice: "no endpoints" is an answer too.
  if (groups.size === 0) groups.set('', { ports: [], endpoints: [] });
  return [...groups].map(([key, { ports, endpoints }]) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: service.metadata.namespace,
      name: `${service.metadata.name}-${templateHash(key).slice(0, 5)}`,
      labels: {
        ...service.metadata.labels,
        [SERVICE_NAME]: service.metadata.name,
        [MANAGED_BY]: THIS_CONTROLLER,
        ...(service.spec.clusterIP === 'None' ? { 'service.kubernetes.io/headless': '' } : {}),
      },
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          name: service.metadata.name,
          uid: service.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    addressType: 'IPv4' as const,
    endpoints: endpoints.sort((left, right) => (left.addresses[0] < right.addresses[0] ? -1 : 1)),
    ports,
  }));
}

function endpointFor(service: Service, pod: Pod): EndpointSlice['endpoints'][number] | undefined {
  const { podIP, phase } = pod.status ?? {};
  if (podIP === undefined || podIP === '' || phase === 'Succeeded' || phase === 'Failed')
    return undefined;
  const serving = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const { namespace, name, uid } = pod.metadata;
  const { hostname, subdomain } = pod.spec;
  const named = hostname !== undefined && hostname !== '' && subdomain === service.metadata.name;
  return {
    addresses: [podIP],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    ...(named ? { hostname } : {}),
  };
}

function portsFor(service: Service, pod: Pod): SlicePort[] {
  const ports: SlicePort[] = [];
  for (const port of service.spec.ports ?? []) {
    const protocol = port.protocol ?? 'TCP';
    const number = targetPort(pod, port.targetPort ?? port.port, protocol);
    // As Kubernetes: a name that the pod does not have leaves the port out.
    if (number === undefined) continue;
    ports.push({
      name: port.name ?? '',
      port: number,
      protocol,
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    });
  }
  return ports;
}

function targetPort(pod: Pod, target: number | string, protocol: string): number | undefined {
  if (typeof target === 'number') return target;
  for (const container of pod.spec.containers)
    for (const port of container.ports ?? [])
      if (port.name === target && (port.protocol ?? 'TCP') === protocol) return port.containerPort;
  return undefined;
}
