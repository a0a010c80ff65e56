import { expect, test } from 'bun:test';
import { builtinCrds } from './builtin-crds.ts';
import { compact, expand } from './crd-cache.ts';
import { modelNames } from './models/model-names.ts';
import { createModelSource } from './models/model-source.ts';

test('expand gives back what compact took, with one schema for versions that share it', () => {
  const crds = builtinCrds(createModelSource(modelNames));
  const back = expand(JSON.parse(JSON.stringify(compact(crds))));
  expect(back).toEqual(crds);
  // In the same order, too: the chart is written from either.
  expect(JSON.stringify(back) === JSON.stringify(crds)).toBe(true);
  const versions =
    back.find((crd) => crd.spec.names.kind === 'VirtualService')?.spec.versions ?? [];
  expect(versions.map((version) => version.name)).toEqual(['v1', 'v1alpha3', 'v1beta1']);
  expect(versions[0].schema?.openAPIV3Schema).toBe(versions[1].schema?.openAPIV3Schema);
});
