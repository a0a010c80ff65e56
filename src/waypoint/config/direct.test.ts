/** Workloads behind a waypoint by address: what is served, what is not, what is forgotten. */
import { describe, expect, test } from 'bun:test';
import type { Workload } from '#model/workload/workload.ts';
import { DIRECT_PLACES_MAX } from '../limits.ts';
import { DirectPlaces } from './direct.ts';

const BOUND = {
  service: { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' },
  hbonePort: 15008,
};
const SERVICE = 'shop/a.shop.svc.cluster.local';

function workload(part: Partial<Workload> = {}): Workload {
  return {
    trustDomain: 'cluster.local',
    namespace: 'shop',
    serviceAccount: 'a',
    uid: 'Kubernetes//Pod/shop/a-1',
    name: 'a-1',
    addresses: ['198.18.1.7'],
    network: '',
    protocol: 'hbone',
    node: 'n1',
    workloadName: 'a',
    workloadType: 'deployment',
    canonicalName: 'a',
    canonicalRevision: '',
    clusterId: 'Kubernetes',
    locality: { region: '', zone: '', subzone: '' },
    healthy: true,
    hostNetwork: false,
    nativeTunnel: false,
    hostname: '',
    capacity: 1,
    waypoint: BOUND,
    services: new Map([[SERVICE, [{ servicePort: 80, targetPort: 8080 }]]]),
    authorizationPolicies: [],
    ...part,
  };
}

function places(known: Record<string, Workload>) {
  const ports = [{ servicePort: 80, targetPort: 8080, appProtocol: 'http2' as const }];
  return new DirectPlaces({
    gateway: { namespace: 'shop', name: 'wp' },
    workloadAt: (address) => known[address],
    service: (key) => (key === SERVICE ? ({ ports } as never) : undefined),
  });
}

describe('DirectPlaces', () => {
  test('learns a bounded number of places, and others once those are forgotten', () => {
    const known: Record<string, Workload> = { '198.18.1.7': workload(), '198.18.1.8': workload() };
    const direct = places(known);
    for (let port = 1; port <= DIRECT_PLACES_MAX; port++) {
      expect(direct.learn('198.18.1.7', port)).toBe(true);
    }
    expect(direct.learn('198.18.1.8', 80)).toBe(false);
    known['198.18.1.7'] = workload({ waypoint: undefined });
    expect([...direct.current()]).toEqual([]);
    expect(direct.learn('198.18.1.8', 80)).toBe(true);
  });

  test('serves a port of a workload that is bound here, once it is asked for', () => {
    const direct = places({ '198.18.1.7': workload() });
    expect(direct.learn('198.18.1.7', 8080)).toBe(true);
    expect(direct.learn('198.18.1.7', 8080)).toBe(false);
    expect(direct.learn('198.18.1.7', 9000)).toBe(true);
    const [{ table, upstream }] = [...direct.current()];
    expect(table.addresses).toEqual(['198.18.1.7']);
    expect(table.ports.map(({ port, protocol }) => [port, protocol])).toEqual([
      [8080, 'http2'],
      [9000, 'unknown'],
    ]);
    const [endpoint] = upstream.endpoints;
    expect(endpoint).toMatchObject({
      address: '198.18.1.7',
      ports: { 8080: 8080, 9000: 9000 },
      protocol: 'hbone',
      principal: 'spiffe://cluster.local/ns/shop/sa/a',
    });
  });

  const others: [string, Workload | undefined][] = [
    ['an address that nobody has', undefined],
    ['a workload without waypoint', workload({ waypoint: undefined })],
    [
      'a workload of another waypoint',
      workload({
        waypoint: {
          ...BOUND,
          service: { ...BOUND.service, hostname: 'wp2.shop.svc.cluster.local' },
        },
      }),
    ],
    [
      'a workload of a waypoint of this name elsewhere',
      workload({
        waypoint: {
          ...BOUND,
          service: { namespace: 'other', hostname: 'wp.other.svc.cluster.local' },
        },
      }),
    ],
  ];
  for (const [title, found] of others) {
    test(`does not serve ${title}`, () => {
      const direct = places(found === undefined ? {} : { '198.18.1.7': found });
      expect(direct.learn('198.18.1.7', 80)).toBe(false);
      expect([...direct.current()]).toEqual([]);
    });
  }

  test('forgets a workload that is bound no more', () => {
    const known: Record<string, Workload> = { '198.18.1.7': workload() };
    const direct = places(known);
    direct.learn('198.18.1.7', 80);
    known['198.18.1.7'] = workload({ waypoint: undefined });
    expect([...direct.current()]).toEqual([]);
    known['198.18.1.7'] = workload();
    expect([...direct.current()]).toEqual([]);
    expect(direct.learn('198.18.1.7', 80)).toBe(true);
  });
});
