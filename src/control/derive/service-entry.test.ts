import { describe, expect, test } from 'bun:test';
import type { ServiceEntrySpec } from '#config/compile/service-entry-kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { malformed } from '#test/support/malformed.ts';
import { DEFAULT_MESH } from './mesh.ts';
import { entryVisibility, readMeshConfig } from './mesh-config.ts';
import type { ServiceEntryObject } from './service-entry.ts';
import {
  allocates,
  allocatingHosts,
  checkedServiceEntry,
  deriveServiceEntry,
} from './service-entry.ts';

const UNBOUND = { waypoint: undefined, key: undefined, condition: undefined };

function entry(spec: ServiceEntrySpec, metadata: object = {}): ServiceEntryObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'ext', namespace: 'shop', ...metadata },
    spec: { hosts: ['a.example'], ...spec },
  };
}

test('checkedServiceEntry takes whatever comes: what is no ServiceEntry is a finding', () => {
  const spec = {
    hosts: ['a.b'],
    addresses: ['1.2.3.4/8'],
    ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 1 }],
    location: 'MESH_INTERNAL',
    resolution: 'STATIC',
    endpoints: [
      {
        address: '1.2.3.4',
        ports: { http: 1 },
        labels: { a: 'b' },
        network: 'a',
        locality: 'a/b',
        weight: 1,
        serviceAccount: 'a',
      },
    ],
    subjectAltNames: ['a'],
    exportTo: ['*'],
    workloadSelector: { labels: { a: 'b' } },
  };
  for (const wrong of malformed(spec)) {
    const { value, findings } = checkedServiceEntry({ ...entry({}), spec: wrong as object });
    if (value === undefined) expect(findings).not.toEqual([]);
  }
  const number = { ...entry({}), spec: { hosts: ['a.b'], ports: 80 as never } };
  expect(checkedServiceEntry(number).findings).toMatchObject([
    { path: 'spec.ports', message: '80 is not a list' },
  ]);
});

describe('deriveServiceEntry', () => {
  const balancing = (spec: ServiceEntrySpec, own?: string, inherited?: string) => {
    const annotated = (value: string | undefined) =>
      value === undefined
        ? {}
        : { annotations: { 'networking.istio.io/traffic-distribution': value } };
    const namespace = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'shop', ...annotated(inherited) },
    };
    const context = {
      mesh: DEFAULT_MESH,
      binding: UNBOUND,
      namespace,
      visibility: 'public',
    } as const;
    return deriveServiceEntry(entry(spec, annotated(own)), context)[0][1].service.loadBalancing;
  };
  const STATIC = { resolution: 'STATIC' };

  test.each([
    ['nothing', STATIC, undefined, undefined, undefined],
    ['its annotation', STATIC, 'PreferSameZone', undefined, 'failover'],
    ['the annotation of its namespace', STATIC, undefined, 'PreferClose', 'failover'],
    ['its own Any over its namespace', STATIC, 'Any', 'PreferClose', undefined],
    ['NONE: whatever it says, traffic passes', {}, 'PreferClose', undefined, 'passthrough'],
  ] as const)('balances by %s', (_title, spec, own, inherited, want) => {
    expect(balancing(spec, own, inherited)?.mode).toBe(want);
  });

  test('what the mesh hides from everybody is no service', () => {
    const context = { mesh: DEFAULT_MESH, binding: UNBOUND, visibility: 'none' } as const;
    expect(deriveServiceEntry(entry(STATIC), context)).toEqual([]);
  });
});

describe('allocatingHosts', () => {
  const label = (value: string) => ({
    labels: { 'networking.istio.io/enable-autoallocate-ip': value },
  });
  const ROWS: [string, ServiceEntrySpec, object, string[]][] = [
    ['DNS', { resolution: 'DNS' }, {}, ['a.example']],
    ['STATIC', { resolution: 'STATIC' }, {}, ['a.example']],
    ['NONE: its clients have the real address', {}, {}, []],
    ['addresses of its own', { resolution: 'DNS', addresses: ['198.18.9.9'] }, {}, []],
    ['opted out', { resolution: 'DNS' }, label('false'), []],
    ['opted in', { resolution: 'DNS' }, label('true'), ['a.example']],
    ['a wildcard', { resolution: 'DNS', hosts: ['*.b', 'c.b'] }, {}, ['c.b']],
    [
      'a wildcard that is resolved as it comes',
      { resolution: 'DYNAMIC_DNS', hosts: ['*.b'] },
      {},
      ['*.b'],
    ],
  ];
  test.each(ROWS)('%s', (_title, spec, metadata, want) => {
    expect(allocatingHosts(entry(spec, metadata))).toEqual(want);
  });

  test('addresses in the status of an entry that opted out count no more', () => {
    const object = {
      ...entry({ resolution: 'DNS' }, label('false')),
      status: { addresses: [{ value: '240.240.0.1', host: 'a.example' }] },
    };
    expect(allocates(object)).toBe(false);
    const context = { mesh: DEFAULT_MESH, binding: UNBOUND, visibility: 'public' } as const;
    expect(deriveServiceEntry(object, context)[0][1].service.addresses).toEqual([]);
  });
});

describe('entryVisibility', () => {
  const config = (mesh: string) =>
    readMeshConfig({ metadata: { name: 'istio' }, data: { mesh } } as unknown as KubeObject);
  const POLICIES = `
serviceEntryVisibility:
  defaultVisibility: NAMESPACE
  policies:
  - visibility: PUBLIC
    matchingRules:
    - namespaceSelector: { matchLabels: { trusted: "true" } }
  - visibility: NONE
    matchingRules:
    - namespaceSelector: { matchExpressions: [{ key: hidden, operator: Exists }] }
    - namespaceSelector: { matchLabels: { team: a } }
  - visibility: PUBLIC
    matchingRules:
    - {}
`;
  test.each([
    ['', {}, 'public'],
    ['serviceEntryVisibility: {}', {}, 'public'],
    ['- no: mapping', {}, 'public'],
    ['a: [broken', {}, 'public'],
    [POLICIES, {}, 'namespace'],
    [POLICIES, { trusted: 'true' }, 'public'],
    [POLICIES, { hidden: '' }, 'namespace'],
    [POLICIES, { hidden: '', team: 'a' }, 'none'],
  ] as const)('%j and a namespace with %j: %s', (mesh, labels, want) => {
    expect(entryVisibility(config(mesh), labels)).toBe(want);
  });

  test('without MeshConfig everybody sees it', () => {
    expect(entryVisibility(readMeshConfig(undefined), undefined)).toBe('public');
  });
});
