/**
 * Blocks of all tiers in the database: written once, read when a window or a chart asks. A block names the period of the tier above that it was compared with; that
 * one is kept longer, so it can always be read.
 */
import type { Database } from 'bun:sqlite';
import { decodeBlock, encodeBlock, Usual } from './block.ts';
import { Counts } from './counts.ts';
import type { StoreDatabase } from './database.ts';
import { RECENT_SECONDS, TIERS, type Tier } from './limits.ts';

export interface BlockKey {
  readonly tier: Tier;
  /** Second at which the period begins. */
  readonly period: number;
  /** 0, and further ones for what came late. */
  readonly part: number;
}

export interface Block extends BlockKey {
  /** Period of the tier above; -1 for none. */
  readonly usual: number;
  /** TotalsText. */
  readonly totals: string;
  readonly data: Uint8Array;
}

interface BlockRow {
  period: number;
  part: number;
  usual: number;
  data: Uint8Array;
}

/** Periods of the tier above that are held ready for comparison; each is 5 MB in a large mesh. */
const USUALS_MAX = 3;
/** Blocks that are read at a time. */
const PAGE_BLOCKS = 16;
const NONE = -1;

export class BlockStore {
  readonly #database: StoreDatabase;
  /** By tier and period of the compared one. */
  readonly #usuals = new Map<string, Usual>();
  readonly #newest: [number | undefined, number | undefined] = [undefined, undefined];
  /** Seconds of the last minutes, by second: all there is of those from `recentFrom` on. */
  readonly #recent = new Map<number, BlockRow[]>();
  #recentFrom: number;
  readonly #scratch = new Counts();

  constructor(database: StoreDatabase) {
    this.#database = database;
    this.#recentFrom = (this.newest(0) ?? Number.NEGATIVE_INFINITY) + 1;
    database.onReplaced(() => {
      this.#usuals.clear();
      this.#newest.fill(undefined);
    });
  }

  /** Rounds the bytes of `counts`; nothing is written yet. */
  encode(tier: Tier, period: number, counts: Counts, totals: string): Block {
    const usual = this.#usualFor(tier, period);
    const found = usual === NONE ? undefined : this.#usual(tier, usual);
    const data = encodeBlock(counts, TIERS[tier].seconds, found);
    const part = this.#nextPart(tier, period);
    return { tier, period, part, usual: found === undefined ? NONE : usual, totals, data };
  }

  insert(database: Database, block: Block): void {
    const { tier, period, part, usual, totals, data } = block;
    database
      .query('INSERT INTO blocks (tier, period, part, usual, totals, data) VALUES (?,?,?,?,?,?)')
      .run(tier, period, part, usual, totals, data);
  }

  /** After the transaction, whether it succeeded or not: windows must find again what they were given. */
  remember({ tier, period, part, usual, data }: Block): void {
    if (tier === 0) {
      if (period < this.#recentFrom) return;
      const rows = this.#recent.get(period) ?? [];
      rows.push({ period, part, usual, data });
      this.#recent.set(period, rows);
      this.#recentFrom = Math.max(this.#recentFrom, period - RECENT_SECONDS);
      for (const second of this.#recent.keys())
        if (second < this.#recentFrom) this.#recent.delete(second);
    } else if (part === 0) {
      const below = tier - 1;
      this.#newest[below] = Math.max(period, this.#newest[below] ?? period);
    }
  }

  /** Adds (or takes away) what is known of `from` ≤ period < `to`; the number of periods that had a block. */
  sum(tier: Tier, from: number, to: number, into: Counts, sign: 1 | -1 = 1): number {
    let periods = 0;
    this.each(tier, from, to, (counts, _period, isFirst) => {
      into.add(counts, sign);
      if (isFirst) periods++;
    });
    return periods;
  }

  /** Block by block; `counts` is the next one's in the next call. */
  each(
    tier: Tier,
    from: number,
    to: number,
    take: (counts: Counts, period: number, isFirst: boolean) => void,
  ): void {
    let last = Number.NaN;
    for (const row of this.#rows(tier, from, to)) {
      this.#scratch.clear();
      if (!this.#decode(tier, row, this.#scratch)) continue;
      take(this.#scratch, row.period, row.period !== last);
      last = row.period;
    }
  }

  /** Adds what is in a block that was just made. */
  decode(block: Block, into: Counts): boolean {
    return this.#decode(block.tier, block, into);
  }

  readPart({ tier, period, part }: BlockKey, into: Counts): boolean {
    const row = this.#database.run(
      (database) =>
        database
          .query(
            'SELECT period, part, usual, data FROM blocks WHERE tier=? AND period=? AND part=?',
          )
          .get(tier, period, part) as BlockRow | null,
    );
    return row ? this.#decode(tier, row, into) : false;
  }

  /** First period of the tier; undefined without one. */
  oldest(tier: Tier): number | undefined {
    return this.#end(tier, 'min');
  }

  newest(tier: Tier): number | undefined {
    return this.#end(tier, 'max');
  }

  totals(tier: Tier, from: number, to: number): { period: number; totals: string }[] {
    return (
      this.#database.run(
        (database) =>
          database
            .query(
              'SELECT period, totals FROM blocks WHERE tier=? AND period>=? AND period<? ORDER BY period',
            )
            .all(tier, from, to) as { period: number; totals: string }[],
      ) ?? []
    );
  }

  #end(tier: Tier, end: 'min' | 'max'): number | undefined {
    const row = this.#database.run(
      (database) =>
        database.query(`SELECT ${end}(period) AS period FROM blocks WHERE tier=?`).get(tier) as {
          period: number | null;
        },
    );
    return row?.period ?? undefined;
  }

  *#rows(tier: Tier, from: number, to: number): Generator<BlockRow> {
    if (tier === 0 && from >= this.#recentFrom && this.#recent.size > 0) {
      for (let second = from; second < to; second++) yield* this.#recent.get(second) ?? [];
      return;
    }
    // In pages: the hours of a month are 200 MB.
    let after = { period: from, part: -1 };
    for (;;) {
      const rows = this.#page(tier, after, to);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE_BLOCKS) return;
      after = last;
    }
  }

