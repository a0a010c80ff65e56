/** Istio's cases of MeshConfig.pathNormalization. Runs where the cases are beside the checkout. */
import { describe, expect, test } from 'bun:test';
import { normalizePath, type PathNormalization } from '#model/route/normalize-path.ts';
import { foreignCases } from '#test/support/foreign-cases.ts';

interface Row {
  readonly normalization: PathNormalization;
  readonly in: string;
  readonly expectPath: string;
  readonly expectStatus: number;
}

const ROWS = foreignCases<Row>('path-normalization.json');

describe.skipIf(ROWS === undefined)('path normalization', () => {
  test.each(ROWS ?? [])('$normalization of $in', (row) => {
    const path = normalizePath(row.in, row.normalization);
    expect(path ?? 400).toBe(row.expectStatus === 400 ? 400 : row.expectPath);
  });
});
