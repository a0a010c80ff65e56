/**
 * Objects that Istio's validating webhook accepts or refuses, judged by the compilers of the same kinds. Runs where the
 * cases are beside the checkout.
 */
import { describe, expect, test } from 'bun:test';
import { judgeObject } from '#control/webhook/judge.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { foreignCases } from '#test/support/foreign-cases.ts';

interface Case {
  id: string;
  name: string;
  kind: string;
  apiVersion: string;
  expect: 'valid' | 'invalid';
  object: KubeObject & { spec?: object };
}

const OPTIONS = { domain: 'cluster.local' };
/** Nothing of them acts here: they are Envoy's own configuration. */
const FOREIGN = new Set(['EnvoyFilter', 'WasmPlugin', 'TrafficExtension']);

/** Rows whose object lost, on its way to JSON, what the verdict is about. */
const LOST_IN_CONVERSION: Record<string, string> = {
  'istio-webhook/TestValidateTelemetry/454': 'empty objects, now lists',
  'istio-webhook/TestValidateCORSPolicy/35': 'nanoseconds of maxAge',
  'istio-webhook/TestValidateHTTPRetry/58': 'nanoseconds of perTryTimeout',
  'istio-webhook/TestValidateConnectionPool/203': 'nanoseconds of connectTimeout',
  'istio-webhook/TestValidateOutlierDetection/220': 'nanoseconds of baseEjectionTime',
};

const all = foreignCases<Case>('validation-webhook.json');

describe.skipIf(all === undefined)("what Istio's webhook says", () => {
  const rows = (all ?? []).filter(({ kind }) => !FOREIGN.has(kind));

  test('is known of each kind', () => {
    for (const { object } of rows) expect(judgeObject(object, OPTIONS)).toBeDefined();
    expect(new Set(rows.map(({ kind }) => kind)).size).toBe(11);
  });

  test.each(
    rows
      .filter(({ id }) => LOST_IN_CONVERSION[id] === undefined)
      .map((row) => [row.id, row.name, row] as const),
  )('%s (%s)', (_id, _name, { object, expect: verdict }) => {
    const errors = (judgeObject(object, OPTIONS) ?? []).filter(({ level }) => level === 'error');
    expect({
      verdict: errors.length === 0 ? 'valid' : 'invalid',
      errors: verdict === 'valid' ? errors : [],
    }).toEqual({ verdict, errors: [] });
    for (const { path, message, hint } of errors) {
      expect(path).toMatch(/^(spec|metadata)/);
      expect(message).not.toBe('');
      expect(hint).not.toBe('');
    }
  });
});
