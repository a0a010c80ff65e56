/**
 * Probes of the kubelet come in plaintext from the node itself; a captured pod that demands mutual TLS would refuse
 * them. As istio-cni does, the node gives what it sends to captured pods a source address that the rules in the
 * pod let pass. The answers come back to the node, which translates them again.
 */
import { isIP } from 'node:net';
import { PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6 } from './ports.ts';

export const PROBE_TABLE = 'istio-ambient-probes';
const TABLE = `inet ${PROBE_TABLE}`;

export type ProbeChange = 'add' | 'delete';

/**
 * Adds to or takes from the set of captured pods. The table is made when it is not there and its elements stay, so
 * that a node proxy that starts again does not interrupt probes.
 */
export function probeScript(addresses: readonly string[], change: ProbeChange): string {
  // Own processes only: what is forwarded has another source.
  const own = 'fib saddr type local';
  return [
    `add table ${TABLE}`,
    `add set ${TABLE} pods4 { type ipv4_addr; }`,
    `add set ${TABLE} pods6 { type ipv6_addr; }`,
    `add chain ${TABLE} postrouting { type nat hook postrouting priority srcnat; policy accept; }`,
    `flush chain ${TABLE} postrouting`,
    `add rule ${TABLE} postrouting meta l4proto tcp ip daddr @pods4 ${own} snat ip to ${PROBE_SOURCE_IPV4}`,
    `add rule ${TABLE} postrouting meta l4proto tcp ip6 daddr @pods6 ${own} snat ip6 to ${PROBE_SOURCE_IPV6}`,
    ...addresses.flatMap((address) => elementLines(address, change)),
  ].join('\n');
}

/** `add` before `delete`: deleting an element that is not there is an error. */
function elementLines(address: string, change: ProbeChange): string[] {
  const element = `element ${TABLE} ${isIP(address) === 6 ? 'pods6' : 'pods4'} { ${address} }`;
  return change === 'add' ? [`add ${element}`] : [`add ${element}`, `delete ${element}`];
}

/** From `ip -o addr show scope global`: `2: eth0    inet 198.18.1.2/24 brd …`. */
export function podAddresses(output: string): string[] {
  return [...output.matchAll(/\binet6?\s+([0-9a-fA-F.:]+)/g)]
    .map(([, address = '']) => address)
    .filter((address) => isIP(address) !== 0);
}
