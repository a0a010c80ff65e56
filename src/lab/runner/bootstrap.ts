/** The objects that a cluster has before anything runs in it: nodes, system namespaces, the parts of the mesh. */
import { cpus, release, totalmem } from 'node:os';
import { type Clock, rfc3339 } from '#base/clock.ts';
import { isMeshError } from '#base/errors.ts';
import { memoryEnvironment } from '#base/memory-environment.ts';
import { MESH_IDENTITY } from '#control/controllers/mesh-identity.ts';
import type { Node, Pod } from '#kube/client/kinds.ts';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { SYSTEM_NAMESPACE } from '../kubelet/cni.ts';
import { NODE_PROXY_GRACE_SECONDS } from '../limits.ts';
import { FABRIC_ADDRESS, type NodePlan } from '../topology/addresses.ts';

/** 253 addresses less what a node needs for itself. */
const PODS_PER_NODE = '250';
const KUBELET_VERSION = 'v1.34.0';

/** True when it was made, false when it was there. */
export async function createOnce(
  client: KubeClient,
  ref: ResourceRef,
  object: KubeObject,
): Promise<boolean> {
  try {
    await client.create(ref, object);
    return true;
  } catch (error) {
    if (isMeshError(error, 'KUBE_ALREADY_EXISTS')) return false;
    throw error;
  }
}

export function nodeObject(node: NodePlan, clock: Clock): Node {
  const now = rfc3339(clock, 's');
  const resources = {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: PODS_PER_NODE,
  };
  const condition = (type: string, status: 'True' | 'False', reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastTransitionTime: now,
    lastHeartbeatTime: now,
  });
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: node.name,
      labels: {
        'kubernetes.io/hostname': node.name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
      },
    },
    spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
    status: {
      capacity: resources,
      allocatable: resources,
      addresses: [
        { type: 'InternalIP', address: node.address },
        { type: 'Hostname', address: node.name },
      ],
      conditions: [
        condition(
          'MemoryPressure',
          'False',
          'KubeletHasSufficientMemory',
          'kubelet has sufficient memory available',
        ),
        condition(
          'DiskPressure',
          'False',
          'KubeletHasNoDiskPressure',
          'kubelet has no disk pressure',
        ),
        condition(
          'PIDPressure',
          'False',
          'KubeletHasSufficientPID',
          'kubelet has sufficient PID available',
        ),
        condition('Ready', 'True', 'KubeletReady', 'the node is a network namespace of the lab'),
      ],
      nodeInfo: {
        kubeletVersion: KUBELET_VERSION,
        kubeProxyVersion: KUBELET_VERSION,
        containerRuntimeVersion: 'tulle://0.1.0',
        kernelVersion: release(),
        osImage: 'Linux (network namespace)',
        operatingSystem: 'linux',
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        machineID: '',
        systemUUID: '',
        bootID: '',
      },
    },
  };
}

export async function createNodes(
  client: KubeClient,
  nodes: readonly NodePlan[],
  clock: Clock,
): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      const object = nodeObject(node, clock);
      await createOnce(client, RESOURCES.nodes, object);
      const { status } = object;
      await client.patch(
        RESOURCES.nodes,
        object.metadata,
        { type: 'merge', body: { status } },
        { subresource: 'status' },
      );
    }),
  );
}

export async function createNamespaces(client: KubeClient): Promise<void> {
  const names = ['default', 'kube-system', 'kube-public', 'kube-node-lease', SYSTEM_NAMESPACE];
  await Promise.all(
    names.map((name) =>
      createOnce(client, RESOURCES.namespaces, {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
      }),
    ),
  );
}

