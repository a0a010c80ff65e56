/** What a gateway's pod is told: listeners of both kinds of Gateways, its destinations, and no key but its own. */
import { describe, expect, test } from 'bun:test';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { createTestCa } from '#test/support/certificates.ts';
import {
  meshOf,
  NAMESPACE,
  object,
  route,
  service,
  WAYPOINT,
  WEB,
} from '#test/support/gateway-mesh.ts';
import type { NodeScope } from '../push/resource-source.ts';
import type { MeshGraph } from './mesh-graph.ts';
import { createResourceTables } from './resource-tables.ts';

const ISTIO = { apiVersion: 'networking.istio.io/v1' };
const pod = (name: string, labels: Record<string, string>, rest = {}) =>
  object(
    'Pod',
    name,
    { nodeName: 'n', serviceAccountName: name, containers: [] },
    { labels, ...rest },
    { apiVersion: 'v1', status: { podIP: '198.18.1.9', phase: 'Running', conditions: [] } },
  );
const edge = (spec: object, name = 'edge') =>
  object('Gateway', name, { selector: { istio: 'ingressgateway' }, ...spec }, {}, ISTIO);
const http = (number: number, hosts: string[]) => ({
  port: { number, name: `http-${number}`, protocol: 'HTTP' },
  hosts,
});
const https = (credentialName: string) => ({
  port: { number: 443, name: 'https', protocol: 'HTTPS' },
  hosts: ['*'],
  tls: { mode: 'SIMPLE', credentialName },
});
const virtualService = object(
  'VirtualService',
  'v',
  { hosts: ['a.test'], gateways: ['edge'], http: [{ route: [{ destination: { host: 'a' } }] }] },
  {},
  ISTIO,
);
const INGRESS = { istio: 'ingressgateway' };
const router = (name: string, part: Partial<NodeScope> = {}): NodeScope => ({
  type: 'router',
  name,
  namespace: 'shop',
  isPodProven: true,
  ...part,
});

function visible(mesh: MeshGraph, scope: NodeScope) {
  const tables = createResourceTables(mesh);
  return {
    configs: [...tables.gatewayConfig.names(scope)],
    upstreams: [...tables.upstream.names(scope)],
    materials: [...tables.tlsMaterial.names(scope)],
  };
}

async function secret(name: string, rest = {}): Promise<KubeObject> {
  const ca = await createTestCa();
  const identity = await ca.issue('', { dns: 'a.test' });
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const data = {
    'tls.crt': base64(identity.certificateChain),
    'tls.key': base64(identity.privateKey),
  };
  return object('Secret', name, undefined, rest, { apiVersion: 'v1', data });
}

