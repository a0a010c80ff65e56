/** Texts of a node's configuration files. */
import { DNS_SERVICE } from './addresses.ts';
import { PAUSE_IMAGE } from './images.ts';

export interface CniMain {
  type: 'ptp' | 'bridge';
  /** One of each family. */
  subnets: readonly string[];
}

/** As the primary plugins of cloud providers leave it: a list, to which others append themselves. */
export function cniConfig({ type, subnets }: CniMain): string {
  const ranges = subnets.map((subnet) => [{ subnet }]);
  const routes = subnets.map((subnet) => ({ dst: subnet.includes(':') ? '::/0' : '0.0.0.0/0' }));
  const ipam = { type: 'host-local', ranges, routes };
  const main =
    type === 'ptp'
      ? { type, mtu: 1500, ipMasq: false, ipam }
      : { type, bridge: 'cni0', isGateway: true, hairpinMode: true, ipMasq: false, ipam };
  const plugins = [main, { type: 'portmap', capabilities: { portMappings: true } }];
  return `${JSON.stringify({ cniVersion: '0.4.0', name: 'tulle-test', plugins }, null, 2)}\n`;
}

/**
 * `restrict_oom_score_adj`: where the cluster may not lower scores below its own, runc would fail each pod with "can't get
 * final child's PID from pipe: EOF".
 */
export function containerdConfig(): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`;
}

export function kubeletConfig(files: {
  authority: string;
  certificate: string;
  key: string;
}): string {
  const config = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: files.authority },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: files.certificate,
    tlsPrivateKeyFile: files.key,
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: ['none'],
    // The machine is not the node's alone: what others use of its disk and memory must not evict pods.
    evictionHard: {
      'memory.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
    },
    // No image that was loaded may go: there is nowhere to pull it from again.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    oomScoreAdj: 0,
    // Nothing of the host's resolver: only names of the cluster.
    resolvConf: '',
    clusterDomain: 'cluster.local',
    clusterDNS: [DNS_SERVICE],
    // Often enough that a lost node shows in a test's time (control-plane.ts).
    nodeStatusUpdateFrequency: '4s',
    nodeStatusReportFrequency: '10s',
    maxPods: 110,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
