/**
 * Keeps the built CRDs as one JSON file under node_modules/.cache: reading it is five times faster than building them
 * from the packages. The fingerprint covers the packages' versions and our own tables; without a writable folder the
 * CRDs are built at every start. A compiled program has them in itself.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '#base/assert.ts';
import { COMPILED } from '#base/compiled.ts';
import type { Schema } from '#config/schema/schema.ts';
import { isJsonObject } from '#kube/meta/object.ts';
import { builtinCrds, type CustomResourceDefinition } from './builtin-crds.ts';
import { embeddedCrds } from './embedded.ts';
import { modelNames } from './models/model-names.ts';
import { createModelSource, modulesFolder } from './models/model-source.ts';

const FILE = 'crds.json';

/** Versions of one kind share a schema, in the file as in memory. */
export interface CrdTable {
  crds: CustomResourceDefinition[];
  schemas: Schema[];
  /** For each CRD, the index in `schemas` of each of its versions. */
  uses: number[][];
}

interface Cached extends CrdTable {
  fingerprint: string;
}

/** All that Tulle knows: Istio's, the Gateway API's and its own. */
export function loadCrds(): CustomResourceDefinition[] {
  if (COMPILED) return expand(embeddedCrds<CrdTable>());
  const build = () => builtinCrds(createModelSource(modelNames));
  const fingerprint = fingerprintOf();
  const folder = join(modulesFolder(), '.cache', 'tulle');
  const known = read(join(folder, FILE));
  if (known?.fingerprint === fingerprint) return expand(known);
  const crds = build();
  write(folder, { fingerprint, ...compact(crds) });
  return crds;
}

function fingerprintOf(): string {
  const parts: string[] = [];
  for (const folder of [import.meta.dir, join(import.meta.dir, 'models')]) {
    for (const name of readdirSync(folder).sort()) {
      if (name.endsWith('.ts') && !name.endsWith('.test.ts'))
        parts.push(readFileSync(join(folder, name), 'utf8'));
    }
  }
  for (const name of ['@kubernetes-models/istio', '@kubernetes-models/gateway-api']) {
    parts.push(readFileSync(join(modulesFolder(), name, 'package.json'), 'utf8'));
  }
  return Bun.hash(parts.join('\0')).toString(16);
}

/** A missing, torn or foreign file only means that the CRDs are built again. */
function read(path: string): Cached | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isJsonObject(parsed) && Array.isArray(parsed.uses)
      ? (parsed as unknown as Cached)
      : undefined;
  } catch (error) {
    assert(error instanceof Error, 'reading the cache failed with an error');
    return undefined;
  }
}

function write(folder: string, cached: Cached): void {
  try {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, FILE);
    // Several servers may start at once: each writes its own file and renames it.
    writeFileSync(`${path}.${process.pid}`, JSON.stringify(cached));
    renameSync(`${path}.${process.pid}`, path);
  } catch (error) {
    assert(error instanceof Error, 'writing the cache failed with an error');
  }
}

export function compact(crds: readonly CustomResourceDefinition[]): CrdTable {
  const schemas: Schema[] = [];
  const uses: number[][] = [];
  const bare = crds.map((crd) => {
    const versions = crd.spec.versions.map(({ schema: _, ...version }) => version);
    uses.push(
      crd.spec.versions.map(({ schema }) => {
        const node = schema?.openAPIV3Schema ?? {};
        const known = schemas.indexOf(node);
        return known >= 0 ? known : schemas.push(node) - 1;
      }),
    );
    return { ...crd, spec: { ...crd.spec, versions } };
  });
  return { crds: bare, schemas, uses };
}

export function expand(cached: CrdTable): CustomResourceDefinition[] {
  return cached.crds.map((crd, index) => ({
    ...crd,
    spec: {
      ...crd.spec,
      versions: crd.spec.versions.map((version, place) => ({
        ...version,
        schema: { openAPIV3Schema: cached.schemas[cached.uses[index][place]] },
      })),
    },
  }));
}
