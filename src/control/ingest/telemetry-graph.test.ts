import { describe, expect, test } from 'bun:test';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import { meshOf, NAMESPACE, object, service, WAYPOINT } from '#test/support/gateway-mesh.ts';
import { TELEMETRY } from '#xds/resources/telemetry.ts';
import { createResourceTables } from './resource-tables.ts';

const telemetry = (name: string, spec: object, namespace = 'shop') =>
  object('Telemetry', name, spec, { namespace }, { apiVersion: 'telemetry.istio.io/v1' });
const pod = (name: string, labels: Record<string, string>, node = 'node1') =>
  object(
    'Pod',
    name,
    { nodeName: node, containers: [], serviceAccountName: 'sa' },
    { labels },
    { status: { phase: 'Running', podIP: '198.18.1.7' } },
  );
const meshConfig = (mesh: string): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system', uid: 'mesh' },
    data: { mesh },
  }) as KubeObject;

const GATEWAY_LABEL = 'gateway.networking.k8s.io/gateway-name';
const BASE = [
  NAMESPACE,
  object('Namespace', 'other', undefined, { namespace: undefined }),
  WAYPOINT,
  service('web'),
  service('api'),
  pod('web-1', { app: 'web' }),
  pod('waypoint-1', { [GATEWAY_LABEL]: 'waypoint' }),
];

function meshWith(objects: readonly KubeObject[], config?: string) {
  const made = meshOf([...BASE, ...objects]);
  if (config !== undefined)
    made.mesh.sources.meshConfig.set('istio-system/istio', meshConfig(config) as never);
  const at = (scope: string): ScopedTelemetry | undefined =>
    made.mesh.telemetry.get(scope)?.settings;
  return {
    ...made,
    at,
    scopes: () => [...made.mesh.telemetry.entries()].map(([name]) => name).sort(),
  };
}

