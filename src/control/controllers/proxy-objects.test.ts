import { describe, expect, test } from 'bun:test';
import type { ConfigMap } from '#kube/client/kinds.ts';
import { type GatewayObject, gatewayObjects } from './gateway-objects.ts';
import { nameFault, type ProxyObjects } from './proxy-objects.ts';
import { overlay } from './proxy-overlay.ts';
import type { ProxyOptions } from './proxy-pod.ts';
import { waypointObjects } from './waypoint-objects.ts';

const OPTIONS: ProxyOptions = {
  image: 'tulle:1',
  rootNamespace: 'istio-system',
  clusterId: 'Kubernetes',
  trustDomain: 'cluster.local',
  domain: 'cluster.local',
  revision: 'default',
};

function gateway(spec: object = {}, metadata: object = {}): GatewayObject {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'edge', namespace: 'shop', uid: 'u-1', ...metadata },
    spec: { gatewayClassName: 'istio', listeners: [], ...spec },
  } as GatewayObject;
}
const HTTP = [{ name: 'http', port: 80, protocol: 'HTTP' }];
const made = (
  given: GatewayObject = gateway(),
  options: Partial<ProxyOptions> = {},
  ports: { name: string; port: number; protocol: string }[] = HTTP,
): ProxyObjects => gatewayObjects(given, ports, { ...OPTIONS, ...options });
const podOf = ({ deployment }: ProxyObjects) => deployment.spec.template.spec;

describe('deploymentOf', () => {
  test('makes pods that Pod Security admits at its restricted level', () => {
    const pod = podOf(made());
    expect(pod.securityContext).toEqual({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
      sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }],
    });
    expect(pod.automountServiceAccountToken).toBe(false);
    for (const container of pod.containers)
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
      });
    // Of volumes `restricted` takes these alone.
    const kinds = (pod.volumes ?? []).flatMap(({ name: _name, ...source }) => Object.keys(source));
    expect(new Set(kinds)).toEqual(new Set(['projected', 'configMap', 'downwardAPI']));
  });

  test('needs no sysctl where no port is low', () => {
    const high = made(gateway(), {}, [{ name: 'http', port: 8080, protocol: 'HTTP' }]);
    expect(podOf(high).securityContext).not.toHaveProperty('sysctls');
    expect(podOf(waypointObjects(gateway(), OPTIONS)).securityContext).not.toHaveProperty(
      'sysctls',
    );
  });

  test('lets it say when it is ready, and never restarts what serves', () => {
    const [container] = podOf(made()).containers;
    expect(container.readinessProbe?.httpGet).toEqual({ path: '/healthz/ready', port: 15_021 });
    expect(container.livenessProbe).toBeUndefined();
    expect(container.resources).toMatchObject({ requests: { cpu: '100m', memory: '128Mi' } });
  });

  test('connects to the control plane of its revision', () => {
    const of = (revision: string) =>
      podOf(made(gateway(), { revision })).containers[0].env?.find(
        ({ name }) => name === 'XDS_ADDRESS',
      )?.value;
    expect(of('default')).toBe('istiod.istio-system.svc:15012');
    expect(of('canary')).toBe('istiod-canary.istio-system.svc:15012');
    const { deployment } = made(gateway(), { revision: 'canary' });
    expect(deployment.spec.template.metadata?.annotations).toMatchObject({
      'istio.io/rev': 'canary',
    });
  });

  test('has the priority that it is given, and else none', () => {
    expect(podOf(made()).priorityClassName).toBeUndefined();
    expect(podOf(made(gateway(), { priorityClass: 'p' })).priorityClassName).toBe('p');
  });
});

describe('proxyMetadata', () => {
  test('carries what infrastructure says, and else what the Gateway says, less what tools know it by', () => {
    const metadata = {
      labels: {
        team: 'a',
        'istio.io/rev': 'canary',
        'app.kubernetes.io/instance': 'argo',
        'gateway.networking.k8s.io/gateway-name': 'other',
      },
      annotations: { note: 'b', 'argocd.argoproj.io/tracking-id': 'x', 'tulle.dev/replicas': '2' },
    };
    const carried = made(gateway({}, metadata)).service.metadata;
    expect(carried.annotations).toEqual({ note: 'b' });
    expect(carried.labels).toEqual({
      team: 'a',
      'istio.io/rev': 'canary',
      'gateway.networking.k8s.io/gateway-name': 'edge',
      'gateway.networking.k8s.io/gateway-class-name': 'istio',
      'gateway.istio.io/managed': 'istio.io-gateway-controller',
    });
    const infrastructure = { labels: { own: 'c' } };
    const given = made(gateway({ infrastructure }, metadata)).serviceAccount.metadata;
    expect(given.labels).toMatchObject({ own: 'c' });
    expect(given.labels).not.toHaveProperty('team');
    expect(given.ownerReferences).toMatchObject([{ kind: 'Gateway', name: 'edge', uid: 'u-1' }]);
  });

  test('takes other names where the Gateway gives them', () => {
    const annotations = {
      'gateway.istio.io/name-override': 'web',
      'gateway.istio.io/service-account': 'mine',
    };
    for (const objects of [
      made(gateway({}, { annotations })),
      waypointObjects(gateway({}, { annotations }), OPTIONS),
    ]) {
      expect(objects.deployment.metadata.name).toBe('web');
      expect(objects.service.metadata.name).toBe('web');
      expect(objects.serviceAccount.metadata.name).toBe('mine');
      expect(podOf(objects).serviceAccountName).toBe('mine');
    }
  });
});