  #page(tier: Tier, after: { period: number; part: number }, to: number): BlockRow[] {
    return (
      this.#database.run(
        (database) =>
          database
            .query(
              'SELECT period, part, usual, data FROM blocks WHERE tier=? AND (period, part) > (?, ?) AND period<? ORDER BY period, part LIMIT ?',
            )
            .all(tier, after.period, after.part, to, PAGE_BLOCKS) as BlockRow[],
      ) ?? []
    );
  }

  #decode(tier: Tier, row: BlockRow, into: Counts): boolean {
    const usual = row.usual === NONE ? undefined : this.#usual(tier, row.usual);
    // What it was compared with is gone: it cannot be read.
    if (row.usual !== NONE && usual === undefined) return false;
    return decodeBlock(row.data, TIERS[tier].seconds, usual, into);
  }

  /** What the first part of `period` of the tier above says; `tier` is the one that is compared. */
  #usual(tier: Tier, period: number): Usual | undefined {
    const key = `${tier}/${period}`;
    const known = this.#usuals.get(key);
    if (known !== undefined) {
      this.#usuals.delete(key);
      this.#usuals.set(key, known);
      return known;
    }
    const above = (tier + 1) as Tier;
    const row = this.#database.run(
      (database) =>
        database
          .query(
            'SELECT period, part, usual, data FROM blocks WHERE tier=? AND period=? AND part=0',
          )
          .get(above, period) as BlockRow | null,
    );
    if (!row) return undefined;
    const counts = new Counts();
    if (!this.#decode(above, row, counts)) return undefined;
    const usual = new Usual(counts, TIERS[above].seconds);
    this.#usuals.set(key, usual);
    const first = this.#usuals.keys().next().value;
    if (this.#usuals.size > USUALS_MAX && first !== undefined) this.#usuals.delete(first);
    return usual;
  }

  /** The newest period of the tier above; blocks of the highest tier stand for themselves. */
  #usualFor(tier: Tier, period: number): number {
    if (tier === 2) return NONE;
    let newest = this.#newest[tier];
    if (newest === undefined) {
      const row = this.#database.run(
        (database) =>
          database
            .query('SELECT max(period) AS period FROM blocks WHERE tier=? AND part=0')
            .get(tier + 1) as { period: number | null },
      );
      newest = row?.period ?? NONE;
      this.#newest[tier] = newest;
    }
    // The block that it is compared with must outlive it.
    const isKept = newest + TIERS[tier + 1].keptSeconds > period + TIERS[tier].keptSeconds;
    return newest !== NONE && isKept ? newest : NONE;
  }

  #nextPart(tier: Tier, period: number): number {
    const row = this.#database.run(
      (database) =>
        database
          .query('SELECT max(part) AS part FROM blocks WHERE tier=? AND period=?')
          .get(tier, period) as {
          part: number | null;
        },
    );
    return row?.part === null || row?.part === undefined ? 0 : row.part + 1;
  }
}
