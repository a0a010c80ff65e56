/**
 * Picks one of the endpoints of a level. Each policy is a small object made when the level changes; chance comes from the given
 * `Random`, so a seed replays a run. None costs more than O(log n) a pick, none allocates.
 */
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { ConsistentHash, TrafficPolicy } from '#model/route/route-table.ts';
import { type HashTable, HashTables } from './hash-tables.ts';
import { Schedule } from './schedule.ts';
import { warmUntil, warmupShare } from './warmup.ts';
import { WeightedDraw } from './weighted-draw.ts';

/** What a policy may look at. */
export interface Candidate {
  readonly weight: number;
  /** Requests in flight. */
  readonly active: number;
  /** `198.18.1.5:8080`: its place on a hash ring. */
  readonly address: string;
  /** False while it is ejected; only consistent hashing meets such members. */
  readonly usable: boolean;
  /** When it was first there, on the monotonic clock. */
  readonly since: number;
}

export interface Picker<T extends Candidate> {
  /** `hash` undefined = by chance. `attempt` above 0 asks for another choice for the same hash. */
  pick(hash: number | undefined, attempt: number): T | undefined;
}

export interface PickDeps {
  readonly clock: Clock;
  readonly random: Random;
}

export interface PickerInput<T extends Candidate> {
  readonly policy: Pick<TrafficPolicy, 'loadBalancer' | 'hash' | 'warmup'>;
  /** Every endpoint of the level. */
  readonly members: readonly T[];
  /** Those that may take requests; never empty. */
  readonly available: readonly T[];
  /** For consistent hashing: weights in place of the members' own, and the tables made before. */
  readonly weights?: readonly number[];
  readonly tables?: HashTables<T>;
}

export function createPicker<T extends Candidate>(
  input: PickerInput<T>,
  deps: PickDeps,
): Picker<T> {
  const { policy, available } = input;
  if (policy.hash !== undefined) return hashPicker(input, policy.hash, deps);
  const isWeighted = available.some(({ weight }) => weight !== available[0].weight);
  switch (policy.loadBalancer) {
    case 'least-request':
    case 'round-robin': {
      const plain = plainPicker(policy.loadBalancer, isWeighted, available, deps);
      const { warmup } = policy;
      const until = warmup && warmUntil(warmup, available);
      if (until === undefined || until <= deps.clock.now()) return plain;
      return new WarmingPicker(input, deps, { until, after: plain });
    }
    // What the client dialled is looked for before (group); when it is no endpoint any one will do.
    case 'passthrough':
    case 'random':
      return isWeighted ? new WeightedRandom(available, deps) : new PlainRandom(available, deps);
  }
}

function plainPicker<T extends Candidate>(
  balancer: 'least-request' | 'round-robin',
  isWeighted: boolean,
  available: readonly T[],
  deps: PickDeps,
): Picker<T> {
  if (balancer === 'least-request')
    return isWeighted ? new Scheduled(available, loadedWeight) : new LeastRequest(available, deps);
  return isWeighted ? new Scheduled(available, plainWeight) : new Rotation(available, deps);
}

const plainWeight = ({ weight }: Candidate) => weight;
/** Envoy's weighted least request: the more requests run, the later it comes round again. */
const loadedWeight = ({ weight, active }: Candidate) => weight / (active + 1);

/** Two distinct random choices, the one with fewer requests wins (Envoy's default of choice_count 2). */
class LeastRequest<T extends Candidate> implements Picker<T> {
  readonly #available: readonly T[];
  readonly #random: Random;

  constructor(available: readonly T[], { random }: PickDeps) {
    this.#available = available;
    this.#random = random;
  }

  pick(): T {
    const available = this.#available;
    const count = available.length;
    if (count === 1) return available[0];
    const random = this.#random;
    const first = random.integer(count);
    const second = (first + 1 + random.integer(count - 1)) % count;
    const a = available[first];
    const b = available[second];
    return a.active <= b.active ? a : b;
  }
}

/** Round robin among equals. Starts anywhere: many proxies, or many pushes, must not all begin with the same endpoint. */
class Rotation<T extends Candidate> implements Picker<T> {
  readonly #available: readonly T[];
  #at: number;

  constructor(available: readonly T[], { random }: PickDeps) {
    this.#available = available;
    this.#at = random.integer(available.length);
  }

  pick(): T {
    const available = this.#available;
    this.#at = this.#at + 1 >= available.length ? 0 : this.#at + 1;
    return available[this.#at];
  }
}

class Scheduled<T extends Candidate> implements Picker<T> {
  readonly #schedule: Schedule<T>;

  constructor(available: readonly T[], weightOf: (candidate: T) => number) {
    this.#schedule = new Schedule(available, weightOf);
  }

  pick(): T {
    return this.#schedule.next();
  }
}

class PlainRandom<T extends Candidate> implements Picker<T> {
  readonly #available: readonly T[];
  readonly #random: Random;

  constructor(available: readonly T[], { random }: PickDeps) {
    this.#available = available;
    this.#random = random;
  }

  pick(): T {
    return this.#available[this.#random.integer(this.#available.length)];
  }
}

class WeightedRandom<T extends Candidate> implements Picker<T> {
  readonly #draw: WeightedDraw<T>;
  readonly #random: Random;

  constructor(available: readonly T[], { random }: PickDeps) {
    this.#draw = new WeightedDraw(available, available.map(plainWeight));
    this.#random = random;
  }

  pick(): T {
    return this.#draw.draw(this.#random);
  }
}

/** While endpoints warm up their weights grow; once all are warm it is the plain picker again (Envoy's slow start). */
class WarmingPicker<T extends Candidate> implements Picker<T> {
  readonly #schedule: Schedule<T>;
  readonly #clock: Clock;
  readonly #until: number;
  readonly #after: Picker<T>;

  constructor(
    { policy, available }: PickerInput<T>,
    { clock }: PickDeps,
    { until, after }: { until: number; after: Picker<T> },
  ) {
    const { warmup } = policy;
    const base = policy.loadBalancer === 'least-request' ? loadedWeight : plainWeight;
    this.#schedule = new Schedule(available, (candidate) =>
      warmup === undefined
        ? base(candidate)
        : base(candidate) * warmupShare(warmup, clock.now() - candidate.since),
    );
    this.#clock = clock;
    this.#until = until;
    this.#after = after;
  }

  pick(): T | undefined {
    if (this.#clock.now() < this.#until) return this.#schedule.next();
    return this.#after.pick(undefined, 0);
  }
}

function hashPicker<T extends Candidate>(
  { members, weights, tables }: PickerInput<T>,
  hash: ConsistentHash,
  deps: PickDeps,
): Picker<T> {
  const known = tables ?? new HashTables<T>();
  const table = known.tableFor(hash, members, weights ?? members.map(plainWeight));
  return new HashPicker(table, deps);
}

class HashPicker<T extends Candidate> implements Picker<T> {
  readonly #table: HashTable<T>;
  readonly #random: Random;

  constructor(table: HashTable<T>, { random }: PickDeps) {
    this.#table = table;
    this.#random = random;
  }

  pick(hash: number | undefined, attempt: number): T | undefined {
    const key = hash ?? this.#random.integer(Number.MAX_SAFE_INTEGER);
    return this.#table.pick(key, attempt);
  }
}
