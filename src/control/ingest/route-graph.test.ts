import { describe, expect, test } from 'bun:test';
import type { Loose } from '#test/support/gateway-mesh.ts';
import { BASE, meshOf, object, service } from '#test/support/gateway-mesh.ts';
import type { MeshGraph } from './mesh-graph.ts';

const ISTIO = { apiVersion: 'networking.istio.io/v1' };

describe('VirtualServices in the mesh graph', () => {
  const mesh = (data: Loose) =>
    object(
      'ConfigMap',
      'istio',
      undefined,
      { namespace: 'istio-system' },
      { apiVersion: 'v1', data },
    );
  const KEY = 'shop/a.shop.svc.cluster.local';
  const vs = (name: string, spec: Loose, namespace = 'shop') =>
    object('VirtualService', name, spec, { namespace, uid: `${namespace}/${name}` }, ISTIO);
  const to = (host: string) => [{ destination: { host } }];
  const routesOf = ({ routeTables }: MeshGraph) =>
    (routeTables.get(KEY)?.table.ports[0].routes ?? []).map(({ name }) => name);

  test('take delegates in, and follow them', () => {
    const root = { hosts: ['a'], http: [{ delegate: { name: 'leaf', namespace: 'other' } }] };
    const leaf = (name: string) =>
      vs('leaf', { http: [{ name, route: to('a.shop.svc.cluster.local') }] }, 'other');
    const { mesh: graph, put, remove } = meshOf([...BASE, vs('root', root), leaf('one')]);
    expect(routesOf(graph)).toEqual(['one']);
    put(leaf('two'));
    expect(routesOf(graph)).toEqual(['two']);
    put(vs('leaf', { http: [] }, 'other'));
    expect(routesOf(graph)).toEqual(['two']);
    remove(leaf('two'));
    expect(routesOf(graph)).toEqual(['default']);
    expect(graph.findings()).toMatchObject([
      { code: 'IST0101', path: 'spec.http[0].delegate', resource: 'VirtualService shop/root' },
    ]);
  });

  test('get retries and visibility from MeshConfig', () => {
    const config = (text: string) => mesh({ mesh: text });
    const { mesh: graph, put } = meshOf([
      ...BASE,
      vs('v', { hosts: ['a'], http: [{ name: 'v', route: to('a') }] }),
    ]);
    const source = graph.sources.meshConfig;
    const set = (text: string) => source.set('istio-system/istio', config(text) as never);
    const attempts = () => graph.routeTables.get(KEY)?.table.ports[0].routes[0].retries.attempts;
    expect([routesOf(graph), attempts()]).toEqual([['v'], 2]);
    set('pathNormalization: { normalization: MERGE_SLASHES }');
    expect(graph.routeTables.get(KEY)?.table.pathNormalization).toBe('MERGE_SLASHES');
    set('defaultHttpRetryPolicy: { attempts: 7, retryOn: 5xx }');
    expect(attempts()).toBe(7);
    set('defaultHttpRetryPolicy: { attempts: -1 }');
    expect(attempts()).toBe(7);
    expect(graph.findings()).toMatchObject([
      {
        resource: 'ConfigMap istio-system/istio',
        path: 'data.mesh.defaultHttpRetryPolicy.attempts',
      },
    ]);
    set('defaultVirtualServiceExportTo: [elsewhere]');
    expect([routesOf(graph), attempts()]).toEqual([['default'], 2]);
    put(vs('v', { hosts: ['a'], exportTo: ['.'], http: [{ name: 'v', route: to('a') }] }));
    expect(routesOf(graph)).toEqual(['v']);
  });

  test('say which hosts they steer in vain', () => {
    const hosts = ['a', 'bare', 'nobody', '*.example.com'];
    const bare = service('bare', { labels: { 'istio.io/use-waypoint': 'none' } });
    const { mesh: graph, put } = meshOf([
      ...BASE,
      bare,
      vs('v', { hosts, http: [{ route: to('a') }] }),
    ]);
    const said = () => graph.findings().map(({ path, message }) => `${path} ${message}`);
    expect(said()).toEqual([
      'spec.hosts[1] bare.shop.svc.cluster.local has no waypoint, which alone enforces the rules',
      'spec.hosts[2] no service is called nobody.shop.svc.cluster.local: nothing in the mesh routes to it',
    ]);
    put(service('bare'));
    put(service('nobody'));
    expect(said()).toEqual([]);
    put(vs('v', { hosts: ['x.y'], gateways: ['web'], http: [{ route: to('a') }] }));
    expect(said()).toEqual([]);
  });

  test('of other namespaces do not steer what a waypoint serves, and are told', () => {
    const spec = {
      hosts: ['a.shop.svc.cluster.local'],
      http: [{ name: 'theirs', route: to('a.shop.svc.cluster.local') }],
    };
    const { mesh: graph } = meshOf([...BASE, service('x', {}, 'other'), vs('v', spec, 'other')]);
    expect(routesOf(graph)).toEqual(['default']);
    expect(graph.findings()).toMatchObject([
      { code: 'TULLE0001', resource: 'VirtualService other/v', path: 'spec.hosts' },
    ]);
  });
});
