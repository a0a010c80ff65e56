import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { Loose } from '#test/support/gateway-mesh.ts';
import { BASE, meshOf, object, service } from '#test/support/gateway-mesh.ts';
import type { MeshGraph } from './mesh-graph.ts';

const ISTIO = { apiVersion: 'networking.istio.io/v1' };
const LABELS = { app: 'ingress', istio: 'ingressgateway' };

function pod(name: string, labels: Loose = LABELS): KubeObject {
  return object(
    'Pod',
    name,
    { containers: [], nodeName: 'node1' },
    { labels },
    {
      apiVersion: 'v1',
      status: {
        phase: 'Running',
        podIP: '198.18.1.9',
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    },
  );
}
const servers = [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }];
function gateway(name: string, spec: Loose = {}): KubeObject {
  const full = { selector: { istio: 'ingressgateway' }, servers, ...spec };
  return object('Gateway', name, full, {}, ISTIO);
}
const virtualService = (host: string, gateways = ['web']) =>
  object(
    'VirtualService',
    `to-${host}`,
    { hosts: [`${host}.example.com`], gateways, http: [{ route: [{ destination: { host } }] }] },
    {},
    ISTIO,
  );
const front = (targetPort: number, labels: Loose = {}) =>
  object(
    'Service',
    'ingress',
    {
      clusterIP: '198.19.0.20',
      selector: { app: 'ingress' },
      ports: [{ name: 'http', port: 80, targetPort }],
    },
    { labels },
  );

/** `port: hosts`, by pod. */
function served(mesh: MeshGraph): Record<string, string[]> {
  return Object.fromEntries(
    [...mesh.istioGatewayConfigs.entries()].map(([key, { config }]) => [
      key,
      config.listeners.map(
        ({ port, servers }) =>
          `${port}: ${servers.flatMap(({ virtualHosts }) => virtualHosts.flatMap(({ domains }) => domains))}`,
      ),
    ]),
  );
}