describe('telemetry of the mesh', () => {
  test('where nothing is said only waypoints and gateways have settings of their own', () => {
    expect(meshWith([]).scopes()).toEqual(['proxy/shop/waypoint-1']);
  });

  test('the root namespace’s is in force everywhere, a selector’s at its pods, a target’s at its service', () => {
    const { at, scopes, mesh } = meshWith([
      telemetry('mesh', { tracing: [{ randomSamplingPercentage: 10 }] }, 'istio-system'),
      telemetry('web', {
        selector: { matchLabels: { app: 'web' } },
        accessLogging: [{ disabled: true }],
      }),
      telemetry('api', {
        targetRefs: [{ kind: 'Service', name: 'api' }],
        tracing: [{ randomSamplingPercentage: 90 }],
      }),
    ]);
    expect(scopes()).toEqual([
      'namespace/other',
      'namespace/shop',
      'proxy/shop/waypoint-1',
      'workload/Kubernetes//Pod/shop/web-1',
    ]);
    expect(at('namespace/other')?.server.tracing.samplingPercent).toBe(10);
    expect(at('namespace/shop')?.server.accessLog.outputs).toHaveLength(1);
    expect(at('workload/Kubernetes//Pod/shop/web-1')?.client).toMatchObject({
      accessLog: { outputs: [] },
      tracing: { samplingPercent: 10 },
    });
    const proxy = at('proxy/shop/waypoint-1');
    expect(proxy?.server.tracing.samplingPercent).toBe(10);
    expect(Object.keys(proxy?.services ?? {})).toEqual(['shop/api.shop.svc.cluster.local']);
    expect(proxy?.services?.['shop/api.shop.svc.cluster.local'].tracing.samplingPercent).toBe(90);
    expect(mesh.findings()).toEqual([]);
  });

  test('a service of another namespace takes what is said there, and nothing that is attached to the waypoint', () => {
    const theirs = object(
      'Service',
      'theirs',
      { clusterIP: '198.19.0.20', ports: [{ name: 'http', port: 80 }] },
      {
        namespace: 'other',
        labels: { 'istio.io/use-waypoint': 'waypoint', 'istio.io/use-waypoint-namespace': 'shop' },
      },
    );
    const open = {
      ...WAYPOINT,
      spec: {
        gatewayClassName: 'istio-waypoint',
        listeners: [
          {
            name: 'mesh',
            port: 15008,
            protocol: 'HBONE',
            allowedRoutes: { namespaces: { from: 'All' } },
          },
        ],
      },
    } as KubeObject;
    const made = meshWith([
      theirs,
      telemetry('wp', {
        targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'waypoint' }],
        tracing: [{ randomSamplingPercentage: 70 }],
      }),
    ]);
    made.put(open);
    const key = 'other/theirs.other.svc.cluster.local';
    const percentOf = () =>
      made.at('proxy/shop/waypoint-1')?.services?.[key]?.tracing.samplingPercent;
    expect(made.at('proxy/shop/waypoint-1')?.server.tracing.samplingPercent).toBe(70);
    expect(percentOf()).toBe(1);
    made.put(telemetry('wide', { tracing: [{ randomSamplingPercentage: 30 }] }, 'other'));
    expect(percentOf()).toBe(30);
  });

  test('a gateway that Istio Gateways choose has what its labels are chosen for', () => {
    const gateway = object(
      'Gateway',
      'edge',
      {
        selector: { istio: 'edge' },
        servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
      },
      {},
      { apiVersion: 'networking.istio.io/v1' },
    );
    const { at, scopes } = meshWith([
      gateway,
      pod('edge-1', { istio: 'edge' }),
      telemetry('edge', {
        selector: { matchLabels: { istio: 'edge' } },
        tracing: [{ randomSamplingPercentage: 40 }],
      }),
    ]);
    expect(scopes()).toContain('proxy/shop/edge-1');
    expect(at('proxy/shop/edge-1')?.client.tracing.samplingPercent).toBe(40);
    expect(scopes()).not.toContain('workload/Kubernetes//Pod/shop/edge-1');
  });

  test('a change of MeshConfig or of a Telemetry is followed, and a broken one leaves the last good in force', () => {
    const made = meshWith([telemetry('t', { tracing: [{ randomSamplingPercentage: 10 }] })]);
    const percent = () => made.at('namespace/shop')?.server.tracing.samplingPercent;
    expect(percent()).toBe(10);
    made.put(telemetry('t', { tracing: [{ randomSamplingPercentage: 20 }] }));
    expect(percent()).toBe(20);
    made.put(telemetry('t', { tracing: [{ randomSamplingPercentage: 200 }] }));
    expect(percent()).toBe(20);
    expect(made.mesh.findings().map(({ path }) => path)).toEqual([
      'spec.tracing[0].randomSamplingPercentage',
    ]);
    made.remove(telemetry('t', {}));
    expect(made.at('namespace/shop')).toBeUndefined();
    made.mesh.sources.meshConfig.set(
      'istio-system/istio',
      meshConfig(
        'accessLogFile: ""\ndefaultConfig: { tracing: { zipkin: { address: "z:1" } } }',
      ) as never,
    );
    expect(made.at('namespace/shop')?.server.accessLog.outputs).toEqual([]);
    expect(made.mesh.findings().map(({ resource, path }) => `${resource} ${path}`)).toEqual([
      'ConfigMap istio-system/istio mesh.defaultConfig.tracing.zipkin',
    ]);
  });

  test('each proxy sees what is for it, and what travels is what was made', () => {
    const { mesh } = meshWith([
      telemetry(
        'mesh',
        { metrics: [{ overrides: [{ tagOverrides: { m: { value: 'request.method' } } }] }] },
        'istio-system',
      ),
      telemetry('web', {
        selector: { matchLabels: { app: 'web' } },
        accessLogging: [{ disabled: true }],
      }),
    ]);
    const source = createResourceTables(mesh).telemetry;
    const names = (scope: object) => [...source.names(scope as never)].sort();
    const workload = 'workload/Kubernetes//Pod/shop/web-1';
    const namespaces = ['namespace/other', 'namespace/shop'];
    const node = { type: 'ztunnel', name: 'n', namespace: 'istio-system' };
    expect(names({ ...node, nodeName: 'node1' })).toEqual([...namespaces, workload]);
    expect(names({ ...node, nodeName: 'node2' })).toEqual(namespaces);
    expect(names({ type: 'waypoint', name: 'waypoint-1', namespace: 'shop' })).toEqual([
      'proxy/shop/waypoint-1',
    ]);
    expect(names({ type: 'router', name: 'x', namespace: 'shop' })).toEqual([]);
    const value = source.get('namespace/shop')?.value as ScopedTelemetry;
    expect(TELEMETRY.decode(TELEMETRY.encode(value))).toEqual({ value });
  });

  test.each<[string, object, string]>([
    ['no scope', {}, 'scope'],
    ['no settings', { scope: 's', server: {} }, 'server: no settings of metrics'],
    [
      'an output to somewhere',
      {
        scope: 's',
        server: {
          metrics: { overrides: {} },
          accessLog: { outputs: [{ sink: { kind: 'tape' } }] },
        },
      },
      'unknown place',
    ],
  ])('what a proxy does not understand it refuses: %s', (_title, json, word) => {
    const decoded = TELEMETRY.decode(new TextEncoder().encode(JSON.stringify(json)));
    expect('reason' in decoded && decoded.reason).toContain(word);
  });
});
