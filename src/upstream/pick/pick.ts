/**
 * Picks one of the available endpoints. Each policy is a small object made when a group is configured; chance comes from the given
 * `Random`, so a seed replays a run. `available` is never empty when `pick` is called.
 */
import type { Random } from '#base/random.ts';
import type { LoadBalancer } from '#model/route/route-table.ts';

/** What a policy may look at. */
export interface Candidate {
  readonly weight: number;
  /** Requests in flight. */
  readonly active: number;
}

export interface Picker {
  pick<T extends Candidate>(available: readonly T[], random: Random): T;
}

export function createPicker(balancer: LoadBalancer): Picker {
  switch (balancer) {
    case 'least-request':
      return leastRequest;
    case 'round-robin':
      return new RoundRobin();
    // Behind a virtual address there is no original endpoint to pass through to: any one will do.
    case 'passthrough':
    case 'random':
      return weightedRandom;
  }
}

const weightedRandom: Picker = {
  pick: (available, random) => available[drawIndex(available, random)],
};

/** Two distinct random choices, the one with fewer requests per weight wins (Envoy's default of choice_count 2). */
const leastRequest: Picker = {
  pick(available, random) {
    const count = available.length;
    if (count === 1) return available[0];
    const first = random.integer(count);
    const second = (first + 1 + random.integer(count - 1)) % count;
    const a = available[first];
    const b = available[second];
    // (active + 1) / weight, without the division.
    return (a.active + 1) * b.weight <= (b.active + 1) * a.weight ? a : b;
  },
};

/** Smooth weighted round robin: equal weights give plain rotation, others interleave evenly. */
class RoundRobin implements Picker {
  #credits = new WeakMap<object, number>();

  pick<T extends Candidate>(available: readonly T[], _random: Random): T {
    let best = available[0];
    let bestCredit = Number.NEGATIVE_INFINITY;
    let total = 0;
    for (const candidate of available) {
      total += candidate.weight;
      const credit = (this.#credits.get(candidate) ?? 0) + candidate.weight;
      this.#credits.set(candidate, credit);
      if (credit > bestCredit) {
        best = candidate;
        bestCredit = credit;
      }
    }
    this.#credits.set(best, bestCredit - total);
    return best;
  }
}

function drawIndex(available: readonly Candidate[], random: Random): number {
  let total = 0;
  for (const candidate of available) total += candidate.weight;
  let point = random.fraction() * total;
  for (let index = 0; index < available.length; index += 1) {
    point -= available[index].weight;
    if (point < 0) return index;
  }
  return available.length - 1;
}
