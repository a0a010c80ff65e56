/**
 * Objects that Kubernetes' API server with the CRDs of Istio and Gateway API, or Istio's webhook, accepts or refuses: `tulle validate`
 * says the same of them as documents. Runs where the cases are beside the checkout.
 */
import { describe, expect, test } from 'bun:test';
import { validateManifests } from '#cli/validate/validate.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { foreignCases } from '#test/support/foreign-cases.ts';

interface Case {
  id: string;
  kind: string;
  expect: 'valid' | 'invalid';
  object: KubeObject;
  errorContains?: string | null;
  errorsContain?: string[];
}

const FILES = ['validation-crd.json', 'validation-gateway-api.json'];

for (const file of FILES) {
  const cases = foreignCases<Case>(file);
  describe.skipIf(cases === undefined)(file, () => {
    test.each((cases ?? []).map((row) => [row.id, row] as const))('%s', (_id, row) => {
      const [{ valid, findings }] = validateManifests([{ reference: 'x:1', object: row.object }]);
      expect({ valid, findings: valid ? [] : findings }).toEqual({
        valid: row.expect === 'valid',
        findings: row.expect === 'valid' ? [] : findings,
      });
      const text = findings.map(({ path, message }) => `${path}: ${message}`).join('\n');
      for (const part of [row.errorContains, ...(row.errorsContain ?? [])])
        if (typeof part === 'string') expect(text).toContain(part);
    });
  });
}
