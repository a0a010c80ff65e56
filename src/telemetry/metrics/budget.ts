/**
 * How many combinations of labels each workload may make. Whoever is over it shares one series with label values `other`, until a
 * sweep has freed places: those who were seen least go, and who comes most often takes their places first. So the busiest keep series
 * of their own, and what an attacker makes up costs a bounded place, whatever it is.
 */
import { BUDGET_FREED_SHARE, OWNERS_MAX, SERIES_SETS_PER_WORKLOAD_MAX } from '../limits.ts';

/** What is held of one workload. */
interface Account {
  used: number;
  /** Since the last sweep. */
  refused: number;
}

/** Something that holds places of an account, and how often it was seen since the last sweep. */
export interface Holder {
  readonly owner: string;
  readonly places: number;
  hits: number;
  /** May not go now. */
  readonly isBusy: boolean;
}

export class SeriesBudget {
  readonly #accounts = new Map<string, Account>();
  readonly #max: number;
  readonly #ownersMax: number;
  /** In all. */
  refusedTotal = 0;

  constructor(max = SERIES_SETS_PER_WORKLOAD_MAX, ownersMax = OWNERS_MAX) {
    this.#max = max;
    this.#ownersMax = ownersMax;
  }

  /** One place for `owner`; false: it has all it may have. */
  take(owner: string): boolean {
    let account = this.#accounts.get(owner);
    if (account === undefined) {
      if (this.#accounts.size >= this.#ownersMax) {
        this.refusedTotal += 1;
        return false;
      }
      account = { used: 0, refused: 0 };
      this.#accounts.set(owner, account);
    }
    if (account.used < this.#max) {
      account.used += 1;
      return true;
    }
    account.refused += 1;
    this.refusedTotal += 1;
    return false;
  }

  /** Whether `owner` is refused; counts as a refusal. */
  isFull(owner: string): boolean {
    const account = this.#accounts.get(owner);
    const isFull =
      account === undefined ? this.#accounts.size >= this.#ownersMax : account.used >= this.#max;
    if (!isFull) return false;
    if (account !== undefined) account.refused += 1;
    this.refusedTotal += 1;
    return true;
  }

  give(owner: string, places: number): void {
    const account = this.#accounts.get(owner);
    if (account === undefined) return;
    account.used -= places;
    if (account.used <= 0) this.#accounts.delete(owner);
  }

  used(owner: string): number {
    return this.#accounts.get(owner)?.used ?? 0;
  }

  /** Which holders give up their places, so that busier ones may come; and a new period begins. */
  *toFree<H extends Holder>(holders: Iterable<H>): Iterable<H> {
    const short = new Map<string, H[]>();
    for (const [owner, account] of this.#accounts) {
      if (account.refused > 0) short.set(owner, []);
      account.refused = 0;
    }
    for (const holder of holders) {
      if (!holder.isBusy) short.get(holder.owner)?.push(holder);
      if (!short.has(holder.owner) || holder.isBusy) holder.hits = 0;
    }
    for (const candidates of short.values()) {
      candidates.sort((left, right) => left.hits - right.hits);
      let places = Math.ceil(this.#max * BUDGET_FREED_SHARE);
      for (const holder of candidates) {
        if (places > 0) {
          places -= holder.places;
          yield holder;
        }
        holder.hits = 0;
      }
    }
  }
}
