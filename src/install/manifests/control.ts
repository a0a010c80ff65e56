/** The control plane: Deployment, Service and disruption budget, and the settings of the mesh. */
import { memoryEnvironment } from '#base/memory-environment.ts';
import { type Manifest, type ManifestObject, revisionLabels } from './object.ts';
import type { Parameters } from './parameters.ts';
import {
  IDENTITY_ENV,
  imageOf,
  RESTRICTED_CONTAINER,
  RESTRICTED_POD,
  scrape,
} from './pod-parts.ts';

const MONITORING_PORT = 15_014;
/** What flowed and changed outlives the process, not the pod. The store bounds itself well below the limit, which would end the pod. */
const STORE = 'store';
const STORE_FOLDER = '/var/lib/tulle';
const STORE_LIMIT = '1Gi';

/** Istio's `app` and `istio`, by which its tools find it. */
function selectorOf(p: Parameters): Record<string, string> {
  return { app: 'istiod', 'istio.io/rev': p.revision };
}

export function controlManifests(p: Parameters): Manifest[] {
  return [meshConfig(p), service(p), disruptionBudget(p), deployment(p)].map((object) => ({
    object,
    scope: 'revision',
  }));
}

function metadataOf(p: Parameters, name: string) {
  return {
    name: `${name}${p.suffix}`,
    namespace: p.namespace,
    labels: { ...revisionLabels(p, 'control'), app: 'istiod', istio: 'pilot' },
  };
}

function meshConfig(p: Parameters): ManifestObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...metadataOf(p, 'istio'), labels: revisionLabels(p, 'control') },
    data: { mesh: p.mesh },
  };
}

function service(p: Parameters): ManifestObject {
  const port = (name: string, number: number, targetPort = number) => ({
    name,
    port: number,
    protocol: 'TCP',
    targetPort,
  });
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(p, 'istiod'),
    spec: {
      selector: selectorOf(p),
      ports: [
        port('https-dns', 15_012),
        port('https-webhook', 443, 15_017),
        port('http-monitoring', MONITORING_PORT),
      ],
    },
  };
}

/** Says how many may be away, not how many must be there: one replica does not keep its node from being drained. */
function disruptionBudget(p: Parameters): ManifestObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataOf(p, 'istiod'),
    spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(p) } },
  };
}

function deployment(p: Parameters): ManifestObject {
  const matchLabels = selectorOf(p);
  const spread = (topologyKey: string) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels },
  });
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadataOf(p, 'istiod'),
    spec: {
      replicas: p.control.replicas,
      selector: { matchLabels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: {
          labels: {
            ...revisionLabels(p, 'control'),
            app: 'istiod',
            istio: 'pilot',
            'istio.io/dataplane-mode': 'none',
            'sidecar.istio.io/inject': 'false',
          },
          annotations: scrape(MONITORING_PORT, '/metrics'),
        },
        spec: {
          serviceAccountName: `istiod${p.suffix}`,
          priorityClassName: 'system-cluster-critical',
          securityContext: RESTRICTED_POD,
          nodeSelector: p.control.nodeSelector,
          tolerations: p.control.tolerations,
          affinity: p.control.affinity,
          // The zone is not one more of these: that would switch this one off where nodes have no zone (src/control/controllers/proxy-pod.ts).
          topologySpreadConstraints: [spread('kubernetes.io/hostname')],
          containers: [container(p)],
          volumes: [{ name: STORE, emptyDir: { sizeLimit: STORE_LIMIT } }],
        },
      },
    },
  };
}

function container(p: Parameters) {
  const { image, ...pull } = imageOf(p);
  return {
    name: 'discovery',
    image,
    ...pull,
    args: [
      'role',
      'control',
      `--proxy-image=${image}`,
      `--root-namespace=${p.namespace}`,
      `--trust-domain=${p.trustDomain}`,
      `--cluster-id=${p.clusterId}`,
      `--revision=${p.revision}`,
      `--unenforced-policy=${p.control.unenforcedPolicy}`,
      `--unready-waypoint=${p.control.unreadyWaypoint}`,
      // Reached through the API server's port forwarding alone: who comes from loopback may do that, and reads without a token of their own.
      '--console-listen=127.0.0.1:20001',
      `--console-store=${STORE_FOLDER}/console`,
      `--console-open-to=${p.control.consoleOpenTo}`,
      `--console-read-only=${p.control.consoleReadOnly}`,
      `--prometheus-url=${p.control.prometheusUrl}`,
      `--prometheus-match=${p.control.prometheusMatch}`,
      `--log-level=${p.control.logLevel}`,
    ],
    env: [...IDENTITY_ENV, ...memoryEnvironment('control')],
    ports: [
      { name: 'grpc-xds', containerPort: 15_012, protocol: 'TCP' },
      { name: 'https-webhook', containerPort: 15_017, protocol: 'TCP' },
      { name: 'http-monitoring', containerPort: MONITORING_PORT, protocol: 'TCP' },
    ],
    volumeMounts: [{ name: STORE, mountPath: STORE_FOLDER }],
    resources: p.control.resources,
    readinessProbe: {
      httpGet: { path: '/ready', port: MONITORING_PORT },
      periodSeconds: 2,
      timeoutSeconds: 5,
    },
    // Answers while the API server is away, too: a restart would not bring that back.
    livenessProbe: {
      httpGet: { path: '/version', port: MONITORING_PORT },
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    securityContext: RESTRICTED_CONTAINER,
  };
}
