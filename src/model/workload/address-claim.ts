/** Who answers at an address that several workloads claim. Anybody who may write an entry may list any address. */
import type { Workload } from './workload.ts';

export function isPod({ uid }: Workload): boolean {
  return uid.includes('//Pod/');
}

/**
 * The larger claim wins: a pod's, as nobody writes those by hand, then that of what is reached by tunnel: an entry that lists
 * a captured machine must not make its traffic plaintext (ztunnel src/state/workload.rs).
 */
export function claimOf(workload: Workload): number {
  return (isPod(workload) ? 2 : 0) + (workload.protocol === 'hbone' ? 1 : 0);
}

/**
 * Who answers at the address of an endpoint of a service in `namespace`. A ServiceEntry may list a pod of the mesh, or a machine
 * of its own namespace, by its address. What an entry of another namespace claims says nothing about endpoints that are not its own.
 */
export function whoAnswers(
  endpoint: Workload,
  claiming: readonly Workload[],
  namespace: string,
): Workload {
  if (endpoint.protocol !== 'none' || isPod(endpoint)) return endpoint;
  let best = endpoint;
  for (const each of claiming) {
    const isBelieved = isPod(each) || each.namespace === namespace;
    if (isBelieved && claimOf(each) > claimOf(best)) best = each;
  }
  return best;
}
