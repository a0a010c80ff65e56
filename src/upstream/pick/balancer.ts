/**
 * What a group picks from: its endpoints in priorities, each priority with a picker or, where localities have shares, one picker a
 * locality. Immutable; the group makes a new one when endpoints, their health or the policy change, never on the request path.
 *
 *   hash or chance ─▶ priority by load ─▶ locality by share ─▶ picker
 */
import type { Endpoint, TrafficPolicy } from '#model/route/route-table.ts';
import {
  HOST_SELECTION_ATTEMPTS_MAX,
  OVERPROVISIONING_PERCENT,
  PANIC_DEFAULT_PERCENT,
} from '../limits.ts';
import { type LocalityShare, localityShares } from '../locality/distribute.ts';
import { priorityLoads } from '../locality/load.ts';
import type { ProxyPlace } from '../locality/place.ts';
import { priorities } from '../locality/priority.ts';
import type { HashTables } from './hash-tables.ts';
import { type Candidate, createPicker, type PickDeps, type Picker } from './pick.ts';
import { WeightedDraw } from './weighted-draw.ts';

export interface Member extends Candidate {
  readonly endpoint: Endpoint;
  readonly isEjected: boolean;
  /** Set here: `Candidate.usable`. */
  usable: boolean;
}

interface Level<T extends Candidate> {
  readonly picker: Picker<T>;
  /** Percent of the load of this level and all before it. */
  readonly loadEnd: number;
}

export interface BalancerInput<T extends Member> {
  readonly members: readonly T[];
  readonly policy: TrafficPolicy;
  readonly place: ProxyPlace;
  readonly tables: HashTables<T>;
}

export class Balancer<T extends Member> {
  /** Endpoints that may be picked now, over all priorities. */
  readonly available: readonly T[];
  /** Priorities that use also what is ejected. */
  readonly panicking: boolean;
  readonly #levels: readonly Level<T>[];
  readonly #only: Picker<T> | undefined;
  /** The one endpoint that there is: nothing to choose. */
  readonly #single: T | undefined;
  readonly #tiers: readonly (readonly T[])[];
  readonly #deps: PickDeps;

  constructor(input: BalancerInput<T>, deps: PickDeps) {
    const { members, policy, tables } = input;
    this.#deps = deps;
    const tiers = tiersOf(input);
    this.#tiers = tiers;
    const panicPercent = policy.outlier?.minHealthPercent ?? PANIC_DEFAULT_PERCENT;
    const health = tiers.map((tier) => ({
      total: tier.length,
      healthy: tier.filter(({ isEjected }) => !isEjected).length,
    }));
    const { loads, panic } = priorityLoads(health, panicPercent);
    this.panicking = panic.includes(true);
    const levels: Level<T>[] = [];
    let loadEnd = 0;
    for (const [at, tier] of tiers.entries()) {
      for (const member of tier) member.usable = panic[at] || !member.isEjected;
      if (loads[at] === 0) continue;
      loadEnd += loads[at];
      const picker = levelPicker({ ...input, members: tier }, deps);
      if (picker !== undefined) levels.push({ picker, loadEnd });
    }
    tables.endGeneration();
    this.available = members.filter(({ usable }) => usable);
    this.#levels = levels;
    this.#only = levels.length === 1 ? levels[0].picker : undefined;
    this.#single =
      levels.length === 1 && this.available.length === 1 ? this.available[0] : undefined;
  }

