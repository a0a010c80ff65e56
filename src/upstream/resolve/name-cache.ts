/**
 * Names that somebody watches, with their addresses kept fresh: looked up again when the answer's time to live is over, within
 * bounds; while the name service fails, the last good answer stays. Nothing is looked up on a request's path but a name's first time.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import {
  RESOLVE_RETRY_MAX_MS,
  RESOLVE_RETRY_MIN_MS,
  RESOLVE_TTL_CEILING_MS,
  RESOLVE_TTL_FLOOR_MS,
} from '../limits.ts';
import type { NameAnswer, NameService } from './name-service.ts';

export interface NameCacheDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly service: NameService;
}

export interface NameWatch {
  /** In the order of the last good answer. */
  readonly addresses: readonly string[];
  /** No answer came yet, good or bad. */
  readonly isPending: boolean;
  /** Why the last look-up failed; undefined after a good one. */
  readonly failure: string | undefined;
  cancel(): void;
}

class Entry {
  readonly name: string;
  readonly watchers = new Set<() => void>();
  addresses: readonly string[] = [];
  failure: string | undefined = undefined;
  isPending = true;
  failures = 0;
  timer: Timer | undefined = undefined;

  constructor(name: string) {
    this.name = name;
  }
}

export class NameCache {
  readonly #deps: NameCacheDeps;
  readonly #entries = new Map<string, Entry>();

  constructor(deps: NameCacheDeps) {
    this.#deps = deps;
  }

  /** Names under watch. */
  get size(): number {
    return this.#entries.size;
  }

  /** `onChange` runs when the addresses change, and when the first answer comes. */
  watch(name: string, onChange: () => void): NameWatch {
    const key = name.toLowerCase();
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = new Entry(key);
      this.#entries.set(key, entry);
      this.#lookUp(entry);
    }
    const watched = entry;
    // A function of one's own: two watchers may hand in the same.
    const watcher = () => onChange();
    watched.watchers.add(watcher);
    return {
      get addresses() {
        return watched.addresses;
      },
      get isPending() {
        return watched.isPending;
      },
      get failure() {
        return watched.failure;
      },
      cancel: () => this.#leave(watched, watcher),
    };
  }

  #leave(entry: Entry, watcher: () => void): void {
    entry.watchers.delete(watcher);
    if (entry.watchers.size > 0) return;
    entry.timer?.cancel();
    if (this.#entries.get(entry.name) === entry) this.#entries.delete(entry.name);
  }

  #lookUp(entry: Entry): void {
    this.#deps.service.lookup(entry.name, (answer) => {
      // Nobody watches it any more.
      if (this.#entries.get(entry.name) === entry) this.#answered(entry, answer);
    });
  }

  #answered(entry: Entry, { addresses, ttlMs, failure }: NameAnswer): void {
    const { clock, random } = this.#deps;
    const wasPending = entry.isPending;
    entry.isPending = false;
    let nextMs: number;
    let changed = false;
    if (addresses.length > 0) {
      changed = !isSameSet(entry.addresses, addresses);
      entry.addresses = addresses;
      entry.failure = undefined;
      entry.failures = 0;
      nextMs = Math.min(RESOLVE_TTL_CEILING_MS, Math.max(RESOLVE_TTL_FLOOR_MS, ttlMs));
    } else {
      entry.failure = failure;
      entry.failures += 1;
      const backoffMs = RESOLVE_RETRY_MIN_MS * 2 ** Math.min(entry.failures - 1, 16);
      // Many names fail together when a name server does: they must not come back together.
      nextMs = Math.min(RESOLVE_RETRY_MAX_MS, backoffMs) * (0.5 + random.fraction() / 2);
    }
    entry.timer = clock.after(nextMs, () => this.#lookUp(entry));
    if (changed || wasPending) for (const watcher of [...entry.watchers]) watcher();
  }
}

/** Name servers rotate their answers: another order is no change. */
function isSameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((each) => right.includes(each));
}
