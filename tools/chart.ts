/** Writes chart/ from the manifests of src/install: `bun tools/chart.ts`. A test fails when the two differ. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadCrds } from '#crds/crd-cache.ts';
import { chartFiles } from '#install/chart/chart.ts';

export const CHART = join(import.meta.dir, '../chart');

if (import.meta.main) {
  rmSync(CHART, { recursive: true, force: true });
  for (const [name, text] of chartFiles(loadCrds())) {
    const path = join(CHART, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