describe('Istio Gateways in the mesh graph', () => {
  test('reach the pods that they select, with the VirtualServices that name them and what those need', () => {
    const { mesh, put, remove } = meshOf([
      ...BASE,
      // No waypoint: its upstream is there for the gateway alone.
      service('far', { labels: { 'istio.io/use-waypoint': 'none' } }),
      pod('in-1'),
      pod('in-2'),
      pod('other', { app: 'x' }),
      gateway('web'),
      virtualService('a'),
    ]);
    expect(served(mesh)).toEqual({
      'shop/in-1': ['80: a.example.com'],
      'shop/in-2': ['80: a.example.com'],
    });
    const far = () => mesh.upstreams.get('shop/far.shop.svc.cluster.local');
    expect(far()).toBeUndefined();
    put(virtualService('far'));
    expect(served(mesh)['shop/in-1']).toEqual(['80: a.example.com,far.example.com']);
    expect(far()).toBeDefined();
    remove(gateway('web'));
    expect(served(mesh)).toEqual({});
    expect(far()).toBeUndefined();
  });

  test('are bound where the Service in front leads, unless it wants no such thing', () => {
    const base = [...BASE, pod('in-1'), gateway('web')];
    expect(served(meshOf([...base, front(8080)]).mesh)['shop/in-1']).toEqual(['8080: ']);
    const label = { 'experimental.istio.io/disable-gateway-port-translation': 'true' };
    expect(served(meshOf([...base, front(8080, label)]).mesh)['shop/in-1']).toEqual(['80: ']);
  });

  test('may name the Service instead of a selector, and entries may list the pod', () => {
    const byName = (name: string, host: string) =>
      object(
        'Gateway',
        name,
        { servers },
        {
          annotations: { 'internal.istio.io/gateway-service': host },
        },
        ISTIO,
      );
    const entry = object(
      'ServiceEntry',
      'front',
      {
        hosts: ['front.example.com'],
        ports: [{ number: 80, targetPort: 9090, name: 'http', protocol: 'HTTP' }],
        resolution: 'STATIC',
        endpoints: [{ address: '198.18.1.9' }],
      },
      {},
      ISTIO,
    );
    const objects = [...BASE, pod('in-1'), pod('other', { app: 'x' }), front(8080)];
    const service = byName('web', 'ingress.shop.svc.cluster.local');
    expect(served(meshOf([...objects, service]).mesh)).toEqual({ 'shop/in-1': ['8080: '] });
    const listed = byName('web', 'front.example.com');
    expect(served(meshOf([...objects, entry, listed]).mesh)['shop/in-1']).toEqual(['9090: ']);
    expect(served(meshOf([...objects, byName('web', 'nothing.example.com')]).mesh)).toEqual({});
  });

  test('come to the same whatever happened before', () => {
    const shared = object(
      'VirtualService',
      'shared',
      {
        hosts: ['a.example.com', '*'],
        gateways: ['web', 'more'],
        http: [{ route: [{ destination: { host: 'b' } }] }],
      },
      { creationTimestamp: '2025-01-01T00:00:00Z' },
      ISTIO,
    );
    const more = gateway('more', {
      servers: [{ port: { number: 81, name: 'more', protocol: 'HTTP' }, hosts: ['*.example.com'] }],
    });
    const objects = [
      pod('in-1'),
      pod('in-2'),
      pod('in-3', { ...LABELS, version: 'v2' }),
      gateway('web'),
      more,
      virtualService('a'),
      virtualService('b', ['more']),
      shared,
      front(8080),
    ];
    const configs = (mesh: MeshGraph) =>
      new Map(
        [...mesh.istioGatewayConfigs.entries()].sort(([left], [right]) => (left < right ? -1 : 1)),
      );
    const steps = fc.array(fc.tuple(fc.nat(objects.length - 1), fc.boolean()), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (changes) => {
        const { mesh, put, remove } = meshOf(BASE);
        const there = new Set<KubeObject>();
        for (const [at, isThere] of changes) {
          (isThere ? put : remove)(objects[at]);
          if (isThere) there.add(objects[at]);
          else there.delete(objects[at]);
        }
        expect(configs(mesh)).toEqual(configs(meshOf([...BASE, ...there]).mesh));
      }),
      { numRuns: 60 },
    );
  });

  test('without a selector are for gateways only', () => {
    const managed = { 'gateway.networking.k8s.io/gateway-name': 'g' };
    const { mesh } = meshOf([
      ...BASE,
      pod('ours', { ...managed, 'gateway.istio.io/managed': 'istio.io-gateway-controller' }),
      pod('waypoint', { ...managed, 'gateway.istio.io/managed': 'istio.io-mesh-controller' }),
      pod('app', { app: 'x' }),
      gateway('web', { selector: undefined }),
    ]);
    expect(Object.keys(served(mesh))).toEqual(['shop/ours']);
  });

  test('keep their last good form, and say what is wrong', () => {
    const { mesh, put } = meshOf([...BASE, pod('in-1'), gateway('web'), virtualService('a')]);
    const before = served(mesh);
    put(gateway('web', { servers: [] }));
    expect(served(mesh)).toEqual(before);
    expect(mesh.findings()).toMatchObject([
      { level: 'error', resource: 'Gateway shop/web', path: 'spec.servers' },
    ]);
  });

  test('say what VirtualServices name in vain', () => {
    const { mesh } = meshOf([...BASE, pod('in-1'), gateway('web'), virtualService('nobody')]);
    expect(mesh.findings()).toMatchObject([
      { code: 'IST0101', resource: 'VirtualService shop/to-nobody' },
    ]);
  });
});

describe('kinds that nothing acts on', () => {
  test('are said to be so', () => {
    const { mesh } = meshOf([
      ...BASE,
      object('Sidecar', 's', { egress: [{ hosts: ['./*'] }] }, {}, ISTIO),
    ]);
    expect(
      mesh.findings().map(({ level, resource, path }) => `${level} ${resource} ${path}`),
    ).toEqual(['info Sidecar shop/s spec']);
  });
});
