/** What one may ask of a test cluster. */
import type { ProxyMode } from './kube-proxy.ts';

export const FAMILIES = ['ipv4', 'dual', 'dual-ipv6-first'] as const;
export type Families = (typeof FAMILIES)[number];

export interface ClusterOptions {
  /** Carried by its folder, namespace and cgroups; one cluster for each name. */
  name: string;
  /** 0: API server and controllers alone, up in a few seconds. */
  nodes: 0 | 1 | 2;
  /** How kube-proxy makes Services. Default nftables. */
  proxy?: ProxyMode;
  /** Primary CNI plugin. Default ptp. */
  cni?: 'ptp' | 'bridge';
  /**
   * Dual: nodes, pods and Services that ask for it have an IPv6 address too; IPv6 first: it is the one that nodes and pods are
   * known by, and probed at. Default ipv4.
   */
  families?: Families;
}

export type HostOptions = Required<ClusterOptions>;

export const withDefaults = (options: ClusterOptions): HostOptions => ({
  proxy: 'nftables',
  cni: 'ptp',
  families: 'ipv4',
  ...options,
});
