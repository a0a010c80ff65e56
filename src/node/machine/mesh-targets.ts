/**
 * What of a machine's traffic is for the mesh: the addresses that its services have, and those of workloads that are reached
 * otherwise than by a plain connection. All the rest never meets the proxy. Pure.
 */
import { type Cidr, parseCidr } from '#base/cidr.ts';
import { canonicalIp } from '#base/ip.ts';
import { isVisibleTo } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';

export interface MeshTargets {
  readonly addresses: ReadonlySet<string>;
  /** Of services that have whole ranges. */
  readonly ranges: readonly Cidr[];
}

export interface TargetOptions {
  readonly own: Workload;
  /** Left alone: what this process itself must reach to repair anything (API server, control plane). */
  readonly excluded: ReadonlySet<string>;
}

export function meshTargets(snapshot: MeshSnapshot, { own, excluded }: TargetOptions): MeshTargets {
  const addresses = new Set<string>();
  const ranges: Cidr[] = [];
  for (const service of snapshot.services.values()) {
    if (!isVisibleTo(service, own.namespace)) continue;
    for (const { network, address, length } of service.addresses) {
      if (network !== own.network) continue;
      const range = length === undefined ? undefined : parseCidr(`${address}/${length}`);
      if (range !== undefined && range.length < range.network.length * 8) ranges.push(range);
      else addresses.add(canonicalIp(address));
    }
  }
  for (const workload of snapshot.workloads.values()) {
    const direct = workload.protocol === 'none' && workload.waypoint === undefined;
    if (direct || workload.hostNetwork || workload.network !== own.network) continue;
    for (const address of workload.addresses) addresses.add(canonicalIp(address));
  }
  for (const address of [...excluded, ...own.addresses]) addresses.delete(canonicalIp(address));
  return { addresses, ranges };
}

/** Ports on which services expect the machine, and that it does not share: such connections are refused. */
export function unsharedPorts(
  own: Workload,
  shared: ReadonlySet<number>,
): { service: string; port: number }[] {
  return [...own.services].flatMap(([service, mappings]) =>
    mappings
      .filter(({ targetPort }) => !shared.has(targetPort))
      .map(({ targetPort: port }) => ({ service, port })),
  );
}
