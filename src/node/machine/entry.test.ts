import { describe, expect, test } from 'bun:test';
import {
  entryObject,
  type MachineWords,
  nameConflict,
  nameFrom,
  type WorkloadGroup,
} from './entry.ts';

const words: MachineWords = {
  namespace: 'shop',
  name: 'vm1',
  address: '198.18.9.2',
  labels: {},
  ports: {},
  clusterId: 'Kubernetes',
  machineId: 'm1',
};
const cluster = { 'topology.istio.io/cluster': 'Kubernetes' };

function group(spec: WorkloadGroup['spec']): WorkloadGroup {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadGroup',
    metadata: { name: 'billing', namespace: 'shop', uid: 'u1' },
    spec,
  };
}

describe('entryObject', () => {
  const rows: {
    title: string;
    words?: Partial<MachineWords>;
    group?: WorkloadGroup['spec'];
    spec: object;
  }[] = [
    {
      title: 'from words alone',
      words: { serviceAccount: 'billing', labels: { app: 'billing' }, ports: { http: 8080 } },
      spec: {
        serviceAccount: 'billing',
        labels: { app: 'billing', ...cluster },
        ports: { http: 8080 },
      },
    },
    {
      title: 'from the group alone; labels of its metadata and of its template',
      group: {
        metadata: { labels: { app: 'billing', tier: 'back' } },
        template: {
          serviceAccount: 'billing',
          labels: { tier: 'front' },
          ports: { http: 80 },
          weight: 3,
          locality: 'r/z',
        },
      },
      spec: {
        serviceAccount: 'billing',
        labels: { app: 'billing', tier: 'front', ...cluster },
        ports: { http: 80 },
        weight: 3,
        locality: 'r/z',
      },
    },
    {
      title: 'words win, one by one',
      words: {
        serviceAccount: 'other',
        labels: { app: 'mine' },
        ports: { http: 81, rpc: 9 },
        network: 'lan',
        locality: 'r/z/s',
      },
      group: {
        metadata: { labels: { app: 'billing', tier: 'back' } },
        template: { serviceAccount: 'billing', ports: { http: 80, tcp: 7 }, network: 'wan' },
      },
      spec: {
        serviceAccount: 'other',
        labels: { app: 'mine', tier: 'back', ...cluster, 'topology.istio.io/network': 'lan' },
        ports: { http: 81, tcp: 7, rpc: 9 },
        network: 'lan',
        locality: 'r/z/s',
      },
    },
  ];
  for (const { title, words: said, group: spec, spec: want } of rows) {
    test(title, () => {
      const made = entryObject({ ...words, ...said }, spec && group(spec), { captured: false });
      expect(made.spec).toEqual({ address: '198.18.9.2', ...want } as never);
      expect(made.metadata.labels).toEqual(made.spec?.labels);
    });
  }

  test('nobody is sent there before it is captured, and then by HBONE', () => {
    const said = { ...words, serviceAccount: 'billing' };
    const before = entryObject(said, undefined, { captured: false }).metadata.annotations;
    expect(before).toEqual({
      'proxy.istio.io/health-checks-enabled': 'true',
      'tulle.dev/machine': 'm1',
    });
    const state = { captured: true, trustDomain: 'example.org' };
    expect(entryObject(said, undefined, state).metadata.annotations).toEqual({
      ...before,
      'ambient.istio.io/redirection': 'enabled',
      'tulle.dev/trust-domain': 'example.org',
    });
  });

  test('goes with its group, and says of which it is', () => {
    const spec = { metadata: { annotations: { team: 'a' } }, template: { serviceAccount: 'b' } };
    const { metadata } = entryObject(words, group(spec), { captured: false });
    expect(metadata.annotations).toMatchObject({
      team: 'a',
      'istio.io/autoRegistrationGroup': 'billing',
    });
    expect(metadata.ownerReferences).toEqual([
      {
        apiVersion: 'networking.istio.io/v1',
        kind: 'WorkloadGroup',
        name: 'billing',
        uid: 'u1',
        controller: true,
      },
    ]);
  });

  test('without a service account the mesh would not know for whom it speaks', () => {
    expect(() => entryObject(words, undefined, { captured: false })).toThrow(
      'there is no --group, and no --service-account',
    );
    expect(() => entryObject(words, group({}), { captured: false })).toThrow('billing names none');
  });
});

describe('nameConflict', () => {
  const entry = (annotations: Record<string, string>, address: string) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: 'vm1', namespace: 'shop', annotations },
    spec: { address },
  });
  test.each([
    ['ours, of before', { 'tulle.dev/machine': 'm1' }, '198.18.9.2', undefined],
    ['ours, at another address by now', { 'tulle.dev/machine': 'm1' }, '198.18.9.3', undefined],
    ['prepared for us by somebody', {}, '198.18.9.2', undefined],
    ["another machine's", { 'tulle.dev/machine': 'm2' }, '198.18.9.2', 'of another machine'],
    ["somebody's, for another address", {}, '198.18.9.3', 'made by somebody for 198.18.9.3'],
  ])('%s', (_title, annotations, address, want) => {
    const conflict = nameConflict(entry(annotations, address), words);
    if (want === undefined) expect(conflict).toBeUndefined();
    else expect(conflict).toContain(want);
  });
});

test.each([
  ['web-1.example.com', 'web-1.example.com'],
  ['Web_1', 'web-1'],
  ['-odd-', 'odd'],
])('nameFrom %s', (hostname, want) => expect(nameFrom(hostname)).toBe(want));
