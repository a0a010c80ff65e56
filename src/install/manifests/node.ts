/** The node proxies, which are the CNI agent as well: one DaemonSet, shared by all revisions. */

import { memoryEnvironment } from '#base/memory-environment.ts';
import { MESH_IDENTITY } from '#control/controllers/mesh-identity.ts';
import { NODE_SETTINGS } from '#net/netns/listeners.ts';
import { ADMIN_PORT, METRICS_PORT, READINESS_PORT } from '#node/limits.ts';
import { type Manifest, type ManifestObject, revisionLabels } from './object.ts';
import type { Parameters } from './parameters.ts';
import { field, IDENTITY_ENV, imageOf, scrape } from './pod-parts.ts';

/** In the image. */
const PROGRAM = '/usr/local/bin/tulle';
/** The same on the node and in the container: the plugin is told it. */
export const CNI_SOCKET_DIR = '/var/run/tulle';
/** Where the container has what the node has in the folders of the values. */
export const CNI_BIN_DIR = '/opt/cni/bin';
export const CNI_CONF_DIR = '/etc/cni/net.d';

export function nodeManifests(p: Parameters): Manifest[] {
  return [{ object: daemonSet(p), scope: 'shared', when: 'node.enabled' }];
}

function daemonSet(p: Parameters): ManifestObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: {
      name: 'ztunnel',
      namespace: p.namespace,
      labels: { ...revisionLabels(p, 'node'), app: 'ztunnel' },
    },
    spec: {
      selector: { matchLabels: { app: 'ztunnel' } },
      // The new proxy of a node is there before the old one goes, and takes over its listeners (docs/decisions/015).
      updateStrategy: {
        type: 'RollingUpdate',
        rollingUpdate: { maxSurge: p.node.maxSurge, maxUnavailable: 0 },
      },
      template: {
        metadata: {
          labels: {
            ...revisionLabels(p, 'node'),
            app: 'ztunnel',
            'istio.io/dataplane-mode': 'none',
            'sidecar.istio.io/inject': 'false',
          },
          annotations: scrape(METRICS_PORT, '/metrics'),
        },
        spec: podSpec(p),
      },
    },
  };
}

function podSpec(p: Parameters) {
  return {
    serviceAccountName: 'ztunnel',
    priorityClassName: 'system-node-critical',
    hostNetwork: true,
    // Network namespaces of pods are found through their processes.
    hostPID: true,
    dnsPolicy: 'ClusterFirstWithHostNet',
    terminationGracePeriodSeconds: p.node.terminationGracePeriodSeconds,
    nodeSelector: p.node.nodeSelector,
    tolerations: p.node.tolerations,
    securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    containers: [container(p)],
    volumes: [
      ...MESH_IDENTITY.volumes,
      hostPath('netns', '/run/netns'),
      hostPath('cni-socket', CNI_SOCKET_DIR),
      hostPath('cni-bin', p.cni.binDir),
      hostPath('cni-conf', p.cni.confDir),
      { name: 'net-settings', hostPath: { path: '/proc/sys/net', type: 'Directory' } },
    ],
  };
}

function hostPath(name: string, path: string) {
  return { name, hostPath: { path, type: 'DirectoryOrCreate' } };
}

function container(p: Parameters) {
  const control = `istiod${p.suffix}.${p.namespace}.svc:15012`;
  return {
    name: 'istio-proxy',
    ...imageOf(p),
    args: ['role', 'node', '--cni=install', `--cni-socket=${CNI_SOCKET_DIR}/cni.sock`],
    env: [
      ...IDENTITY_ENV,
      ...MESH_IDENTITY.env,
      field('NODE_IP', 'status.hostIP'),
      { name: 'XDS_ADDRESS', value: control },
      { name: 'CA_ADDRESS', value: control },
      { name: 'TRUST_DOMAIN', value: p.trustDomain },
      { name: 'ISTIO_META_CLUSTER_ID', value: p.clusterId },
      { name: 'ISTIO_META_DNS_CAPTURE', value: `${p.node.dnsCapture}` },
      { name: 'RUST_LOG', value: p.node.logLevel },
      { name: 'LOG_FORMAT', value: p.node.logFormat },
      {
        name: 'TERMINATION_GRACE_PERIOD_SECONDS',
        value: `${p.node.terminationGracePeriodSeconds}`,
      },
      ...memoryEnvironment('node'),
    ],
    // No ports: on the host's network they would keep the successor off the node.
    resources: p.node.resources,
    // The node's status ports are its generations' in turn: before they are this pod's, the one before would answer for it. Not by
    // minReadySeconds, which a pod that was taken for ready passes twice: the DaemonSet controller then forgets to look again.
    startupProbe: {
      exec: { command: [PROGRAM, 'role', 'node-started'] },
      periodSeconds: 1,
      timeoutSeconds: 5,
      failureThreshold: 60,
    },
    readinessProbe: {
      httpGet: { path: '/healthz/ready', port: READINESS_PORT },
      periodSeconds: 2,
      timeoutSeconds: 3,
    },
    livenessProbe: {
      // Admin listens on the node's loopback only, and there the kubelet is as well.
      httpGet: { host: '127.0.0.1', path: '/healthz', port: ADMIN_PORT },
      initialDelaySeconds: 10,
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    securityContext: {
      // To enter network namespaces of pods and write the folders of CNI, which are root's.
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      // The runtimes' default profile of AppArmor keeps a container from looking at processes of others.
      appArmorProfile: { type: 'Unconfined' },
      capabilities: { drop: ['ALL'], add: [...NODE_CAPABILITIES.keys()] },
    },
    volumeMounts: [
      ...MESH_IDENTITY.mounts,
      // Namespaces that are made later must show through.
      { name: 'netns', mountPath: '/run/netns', mountPropagation: 'HostToContainer' },
      { name: 'cni-socket', mountPath: CNI_SOCKET_DIR },
      { name: 'cni-bin', mountPath: CNI_BIN_DIR },
      { name: 'cni-conf', mountPath: CNI_CONF_DIR },
      // net.ipv4.tcp_migrate_req of captured pods: nothing that waits is lost when a proxy follows another.
      { name: 'net-settings', mountPath: NODE_SETTINGS },
    ],
  };
}

/** What the node proxy may do that an ordinary process may not, and why. */
export const NODE_CAPABILITIES: ReadonlyMap<string, string> = new Map([
  ['NET_ADMIN', 'rules, routes and transparent sockets in the network namespaces of captured pods'],
  ['SYS_ADMIN', 'setns(2) into them'],
  ['SYS_PTRACE', 'to find them: /proc/PID/ns/net of other users’ processes'],
]);
