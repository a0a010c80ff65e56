/**
 * Whether a snapshot may judge the open connections of a pod otherwise than the last one did. Nearly every snapshot
 * changes nothing for a pod: that costs one comparison, however many connections there are.
 */
import type { Authorization } from '#model/authorization/authorization.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { PolicyIndex } from '#policy/l4/policy-index.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';

interface Seen {
  readonly policies: PolicyIndex;
  readonly local: Workload;
  readonly inForce: readonly Authorization[];
}

export class PolicyWatch {
  #seen: Seen | undefined = undefined;

  /** True for the first snapshot, and when policies in force or the trust domain are not those of the last. */
  isChanged(snapshot: MeshSnapshot, local: Workload): boolean {
    const before = this.#seen;
    if (before?.policies === snapshot.policies && before.local === local) return false;
    const inForce = snapshot.authorizationsOf(local);
    this.#seen = { policies: snapshot.policies, local, inForce };
    return (
      before === undefined ||
      before.local.trustDomain !== local.trustDomain ||
      before.inForce.length !== inForce.length ||
      before.inForce.some((policy, at) => policy !== inForce[at])
    );
  }

  /** Nothing is open: what comes next is judged as it comes. */
  forget(): void {
    this.#seen = undefined;
  }
}
