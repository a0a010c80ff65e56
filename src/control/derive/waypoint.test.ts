import { describe, expect, test } from 'bun:test';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { DEFAULT_MESH } from './mesh.ts';
import { bindWaypoint, deriveWaypoint } from './waypoint.ts';

const service = (metadata: Partial<KubeObject['metadata']>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', ...metadata },
});

const GATEWAY: Kinds.Gateway = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'waypoint', namespace: 'shop' },
  spec: {
    gatewayClassName: 'istio-waypoint',
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
  },
  status: {
    addresses: [
      { type: 'IPAddress', value: '198.19.0.9' },
      { type: 'Hostname', value: 'w.shop.svc' },
    ],
  },
};

function gateway(change: {
  labels?: Record<string, string>;
  from?: 'All' | 'None' | 'Selector';
  ready?: boolean;
}) {
  const namespaces = change.from && { from: change.from, selector: { matchLabels: { team: 'a' } } };
  const listener = { ...GATEWAY.spec.listeners[0], allowedRoutes: { namespaces } };
  const object = {
    ...GATEWAY,
    metadata: { ...GATEWAY.metadata, labels: change.labels },
    spec: { ...GATEWAY.spec, listeners: [listener] },
    status: change.ready === false ? {} : GATEWAY.status,
  };
  return deriveWaypoint(object, undefined, DEFAULT_MESH);
}

describe('bindWaypoint', () => {
  const use = { 'istio.io/use-waypoint': 'waypoint' };
  const across = { ...use, 'istio.io/use-waypoint-namespace': 'shop' };
  type Row = [
    string,
    { own?: object; inherited?: object; at?: string; for?: 'workload'; gateway?: object },
    string | undefined,
  ];
  const ROWS: Row[] = [
    ['no label', {}, undefined],
    ['the namespace label', { inherited: use }, 'WaypointAccepted'],
    ['the own label', { own: use }, 'WaypointAccepted'],
    [
      'none stops inheritance',
      { own: { 'istio.io/use-waypoint': 'none' }, inherited: use },
      undefined,
    ],
    ['an unknown waypoint', { own: { 'istio.io/use-waypoint': 'other' } }, 'WaypointIsNotReady'],
    ['an unready waypoint', { own: use, gateway: { ready: false } }, 'WaypointIsNotReady'],
    ['another namespace, not allowed', { own: across, at: 'legacy' }, 'AttachmentDenied'],
    [
      'another namespace, allowed',
      { own: across, at: 'legacy', gateway: { from: 'All' } },
      'WaypointAccepted',
    ],
    [
      'a selected namespace',
      { own: across, inherited: { team: 'a' }, at: 'legacy', gateway: { from: 'Selector' } },
      'WaypointAccepted',
    ],
    [
      'a namespace not selected',
      { own: across, at: 'legacy', gateway: { from: 'Selector' } },
      'AttachmentDenied',
    ],
    ['a pod, by namespace, of a service waypoint', { inherited: use, for: 'workload' }, undefined],
    [
      'a pod, by its own label, of a service waypoint',
      { own: use, for: 'workload' },
      'UnsupportedTrafficType',
    ],
    [
      'a pod of a waypoint for all',
      { inherited: use, for: 'workload', gateway: { labels: { 'istio.io/waypoint-for': 'all' } } },
      'WaypointAccepted',
    ],
    [
      "a waypoint's own service",
      { own: { 'gateway.networking.k8s.io/gateway-name': 'waypoint' }, inherited: use },
      undefined,
    ],
  ];
  test.each(ROWS)('%s', (title, input, reason) => {
    const binding = bindWaypoint({
      object: service({
        namespace: input.at ?? 'shop',
        labels: input.own as Record<string, string>,
      }),
      namespaceLabels: input.inherited as Record<string, string>,
      for: input.for ?? 'service',
      unready: 'refuse',
      waypoint: (key) => (key === 'shop/waypoint' ? gateway(input.gateway ?? {}) : undefined),
    });
    expect(binding.condition?.reason).toBe(reason as string);
    // One that is not ready keeps the traffic all the same: the node proxy refuses it.
    const hosts: Record<string, string> = {
      'an unknown waypoint': 'other.shop.svc.cluster.local',
      'an unready waypoint': 'waypoint.shop.svc.cluster.local',
    };
    const host = reason === 'WaypointAccepted' ? 'w.shop.svc' : hosts[title];
    expect(binding.waypoint?.service?.hostname).toBe(host as string);
    expect(binding.key !== undefined).toBe(host !== undefined);
  });

  const canary = { 'istio.io/use-waypoint-canary': 'canary' };
  const WEIGHT = 'istio.io/use-waypoint-canary-weight';
  test.each([
    ['own, of the namespace’s waypoint', canary, '10', use, undefined, [90, 10]],
    ['own, weighed by the namespace', canary, undefined, use, '20', [80, 20]],
    ['the namespace’s', {}, undefined, { ...use, ...canary }, '30', [70, 30]],
    ['the namespace’s, for another waypoint than the own', use, undefined, canary, '30', undefined],
    [
      'own, that the namespace’s weight is not for',
      { ...use, ...canary },
      undefined,
      {},
      '30',
      undefined,
    ],
  ])('a canary: %s', (_title, labels, weight, inherited, ofNamespace, want) => {
    const object = service({ namespace: 'shop', labels });
    if (weight !== undefined) object.metadata.annotations = { [WEIGHT]: weight };
    const binding = bindWaypoint({
      object,
      namespaceLabels: inherited,
      namespaceAnnotations: ofNamespace === undefined ? {} : { [WEIGHT]: ofNamespace },
      for: 'service',
      unready: 'refuse',
      waypoint: () => gateway({}),
    });
    expect(binding.weighted?.map((each) => each.weight)).toEqual(want);
  });

  test('one that is not ready is passed by where that is chosen, and the condition says so', () => {
    const binding = bindWaypoint({
      object: service({ namespace: 'shop', labels: {} }),
      namespaceLabels: { 'istio.io/use-waypoint': 'waypoint' },
      for: 'service',
      unready: 'bypass',
      waypoint: () => undefined,
    });
    expect([binding.waypoint, binding.key]).toEqual([undefined, undefined]);
    expect(binding.condition).toMatchObject({ status: 'False', reason: 'WaypointIsNotReady' });
    expect(binding.condition?.message).toContain('passes it by until it is ready');
  });

  test('knows only its own classes', () => {
    const foreign = { ...GATEWAY, spec: { ...GATEWAY.spec, gatewayClassName: 'istio' } };
    expect(deriveWaypoint(foreign, undefined, DEFAULT_MESH)).toBeUndefined();
  });

  test('an address of a waypoint is one of the network of the mesh', () => {
    const numbered = { ...GATEWAY, status: { addresses: [{ value: '2001:DB8::9' }] } };
    expect(deriveWaypoint(numbered, undefined, { network: 'n1' })?.address).toEqual({
      address: { network: 'n1', address: '2001:db8::9' },
      hbonePort: 15008,
    });
  });
});
