/** Objects that files leave out and a cluster would hold: pods of Deployments and services, what runs a waypoint. */
import { ANNOTATION, LABEL, namespaceOf } from '#control/derive/mesh.ts';
import { HBONE_PORT } from '#control/derive/waypoint.ts';
import type { Gateway, Pod, Service } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { planCapture } from '#redirect/plan.ts';

export type Labels = Readonly<Record<string, string>>;

export interface WorkloadTemplate extends KubeObject {
  readonly spec?: {
    readonly template?: {
      readonly metadata?: { labels?: Labels; annotations?: Labels };
      readonly spec?: Pod['spec'];
    };
  };
}

/** Of an unused private IPv6 range: only answers know them, and they are never shown. */
const ASSUMED_PREFIX = 'fd74:756c:6c65::';
let lastAddress = 0;

export function isAssumedAddress(address: string): boolean {
  return address.startsWith(ASSUMED_PREFIX);
}

/** A new one each time. */
export function assumedAddress(): string {
  lastAddress = (lastAddress % 0xfffe) + 1;
  return ASSUMED_PREFIX + lastAddress.toString(16);
}

export function podOfTemplate(template: WorkloadTemplate): Pod {
  const { metadata = {}, spec } = template.spec?.template ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: template.metadata.name,
      namespace: namespaceOf(template),
      labels: { ...metadata.labels },
      annotations: { ...metadata.annotations },
    },
    spec: spec ?? { containers: [] },
  };
}

/** A pod that serves every port of the service. */
export function podFor({ metadata, spec }: Service): Pod {
  const ports = (spec.ports ?? []).map(({ port, targetPort }) => ({
    ...(typeof targetPort === 'string' && { name: targetPort }),
    containerPort: typeof targetPort === 'number' ? targetPort : port,
  }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: metadata.name, namespace: metadata.namespace, labels: { ...spec.selector } },
    spec: { containers: [{ name: 'app', image: '', ports }] },
  };
}

export function waypointParts({ metadata }: Gateway): { service: Service; pod: Pod } {
  const { name, namespace } = metadata;
  const own = { [LABEL.gatewayName]: name };
  const labels = { ...own, [LABEL.gatewayManaged]: 'istio.io-mesh-controller' };
  return {
    service: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels },
      spec: { selector: own, ports: [{ name: 'mesh', port: HBONE_PORT }] },
    },
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels: { ...labels, [LABEL.tunnel]: 'http' } },
      spec: { serviceAccountName: name, containers: [] },
    },
  };
}

/** With an address, ready unless it says otherwise, and captured when the node agent would capture it. */
export function runningPod(pod: Pod, namespaceLabels: Labels, captureAll: boolean): Pod {
  const { metadata, spec, status } = pod;
  const namespace = namespaceOf(pod);
  const { labels = {}, annotations = {} } = metadata;
  const hostNetwork = spec?.hostNetwork === true;
  const verdict = planCapture(
    { namespace, labels, annotations, hostNetwork },
    captureAll ? { [LABEL.dataplaneMode]: 'ambient', ...namespaceLabels } : namespaceLabels,
    { dns: true },
  );
  const own = annotations[ANNOTATION.redirection];
  const redirection = own ?? (verdict.captured ? 'enabled' : undefined);
  const isPlaced = status?.podIP !== undefined || status?.podIPs !== undefined;
  return {
    ...pod,
    metadata: {
      ...metadata,
      annotations: {
        ...annotations,
        ...(redirection && { [ANNOTATION.redirection]: redirection }),
      },
    },
    spec: { ...spec, containers: spec?.containers ?? [] },
    status: {
      phase: 'Running',
      ...(!isPlaced && { podIP: assumedAddress() }),
      ...status,
      conditions: status?.conditions ?? [{ type: 'Ready', status: 'True' }],
    },
  };
}
