import { describe, expect, test } from 'bun:test';
import { gatewayConditions } from './gateway-status.ts';
import type { GatewaySpec } from './kinds.ts';
import type { TlsLookups } from './tls-material.ts';

const LOOKUPS = {
  configMap: (key: string) => (key === 'shop/there' ? {} : undefined),
} as unknown as TlsLookups;
const parametersRef = (kind: string, name: string) => ({
  infrastructure: { parametersRef: { kind, name } },
});

describe('gatewayConditions, Accepted', () => {
  const rows: [string, Partial<GatewaySpec>, string][] = [
    ['nothing said', {}, 'True Accepted'],
    ['an address without type', { addresses: [{ value: '10.0.0.1' }] }, 'True Accepted'],
    ['an address without value', { addresses: [{ type: 'IPAddress' }] }, 'True Accepted'],
    ['a Service of its own', { addresses: [{ type: 'Hostname', value: 'x' }] }, 'True Accepted'],
    [
      'a type that nobody gives',
      { addresses: [{ value: '10.0.0.1' }, { type: 'example.com/net', value: 'x' }] },
      'False UnsupportedAddress',
    ],
    ['parameters that are there', parametersRef('ConfigMap', 'there'), 'True Accepted'],
    ['parameters that are missing', parametersRef('ConfigMap', 'gone'), 'False InvalidParameters'],
    ['parameters of another kind', parametersRef('Secret', 'there'), 'False InvalidParameters'],
  ];
  test.each(rows)('%s', (_title, spec, want) => {
    const gateway = { namespace: 'shop', spec: { gatewayClassName: 'istio', ...spec } };
    const [accepted] = gatewayConditions(gateway, [], LOOKUPS);
    expect(`${accepted.status} ${accepted.reason}`).toBe(want);
  });
});
