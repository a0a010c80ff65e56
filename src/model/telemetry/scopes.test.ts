import { expect, test } from 'bun:test';
import { DEFAULT_SCOPED, namespaceScope, telemetryOf, workloadScope } from './scopes.ts';
import type { ScopedTelemetry } from './settings.ts';

test('telemetryOf takes the narrowest scope there is', () => {
  const scoped = (scope: string): [string, ScopedTelemetry] => [
    scope,
    { ...DEFAULT_SCOPED, scope },
  ];
  const known = new Map([scoped(namespaceScope('shop')), scoped(workloadScope('c//Pod/shop/web'))]);
  const of = (namespace: string, pod: string) =>
    telemetryOf(known, { namespace, uid: `c//Pod/${namespace}/${pod}` }).scope;
  expect(of('shop', 'web')).toBe('workload/c//Pod/shop/web');
  expect(of('shop', 'api')).toBe('namespace/shop');
  expect(of('other', 'web')).toBe('default');
  expect(telemetryOf(new Map(), { namespace: 'shop', uid: 'u' })).toBe(DEFAULT_SCOPED);
});
