/** Certificates by when they end, with how much of their life is over: rotation is due at half of it. Pure. */
import type { CertificateRow } from '#console/api/mesh.ts';

export interface CertificateLife {
  readonly row: CertificateRow;
  readonly remainingMs: number;
  /** 0 to 1; undefined when its start is not known. */
  readonly elapsed: number | undefined;
  readonly state: CertificateRow['state'];
}

export function certificateLives(
  rows: readonly CertificateRow[],
  nowMs: number,
): CertificateLife[] {
  return rows
    .map((row) => {
      const endMs = Date.parse(row.notAfter);
      const startMs = row.notBefore === undefined ? undefined : Date.parse(row.notBefore);
      const elapsed =
        startMs === undefined
          ? undefined
          : Math.min(1, Math.max(0, (nowMs - startMs) / Math.max(1, endMs - startMs)));
      return { row, remainingMs: endMs - nowMs, elapsed, state: row.state };
    })
    .sort(
      (a, b) => a.remainingMs - b.remainingMs || a.row.principal.localeCompare(b.row.principal),
    );
}

/** `spiffe://cluster.local/ns/shop/sa/web` as `shop/web`. */
export function shortPrincipal(principal: string): string {
  const found = /^(?:spiffe:\/\/)?[^/]*\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(principal);
  return found === null ? principal : `${found[1]}/${found[2]}`;
}
