/**
 * The Deployment of a proxy that a Gateway asks for, waypoint or gateway: one image, one set of environment and mounts, and pods that the
 * `restricted` level of Pod Security admits. How many there are is left to whoever scales it (kubectl scale, an autoscaler),
 * unless the Gateway says it. Pure.
 */

import { memoryEnvironment } from '#base/memory-environment.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { ObjectMeta } from '#kube/client/kube-client.ts';
import { LABEL } from '../derive/mesh.ts';
import { revisioned } from '../derive/revision.ts';
import { MESH_IDENTITY } from './mesh-identity.ts';

export interface ProxyOptions {
  /** Image of the proxy; in the lab `tulle`, the program itself. */
  readonly image: string;
  readonly rootNamespace: string;
  readonly clusterId: string;
  readonly trustDomain: string;
  readonly domain: string;
  /** The control plane that the proxies connect to is that of the revision which made them. */
  readonly revision: string;
  /** Priority class of the pods; undefined: the cluster's default. */
  readonly priorityClass?: string;
}

export const METRICS_PORT = 15020;
export const READY_PORT = 15021;
const PODINFO_DIR = '/var/run/secrets/podinfo';
/** On the Gateway: how many pods; absent, the number is the Deployment's own. */
export const REPLICAS = 'tulle.dev/replicas';
const REPLICAS_MAX = 100;

/** The image's own user. */
const PROXY_USER = 65_532;

/**
 * Measured (docs/decisions/013, docs/benchmarks.md): 70 to 95 MiB with 32 to 1,024 busy streams; a core serves some 50,000 requests a second.
 * The limit is for 50,000 connections of a gateway. No limit of CPU: it would hold requests back while the node is idle.
 */
const RESOURCES_OF_A_PROXY = {
  requests: { cpu: '100m', memory: '128Mi' },
  limits: { memory: '1Gi' },
};

export interface ProxyDeployment {
  readonly metadata: ObjectMeta;
  readonly role: 'waypoint' | 'gateway';
  /** Name of the Gateway. */
  readonly gatewayName: string;
  readonly serviceAccount: string;
  readonly replicas: number | undefined;
  /** Beside those for metrics and readiness. */
  readonly ports: { name: string; containerPort: number; protocol: string }[];
}

/** Undefined when the Gateway does not say it, or says nonsense. */
export function replicasOf({ metadata }: Kinds.Gateway): number | undefined {
  const text = metadata.annotations?.[REPLICAS];
  const count = Number(text);
  const isCount = text !== undefined && /^\d+$/.test(text) && count <= REPLICAS_MAX;
  return isCount ? count : undefined;
}

export function deploymentOf(proxy: ProxyDeployment, options: ProxyOptions): Kinds.Deployment {
  const { metadata, gatewayName, replicas } = proxy;
  const { name, labels = {}, annotations = {} } = metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      ...(replicas !== undefined && { replicas }),
      selector: { matchLabels: { [LABEL.gatewayName]: gatewayName } },
      template: {
        metadata: {
          labels: {
            ...labels,
            [LABEL.dataplaneMode]: 'none',
            'service.istio.io/canonical-name': name,
            'service.istio.io/canonical-revision': 'latest',
          },
          annotations: {
            ...annotations,
            [LABEL.revision]: options.revision,
            'prometheus.io/scrape': 'true',
            'prometheus.io/port': String(METRICS_PORT),
          },
        },
        spec: podSpec(proxy, options),
      },
    },
  };
}

function podSpec(proxy: ProxyDeployment, options: ProxyOptions): Kinds.PodSpec {
  const control = `${revisioned('istiod', options.revision)}.${options.rootNamespace}.svc:15012`;
  const ofGateway = { matchLabels: { [LABEL.gatewayName]: proxy.gatewayName } };
  const hasLowPort = proxy.ports.some(({ containerPort }) => containerPort < 1024);
  const field = (name: string, fieldPath: string) => ({
    name,
    valueFrom: { fieldRef: { fieldPath } },
  });
  return {
    serviceAccountName: proxy.serviceAccount,
    // Its own token (istio-token below) is all that it needs: it never asks the API server.
    automountServiceAccountToken: false,
    // On SIGTERM it leaves the Service, goes on for DEREGISTER_MS and drains for DRAIN_DEADLINE_MS (src/waypoint/limits.ts).
    terminationGracePeriodSeconds: 30,
    ...(options.priorityClass !== undefined && { priorityClassName: options.priorityClass }),
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    // Zones by affinity: a second constraint would switch the first one off where nodes have no zone (PodTopologySpread scores
    // only nodes that have all of the keys).
    topologySpreadConstraints: [
      {
        topologyKey: 'kubernetes.io/hostname',
        maxSkew: 1,
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: ofGateway,
      },
    ],
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          {
            weight: 50,
            podAffinityTerm: {
              topologyKey: 'topology.kubernetes.io/zone',
              labelSelector: ofGateway,
            },
          },
        ],
      },
    },
    securityContext: {
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
      // Ports below 1024 without a capability: counts for the pod's network namespace alone, and `restricted` admits it.
      ...(hasLowPort && {
        sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
      }),
    },
    containers: [
      {
        name: 'istio-proxy',
        image: options.image,
        args: ['role', proxy.role],
        env: [
          field('POD_NAME', 'metadata.name'),
          field('POD_NAMESPACE', 'metadata.namespace'),
          field('INSTANCE_IP', 'status.podIP'),
          field('NODE_NAME', 'spec.nodeName'),
          field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
          ...MESH_IDENTITY.env,
          { name: 'GATEWAY_NAME', value: proxy.gatewayName },
          { name: 'POD_LABELS_FILE', value: `${PODINFO_DIR}/labels` },
          { name: 'XDS_ADDRESS', value: control },
          { name: 'CA_ADDRESS', value: control },
          { name: 'TRUST_DOMAIN', value: options.trustDomain },
          { name: 'CLUSTER_DOMAIN', value: options.domain },
          { name: 'ISTIO_META_CLUSTER_ID', value: options.clusterId },
          ...memoryEnvironment(proxy.role),
        ],
        ports: [
          ...proxy.ports,
          { name: 'metrics', containerPort: METRICS_PORT, protocol: 'TCP' },
          { name: 'status-port', containerPort: READY_PORT, protocol: 'TCP' },
        ],
        resources: RESOURCES_OF_A_PROXY,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: PROXY_USER,
          runAsGroup: PROXY_USER,
          privileged: false,
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        // No liveness probe, and so none for the start: a proxy that lost its control plane still serves, and one that ends is
        // started again anyway.
        readinessProbe: {
          httpGet: { path: '/healthz/ready', port: READY_PORT },
          periodSeconds: 1,
          timeoutSeconds: 1,
          failureThreshold: 4,
        },
        volumeMounts: [
          ...MESH_IDENTITY.mounts,
          { name: 'podinfo', mountPath: PODINFO_DIR, readOnly: true },
        ],
      },
    ],
    volumes: [
      ...MESH_IDENTITY.volumes,
      {
        // What failover by label compares the labels of endpoints to.
        name: 'podinfo',
        downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] },
      },
    ],
  };
}
