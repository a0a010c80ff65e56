/**
 * Every address of a test cluster. All lie in 198.18.0.0/15 (RFC 2544) or in one /48 that is nobody's (RFC 4193), and only inside
 * namespaces, so clusters side by side have the same ones.
 */
import { assert } from '#base/assert.ts';
import type { HostOptions } from './options.ts';

/** The control plane's end of the bridge: API server, DNS server, the way to the other nodes. */
export const CONTROL_PLANE = '198.18.255.1';
export const NODES_CIDR = '198.18.255.0/24';
const PODS_CIDR = '198.18.0.0/17';
const SERVICES_CIDR = '198.19.0.0/17';
export const API_SERVICE = '198.19.0.1';
export const DNS_SERVICE = '198.19.0.10';
/** Services and what load balancers get: no device has one of these, kube-proxy rewrites them all. */
export const VIRTUAL_CIDR = '198.19.0.0/16';
/** Of a cluster with both families, beside those above. */
export const CONTROL_PLANE_6 = 'fd00:198:18:100::1';
export const NODES_CIDR_6 = 'fd00:198:18:100::/64';
const PODS_CIDR_6 = 'fd00:198:18::/56';
export const SERVICES_CIDR_6 = 'fd00:198:19::/112';
const BALANCERS_PREFIX = '198.19.128.';
export const BALANCERS_MAX = 254;

/** Nodes are counted from 1: n1, n2. */
export const nodeName = (index: number): string => `n${index}`;
export const nodeAddress = (index: number): string => `198.18.255.${10 + index}`;
export const podsCidr = (index: number): string => `198.18.${index}.0/24`;
export const nodeAddress6 = (index: number): string => `fd00:198:18:100::${10 + index}`;
export const podsCidr6 = (index: number): string => `fd00:198:18:${index}::/64`;

/** Those of each family that the cluster has, as Kubernetes' flags take them, IPv4 first. */
export const both = (
  { families }: Pick<HostOptions, 'families'>,
  ipv4: string,
  ipv6: string,
): string[] => (families === 'ipv4' ? [ipv4] : [ipv4, ipv6]);
export const podsCidrs = (options: Pick<HostOptions, 'families'>): string =>
  both(options, PODS_CIDR, PODS_CIDR_6).join(',');
export const servicesCidrs = (options: Pick<HostOptions, 'families'>): string =>
  both(options, SERVICES_CIDR, SERVICES_CIDR_6).join(',');

/** `index` counts from 0. */
export function balancerAddress(index: number): string {
  assert(index >= 0 && index < BALANCERS_MAX, `no load balancer address number ${index}`);
  return `${BALANCERS_PREFIX}${index + 1}`;
}
