/**
 * What a compiled program holds in place of the kubernetes-models packages, which it cannot read: the finished CRDs, and the
 * texts behind the built-in kinds. tools/image/embedded-files.ts writes both when it is compiled.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { embeddedPath } from '#base/compiled.ts';

export const EMBEDDED_CRDS = 'crds.json.gz';
export const EMBEDDED_MODELS = 'models.json.gz';

/** As crd-cache.ts compacts them. */
export const embeddedCrds = <T>(): T => read(EMBEDDED_CRDS) as T;

let models: ReadonlyMap<string, string> | undefined;

/** By package and path. */
export function embeddedModelFiles(): ReadonlyMap<string, string> {
  models ??= new Map(Object.entries(read(EMBEDDED_MODELS) as Record<string, string>));
  return models;
}

function read(name: string): unknown {
  return JSON.parse(gunzipSync(readFileSync(embeddedPath(name))).toString());
}
