/** What a distribution of Kubernetes wants different from the defaults, known by its nodes. Pure. */
import type { Node } from '#kube/client/kinds.ts';
import type { Tree } from '../values/values.ts';

export interface Platform {
  readonly name: string;
  readonly values: Tree;
}

interface PlatformRow extends Platform {
  matches(node: Node): boolean;
}

const label = (name: string) => (node: Node) => node.metadata.labels?.[name] !== undefined;
const version = (part: string) => (node: Node) =>
  node.status?.nodeInfo?.kubeletVersion?.includes(part) === true;
const image = (part: string) => (node: Node) =>
  node.status?.nodeInfo?.osImage?.includes(part) === true;

/** Folders as in Istio’s platform profiles (manifests/helm-profiles/platform-*.yaml) and the distributions' documentation. */
const PLATFORMS: readonly PlatformRow[] = [
  {
    name: 'GKE',
    matches: label('cloud.google.com/gke-nodepool'),
    values: { cni: { binDir: '/home/kubernetes/bin' }, resourceQuota: true },
  },
  {
    name: 'OpenShift',
    matches: image('CoreOS'),
    values: { cni: { binDir: '/var/lib/cni/bin', confDir: '/etc/cni/multus/net.d' } },
  },
  {
    name: 'k3s',
    matches: version('+k3s'),
    values: {
      cni: {
        binDir: '/var/lib/rancher/k3s/data/current/bin',
        confDir: '/var/lib/rancher/k3s/agent/etc/cni/net.d',
      },
    },
  },
  {
    name: 'MicroK8s',
    matches: label('microk8s.io/cluster'),
    values: {
      cni: {
        binDir: '/var/snap/microk8s/current/opt/cni/bin',
        confDir: '/var/snap/microk8s/current/args/cni-network',
      },
    },
  },
];

/** Undefined where the defaults fit. */
export function platformOf(nodes: readonly Node[]): Platform | undefined {
  const found = PLATFORMS.find(({ matches }) => nodes.some(matches));
  return found && { name: found.name, values: found.values };
}
