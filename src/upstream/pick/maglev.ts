/**
 * Maglev: a table of prime size that members fill in turn by permutations of their own (Eisenbud et al., "Maglev: A Fast and
 * Reliable Software Network Load Balancer", NSDI 2016, section 3.4; weights as Envoy). One look-up is one index. Like the
 * ring, the table holds every member; for one that may not be used the key is hashed again.
 */
import { hashText, rehash } from '../hash/hash-text.ts';
import { MAGLEV_REHASHES_MAX } from '../limits.ts';
import type { Candidate } from './pick.ts';

export class MaglevTable<T extends Candidate> {
  readonly #members: readonly T[];
  /** Slot → member. */
  readonly #slots: Int32Array;

  /** `size` is prime. */
  constructor(members: readonly T[], weights: readonly number[], size: number) {
    this.#members = members;
    this.#slots = fill(members, weights, size);
  }

  /** Undefined when no member may be used. */
  pick(hash: number, attempt: number): T | undefined {
    const { length } = this.#slots;
    let current = attempt === 0 ? hash : rehash(hash, attempt);
    for (let turn = 1; turn <= MAGLEV_REHASHES_MAX; turn += 1) {
      const member = this.#members[this.#slots[current % length]];
      if (member.usable) return member;
      current = rehash(current, turn);
    }
    for (let step = 0; step < length; step += 1) {
      const member = this.#members[this.#slots[(current + step) % length]];
      if (member.usable) return member;
    }
    return undefined;
  }

  /** Slots that each member owns, in the members' order. */
  get shares(): number[] {
    const counts = this.#members.map(() => 0);
    for (const owner of this.#slots) counts[owner] += 1;
    return counts;
  }
}

function fill(members: readonly Candidate[], weights: readonly number[], size: number): Int32Array {
  const slots = new Int32Array(size).fill(-1);
  const heaviest = weights.reduce((max, weight) => Math.max(max, weight), 0);
  const offsets = members.map(({ address }) => hashText(address) % size);
  const skips = members.map(({ address }) => (hashText(`${address}_skip`) % (size - 1)) + 1);
  const next = new Float64Array(members.length);
  const due = new Float64Array(members.length);
  let filled = 0;
  for (let round = 1; filled < size; round += 1) {
    for (let index = 0; index < members.length && filled < size; index += 1) {
      // A member of half the heaviest weight takes a slot in every second round.
      const weight = heaviest > 0 ? weights[index] : 1;
      if (round * weight < due[index]) continue;
      due[index] += heaviest > 0 ? heaviest : 1;
      let slot = (offsets[index] + skips[index] * next[index]) % size;
      while (slots[slot] !== -1) {
        next[index] += 1;
        slot = (offsets[index] + skips[index] * next[index]) % size;
      }
      slots[slot] = index;
      next[index] += 1;
      filled += 1;
    }
  }
  return slots;
}
