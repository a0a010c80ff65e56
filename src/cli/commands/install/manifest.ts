/** `tulle manifest generate`: the manifests as YAML, without a cluster. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { loadCrds } from '#crds/crd-cache.ts';
import { chartFiles } from '#install/chart/chart.ts';
import { crdsToInstall } from '#install/crds/install-crds.ts';
import { manifests } from '#install/manifests/manifests.ts';
import { MANAGED_BY_TULLE } from '#install/manifests/parameters.ts';
import { valuesOf } from '#install/values/values.ts';
import { UsageError } from '../../output/report.ts';
import { layersOf, type ValueFlags } from './values.ts';

export interface GenerateFlags extends ValueFlags {
  readonly crds: boolean;
  readonly chart?: string;
}

export async function generate(flags: GenerateFlags): Promise<void> {
  if (flags.chart !== undefined) return writeChart(flags.chart, flags);
  const [namespace, ...objects] = manifests(valuesOf(layersOf(flags))).map(({ object }) => object);
  const crds = flags.crds ? crdsToInstall(loadCrds(), MANAGED_BY_TULLE) : [];
  process.stdout.write(`# kubectl apply --server-side -f - takes this\n`);
  for (const object of [namespace, ...crds, ...objects]) {
    process.stdout.write(
      `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`,
    );
  }
}

/** The chart takes its values from Helm. */
function writeChart(folder: string, { set, values, namespace, revision }: GenerateFlags): void {
  if (set.length + values.length > 0 || namespace !== undefined || revision !== undefined) {
    throw new UsageError('--chart goes without values: Helm gives them to the chart');
  }
  const files = chartFiles(loadCrds());
  for (const [name, text] of files) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  process.stdout.write(
    `${folder}: ${files.size} files; helm install tulle ${folder} -n istio-system --create-namespace\n`,
  );
}
