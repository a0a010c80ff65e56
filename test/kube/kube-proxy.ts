/** kube-proxy's configuration, the same on nodes and for the control plane. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { podsCidrs } from './addresses.ts';
import type { HostOptions } from './options.ts';
import type { StatePaths } from './state.ts';

export type ProxyMode = 'nftables' | 'iptables';

/** Writes it into `folder` and returns its path. */
export function proxyConfig({
  paths,
  options,
  folder,
}: {
  paths: StatePaths;
  options: HostOptions;
  folder: string;
}): string {
  const path = join(folder, 'kube-proxy.json');
  const config = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: options.proxy,
    clientConnection: { kubeconfig: join(paths.root, 'kube-proxy.kubeconfig') },
    clusterCIDR: podsCidrs(options),
    // These limits are the machine's, not the namespace's: kube-proxy may not write them and would end.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    // Several in one namespace or none: nobody asks for them.
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
  };
  writeFileSync(path, JSON.stringify(config, null, 2));
  return path;
}
