/** Names of Services: CoreDNS beside the control plane, and the objects that lead the pods to it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { CONTROL_PLANE, DNS_SERVICE } from './addresses.ts';
import type { StatePaths } from './state.ts';

/** How long pods and the server may keep an answer; short, so that a test sees a new Service at once. */
const TTL_S = 2;
const MANAGER = 'tulle-test-cluster';

/** Names outside of the cluster do not exist: nothing here may ask the world. */
function corefile(paths: StatePaths): string {
  return `cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
  bind ${CONTROL_PLANE}
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${join(paths.root, 'coredns.kubeconfig')}
    ttl ${TTL_S}
  }
  cache ${TTL_S}
}
.:53 {
  bind ${CONTROL_PLANE}
  errors
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;
}

export function dnsServer(paths: StatePaths): string[] {
  const file = join(paths.root, 'Corefile');
  writeFileSync(file, corefile(paths));
  return ['coredns', '-conf', file];
}

const ROLE = 'rbac.authorization.k8s.io';
const ref = (group: string, version: string, kind: string, namespaced: boolean): ResourceRef => ({
  group,
  version,
  kind,
  resource: `${kind.toLowerCase()}s`,
  namespaced,
});
const ports = [
  { name: 'dns', port: 53, protocol: 'UDP' },
  { name: 'dns-tcp', port: 53, protocol: 'TCP' },
];
const inSystem = { name: 'kube-dns', namespace: 'kube-system' };

const OBJECTS: readonly [ResourceRef, KubeObject & Record<string, unknown>][] = [
  [
    ref(ROLE, 'v1', 'ClusterRole', false),
    {
      apiVersion: `${ROLE}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'system:coredns' },
      rules: [
        {
          apiGroups: [''],
          resources: ['services', 'pods', 'namespaces', 'endpoints'],
          verbs: ['list', 'watch'],
        },
        {
          apiGroups: ['discovery.k8s.io'],
          resources: ['endpointslices'],
          verbs: ['list', 'watch'],
        },
      ],
    },
  ],
  [
    ref(ROLE, 'v1', 'ClusterRoleBinding', false),
    {
      apiVersion: `${ROLE}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'system:coredns' },
      roleRef: { apiGroup: ROLE, kind: 'ClusterRole', name: 'system:coredns' },
      subjects: [{ apiGroup: ROLE, kind: 'User', name: 'system:coredns' }],
    },
  ],
  [
    ref('', 'v1', 'Service', true),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { ...inSystem, labels: { 'k8s-app': 'kube-dns' } },
      spec: { clusterIP: DNS_SERVICE, ports },
    },
  ],
  [
    ref('discovery.k8s.io', 'v1', 'EndpointSlice', true),
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...inSystem, labels: { 'kubernetes.io/service-name': 'kube-dns' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [CONTROL_PLANE], conditions: { ready: true } }],
      ports,
    },
  ],
];

export async function applyDnsObjects(client: KubeClient): Promise<void> {
  for (const [resource, object] of OBJECTS) {
    const { name, namespace } = object.metadata;
    const patch = { type: 'apply', body: object } as const;
    await client.patch(resource, { name, ...(namespace !== undefined && { namespace }) }, patch, {
      fieldManager: MANAGER,
      force: true,
    });
  }
}
