/** Workloads by their addresses, as they come and go. Most addresses are of one: only those that several claim cost a list. */
import { canonicalIp } from '#base/ip.ts';
import { claimOf } from '#model/workload/address-claim.ts';
import type { Workload } from '#model/workload/workload.ts';

export class WorkloadsByAddress {
  readonly #held = new Map<string, Workload | readonly Workload[]>();

  at(address: string): Workload | undefined {
    const held = this.#held.get(canonicalIp(address));
    if (!isSeveral(held)) return held;
    return held.reduce((best, each) => (claimOf(each) > claimOf(best) ? each : best));
  }

  add(workload: Workload): void {
    // Host-network pods share their node's address: it names none of them.
    if (workload.hostNetwork) return;
    for (const address of workload.addresses) {
      const key = canonicalIp(address);
      const held = this.#held.get(key);
      if (held === undefined) this.#held.set(key, workload);
      else this.#held.set(key, isSeveral(held) ? [...held, workload] : [held, workload]);
    }
  }

  remove(workload: Workload): void {
    for (const address of workload.addresses) {
      const key = canonicalIp(address);
      const held = this.#held.get(key);
      const rest = isSeveral(held) ? held.filter((each) => each !== workload) : [];
      if (rest.length > 1) this.#held.set(key, rest);
      else if (rest.length === 1) this.#held.set(key, rest[0]);
      else if (held === workload) this.#held.delete(key);
    }
  }
}

function isSeveral(held: Workload | readonly Workload[] | undefined): held is readonly Workload[] {
  return Array.isArray(held);
}
