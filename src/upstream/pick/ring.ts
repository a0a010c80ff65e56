/**
 * Ring hash: every endpoint has points on a ring, a key belongs to the next point (Envoy's ring_hash, a ketama ring with xxHash64).
 * The ring holds every member: one that may not be used is walked past, so that its keys, and no others, go to the neighbours
 * on the ring, and come back to it.
 */
import { hashText, rehash } from '../hash/hash-text.ts';
import { RING_POINTS_MAX } from '../limits.ts';
import type { Candidate } from './pick.ts';

export class HashRing<T extends Candidate> {
  readonly #members: readonly T[];
  /** Ascending. */
  readonly #points: Float64Array;
  /** Point → member. */
  readonly #owners: Int32Array;

  constructor(members: readonly T[], weights: readonly number[], pointsMin: number) {
    this.#members = members;
    const counts = pointCounts(weights, pointsMin);
    const total = counts.reduce((sum, count) => sum + count, 0);
    // The lowest bits of a point name its owner: the engine's own sort needs no comparison of ours, which makes it ten times as fast.
    const span = 2 ** Math.ceil(Math.log2(Math.max(2, members.length)));
    const points = new Float64Array(total);
    let at = 0;
    for (const [index, { address }] of members.entries()) {
      for (let turn = 0; turn < counts[index]; turn += 1) {
        points[at] = Math.floor(hashText(`${address}_${turn}`) / span) * span + index;
        at += 1;
      }
    }
    points.sort();
    this.#points = points;
    this.#owners = Int32Array.from(points, (point) => point % span);
  }

  get size(): number {
    return this.#points.length;
  }

  /** Undefined when no member may be used. `attempt` above 0 asks for another choice for the same key. */
  pick(hash: number, attempt: number): T | undefined {
    const start = this.#firstFrom(attempt === 0 ? hash : rehash(hash, attempt));
    const { length } = this.#owners;
    for (let step = 0; step < length; step += 1) {
      const owner = this.#members[this.#owners[(start + step) % length]];
      if (owner.usable) return owner;
    }
    return undefined;
  }

  /** The first point not before `hash`; after the last comes the first. */
  #firstFrom(hash: number): number {
    const points = this.#points;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (points[middle] < hash) low = middle + 1;
      else high = middle;
    }
    return low === points.length ? 0 : low;
  }
}

/** Points by weight, so that the lightest member has a whole number of them and all together at least `pointsMin` (Envoy). */
function pointCounts(weights: readonly number[], pointsMin: number): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total <= 0) return weights.map(() => 1);
  const shares = weights.map((weight) => weight / total);
  const least = shares.reduce((min, share) => (share > 0 ? Math.min(min, share) : min), 1);
  const scale = Math.min(Math.ceil(least * pointsMin) / least, RING_POINTS_MAX);
  let wanted = 0;
  let given = 0;
  return shares.map((share) => {
    wanted += scale * share;
    const count = Math.max(0, Math.ceil(wanted - given - 1e-9));
    given += count;
    return count;
  });
}
