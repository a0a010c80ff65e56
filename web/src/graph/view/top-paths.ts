/** What is asked for most, out of requests one by one. Pure. */
import type { RequestRow } from '#console/api/traffic.ts';

export interface PathCount {
  readonly method: string;
  /** Without its query; parts that name one thing of many are a star. */
  readonly path: string;
  /** What all of them begin with. */
  readonly prefix: string;
  readonly count: number;
  readonly failed: number;
}

/** A number, a UUID, a long hexadecimal number. */
const ONE_OF_MANY = /^(\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{12,})$/i;

/** The most frequent first, of equal ones the one that fails more. Connections have no path and are left out. */
export function topPaths(
  rows: readonly RequestRow[],
  isFailed: (row: RequestRow) => boolean,
): readonly PathCount[] {
  const counts = new Map<string, PathCount>();
  for (const row of rows) {
    if (row.path === '') continue;
    const { path, prefix } = folded(row.path);
    const key = `${row.method} ${path}`;
    const before = counts.get(key) ?? { method: row.method, path, prefix, count: 0, failed: 0 };
    counts.set(key, {
      ...before,
      count: before.count + 1,
      failed: before.failed + (isFailed(row) ? 1 : 0),
    });
  }
  return [...counts.values()].sort((a, b) => b.count - a.count || b.failed - a.failed);
}

function folded(whole: string): { path: string; prefix: string } {
  const path = whole.split(/[?#]/)[0];
  const parts = path.split('/');
  const first = parts.findIndex((part) => ONE_OF_MANY.test(part));
  return {
    path: parts.map((part) => (ONE_OF_MANY.test(part) ? '*' : part)).join('/'),
    prefix: first < 0 ? path : `${parts.slice(0, first).join('/')}/`,
  };
}
