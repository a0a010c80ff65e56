/**
 * Who has which address in the lab, all from 198.18.0.0/15 (RFC 2544: benchmarks, so it collides with nobody's LAN).
 *
 *   198.18.255.1      fabric: API server, DNS, runner      198.18.N.0/24     pods of node N (.1 is the node's end)
 *   198.18.255.10+N   node N                               198.19.0.0/17     service addresses
 */
import { assert } from '#base/assert.ts';
import { NODES_MAX } from '../limits.ts';

export const FABRIC_ADDRESS = '198.18.255.1';
export const FABRIC_PREFIX_LENGTH = 24;
export const SERVICE_CIDR = '198.19.0.0/17';
export const API_SERVICE_ADDRESS = '198.19.0.1';
export const API_PORT = 6443;
export const KUBELET_PORT = 10250;
export const CLUSTER_DOMAIN = 'cluster.local';

export interface NodePlan {
  name: string;
  /** Its namespace is /run/netns/<name>. */
  namespace: string;
  address: string;
  podCidr: string;
  /** The node's end of every pod link. */
  gateway: string;
  /** 198.18.N. */
  podPrefix: string;
}

export function planNode(number: number): NodePlan {
  assert(number >= 1 && number <= NODES_MAX, `node number ${number}`);
  const name = `node${number}`;
  const podPrefix = `198.18.${number}.`;
  return {
    name,
    namespace: name,
    address: `198.18.255.${10 + number}`,
    podCidr: `${podPrefix}0/24`,
    gateway: `${podPrefix}1`,
    podPrefix,
  };
}

export function planNodes(count: number): NodePlan[] {
  return Array.from({ length: count }, (_, index) => planNode(index + 1));
}

/**
 * Pod addresses of one node, .2 to .254. An address that was given back waits its turn: a late packet or a cached
 * endpoint must not find another pod.
 */
export class PodAddresses {
  readonly #free: string[] = [];
  readonly #used = new Set<string>();

  constructor(node: NodePlan) {
    for (let host = 2; host <= 254; host++) this.#free.push(`${node.podPrefix}${host}`);
  }

  /** Undefined when the node is full. */
  take(): string | undefined {
    const address = this.#free.shift();
    if (address !== undefined) this.#used.add(address);
    return address;
  }

  give(address: string): void {
    if (this.#used.delete(address)) this.#free.push(address);
  }
}
