/**
 * Objects that Kubernetes' API server with the CRDs of Istio and Gateway API, or Istio's webhook, accepts or refuses: `tulle validate`
 * says the same of them as documents. Runs where the cases are beside the checkout.
 */
import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
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

/** What a member may be by mistake. */
const VALUES = [null, 0, -1, 1.5, '', 'x', '*', [], {}, [null], [''], ['a', 'a'], true, { a: 1 }];
const BROKEN = 1000;

function membersOf(value: unknown): [holder: Record<string, unknown>, key: string][] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => [
    [holder, key] as const,
    ...membersOf(holder[key]),
  ]) as [Record<string, unknown>, string][];
}

const whole = [...FILES, 'validation-webhook.json'].flatMap(
  (file) => foreignCases<Case>(file) ?? [],
);
test.skipIf(whole.length === 0)(
  'objects with any members broken are judged, and nothing throws',
  () => {
    const random = seededRandom(7);
    const broken = Array.from({ length: BROKEN }, () => {
      const object = structuredClone(whole[random.integer(whole.length)].object);
      for (let times = random.integer(3); times >= 0; times--) {
        const members = membersOf((object as { spec?: unknown }).spec);
        if (members.length === 0) break;
        const [holder, key] = members[random.integer(members.length)];
        const value = VALUES[random.integer(VALUES.length + 1)];
        if (value === undefined) delete holder[key];
        else holder[key] = structuredClone(value);
      }
      return { reference: 'x:1', object };
    });
    const rows = validateManifests(broken);
    expect(rows).toHaveLength(BROKEN);
    // Most are wrong now, and some are not: what was broken is not needed.
    const wrong = rows.filter(({ valid }) => !valid).length;
    expect(wrong).toBeGreaterThan(BROKEN / 2);
    expect(wrong).toBeLessThan(BROKEN);
  },
);
