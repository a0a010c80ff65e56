import { describe, expect, test } from 'bun:test';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { meshTargets, unsharedPorts } from './mesh-targets.ts';

type StaticWorkload = Parameters<typeof completeWorkload>[0];
type StaticService = Parameters<typeof completeService>[0];

const own = completeWorkload(
  {
    name: 'vm',
    namespace: 'shop',
    addresses: ['198.18.9.2'],
    protocol: 'hbone',
    services: { 'shop/billing': [{ servicePort: 80, targetPort: 8080 }] },
  },
  'cluster.local',
);

function targetsOf(
  { workloads = [], services = [] }: { workloads?: StaticWorkload[]; services?: StaticService[] },
  excluded: string[] = [],
) {
  const snapshot = new MeshSnapshot({
    version: 1,
    authorizations: [],
    addresses: [
      { kind: 'workload', workload: own },
      ...workloads.map((each) => ({
        kind: 'workload' as const,
        workload: completeWorkload(each, 'cluster.local'),
      })),
      ...services.map((each) => ({ kind: 'service' as const, service: completeService(each) })),
    ],
  });
  const { addresses, ranges } = meshTargets(snapshot, { own, excluded: new Set(excluded) });
  return { addresses: [...addresses], ranges: ranges.map(({ length }) => length) };
}

const gateway = { address: { network: '', address: '198.19.0.9' }, hbonePort: 15008 };
const workload = (extra: Partial<StaticWorkload>): StaticWorkload => ({
  name: 'a',
  namespace: 'shop',
  addresses: ['198.18.1.2'],
  ...extra,
});
const service = (extra: Partial<StaticService>, network = ''): StaticService => ({
  name: 's',
  namespace: 'shop',
  addresses: [{ network, address: '198.19.0.4' }],
  ...extra,
});

describe('meshTargets', () => {
  const rows: { title: string; given: Parameters<typeof targetsOf>[0]; want: string[] }[] = [
    { title: 'itself is none', given: {}, want: [] },
    { title: 'a service', given: { services: [service({})] }, want: ['198.19.0.4'] },
    {
      title: 'no service of another network',
      given: { services: [service({}, 'far')] },
      want: [],
    },
    {
      title: 'no service that its namespace may not see',
      given: { services: [service({ namespace: 'other', visibility: 'namespace' })] },
      want: [],
    },
    {
      title: 'a captured pod by its address',
      given: { workloads: [workload({ protocol: 'hbone' })] },
      want: ['198.18.1.2'],
    },
    {
      title: 'no pod that is not captured',
      given: { workloads: [workload({ protocol: 'none' })] },
      want: [],
    },
    {
      title: 'a pod that is reached through its waypoint',
      given: { workloads: [workload({ protocol: 'none', waypoint: gateway })] },
      want: ['198.18.1.2'],
    },
    {
      title: 'no node, although a waypoint runs on its network',
      given: { workloads: [workload({ protocol: 'hbone', hostNetwork: true })] },
      want: [],
    },
  ];
  for (const { title, given, want } of rows) {
    test(title, () => expect(targetsOf(given).addresses).toEqual(want));
  }

  test('what we need to repair anything is left alone, however it is written', () => {
    const addresses = [
      { network: '', address: '198.19.0.4' },
      { network: '', address: '2001:2::8' },
    ];
    const given = { services: [service({ addresses })] };
    expect(targetsOf(given, ['198.19.0.4', '2001:2:0:0::8']).addresses).toEqual([]);
  });

  test('a service of a whole range is one', () => {
    const addresses = [
      { network: '', address: '198.19.128.0', length: 20 },
      { network: '', address: '198.19.0.7', length: 32 },
    ];
    const given = { services: [service({ addresses })] };
    expect(targetsOf(given)).toEqual({ addresses: ['198.19.0.7'], ranges: [20] });
  });
});

test('unsharedPorts names what a service wants and the machine does not share', () => {
  expect(unsharedPorts(own, new Set([8080]))).toEqual([]);
  expect(unsharedPorts(own, new Set([22]))).toEqual([{ service: 'shop/billing', port: 8080 }]);
});
