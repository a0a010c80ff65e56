/** What a waypoint Gateway is made into: ServiceAccount, Service and Deployment, all named as the Gateway. Pure. */
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject, OwnerReference } from '#kube/client/kube-client.ts';
import { LABEL, namespaceOf } from '../derive/mesh.ts';
import { HBONE_PORT } from '../derive/waypoint.ts';

export interface WaypointOptions {
  /** Image of the proxy; in the lab `tulle`, the program itself. */
  readonly image: string;
  readonly rootNamespace: string;
  readonly clusterId: string;
  readonly trustDomain: string;
  readonly domain: string;
}

const METRICS_PORT = 15020;
const READY_PORT = 15021;
const TOKEN_SECONDS = 43_200;
const TOKEN_DIR = '/var/run/secrets/tokens';
const ROOT_DIR = '/var/run/secrets/istio';

export interface WaypointObjects {
  readonly serviceAccount: KubeObject;
  readonly service: Kinds.Service;
  readonly deployment: Kinds.Deployment;
}

export function waypointObjects(gateway: Kinds.Gateway, options: WaypointOptions): WaypointObjects {
  const { name } = gateway.metadata;
  const owner: OwnerReference = {
    apiVersion: gateway.apiVersion,
    kind: gateway.kind,
    name,
    uid: gateway.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
  const metadata = {
    name,
    namespace: namespaceOf(gateway),
    labels: {
      [LABEL.gatewayName]: name,
      [LABEL.gatewayClassName]: gateway.spec.gatewayClassName,
      [LABEL.gatewayManaged]: 'istio.io-mesh-controller',
    },
    ownerReferences: [owner],
  };
  return {
    serviceAccount: { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    service: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        type: 'ClusterIP',
        selector: { [LABEL.gatewayName]: name },
        ports: [
          {
            name: 'status-port',
            port: READY_PORT,
            targetPort: READY_PORT,
            protocol: 'TCP',
            appProtocol: 'tcp',
          },
          {
            name: 'mesh',
            port: HBONE_PORT,
            targetPort: HBONE_PORT,
            protocol: 'TCP',
            appProtocol: 'hbone',
          },
        ],
      },
    },
    deployment: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: { [LABEL.gatewayName]: name } },
        template: {
          metadata: {
            labels: {
              ...metadata.labels,
              [LABEL.dataplaneMode]: 'none',
              'service.istio.io/canonical-name': name,
              'service.istio.io/canonical-revision': 'latest',
            },
            annotations: {
              'prometheus.io/scrape': 'true',
              'prometheus.io/port': String(METRICS_PORT),
            },
          },
          spec: podSpec(name, options),
        },
      },
    },
  };
}

function podSpec(name: string, options: WaypointOptions): Kinds.PodSpec {
  const control = `istiod.${options.rootNamespace}.svc:15012`;
  const field = (name: string, fieldPath: string) => ({
    name,
    valueFrom: { fieldRef: { fieldPath } },
  });
  return {
    serviceAccountName: name,
    terminationGracePeriodSeconds: 30,
    containers: [
      {
        name: 'istio-proxy',
        image: options.image,
        args: ['role', 'waypoint'],
        env: [
          field('POD_NAME', 'metadata.name'),
          field('POD_NAMESPACE', 'metadata.namespace'),
          field('INSTANCE_IP', 'status.podIP'),
          field('NODE_NAME', 'spec.nodeName'),
          field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
          { name: 'GATEWAY_NAME', value: name },
          { name: 'XDS_ADDRESS', value: control },
          { name: 'CA_ADDRESS', value: control },
          { name: 'TRUST_DOMAIN', value: options.trustDomain },
          { name: 'CLUSTER_DOMAIN', value: options.domain },
          { name: 'ISTIO_META_CLUSTER_ID', value: options.clusterId },
        ],
        ports: [
          { name: 'mesh', containerPort: HBONE_PORT, protocol: 'TCP' },
          { name: 'metrics', containerPort: METRICS_PORT, protocol: 'TCP' },
          { name: 'status-port', containerPort: READY_PORT, protocol: 'TCP' },
        ],
        readinessProbe: {
          httpGet: { path: '/healthz/ready', port: READY_PORT },
          periodSeconds: 1,
          timeoutSeconds: 1,
          failureThreshold: 4,
        },
        volumeMounts: [
          { name: 'istio-token', mountPath: TOKEN_DIR, readOnly: true },
          { name: 'istiod-ca-cert', mountPath: ROOT_DIR, readOnly: true },
        ],
      },
    ],
    volumes: [
      {
        name: 'istio-token',
        projected: {
          sources: [
            {
              serviceAccountToken: {
                path: 'istio-token',
                audience: 'istio-ca',
                expirationSeconds: TOKEN_SECONDS,
              },
            },
          ],
        },
      },
      { name: 'istiod-ca-cert', configMap: { name: 'istio-ca-root-cert' } },
    ],
  };
}

/** Its status as the Gateway's conditions and address; the address appears when a proxy can serve, and stays. */
export function waypointStatus(
  gateway: Kinds.Gateway,
  deployment: Kinds.Deployment | undefined,
  options: { domain: string; now: string },
): NonNullable<Kinds.Gateway['status']> {
  const { name } = gateway.metadata;
  const ready = (deployment?.status?.readyReplicas ?? 0) > 0;
  const known = gateway.status?.addresses?.some(({ type }) => type === 'Hostname') === true;
  const hostname = `${name}.${namespaceOf(gateway)}.svc.${options.domain}`;
  const before = gateway.status?.conditions ?? [];
  const observedGeneration = gateway.metadata.generation;
  const condition = (
    type: string,
    status: 'True' | 'False',
    text: { reason: string; message: string },
  ) => {
    const previous = before.find((each) => each.type === type && each.status === status);
    const lastTransitionTime = previous?.lastTransitionTime ?? options.now;
    return { type, status, ...text, lastTransitionTime, observedGeneration };
  };
  const accepted = { reason: 'Accepted', message: 'Resource accepted' };
  const programmed = ready
    ? {
        reason: 'Programmed',
        message: `Resource programmed, assigned to service ${hostname}:${HBONE_PORT}`,
      }
    : { reason: 'Pending', message: `Deployment ${name} has no ready pod yet` };
  const listeners = (gateway.spec.listeners ?? []).map((listener) => ({
    name: listener.name,
    attachedRoutes: 0,
    supportedKinds: [],
    conditions: [
      listener.protocol === 'HBONE'
        ? condition('Accepted', 'True', { reason: 'Accepted', message: 'No errors found' })
        : condition('Accepted', 'False', {
            reason: 'UnsupportedProtocol',
            message: `a waypoint listens for HBONE, not ${listener.protocol}`,
          }),
    ],
  }));
  return {
    // Traffic must not go around the waypoint's policies while its pod restarts: once given, the address stays.
    addresses: ready || known ? [{ type: 'Hostname', value: hostname }] : [],
    conditions: [
      condition('Accepted', 'True', accepted),
      condition('Programmed', ready ? 'True' : 'False', programmed),
    ],
    listeners,
  };
}
