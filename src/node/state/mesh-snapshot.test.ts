import { describe, expect, test } from 'bun:test';
import type { Service } from '#model/service/service.ts';
import { completeService } from '../config/static-file.ts';
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
