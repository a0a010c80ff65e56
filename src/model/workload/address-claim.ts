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