describe('gatewayProxies', () => {
  test('a pod that an Istio Gateway selects serves it on the target ports of its Service', () => {
    const { mesh } = meshOf([
      service('a'),
      edge({ servers: [http(80, ['*'])] }),
      virtualService,
      pod('in-1', INGRESS),
      pod('app-1', { app: 'a' }),
      object(
        'Service',
        'in',
        { clusterIP: '198.19.0.11', selector: INGRESS, ports: [{ port: 80, targetPort: 8080 }] },
        {},
        { apiVersion: 'v1' },
      ),
    ]);
    const proxy = mesh.gatewayProxies.get('shop/in-1');
    expect(proxy?.config.name).toBe('in-1');
    expect(proxy?.config.listeners.map(({ port }) => port)).toEqual([8080]);
    expect(proxy?.config.listeners[0].servers[0].virtualHosts[0].domains).toEqual(['a.test']);
    expect(mesh.gatewayProxies.get('shop/app-1')).toBeUndefined();
    expect(visible(mesh, router('in-1'))).toEqual({
      configs: ['shop/in-1'],
      upstreams: ['shop/a.shop.svc.cluster.local'],
      materials: [],
    });
    expect(visible(mesh, router('app-1'))).toEqual({ configs: [], upstreams: [], materials: [] });
  });

  test('a Gateway and the Istio Gateways that choose its pods are served together', () => {
    const { mesh } = meshOf([
      service('a'),
      WEB,
      route('r', { parentRefs: [{ name: 'web' }] }),
      edge({ selector: { tier: 'edge' }, servers: [http(8081, ['a.test'])] }),
      virtualService,
      pod('web-1', { 'gateway.networking.k8s.io/gateway-name': 'web', tier: 'edge' }),
    ]);
    const { listeners = [] } = mesh.gatewayProxies.get('shop/web-1')?.config ?? {};
    expect(listeners.map(({ port }) => port)).toEqual([80, 8081]);
  });

  test('proxies in front are believed as MeshConfig says, a pod may say otherwise', () => {
    const meshConfig = object(
      'ConfigMap',
      'istio',
      undefined,
      { namespace: 'istio-system' },
      { data: { mesh: 'defaultConfig: { gatewayTopology: { numTrustedProxies: 2 } }' } },
    );
    const { mesh, put } = meshOf([edge({ servers: [http(80, ['*'])] }), pod('in-1', INGRESS)]);
    mesh.sources.meshConfig.set('istio-system/istio', meshConfig);
    expect(mesh.gatewayProxies.get('shop/in-1')?.config.trustedProxies).toBe(2);
    const annotations = { 'proxy.istio.io/config': 'gatewayTopology:\n  numTrustedProxies: 1\n' };
    put(pod('in-1', INGRESS, { annotations }));
    expect(mesh.gatewayProxies.get('shop/in-1')?.config.trustedProxies).toBe(1);
  });

  test('paths are normalized as MeshConfig says', () => {
    const { mesh } = meshOf([edge({ servers: [http(80, ['*'])] }), pod('in-1', INGRESS)]);
    const config = (text: string) => {
      const data = { data: { mesh: text } };
      const place = { namespace: 'istio-system' };
      const meshConfig = object('ConfigMap', 'istio', undefined, place, data);
      mesh.sources.meshConfig.set('istio-system/istio', meshConfig);
      return mesh.gatewayProxies.get('shop/in-1')?.config.pathNormalization;
    };
    const said = (name: string) => config(`pathNormalization: { normalization: ${name} }`);
    const got = [said('NONE'), said('DEFAULT'), said('nonsense'), config('')];
    expect(got).toEqual(['NONE', undefined, undefined, undefined]);
  });

  test('a PROXY header is expected on all ports where the pod says so', () => {
    const annotations = { 'proxy.istio.io/config': 'gatewayTopology:\n  proxyProtocol: {}\n' };
    const { mesh, put } = meshOf([
      service('a'),
      virtualService,
      edge({ servers: [http(80, ['*'])] }),
      pod('in-1', INGRESS, { annotations }),
    ]);
    const listeners = () => mesh.gatewayProxies.get('shop/in-1')?.config.listeners ?? [];
    expect(listeners().map(({ proxyProtocol }) => proxyProtocol)).toEqual([true]);
    put(pod('in-1', INGRESS));
    expect(listeners().map(({ proxyProtocol }) => proxyProtocol)).toEqual([undefined]);
  });

  test('an egress gateway leads to hosts outside, with the TLS that their rule asks for', () => {
    const host = 'api.example.com';
    const outside = object(
      'ServiceEntry',
      'api',
      {
        hosts: [host],
        resolution: 'STATIC',
        location: 'MESH_EXTERNAL',
        ports: [{ number: 443, name: 'https', protocol: 'HTTPS' }],
        endpoints: [{ address: '198.18.9.9' }],
      },
      {},
      ISTIO,
    );
    const rule = object(
      'DestinationRule',
      'api',
      { host, trafficPolicy: { tls: { mode: 'SIMPLE', sni: host } } },
      {},
      ISTIO,
    );
    const out = object(
      'VirtualService',
      'out',
      {
        hosts: [host],
        gateways: ['edge'],
        http: [{ route: [{ destination: { host, port: { number: 443 } } }] }],
      },
      {},
      ISTIO,
    );
    const { mesh } = meshOf([
      outside,
      rule,
      out,
      edge({ servers: [http(80, [host])] }),
      pod('out-1', INGRESS),
    ]);
    expect(mesh.gatewayProxies.get('shop/out-1')?.upstreams).toEqual([`shop/${host}`]);
    const upstream = mesh.upstreams.get(`shop/${host}`);
    expect(upstream?.policy.tls).toMatchObject({ mode: 'simple', sni: host });
    expect(upstream?.endpoints.map(({ address, protocol }) => [address, protocol])).toEqual([
      ['198.18.9.9', 'none'],
    ]);
  });
});