describe('gatewayObjects', () => {
  test.each([
    [undefined, { loadBalancerIP: '10.0.0.1' }],
    ['ClusterIP', { externalIPs: ['10.0.0.1', '10.0.0.2'] }],
  ])('asks for fixed addresses as a Service of type %p can', (type, want) => {
    const addresses = ['10.0.0.1', '10.0.0.2'].map((value) => ({ type: 'IPAddress', value }));
    const annotations = type === undefined ? {} : { 'networking.istio.io/service-type': type };
    const { spec } = made(gateway({ addresses }, { annotations })).service;
    const { loadBalancerIP, externalIPs } = spec as Record<string, unknown>;
    expect(JSON.parse(JSON.stringify({ loadBalancerIP, externalIPs }))).toEqual(want);
  });
});

describe('nameFault', () => {
  test.each([
    ['edge', 'edge-istio', undefined],
    ['a'.repeat(64), 'x', 'pods carry it as a label'],
    ['a'.repeat(60), `${'a'.repeat(60)}-istio`, 'is no name for a Service'],
    ['shop.web', 'shop.web-istio', 'gateway.istio.io/name-override'],
  ])('%s as %s', (name, service, want) => {
    const fault = nameFault(gateway({}, { name }), service);
    if (want === undefined) expect(fault).toBeUndefined();
    else expect(fault).toContain(want);
  });
});

describe('overlay', () => {
  const configMap = (data: Record<string, string>): ConfigMap => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'parameters', namespace: 'shop' },
    data,
  });
  const apply = (...data: Record<string, string>[]) => {
    const result = overlay(made(), data.map(configMap));
    if ('fault' in result) throw new Error(result.fault);
    return result;
  };
  const faultOf = (data: Record<string, string>) => {
    const result = overlay(made(), [configMap(data)]);
    return 'fault' in result ? result.fault : undefined;
  };

  test('makes no autoscaler unless it is asked for', () => {
    const { objects, asked } = apply();
    expect(objects.horizontalPodAutoscaler).toBeUndefined();
    expect(objects.podDisruptionBudget).toBeDefined();
    expect(asked.size).toBe(0);
  });

  test('merges as Kubernetes does: containers by name, ports by number, metrics as a whole', () => {
    const { objects } = apply(
      {
        deployment:
          'spec: { replicas: 4, template: { spec: { containers: [{ name: istio-proxy, resources: { requests: { cpu: 222m } } }] } } }',
        service: 'spec: { ports: [{ port: 80, nodePort: 30080 }] }',
        horizontalPodAutoscaler: 'spec: { minReplicas: 2, maxReplicas: 5 }',
        serviceAccount: 'metadata: { annotations: { role: edge } }',
      },
      { podDisruptionBudget: 'spec: { minAvailable: 1, maxUnavailable: null }' },
    );
    const { deployment, service, horizontalPodAutoscaler, podDisruptionBudget } = objects;
    const [container] = deployment?.spec.template.spec.containers ?? [];
    expect(container.resources).toEqual({
      requests: { cpu: '222m', memory: '128Mi' },
      limits: { memory: '1Gi' },
    });
    expect(container.image).toBe('tulle:1');
    // The autoscaler's, whatever the overlay says.
    expect(deployment?.spec).not.toHaveProperty('replicas');
    expect(service?.spec.ports).toMatchObject([{ port: 15021 }, { port: 80, nodePort: 30_080 }]);
    expect(horizontalPodAutoscaler?.spec).toMatchObject({
      minReplicas: 2,
      maxReplicas: 5,
      scaleTargetRef: { name: 'edge-istio' },
    });
    expect(podDisruptionBudget?.spec).not.toHaveProperty('maxUnavailable');
    expect(objects.serviceAccount?.metadata.annotations).toEqual({ role: 'edge' });
  });

  test('an empty key asks for the object as it is', () => {
    expect(
      apply({ horizontalPodAutoscaler: '' }).objects.horizontalPodAutoscaler?.spec,
    ).toMatchObject({ maxReplicas: 1 });
  });

  test.each([
    [{ daemonset: '{}' }, 'key daemonset: no such overlay; there are serviceAccount, service'],
    [{ deployment: '[1]' }, 'a strategic merge patch is a mapping'],
    [{ deployment: 'a: [' }, 'ConfigMap shop/parameters, key deployment: '],
    [{ service: 'metadata: { name: other }' }, 'only labels and annotations may be changed'],
    [{ service: 'metadata: { namespace: kube-system }' }, 'only labels and annotations'],
    [{ service: 'kind: Secret' }, 'only labels and annotations'],
    [{ service: 'metadata: null' }, 'only labels and annotations'],
    [{ deployment: 'metadata: { ownerReferences: null }' }, 'only labels and annotations'],
    [
      { service: 'metadata: { labels: { gateway.networking.k8s.io/gateway-name: x } }' },
      'the Gateway is found by it',
    ],
    [{ service: '$patch: delete' }, 'only labels and annotations'],
  ])('refuses %j', (data, want) => expect(faultOf(data as Record<string, string>)).toContain(want));
});
