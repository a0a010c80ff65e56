import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import type { Workload } from '#model/workload/workload.ts';
import { parseAuthority } from './authority.ts';
import { encodeBaggage, parseBaggage } from './baggage.ts';
import { forwardedOf, newTraceparent } from './tunnel-head.ts';

describe('parseAuthority', () => {
  const rows: [string, ReturnType<typeof parseAuthority>][] = [
    ['198.18.0.1:80', { kind: 'address', address: '198.18.0.1', port: 80 }],
    ['[::1]:80', { kind: 'address', address: '::1', port: 80 }],
    ['[::ffff:198.18.0.1]:80', { kind: 'address', address: '198.18.0.1', port: 80 }],
    [
      'Web.shop.svc.cluster.local:80',
      { kind: 'hostname', hostname: 'web.shop.svc.cluster.local', port: 80 },
    ],
    ['web', undefined],
    [':80', undefined],
    ['web:', undefined],
    ['web:99999', undefined],
    ['a b:80', undefined],
    ['[::1:80', undefined],
    [`${'a'.repeat(254)}:80`, { kind: 'hostname', hostname: 'a'.repeat(254), port: 80 }],
    [`${'a'.repeat(257)}:80`, undefined],
  ];
  for (const [text, want] of rows) {
    test(`reads ${text}`, () => expect(parseAuthority(text)).toEqual(want));
  }
});

const workload = {
  clusterId: 'Kubernetes',
  namespace: 'shop',
  workloadType: 'deployment',
  workloadName: 'web',
  canonicalName: 'web',
  canonicalRevision: 'v1',
  locality: { region: 'r', zone: '', subzone: '' },
} as unknown as Workload;

test('encodeBaggage keeps the order and leaves out what is empty; parseBaggage reads it back', () => {
  const text = encodeBaggage(workload);
  expect(text).toBe(
    'k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=web,service.name=web,service.version=v1,cloud.region=r',
  );
  expect(parseBaggage(`${text},unknown=1,,=x`)).toEqual({
    clusterId: 'Kubernetes',
    namespace: 'shop',
    workloadType: 'deployment',
    workloadName: 'web',
    canonicalName: 'web',
    canonicalRevision: 'v1',
    region: 'r',
    zone: '',
  });
});

test('forwarded and traceparent have the forms that ztunnel sends', () => {
  const client = { address: '::1', port: 5 };
  expect(forwardedOf(client, 'web.shop')).toBe('for="[::1]:5";host=web.shop');
  expect(forwardedOf({ address: '198.18.0.1', port: 5 }, undefined)).toBe('for="198.18.0.1:5"');
  expect(newTraceparent(seededRandom(1))).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});
