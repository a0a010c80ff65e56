/**
 * Traffic over time: the recorder that books it, the blocks it stands in, the windows kept over it, and what goes when it is too old or too much. Synchronous; it
 * runs in the console's own thread (worker/). `tick` is called each second.
 */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { BlockStore } from './block-store.ts';
import { Counts } from './counts.ts';
import { coverOf } from './cover.ts';
import { StoreDatabase } from './database.ts';
import { History } from './history.ts';
import {
  LIVE_WINDOW_SECONDS_MAX,
  MEMORY_STORE_BYTES_MAX,
  SEAL_DELAY_MS,
  STORE_BYTES_MAX,
  TIERS,
  type Tier,
} from './limits.ts';
import { LiveWindows } from './live-windows.ts';
import { Recorder, type Sealed } from './recorder.ts';

export interface TelemetryStoreDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly directory: string | undefined;
  viaOf(proxy: string): string;
}

export interface StoreLimits {
  readonly bytesMax?: number;
  /** While there is no disk to write to. */
  readonly memoryBytesMax?: number;
  readonly seriesMax?: number;
  readonly pagesMax?: number;
}

export interface Summed {
  readonly counts: Counts;
  /** Seconds since the epoch; `to` is not in it. */
  readonly from: number;
  readonly to: number;
}

/** Too many bytes: so many seconds of a tier go at a time. */
const EVICT_PERIODS = 30;
const VACUUM_PAGES = 256;
/** Old seconds go each second, the rest is looked at less often. */
const EVICT_EVERY_SECONDS = 10;

export class TelemetryStore {
  readonly database: StoreDatabase;
  readonly blocks: BlockStore;
  readonly recorder: Recorder;
  readonly windows: LiveWindows;
  readonly history: History;
  readonly #clock: Clock;
  readonly #bytesMax: { readonly onDisk: number; readonly inMemory: number };
  readonly #sealed: ((sealed: Sealed) => void)[] = [];
  #ticks = 0;