describe('a service with a waypoint', () => {
  const waypointPod = pod('wp-1', { 'gateway.networking.k8s.io/gateway-name': 'waypoint' });
  const waypointService = object(
    'Service',
    'waypoint',
    {
      clusterIP: '198.19.0.20',
      selector: { 'gateway.networking.k8s.io/gateway-name': 'waypoint' },
      ports: [{ name: 'mesh', port: 15008 }],
    },
    { labels: { 'gateway.networking.k8s.io/gateway-name': 'waypoint' } },
    { apiVersion: 'v1' },
  );
  const objects = (labels: Record<string, string>) => [
    NAMESPACE,
    WAYPOINT,
    waypointService,
    waypointPod,
    service('a', { labels }),
    edge({ servers: [http(80, ['*'])] }),
    virtualService,
    pod('in-1', INGRESS),
  ];
  const upstreamOf = (labels: Record<string, string>) =>
    meshOf(objects(labels)).mesh.upstreams.get('shop/a.shop.svc.cluster.local');

  test('is reached through it by gateways', () => {
    const upstream = upstreamOf({});
    expect(upstream?.waypoint?.key).toBe('shop/waypoint');
    const [endpoint] = upstream?.waypoint?.endpoints ?? [];
    expect(endpoint).toMatchObject({
      name: 'wp-1',
      via: '198.19.0.10',
      protocol: 'hbone',
      ports: { 80: 80, 81: 81 },
      principal: 'spiffe://cluster.local/ns/shop/sa/wp-1',
    });
  });

  test('is reached past it where its label says so', () => {
    expect(upstreamOf({ 'istio.io/ingress-use-waypoint': 'false' })?.waypoint).toBeUndefined();
    expect(upstreamOf({ 'istio.io/ingress-use-waypoint': 'true' })?.waypoint).toBeDefined();
  });

  test('is reached by nobody while the waypoint has no pod', () => {
    const { mesh, remove } = meshOf(objects({}));
    remove(waypointPod);
    const upstream = mesh.upstreams.get('shop/a.shop.svc.cluster.local');
    expect(upstream?.waypoint).toEqual({ key: 'shop/waypoint', endpoints: [] });
  });
});

