import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { canonicalIp, formatHostPort, parseIp } from '#base/ip.ts';
import { seededRandom } from '#base/random.ts';
import type { Workload } from '#model/workload/workload.ts';
import { AUTHORITY_CHARS_MAX, parseAuthority } from './authority.ts';
import { encodeBaggage, parseBaggage } from './baggage.ts';
import { forwardedHost, forwardedOf, newTraceparent } from './tunnel-head.ts';

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

test('parseAuthority reads back what formatHostPort wrote, and gives any text a host and port or nothing', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(address, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
      const canonical = canonicalIp(host);
      const want = { kind: 'address' as const, address: canonical, port };
      expect(parseAuthority(formatHostPort(canonical, port))).toEqual(want);
    }),
  );
  const piece = fc.oneof(
    fc.constantFrom(
      ':',
      '[',
      ']',
      '.',
      '80',
      '0',
      '65536',
      '1.2.3.4',
      '::1',
      'web',
      '*',
      '-',
      '@',
      ' ',
      '\0',
    ),
    fc.string({ unit: 'binary', maxLength: 300 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const text = pieces.join('');
      const found = parseAuthority(text);
      if (found === undefined) return;
      expect(text.length).toBeLessThanOrEqual(AUTHORITY_CHARS_MAX);
      expect(found.port >= 1 && found.port <= 65_535).toBe(true);
      if (found.kind === 'address') expect(parseIp(found.address)).toBeDefined();
      else expect(found.hostname).toMatch(/^[a-z0-9*._-]+$/);
    }),
    { numRuns: 1000 },
  );
});

test('parseBaggage reads back what encodeBaggage wrote, and any text without passing its length', () => {
  const value = fc.stringMatching(/^[A-Za-z0-9./_-]{0,20}$/);
  const described = fc.record({
    clusterId: value,
    namespace: value,
    workloadType: fc.constantFrom('deployment', 'cronjob', 'pod', 'job'),
    workloadName: value,
    canonicalName: value,
    canonicalRevision: value,
    region: value,
    zone: value,
  });
  fc.assert(
    fc.property(described, ({ region, zone, ...names }) => {
      const locality = { region, zone, subzone: '' };
      const parsed = parseBaggage(encodeBaggage({ ...names, locality } as unknown as Workload));
      const { workloadType, ...others } = names;
      expect(parsed).toMatchObject({ ...others, region, zone });
      if (names.workloadName !== '') expect(parsed.workloadType).toBe(workloadType);
    }),
  );
  const piece = fc.oneof(
    fc.constantFrom(',', '=', 'k8s.pod.name', 'k8s..name', 'service.name', '__proto__', ' '),
    fc.string({ unit: 'binary', maxLength: 40 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const text = pieces.join('');
      const parsed = parseBaggage(text);
      expect(Object.values(parsed).join('').length).toBeLessThanOrEqual(text.length);
    }),
    { numRuns: 1000 },
  );
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

test.each([
  ['for="198.18.1.2:5000";host=a.shop.svc.cluster.local', 'a.shop.svc.cluster.local'],
  ['host=a;for="198.18.1.2:5000"', 'a'],
  ['for="198.18.1.2:5000"; host="a"; proto=http', 'a'],
  ['for="[2001:2::1]:5000"', undefined],
  ['for=x;host=', undefined],
  ['for=x;host=""', undefined],
  ['for=x;host="', undefined],
  ['', undefined],
  ['ghost=a', undefined],
])('forwardedHost of %p is %p', (field, want) => {
  expect(forwardedHost(field)).toBe(want as string);
});
