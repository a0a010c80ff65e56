/**
 * Keeps hash tables from one balancer to the next: an ejection changes who may be used, not who is on the ring, and a table of
 * many endpoints is too dear to be built again for it.
 */
import type { ConsistentHash } from '#model/route/route-table.ts';
import { MaglevTable } from './maglev.ts';
import type { Candidate } from './pick.ts';
import { HashRing } from './ring.ts';

export type HashTable<T extends Candidate> = HashRing<T> | MaglevTable<T>;

interface Built<T extends Candidate> {
  readonly policy: ConsistentHash;
  readonly members: readonly T[];
  readonly weights: readonly number[];
  readonly table: HashTable<T>;
}

export class HashTables<T extends Candidate> {
  #kept: Built<T>[] = [];
  #next: Built<T>[] = [];

  tableFor(
    policy: ConsistentHash,
    members: readonly T[],
    weights: readonly number[],
  ): HashTable<T> {
    const known = this.#kept.find(
      (each) =>
        each.policy.algorithm === policy.algorithm &&
        each.policy.size === policy.size &&
        isSame(each.members, members) &&
        isSame(each.weights, weights),
    );
    const built = known ?? { policy, members, weights, table: build(policy, members, weights) };
    this.#next.push(built);
    return built.table;
  }

  /** What was not asked for since the last call is forgotten. */
  endGeneration(): void {
    this.#kept = this.#next;
    this.#next = [];
  }
}

function build<T extends Candidate>(
  { algorithm, size }: ConsistentHash,
  members: readonly T[],
  weights: readonly number[],
): HashTable<T> {
  return algorithm === 'maglev'
    ? new MaglevTable(members, weights, size)
    : new HashRing(members, weights, size);
}

function isSame(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((each, at) => each === right[at]);
}