describe('a policy that reaches a gateway', () => {
  /** Of `WEB`. */
  const CLASS = 'tulle';
  const policy = (spec: object, part: object = {}) =>
    object(
      'AuthorizationPolicy',
      'only',
      { rules: [{}], ...spec },
      { ...part },
      { apiVersion: 'security.istio.io/v1' },
    );
  const tokens = (spec: object, part: object = {}) =>
    object(
      'RequestAuthentication',
      'jwt',
      { jwtRules: [{ issuer: 'i' }], ...spec },
      { ...part },
      { apiVersion: 'security.istio.io/v1' },
    );
  const root = { namespace: 'istio-system' };
  const target = (kind: string, name: string) => ({ targetRefs: [{ kind, name }] });
  const selector = (tier: string) => ({ selector: { matchLabels: { tier } } });
  const ignore = { annotations: { 'tulle.dev/unenforced-policy': 'ignore' } };
  const rows: [string, KubeObject, boolean][] = [
    ['is bound to the Gateway', policy(target('Gateway', 'web')), true],
    ['is bound to another', policy(target('Gateway', 'other')), false],
    [
      'is bound to its class by the root namespace',
      policy(target('GatewayClass', CLASS), root),
      true,
    ],
    ['is bound to its class by anybody', policy(target('GatewayClass', CLASS)), false],
    ['selects its pod', policy(selector('edge')), true],
    ['selects its pod from the root namespace', policy(selector('edge'), root), true],
    ['selects others', policy(selector('app')), false],
    ['is of another namespace', policy(selector('edge'), { namespace: 'far' }), false],
    ['is to be ignored where nobody judges', policy(selector('edge'), ignore), true],
    [
      'is a dry run',
      policy(selector('edge'), { annotations: { 'istio.io/dry-run': 'true' } }),
      false,
    ],
    ['denies nothing', policy({ ...selector('edge'), action: 'DENY', rules: [] }), false],
    ['asks a provider', policy({ action: 'CUSTOM', provider: { name: 'opa' } }), true],
    ['is of all its namespace', policy({}), true],
    ['is of all its namespace, by an empty selector', policy({ selector: {} }), true],
    ['is of the whole mesh', policy({}, root), true],
    ['is of all of another namespace', policy({}, { namespace: 'far' }), false],
    ['only audits', policy({ action: 'AUDIT' }), false],
    ['authenticates for its pod', tokens(selector('edge')), true],
    ['authenticates for all its namespace', tokens({}), true],
    ['authenticates for the whole mesh', tokens({}, root), true],
    ['authenticates for others', tokens(selector('app')), false],
    ['authenticates for another Gateway', tokens(target('Gateway', 'other')), false],
    ['authenticates by no rule', tokens({ jwtRules: [] }), false],
  ];
  test.each(rows)('is judged by, or refuses the traffic, when it %s', (title, each, isBound) => {
    const { mesh } = meshOf([
      service('a'),
      WEB,
      pod('web-1', { 'gateway.networking.k8s.io/gateway-name': 'web', tier: 'edge' }),
      each,
    ]);
    const { denied, policies } = mesh.gatewayProxies.get('shop/web-1')?.config ?? {};
    const { kind, metadata } = each;
    const { namespace, name } = metadata;
    const isUnjudgeable = title.startsWith('asks');
    const isTold = title === 'is a dry run';
    expect(denied?.policy).toBe(
      isBound && isUnjudgeable ? `${kind} ${namespace}/${name}` : (undefined as unknown as string),
    );
    if (denied) expect(denied.reason).toContain('cannot be enforced by this gateway');
    const all = [...(policies?.policies ?? []), ...(policies?.tokens ?? [])];
    const judged = all.map(
      (one) => `${one.namespace}/${one.name} ${'dryRun' in one && one.dryRun}`,
    );
    const want = [`${namespace}/${name} ${isTold}`];
    expect(judged).toEqual((isBound && !isUnjudgeable) || isTold ? want : []);
  });

  test.each([
    ['authorizationPolicies/shop/only', policy({ action: 'CUSTOM', provider: { name: 'opa' } })],
  ])('says so in its status while there is a gateway that it selects: %s', (key, each) => {
    const labels = { 'gateway.networking.k8s.io/gateway-name': 'web' };
    const { mesh, remove } = meshOf([service('a'), WEB, pod('web-1', labels), each]);
    const conditions = () => {
      const { conditions = [] } = mesh.policyStatuses.get(key) ?? {};
      return Object.fromEntries(conditions.map((one) => [one.type, one]));
    };
    const reason = 'UnsupportedValue';
    expect(conditions().WaypointAccepted).toMatchObject({ status: 'False', reason });
    const enforced = conditions()['tulle.dev/Enforced'];
    expect(enforced).toMatchObject({ status: 'True', reason: 'RefusesUnjudged' });
    expect(enforced.message).toEndWith('refuse its traffic (403): shop/web-1');
    remove(pod('web-1', labels));
    expect(conditions().WaypointAccepted).toBeUndefined();
    expect(conditions()['tulle.dev/Enforced'].message).not.toContain('shop/web-1');
  });

  test.each([
    ['authorizationPolicies/shop/only', policy({}), 'NodeProxies'],
    [
      'requestAuthentications/shop/jwt',
      tokens({ jwtRules: [{ issuer: 'i', jwks: '{}' }] }),
      'Gateways',
    ],
    ['requestAuthentications/shop/jwt', tokens({}), 'KeysMissing'],
  ])('is accepted where gateways judge by it: %s', (key, each, reason) => {
    const labels = { 'gateway.networking.k8s.io/gateway-name': 'web' };
    const { mesh } = meshOf([service('a'), WEB, pod('web-1', labels), each]);
    const { conditions = [] } = mesh.policyStatuses.get(key) ?? {};
    expect(conditions).toContainEqual(
      expect.objectContaining({ type: 'WaypointAccepted', status: 'True', reason: 'Accepted' }),
    );
    expect(conditions).toContainEqual(
      expect.objectContaining({ type: 'tulle.dev/Enforced', status: 'True', reason }),
    );
  });
});

