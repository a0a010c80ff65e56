import { describe, expect, test } from 'bun:test';
import type { Service } from '#model/service/service.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { MeshSnapshot } from './mesh-snapshot.ts';

function snapshotOf(...services: Partial<Service>[]): MeshSnapshot {
  const addresses = services.map((service) => ({
    kind: 'service' as const,
    service: completeService({ name: 'api', namespace: 'a', hostname: 'api.example', ...service }),
  }));
  return new MeshSnapshot({ version: 1, addresses, authorizations: [] });
}

describe('MeshSnapshot.serviceNamed', () => {
  const rows: { title: string; services: Partial<Service>[]; want: string | undefined }[] = [
    {
      title: "the client's namespace wins over canonical",
      services: [{ namespace: 'a' }, { namespace: 'client', canonical: false }],
      want: 'client',
    },
    {
      title: 'then canonical wins over the first',
      services: [{ namespace: 'a', canonical: false }, { namespace: 'b' }],
      want: 'b',
    },
    {
      title: 'else the first',
      services: [
        { namespace: 'a', canonical: false },
        { namespace: 'b', canonical: false },
      ],
      want: 'a',
    },
    {
      title: 'what another namespace keeps to itself is not seen',
      services: [
        { namespace: 'a', visibility: 'namespace' },
        { namespace: 'b', canonical: false },
      ],
      want: 'b',
    },
    {
      title: 'what the own namespace keeps to itself is seen',
      services: [{ namespace: 'client', visibility: 'namespace' }],
      want: 'client',
    },
    {
      title: 'names are equal in any case',
      services: [{ hostname: 'API.Example' }],
      want: 'a',
    },
    {
      title: 'other names are not found',
      services: [{ hostname: 'x.api.example' }],
      want: undefined,
    },
  ];
  for (const { title, services, want } of rows) {
    test(title, () => {
      expect(snapshotOf(...services).serviceNamed('aPi.example', 'client')?.namespace).toBe(want);
    });
  }
});

describe('MeshSnapshot.serviceAt', () => {
  const range = (address: string, length: number) => [{ network: '', address, length }];
  const exact = [{ network: '', address: '198.19.0.1' }];
  const rows: { title: string; services: Partial<Service>[]; want: string | undefined }[] = [
    {
      title: 'a single address wins over a range',
      services: [{ addresses: range('198.19.0.0', 31) }, { namespace: 'b', addresses: exact }],
      want: 'b',
    },
    {
      title: 'a range of full length is a single address',
      services: [
        { addresses: range('198.19.0.0', 31) },
        { namespace: 'b', addresses: range('198.19.0.1', 32) },
      ],
      want: 'b',
    },
    {
      title: "among ranges the client's namespace wins over the longer prefix",
      services: [
        { addresses: range('198.19.0.0', 31) },
        { namespace: 'client', addresses: range('198.19.0.0', 16) },
      ],
      want: 'client',
    },
    {
      title: 'then the longer prefix',
      services: [
        { addresses: range('198.19.0.0', 16) },
        { namespace: 'b', canonical: false, addresses: range('198.19.0.0', 24) },
      ],
      want: 'b',
    },
    {
      title: 'then canonical',
      services: [
        { canonical: false, addresses: range('198.19.0.0', 24) },
        { namespace: 'b', addresses: range('198.19.0.0', 24) },
      ],
      want: 'b',
    },
    {
      title: 'what another namespace keeps to itself is not seen, single address or range',
      services: [
        { visibility: 'namespace', addresses: exact },
        { namespace: 'b', visibility: 'namespace', addresses: range('198.19.0.0', 24) },
      ],
      want: undefined,
    },
    {
      title: 'an address outside every range',
      services: [{ addresses: range('198.19.1.0', 24) }],
      want: undefined,
    },
    {
      title: 'a range of another network',
      services: [{ addresses: [{ network: 'n2', address: '198.19.0.0', length: 24 }] }],
      want: undefined,
    },
  ];
  for (const { title, services, want } of rows) {
    test(title, () => {
      expect(snapshotOf(...services).serviceAt('', '198.19.0.1', 'client')?.namespace).toBe(want);
    });
  }

  test('IPv6 ranges hold IPv6 addresses', () => {
    const mesh = snapshotOf({ addresses: range('2001:2::', 48) });
    expect(mesh.serviceAt('', '2001:2::7', 'client')?.namespace).toBe('a');
    expect(mesh.serviceAt('', '2001:3::7', 'client')).toBeUndefined();
  });
});

describe('MeshSnapshot.workloadAt', () => {
  const claim = (uid: string, protocol: 'hbone' | 'none', address = '198.18.1.1') => ({
    ...completeWorkload(
      { name: 'p', namespace: 'a', protocol, addresses: [address] },
      'cluster.local',
    ),
    uid,
  });
  const listed = claim('Kubernetes/networking.istio.io/ServiceEntry/a/e/198.18.1.1', 'none');
  const machine = claim('Kubernetes/networking.istio.io/WorkloadEntry/a/vm', 'hbone');
  test.each([
    ['a pod is not hidden by an entry that lists its address', claim('K//Pod/a/p', 'none'), listed],
    ['nor by an entry that speaks HBONE', claim('K//Pod/a/p', 'none'), machine],
    ['a machine with a tunnel is not hidden by an entry without', machine, listed],
  ])('%s', (_title, want, other) => {
    for (const order of [
      [want, other],
      [other, want],
    ]) {
      const addresses = order.map((workload) => ({ kind: 'workload' as const, workload }));
      const mesh = new MeshSnapshot({ version: 1, addresses, authorizations: [] });
      expect(mesh.workloadAt('', '198.18.1.1')).toBe(want);
    }
  });
});
