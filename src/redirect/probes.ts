/**
 * Probes of the kubelet come in plaintext from the node itself; a captured pod that demands mutual TLS would refuse
 * them. As istio-cni does, the node gives what it sends to captured pods a source address that the rules in the
 * pod let pass. The answers come back to the node, which translates them again.
 */
import { isIP } from 'node:net';
import { KUBELET_UID, PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6 } from './ports.ts';

export const PROBE_TABLE = 'istio-ambient-probes';
const TABLE = `inet ${PROBE_TABLE}`;

/** `replace`: these and no others. */
export type ProbeChange = 'add' | 'delete' | 'replace';

/**
 * Adds to, takes from or replaces the set of captured pods, in one transaction. The table is made when it is not
 * there and its elements outlive the node proxy: one that starts again does not interrupt probes.
 */
export function probeScript(addresses: readonly string[], change: ProbeChange): string {
  // Sockets of the node's own namespace only: what is forwarded has another source and no socket here.
  const own = `meta skuid ${KUBELET_UID} fib saddr type local`;
  return [
    `add table ${TABLE}`,
    `add set ${TABLE} pods4 { type ipv4_addr; }`,
    `add set ${TABLE} pods6 { type ipv6_addr; }`,
    `add chain ${TABLE} postrouting { type nat hook postrouting priority srcnat; policy accept; }`,
    `flush chain ${TABLE} postrouting`,
    `add rule ${TABLE} postrouting meta l4proto tcp ip daddr @pods4 ${own} snat ip to ${PROBE_SOURCE_IPV4}`,
    `add rule ${TABLE} postrouting meta l4proto tcp ip6 daddr @pods6 ${own} snat ip6 to ${PROBE_SOURCE_IPV6}`,
    ...(change === 'replace' ? ['pods4', 'pods6'].map((set) => `flush set ${TABLE} ${set}`) : []),
    ...addresses.flatMap((address) => elementLines(address, change)),
  ].join('\n');
}

/** `add` before `delete`: deleting an element that is not there is an error. */
function elementLines(address: string, change: ProbeChange): string[] {
  const element = `element ${TABLE} ${isIP(address) === 6 ? 'pods6' : 'pods4'} { ${address} }`;
  return change === 'delete' ? [`add ${element}`, `delete ${element}`] : [`add ${element}`];
}

/** Whether `nft list table` shows both rules and every address. */
export function exempts(listing: string, addresses: readonly string[]): boolean {
  const words = new Set(listing.split(/[\s,]+/));
  return [PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6, ...addresses].every((word) => words.has(word));
}

/** From `ip -o addr show scope global`: `2: eth0    inet 198.18.1.2/24 brd …`. */
export function podAddresses(output: string): string[] {
  return [...output.matchAll(/\binet6?\s+([0-9a-fA-F.:]+)/g)]
    .map(([, address = '']) => address)
    .filter((address) => isIP(address) !== 0);
}
