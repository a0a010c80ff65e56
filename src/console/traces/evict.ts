/** What is too old goes, and of what is over the bound of bytes the oldest. */
import type { Database } from 'bun:sqlite';

export interface Evicted {
  readonly table: 'records' | 'traces';
  /** Column by which a row is known. */
  readonly key: 'id' | 'trace';
  /** Rows that go at a time when there are too many bytes. */
  readonly rows: number;
  /** What began before it goes. */
  readonly beforeMs: number;
  /** Condition in SQL: only these rows go. */
  readonly only?: string;
}

/** Bytes of `held` that are left. */
export function evict(
  open: Database,
  { table, key, rows, beforeMs, only = 'true' }: Evicted,
  held: number,
  bytesMax: number,
): number {
  type Gone = { bytes: number }[];
  let left = held;
  for (const { bytes } of open
    .query(`DELETE FROM ${table} WHERE at<? AND ${only} RETURNING bytes`)
    .all(beforeMs) as Gone)
    left -= bytes;
  const oldest = open.query(
    `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE ${only} ORDER BY at LIMIT ?) RETURNING bytes`,
  );
  while (left > bytesMax) {
    const gone = oldest.all(rows) as Gone;
    if (gone.length === 0) break;
    for (const { bytes } of gone) left -= bytes;
  }
  return left;
}
