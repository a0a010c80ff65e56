/**
 * Every address of a test cluster. All lie in 198.18.0.0/15 (RFC 2544), and only inside namespaces, so clusters side by
 * side have the same ones.
 */
import { assert } from '#base/assert.ts';

/** The control plane's end of the bridge: API server, DNS server, the way to the other nodes. */
export const CONTROL_PLANE = '198.18.255.1';
export const NODES_CIDR = '198.18.255.0/24';
export const PODS_CIDR = '198.18.0.0/17';
export const SERVICES_CIDR = '198.19.0.0/17';
export const API_SERVICE = '198.19.0.1';
export const DNS_SERVICE = '198.19.0.10';
/** Services and what load balancers get: no device has one of these, kube-proxy rewrites them all. */
export const VIRTUAL_CIDR = '198.19.0.0/16';
const BALANCERS_PREFIX = '198.19.128.';
export const BALANCERS_MAX = 254;

/** Nodes are counted from 1: n1, n2. */
export const nodeName = (index: number): string => `n${index}`;
export const nodeAddress = (index: number): string => `198.18.255.${10 + index}`;
export const podsCidr = (index: number): string => `198.18.${index}.0/24`;

/** `index` counts from 0. */
export function balancerAddress(index: number): string {
  assert(index >= 0 && index < BALANCERS_MAX, `no load balancer address number ${index}`);
  return `${BALANCERS_PREFIX}${index + 1}`;
}
