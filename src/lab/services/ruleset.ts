/**
 * Service addresses as one nftables table per node: a verdict map from (address, port) to the service's chain,
 * each chain a random pick among its ready endpoints. Replaced whole in one transaction, so a packet sees the old
 * or the new set and never a half. Connections that exist keep their endpoint (conntrack).
 */
import type { EndpointSlice, Service } from '#kube/client/kinds.ts';
import { SERVICE_CIDR } from '../topology/addresses.ts';

export const SERVICE_TABLE = 'tulle-services';

export interface VirtualPort {
  address: string;
  port: number;
  protocol: 'tcp' | 'udp';
  endpoints: readonly { address: string; port: number }[];
}

/** All (address, port) pairs with the endpoints that take new connections, in a stable order. */
export function virtualPorts(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
): VirtualPort[] {
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const key = `${slice.metadata.namespace}/${slice.metadata.labels?.['kubernetes.io/service-name'] ?? ''}`;
    byService.set(key, [...(byService.get(key) ?? []), slice]);
  }
  const found: VirtualPort[] = [];
  for (const service of services) {
    const address = service.spec.clusterIP;
    if (address === undefined || address === '' || address === 'None' || address.includes(':'))
      continue;
    const own = byService.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? [];
    for (const port of service.spec.ports ?? []) {
      const protocol = (port.protocol ?? 'TCP').toLowerCase();
      if (protocol !== 'tcp' && protocol !== 'udp') continue;
      const endpoints = endpointsOf(own, { name: port.name ?? '', protocol });
      found.push({ address, port: port.port, protocol, endpoints });
    }
  }
  const key = (entry: VirtualPort) => `${entry.protocol} ${entry.address} ${entry.port}`;
  return found.sort((left, right) => (key(left) < key(right) ? -1 : 1));
}

function endpointsOf(slices: readonly EndpointSlice[], want: { name: string; protocol: string }) {
  const usable = new Map<string, { address: string; port: number }>();
  const serving = new Map<string, { address: string; port: number }>();
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue;
    const ports = (slice.ports ?? []).filter(
      (port) =>
        (port.name ?? '') === want.name && (port.protocol ?? 'TCP').toLowerCase() === want.protocol,
    );
    for (const { port } of ports) {
      for (const endpoint of slice.endpoints ?? []) {
        const conditions = endpoint.conditions ?? {};
        for (const address of endpoint.addresses) {
          const entry = { address, port };
          if (conditions.ready !== false) usable.set(`${address}:${port}`, entry);
          else if (conditions.serving === true && conditions.terminating === true)
            serving.set(`${address}:${port}`, entry);
        }
      }
    }
  }
  // As kube-proxy does: when only terminating endpoints are left, those that still serve are used.
  const chosen = usable.size > 0 ? usable : serving;
  return [...chosen.keys()].sort().map((key) => chosen.get(key)!);
}

/** Input for `nft -f -`. Deterministic: equal services give equal text, which the caller compares. */
export function renderRuleset(ports: readonly VirtualPort[]): string {
  const chains: string[] = [];
  const elements = { tcp: [] as string[], udp: [] as string[] };
  const hairpin = new Set<string>();
  for (const entry of ports) {
    if (entry.endpoints.length === 0) continue;
    const chain = `${entry.protocol}-${entry.address}-${entry.port}`;
    chains.push(`  chain ${chain} {\n    ${pickRule(entry)}\n  }`);
    elements[entry.protocol].push(`${entry.address} . ${entry.port} : goto ${chain}`);
    for (const { address } of entry.endpoints) hairpin.add(`${address} . ${address}`);
  }
  const block = (items: readonly string[]) =>
    items.length === 0 ? '' : `\n    elements = { ${items.join(', ')} }`;
  const table = `table ip ${SERVICE_TABLE}`;
  return `${table}
delete ${table}
${table} {
${chains.join('\n')}
  map tcp-services {
    type ipv4_addr . inet_service : verdict${block(elements.tcp)}
  }
  map udp-services {
    type ipv4_addr . inet_service : verdict${block(elements.udp)}
  }
  set hairpin {
    type ipv4_addr . ipv4_addr${block([...hairpin].sort())}
  }
  chain services {
    ip daddr . tcp dport vmap @tcp-services
    ip daddr . udp dport vmap @udp-services
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr ${SERVICE_CIDR} jump services
  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip daddr ${SERVICE_CIDR} jump services
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr . ip daddr @hairpin masquerade
  }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmp type port-unreachable
  }
  chain refuse-forward {
    type filter hook forward priority filter; policy accept;
    ip daddr ${SERVICE_CIDR} jump refuse
  }
  chain refuse-output {
    type filter hook output priority filter; policy accept;
    ip daddr ${SERVICE_CIDR} jump refuse
  }
}
`;
}

function pickRule({ protocol, endpoints }: VirtualPort): string {
  if (endpoints.length === 1)
    return `meta l4proto ${protocol} dnat to ${endpoints[0].address}:${endpoints[0].port}`;
  const map = endpoints.map(({ address, port }, index) => `${index} : ${address} . ${port}`);
  return `meta l4proto ${protocol} dnat ip to numgen random mod ${endpoints.length} map { ${map.join(', ')} }`;
}