  constructor(deps: TelemetryStoreDeps, limits: StoreLimits = {}) {
    const { clock, log, directory, viaOf } = deps;
    this.#clock = clock;
    this.database = new StoreDatabase({ clock, log, directory, pagesMax: limits.pagesMax });
    this.blocks = new BlockStore(this.database);
    this.recorder = new Recorder(
      { clock, database: this.database, blocks: this.blocks, viaOf },
      limits.seriesMax,
    );
    this.windows = new LiveWindows({ clock, blocks: this.blocks }, this.#completeSecond());
    this.history = new History(this.database);
    const onDisk = limits.bytesMax ?? STORE_BYTES_MAX;
    const inMemory = limits.memoryBytesMax ?? MEMORY_STORE_BYTES_MAX;
    this.#bytesMax = { onDisk, inMemory: Math.min(onDisk, inMemory) };
    this.database.onReplaced(() => this.windows.reset());
  }

  onSealed(listener: (sealed: Sealed) => void): void {
    this.#sealed.push(listener);
  }

  /** Closes what is over, moves the windows on, lets go of what is too old. */
  tick(): void {
    this.windows.advance(this.#completeSecond());
    this.recorder.seal((sealed) => {
      this.windows.add(sealed.second, sealed.counts);
      for (const listener of this.#sealed) listener(sealed);
    });
    if (this.#ticks++ % EVICT_EVERY_SECONDS === 0) this.#evict();
  }

  /** The window that ends now, as far as anything was reported of it. Up to LIVE_WINDOW_SECONDS_MAX the counts are the window's own: read them at once. */
  live(windowSeconds: number): Summed {
    const to = this.windows.head + 1;
    if (windowSeconds <= LIVE_WINDOW_SECONDS_MAX) {
      const counts = this.windows.counts(windowSeconds);
      return { counts, from: this.#observedFrom(to - windowSeconds, to), to };
    }
    return this.between(to - windowSeconds, to);
  }

  /** What flowed from `from` to before `to`, widened to what is kept of that time and cut to where reports begin. */
  between(from: number, to: number): Summed {
    const cover = coverOf(from, to, this.kept());
    const counts = new Counts();
    for (const piece of cover.pieces) this.blocks.sum(piece.tier, piece.from, piece.to, counts);
    return { counts, from: this.#observedFrom(cover.from, cover.to), to: cover.to };
  }

  /** From here on (seconds since the epoch) everything is known second by second; now, where nothing is. */
  heldFrom(): number {
    const now = Math.floor(this.#clock.wallTime() / 1000);
    return Math.max(now - TIERS[0].keptSeconds, this.#firstSecond() ?? now);
  }

  /** From the first second that was reported to the newest that all proxies had time to report, in it, of the seconds from `from` to before `to`. */
  observed(from: number, to: number): { readonly from: number; readonly to: number } {
    return { from: this.#observedFrom(from, to), to: Math.min(to, this.windows.head + 1) };
  }

  kept() {
    const now = Math.floor(this.#clock.wallTime() / 1000);
    return {
      secondsFrom: now - TIERS[0].keptSeconds,
      minutesFrom: now - TIERS[1].keptSeconds,
      minutesTo: this.recorder.wholeTo(1),
      hoursTo: this.recorder.wholeTo(2),
    };
  }

  /** A mesh that began half a minute ago has not been quiet for the other half: nothing is known of it, and no rate is of it. */
  #observedFrom(from: number, to: number): number {
    const first = this.#firstSecond();
    return first === undefined || first >= to ? from : Math.max(from, first);
  }

  /** The first second that was reported, as exactly as is still known. */
  #firstSecond(): number | undefined {
    let first: number | undefined;
    let end = Number.POSITIVE_INFINITY;
    for (const tier of [2, 1, 0] as const) {
      const oldest = this.blocks.oldest(tier);
      // Of the oldest hour perhaps the minutes are kept as well, and of the oldest minute the seconds.
      if (oldest === undefined || oldest >= end) continue;
      first = oldest;
      end = oldest + TIERS[tier].seconds;
    }
    return first;
  }

  /** The last second that all proxies had time to report. */
  #completeSecond(): number {
    return Math.floor((this.#clock.wallTime() - SEAL_DELAY_MS) / 1000) - 1;
  }

  #evict(): void {
    const nowMs = this.#clock.wallTime();
    const now = Math.floor(nowMs / 1000);
    this.database.write((open) => {
      for (const tier of [0, 1, 2] as const)
        open
          .query('DELETE FROM blocks WHERE tier=? AND period<?')
          .run(tier, now - TIERS[tier].keptSeconds - TIERS[tier].seconds);
      open.query('DELETE FROM proxies WHERE second<?').run(now - TIERS[1].keptSeconds);
    });
    this.history.evict(nowMs);
    const { onDisk, inMemory } = this.#bytesMax;
    const bytesMax = this.database.isPersistent ? onDisk : inMemory;
    while (this.database.bytes > bytesMax) if (!this.#evictOldest()) break;
    this.database.run((open) => open.run(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`));
  }

  /** The finest tier that reaches far back gives its oldest. */
  #evictOldest(): boolean {
    const now = Math.floor(this.#clock.wallTime() / 1000);
    for (const tier of [0, 1, 2] as const satisfies readonly Tier[]) {
      const oldest = this.blocks.oldest(tier);
      const { seconds } = TIERS[tier];
      const reach = seconds * EVICT_PERIODS;
      if (oldest === undefined || oldest > now - 2 * reach) continue;
      return this.database.write((open) => {
        open.query('DELETE FROM blocks WHERE tier=? AND period<?').run(tier, oldest + reach);
      });
    }
    return false;
  }

  close(): void {
    this.recorder.flush();
    this.database.close();
  }
}