const fieldEnv = (name: string, fieldPath: string) => ({
  name,
  valueFrom: { fieldRef: { fieldPath } },
});
const IDENTITY_ENV = [
  fieldEnv('POD_NAME', 'metadata.name'),
  fieldEnv('POD_NAMESPACE', 'metadata.namespace'),
  fieldEnv('POD_IP', 'status.podIP'),
  fieldEnv('NODE_NAME', 'spec.nodeName'),
  fieldEnv('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
];

/** Control plane: configuration, account, service, deployment. */
export function controlPlaneObjects(): { ref: ResourceRef; object: KubeObject }[] {
  const metadata = (name: string, labels?: Record<string, string>) => ({
    name,
    namespace: SYSTEM_NAMESPACE,
    labels,
  });
  const account = (name: string) => ({
    ref: RESOURCES.serviceAccounts,
    object: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata(name) },
  });
  const labels = { app: 'istiod', istio: 'pilot' };
  return [
    account('istiod'),
    account('ztunnel'),
    {
      ref: RESOURCES.configMaps,
      object: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: metadata('istio'),
        data: { mesh: 'trustDomain: cluster.local\nrootNamespace: istio-system\n' },
      } as KubeObject,
    },
    {
      ref: RESOURCES.services,
      object: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: metadata('istiod', labels),
        spec: {
          selector: labels,
          ports: [
            { name: 'https-dns', port: 15012, protocol: 'TCP', targetPort: 15012 },
            { name: 'https-webhook', port: 443, protocol: 'TCP', targetPort: 15017 },
            { name: 'http-monitoring', port: 15014, protocol: 'TCP', targetPort: 15014 },
            { name: 'http-console', port: 20001, protocol: 'TCP', targetPort: 20001 },
          ],
        },
      } as KubeObject,
    },
    {
      ref: RESOURCES.deployments,
      object: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: metadata('istiod', labels),
        spec: {
          replicas: 1,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels: { ...labels, 'istio.io/dataplane-mode': 'none' } },
            spec: {
              serviceAccountName: 'istiod',
              terminationGracePeriodSeconds: 5,
              containers: [
                {
                  name: 'discovery',
                  image: 'tulle',
                  args: [
                    'role',
                    'control',
                    // The relay from the owner's loopback comes from there; pods are asked for a token.
                    `--console-open-to=loopback,${FABRIC_ADDRESS}`,
                    '--console-guests=write',
                  ],
                  env: IDENTITY_ENV,
                  ports: [
                    { name: 'grpc-xds', containerPort: 15012 },
                    { name: 'http-monitoring', containerPort: 15014 },
                    { name: 'http-console', containerPort: 20001 },
                  ],
                  readinessProbe: { tcpSocket: { port: 15012 }, periodSeconds: 2 },
                },
              ],
            },
          },
        },
      } as KubeObject,
    },
  ];
}

export function nodeProxyName(node: NodePlan): string {
  return `tulle-node-${node.name}`;
}

export function isNodeProxy({ metadata }: Pod): boolean {
  return metadata.namespace === SYSTEM_NAMESPACE && metadata.labels?.app === 'ztunnel';
}

/** The node proxy, bound to its node like a DaemonSet's pod. */
export function nodeProxyPod(node: NodePlan, name = nodeProxyName(node)): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: SYSTEM_NAMESPACE,
      labels: { app: 'ztunnel', 'istio.io/dataplane-mode': 'none' },
    },
    spec: {
      nodeName: node.name,
      hostNetwork: true,
      serviceAccountName: 'ztunnel',
      terminationGracePeriodSeconds: NODE_PROXY_GRACE_SECONDS,
      containers: [
        {
          name: 'istio-proxy',
          image: 'tulle',
          args: ['role', 'node'],
          env: [
            ...IDENTITY_ENV,
            ...MESH_IDENTITY.env,
            fieldEnv('NODE_IP', 'status.hostIP'),
            { name: 'CA_ADDRESS', value: 'istiod.istio-system.svc:15012' },
            { name: 'XDS_ADDRESS', value: 'istiod.istio-system.svc:15012' },
            ...memoryEnvironment('node'),
            {
              name: 'TERMINATION_GRACE_PERIOD_SECONDS',
              value: String(NODE_PROXY_GRACE_SECONDS),
            },
          ],
          readinessProbe: { httpGet: { path: '/healthz/ready', port: 15021 }, periodSeconds: 2 },
          volumeMounts: [...MESH_IDENTITY.mounts],
        },
      ],
      volumes: [...MESH_IDENTITY.volumes],
    },
  };
}
