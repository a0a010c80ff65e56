/** Builds the files of src/crds/embedded.ts from the kubernetes-models packages: once, where the program is compiled. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { builtinCrds } from '#crds/builtin-crds.ts';
import { compact } from '#crds/crd-cache.ts';
import { EMBEDDED_CRDS, EMBEDDED_MODELS } from '#crds/embedded.ts';
import { modelNames } from '#crds/models/model-names.ts';
import {
  createModelSource,
  type ModelPackage,
  modulesFolder,
  readInstalled,
} from '#crds/models/model-source.ts';

/** The packages with kinds that have a name in Kubernetes' own OpenAPI. */
const BUILTIN: readonly ModelPackage[] = ['kubernetes-models', '@kubernetes-models/apimachinery'];

/** By name. */
export function embeddedFiles(): Record<string, Uint8Array<ArrayBuffer>> {
  const contents = {
    [EMBEDDED_CRDS]: compact(builtinCrds(createModelSource(modelNames))),
    [EMBEDDED_MODELS]: builtinModelFiles(),
  };
  return Object.fromEntries(
    Object.entries(contents).map(([name, value]) => [
      name,
      new Uint8Array(gzipSync(JSON.stringify(value))),
    ]),
  );
}

/** Every file that some built-in kind is read from, by package and path. */
function builtinModelFiles(): Record<string, string> {
  const texts = new Map<string, string>();
  const source = createModelSource(modelNames, (name, path) => {
    const text = readInstalled(name, path);
    texts.set(`${name}/${path}`, text);
    return text;
  });
  for (const name of BUILTIN) {
    for (const file of readdirSync(join(modulesFolder(), name, '_schemas'))) {
      const id = { package: name, name: file.replace(/\.js$/, '') };
      if (file.endsWith('.js') && modelNames.definition(id) !== undefined) source.load(id);
    }
  }
  return Object.fromEntries([...texts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