  /** Undefined when nothing may be picked. */
  pick(hash: number | undefined, attempt: number): T | undefined {
    if (this.#single !== undefined) return this.#single;
    if (this.#only !== undefined) return this.#only.pick(hash, attempt);
    const levels = this.#levels;
    if (levels.length === 0) return undefined;
    const { random } = this.#deps;
    const end = levels[levels.length - 1].loadEnd;
    // The same key finds the same priority, as Envoy's choosePriority.
    const point = hash === undefined ? random.integer(end) : hash % end;
    for (const level of levels) if (point < level.loadEnd) return level.picker.pick(hash, attempt);
    return undefined;
  }

  /** One that is not among `tried`, where there is any. */
  pickOther(hash: number | undefined, tried: readonly T[]): T | undefined {
    for (let attempt = 1; attempt <= HOST_SELECTION_ATTEMPTS_MAX; attempt += 1) {
      const found = this.pick(hash, attempt);
      if (found === undefined) return undefined;
      if (!tried.includes(found)) return found;
    }
    const { available } = this;
    const start = this.#deps.random.integer(available.length);
    for (let step = 0; step < available.length; step += 1) {
      const found = available[(start + step) % available.length];
      if (!tried.includes(found)) return found;
    }
    return this.pick(hash, 0);
  }

  /**
   * One of the best priority that none of `failed` is in, also a priority without load; undefined when all were tried
   * (Envoy's previous_priorities, which retryRemoteLocalities asks for).
   */
  pickElsewhere(hash: number | undefined, failed: readonly unknown[]): T | undefined {
    for (const tier of this.#tiers) {
      if (tier.some((member) => failed.includes(member))) continue;
      const open = tier.filter(({ usable }) => usable);
      if (open.length === 0) continue;
      return open[hash === undefined ? this.#deps.random.integer(open.length) : hash % open.length];
    }
    return undefined;
  }
}

function tiersOf<T extends Member>({ members, policy, place }: BalancerInput<T>): T[][] {
  const endpoints = members.map(({ endpoint }) => endpoint);
  const tiers: T[][] = [];
  for (const [at, priority] of priorities(endpoints, policy.locality, place).entries()) {
    tiers[priority] ??= [];
    tiers[priority].push(members[at]);
  }
  return tiers;
}

/** Undefined when none of the members may be used. */
function levelPicker<T extends Member>(
  input: BalancerInput<T>,
  deps: PickDeps,
): Picker<T> | undefined {
  const { members, policy, place, tables } = input;
  const endpointOf = ({ endpoint }: T) => endpoint;
  const shares = localityShares(members, policy.locality, { place, endpointOf });
  if (shares === undefined) {
    const available = members.filter(({ usable }) => usable);
    return available.length === 0
      ? undefined
      : createPicker({ policy, members, available, tables }, deps);
  }
  const named = new Set(shares.flatMap(({ endpoints }) => endpoints));
  for (const member of members) member.usable &&= named.has(member);
  if (policy.hash !== undefined) return hashedShares(shares, input, deps);
  const open = shares
    .map(({ endpoints, weight }) => {
      const available = endpoints.filter(({ usable }) => usable);
      // What of a locality is out takes its share along, once the overprovisioning no longer covers it (Envoy).
      const health = available.length / endpoints.length;
      const effective = weight * Math.min(1, (health * OVERPROVISIONING_PERCENT) / 100);
      return { endpoints, available, effective };
    })
    .filter(({ available, effective }) => available.length > 0 && effective > 0);
  if (open.length === 0) return undefined;
  const pickers = open.map(({ endpoints, available }) =>
    createPicker({ policy, members: endpoints, available }, deps),
  );
  return new SharedPicker(
    pickers,
    open.map(({ effective }) => effective),
    deps,
  );
}

/** With hashing the shares go into the endpoints' weights: one table, so that a key stays where it is (Envoy). */
function hashedShares<T extends Member>(
  shares: readonly LocalityShare<T>[],
  { policy, tables }: BalancerInput<T>,
  deps: PickDeps,
): Picker<T> | undefined {
  const members: T[] = [];
  const weights: number[] = [];
  for (const { endpoints, weight } of shares) {
    const total = endpoints.reduce((sum, each) => sum + each.weight, 0);
    for (const each of endpoints) {
      if (each.weight <= 0) continue;
      members.push(each);
      weights.push((weight * each.weight) / total);
    }
  }
  const available = members.filter(({ usable }) => usable);
  if (available.length === 0) return undefined;
  return createPicker({ policy, members, available, weights, tables }, deps);
}

class SharedPicker<T extends Candidate> implements Picker<T> {
  readonly #draw: WeightedDraw<Picker<T>>;
  readonly #deps: PickDeps;

  constructor(pickers: readonly Picker<T>[], weights: readonly number[], deps: PickDeps) {
    this.#draw = new WeightedDraw(pickers, weights);
    this.#deps = deps;
  }

  pick(hash: number | undefined, attempt: number): T | undefined {
    return this.#draw.draw(this.#deps.random).pick(hash, attempt);
  }
}