describe('TLS material', () => {
  test('goes to the gateway that uses it, on a stream that proved its pod, and to nobody else', async () => {
    const { mesh } = meshOf([
      edge({ servers: [https('cert')] }),
      pod('in-1', INGRESS),
      pod('other-1', { istio: 'other' }),
      await secret('cert'),
      await secret('unused'),
    ]);
    const name = 'kubernetes://shop/cert';
    expect(visible(mesh, router('in-1')).materials).toEqual([name]);
    expect(visible(mesh, router('in-1', { isPodProven: false })).materials).toEqual([]);
    expect(visible(mesh, router('in-1', { namespace: 'elsewhere' })).materials).toEqual([]);
    expect(visible(mesh, router('other-1')).materials).toEqual([]);
    expect(visible(mesh, router('in-1', { type: 'ztunnel' })).materials).toEqual([]);
    const { tlsMaterial } = createResourceTables(mesh);
    expect(tlsMaterial.get(name)?.value.privateKey).toContain('PRIVATE KEY');
  });

  test('a listener of a Gateway gets a Secret of another namespace only with a grant', async () => {
    const gateway = object('Gateway', 'web', {
      gatewayClassName: 'tulle',
      listeners: [
        {
          name: 'https',
          port: 443,
          protocol: 'HTTPS',
          tls: { certificateRefs: [{ name: 'cert', namespace: 'vault' }] },
        },
      ],
    });
    const grant = object(
      'ReferenceGrant',
      'g',
      {
        from: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'shop' }],
        to: [{ group: '', kind: 'Secret' }],
      },
      { namespace: 'vault' },
    );
    const labels = { 'gateway.networking.k8s.io/gateway-name': 'web' };
    const { mesh, put } = meshOf([
      gateway,
      pod('web-1', labels),
      await secret('cert', { namespace: 'vault' }),
    ]);
    expect(visible(mesh, router('web-1')).materials).toEqual([]);
    put(grant);
    expect(visible(mesh, router('web-1')).materials).toEqual(['kubernetes://vault/cert']);
  });

  test('a DestinationRule brings no Secret of its own namespace to a gateway elsewhere', async () => {
    const rule = object(
      'DestinationRule',
      'd',
      {
        host: 'a.shop.svc.cluster.local',
        trafficPolicy: { tls: { mode: 'MUTUAL', credentialName: 'client' } },
      },
      {},
      ISTIO,
    );
    const objects = [
      service('a'),
      rule,
      edge({ servers: [http(80, ['*'])] }),
      virtualService,
      pod('in-1', INGRESS),
      await secret('client'),
    ];
    const { mesh } = meshOf(objects);
    const { policy } = mesh.upstreams.get('shop/a.shop.svc.cluster.local') ?? {};
    const name = policy?.tls?.material ?? '';
    expect(name).toContain('client');
    const foreign = router('in-1', { namespace: 'elsewhere' });
    expect(visible(mesh, foreign).materials).toEqual([]);
  });
});
