import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type { SourceCollection } from '#collections/collection.ts';
import { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import type { NodeScope } from '../push/resource-source.ts';
import { startIngest } from './ingest.ts';
import type { MeshSources } from './mesh-graph.ts';
import { createMeshGraph } from './mesh-graph.ts';
import { createResourceTables } from './resource-tables.ts';

type Loose = Record<string, unknown>;
const HOST = 'product-service.shop.svc.cluster.local';
const KEY = `shop/${HOST}`;
const WAYPOINT: NodeScope = {
  type: 'waypoint',
  name: 'w-1',
  namespace: 'shop',
  gateway: 'waypoint',
};
const ZTUNNEL: NodeScope = { type: 'ztunnel', name: 'z', namespace: 'istio-system' };

function object(kind: string, name: string, rest: Loose & { metadata?: Loose } = {}): KubeObject {
  const metadata = {
    name,
    namespace: 'shop',
    uid: `${kind}/${name}`,
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  return {
    apiVersion: 'v1',
    kind,
    ...rest,
    metadata: { ...metadata, ...rest.metadata },
  } as KubeObject;
}

function pod(name: string, version: string, ip: string): KubeObject {
  return object('Pod', name, {
    metadata: {
      labels: { app: 'product-service', version },
      annotations: { 'ambient.istio.io/redirection': 'enabled' },
    },
    spec: { containers: [], nodeName: 'node1', serviceAccountName: 'product' },
    status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: 'True' }] },
  });
}

const SERVICE = object('Service', 'product-service', {
  spec: {
    clusterIP: '198.19.0.10',
    selector: { app: 'product-service' },
    ports: [{ name: 'http', port: 80, targetPort: 8080 }],
  },
});
const GATEWAY = object('Gateway', 'waypoint', {
  spec: {
    gatewayClassName: 'istio-waypoint',
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
  },
  status: { addresses: [{ type: 'Hostname', value: 'waypoint.shop.svc.cluster.local' }] },
});
const NAMESPACE = object('Namespace', 'shop', {
  metadata: { namespace: undefined, labels: { 'istio.io/use-waypoint': 'waypoint' } },
});
const RULE = object('DestinationRule', 'product-service', {
  spec: { host: 'product-service', subsets: [{ name: 'stable', labels: { version: 'v1' } }] },
});
const virtualService = (weight: number, timeout = '10s') =>
  object('VirtualService', 'product-service', {
    spec: {
      hosts: ['product-service'],
      http: [
        {
          timeout,
          route: [
            { destination: { host: 'product-service', subset: 'stable' }, weight },
            { destination: { host: 'product-service' }, weight: 100 - weight },
          ],
        },
      ],
    },
  });

function setup() {
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  const tables = createResourceTables(mesh);
  const put = (source: keyof MeshSources, value: KubeObject) =>
    (mesh.sources[source] as unknown as SourceCollection<KubeObject>).set(keyIn(value), value);
  return { graph, mesh, tables, put };
}

