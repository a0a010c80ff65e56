import { expect, test } from 'bun:test';
import { BALANCERS_MAX, balancerAddress } from './addresses.ts';
import { assignments, type BalancedService } from './load-balancers.ts';

const service = (name: string, type: string, ip?: string, more: object = {}): BalancedService => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { type, ...more },
  status: { loadBalancer: ip === undefined ? {} : { ingress: [{ ip }] } },
});
const [first, second, third, fourth] = [0, 1, 2, 3].map(balancerAddress);

test.each([
  { title: 'none', services: [], want: {} },
  { title: 'a new one', services: [service('a', 'LoadBalancer')], want: { a: first } },
  { title: 'one that has its address', services: [service('a', 'LoadBalancer', first)], want: {} },
  {
    title: 'two new ones beside one that has the second address',
    services: [
      service('a', 'LoadBalancer'),
      service('b', 'LoadBalancer', second),
      service('c', 'LoadBalancer'),
    ],
    want: { a: first, c: third },
  },
  {
    title: 'one that is none any more',
    services: [service('a', 'ClusterIP', first)],
    want: { a: undefined },
  },
  {
    title: 'one that asks for an address, and one that comes before it and does not',
    services: [
      service('a', 'LoadBalancer'),
      service('b', 'LoadBalancer', undefined, { loadBalancerIP: first }),
      service('c', 'LoadBalancer', second, { loadBalancerIP: third }),
    ],
    want: { a: fourth, b: first, c: third },
  },
  {
    title: 'ones that ask for what the pool has not, or another has',
    services: [
      service('a', 'LoadBalancer', first, { loadBalancerIP: '203.0.113.1' }),
      service('b', 'LoadBalancer', second),
      service('c', 'LoadBalancer', undefined, { loadBalancerIP: second }),
      service('d', 'LoadBalancer', undefined, { loadBalancerIP: third }),
      service('e', 'LoadBalancer', undefined, { loadBalancerIP: third }),
    ],
    want: { a: undefined, d: third },
  },
  { title: 'one that never was', services: [service('a', 'ClusterIP')], want: {} },
  {
    title: "another controller's, with and without an address",
    services: [
      service('a', 'LoadBalancer', undefined, { loadBalancerClass: 'example.com/other' }),
      service('b', 'LoadBalancer', first, { loadBalancerClass: 'example.com/other' }),
    ],
    want: {},
  },
] as const)('assignments writes what is missing: $title', ({ services, want }) => {
  const got = assignments(services).map(({ name, address }) => [name, address]);
  expect(Object.fromEntries(got)).toEqual(want);
});

test('assignments leaves those without an address for which the pool has none', () => {
  const services = Array.from({ length: BALANCERS_MAX + 1 }, (_, at) =>
    service(`s${at}`, 'LoadBalancer'),
  );
  const addresses = assignments(services).map(({ address }) => address);
  expect(new Set(addresses).size).toBe(BALANCERS_MAX);
});