function keyIn(value: KubeObject): string {
  const { namespace, name } = value.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function example() {
  const made = setup();
  made.graph.batch(() => {
    made.put('namespaces', NAMESPACE);
    made.put('gateways', GATEWAY);
    made.put('services', SERVICE);
    made.put('destinationRules', RULE);
    made.put('virtualServices', virtualService(90));
    made.put('pods', pod('p-1', 'v1', '198.18.1.5'));
    made.put('pods', pod('p-2', 'v2', '198.18.2.5'));
  });
  return made;
}

function destinations(tables: ReturnType<typeof setup>['tables']) {
  const action = tables.routeTable.get(KEY)?.value.ports[0].routes[0].action;
  return action?.kind === 'forward' ? action.destinations : [];
}

describe('createMeshGraph', () => {
  test('derives addresses, a route table and its upstream', () => {
    const { tables, mesh } = example();
    expect(mesh.findings()).toEqual([]);
    expect([...tables.address.names(ZTUNNEL)].sort()).toEqual([
      'Kubernetes//Pod/shop/p-1',
      'Kubernetes//Pod/shop/p-2',
      KEY,
    ]);
    expect(tables.address.get(KEY)?.value).toMatchObject({
      kind: 'service',
      service: {
        waypoint: { service: { hostname: 'waypoint.shop.svc.cluster.local' }, hbonePort: 15008 },
      },
    });
    expect(destinations(tables).map(({ subset, weight }) => [subset, weight])).toEqual([
      ['stable', 90],
      [undefined, 10],
    ]);
    expect(
      tables.upstream
        .get(KEY)
        ?.value.endpoints.map(({ address, labels }) => [address, labels.version]),
    ).toEqual([
      ['198.18.1.5', 'v1'],
      ['198.18.2.5', 'v2'],
    ]);
  });

  test('shows each node only what it may see', () => {
    const { tables } = example();
    const stranger = { ...WAYPOINT, gateway: 'other' };
    expect([...tables.routeTable.names(WAYPOINT)]).toEqual([KEY]);
    expect([...tables.upstream.names(WAYPOINT)]).toEqual([KEY]);
    for (const scope of [stranger, ZTUNNEL]) {
      expect([...tables.routeTable.names(scope)]).toEqual([]);
      expect(tables.upstream.visible(KEY, scope)).toBe(false);
    }
  });

  test('changes versions with the content only, and announces what changed', () => {
    const { tables, put } = example();
    const announced: string[] = [];
    tables.routeTable.subscribe((names) => announced.push(...names));
    const before = tables.routeTable.get(KEY)?.version;
    put('virtualServices', {
      ...virtualService(90),
      metadata: { ...virtualService(90).metadata, resourceVersion: '9' },
    });
    expect(announced).toEqual([]);
    put('virtualServices', virtualService(50));
    expect(announced).toEqual([KEY]);
    expect(tables.routeTable.get(KEY)?.version).not.toBe(before);
    expect(example().tables.routeTable.get(KEY)?.version).toBe(before);
  });

  test('keeps the last good VirtualService in force and says what is wrong', () => {
    const { tables, mesh, put } = example();
    put('virtualServices', virtualService(20, 'soon'));
    expect(destinations(tables)[0].weight).toBe(90);
    expect(mesh.findings()).toMatchObject([{ level: 'error', path: 'spec.http[0].timeout' }]);
    mesh.sources.virtualServices.delete('shop/product-service');
    expect(destinations(tables)).toMatchObject([{ upstream: KEY, weight: 1 }]);
    put('virtualServices', virtualService(20, 'soon'));
    expect(destinations(tables)).toMatchObject([{ upstream: KEY, weight: 1 }]);
  });

  test('breaks the destination, not the table, when a subset goes', () => {
    const { tables, mesh } = example();
    mesh.sources.destinationRules.delete('shop/product-service');
    expect(destinations(tables)[0].broken).toMatchObject({ status: 503, flag: 'NC' });
    expect(destinations(tables)[1].broken).toBeUndefined();
    expect(mesh.findings()).toMatchObject([
      { code: 'IST0101', resource: 'VirtualService shop/product-service' },
    ]);
  });

  test('attaches selector policies and STRICT to the workloads', () => {
    const { tables, put } = example();
    put(
      'peerAuthentications',
      object('PeerAuthentication', 'default', { spec: { mtls: { mode: 'STRICT' } } }),
    );
    put(
      'authorizationPolicies',
      object('AuthorizationPolicy', 'v1-only', {
        spec: { selector: { matchLabels: { version: 'v1' } }, rules: [{}] },
      }),
    );
    const policies = (name: string) => {
      const value = tables.address.get(`Kubernetes//Pod/shop/${name}`)?.value;
      return value?.kind === 'workload' ? value.workload.authorizationPolicies : [];
    };
    const strict = 'istio-system/istio_converted_static_strict';
    expect(policies('p-1')).toEqual([strict, 'shop/v1-only']);
    expect(policies('p-2')).toEqual([strict]);
    expect([...tables.authorization.names(ZTUNNEL)].sort()).toEqual([strict, 'shop/v1-only']);
    expect([...tables.authorization.names(WAYPOINT)]).toEqual([]);
  });

  test('prepares the tables and keeps traffic for the waypoint while it is not ready', () => {
    const { tables, put, mesh } = example();
    put('gateways', { ...GATEWAY, status: {} } as KubeObject);
    expect(tables.routeTable.get(KEY)).toBeDefined();
    expect(tables.upstream.get(KEY)).toBeDefined();
    expect(mesh.services.get(KEY)?.service.waypoint).toEqual({
      service: { namespace: 'shop', hostname: 'waypoint.shop.svc.cluster.local' },
      hbonePort: 15008,
    });
    expect(mesh.services.get(KEY)?.condition).toMatchObject({
      status: 'False',
      reason: 'WaypointIsNotReady',
    });
  });

  test('incremental result equals a fresh one after any order of changes', () => {
    const all: [keyof MeshSources, KubeObject][] = [
      ['namespaces', NAMESPACE],
      ['gateways', GATEWAY],
      ['services', SERVICE],
      ['destinationRules', RULE],
      ['virtualServices', virtualService(90)],
      ['virtualServices', virtualService(10)],
      ['pods', pod('p-1', 'v1', '198.18.1.5')],
      ['pods', pod('p-1', 'v2', '198.18.1.6')],
      ['pods', pod('p-2', 'v2', '198.18.2.5')],
      [
        'peerAuthentications',
        object('PeerAuthentication', 'a', { spec: { mtls: { mode: 'STRICT' } } }),
      ],
      [
        'peerAuthentications',
        object('PeerAuthentication', 'a', {
          spec: {
            selector: { matchLabels: { version: 'v1' } },
            portLevelMtls: { 80: { mode: 'STRICT' } },
          },
        }),
      ],
      ['authorizationPolicies', object('AuthorizationPolicy', 'b', { spec: { rules: [{}] } })],
    ];
    const change = fc.record({ at: fc.nat(all.length - 1), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 25 }), (changes) => {
        const live = setup();
        for (const { at, remove } of changes) {
          const [source, value] = all[at];
          if (remove) live.mesh.sources[source].delete(keyIn(value));
          else live.put(source, value);
        }
        const fresh = setup();
        fresh.graph.batch(() => {
          for (const name of Object.keys(live.mesh.sources) as (keyof MeshSources)[])
            for (const [, value] of live.mesh.sources[name].entries())
              fresh.put(name, value as KubeObject);
        });
        for (const name of ['addresses', 'authorizations', 'routeTables', 'upstreams'] as const)
          expect(new Map<string, unknown>(live.mesh[name].entries())).toEqual(
            new Map<string, unknown>(fresh.mesh[name].entries()),
          );
      }),
      { numRuns: 60 },
    );
  });
});

describe('startIngest', () => {
  test('derives nothing before every kind is listed, then follows changes', async () => {
    const { graph, mesh, tables } = setup();
    const client = new FakeKubeClient();
    await client.create(RESOURCES.services, SERVICE);
    await client.create(RESOURCES.pods, pod('p-1', 'v1', '198.18.1.5'));
    const deps = { client, clock: new FakeClock(), random: seededRandom(1), log: silentLogger };
    const announced: string[][] = [];
    tables.address.subscribe((names) => announced.push([...names].sort()));
    const ingest = startIngest(deps, graph, {
      sources: mesh.sources,
      rootNamespace: 'istio-system',
    });
    await ingest.synced;
    expect(announced).toEqual([['Kubernetes//Pod/shop/p-1', KEY]]);
    await client.delete(RESOURCES.pods, { namespace: 'shop', name: 'p-1' });
    expect(tables.address.get('Kubernetes//Pod/shop/p-1')).toBeUndefined();
    ingest.stop();
    expect(client.watching).toBe(0);
  });
});
