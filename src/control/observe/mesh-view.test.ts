/** What the console is told of the mesh: workloads by their owner, services, splits, namespaces with their mutual TLS, and what changed. */
import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import type { MeshChange } from '#console/mesh-view.ts';
import { createRoot } from '#identity/ca/authority.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import {
  BASE,
  type Loose,
  meshOf,
  object,
  route,
  service,
  toService,
} from '#test/support/gateway-mesh.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import type { StatusAnswer } from './api.ts';
import { CounterRate } from './counter-rate.ts';
import { ControlMeshView, rootRows } from './mesh-view.ts';
import { certificateRows, controlRows, stateOf } from './view/proxies.ts';

const HOUR_MS = 3600_000;

function pod(
  name: string,
  more: {
    owner?: string;
    hash?: string;
    labels?: Loose;
    annotations?: Loose;
    status?: Loose;
    image?: string;
    namespace?: string;
  } = {},
): KubeObject {
  const {
    owner = 'a',
    hash = 'h1',
    labels = {},
    annotations,
    status = {},
    image = 'shop/a:1',
    namespace = 'shop',
  } = more;
  return object(
    'Pod',
    name,
    { nodeName: 'n1', serviceAccountName: 'a', containers: [{ name: 'app', image }] },
    {
      namespace,
      labels: { app: 'a', version: 'v1', 'pod-template-hash': hash, ...labels },
      ...(annotations && { annotations }),
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `${owner}-${hash}`,
          uid: 'u',
          controller: true,
        },
      ],
    },
    {
      apiVersion: 'v1',
      status: {
        phase: 'Running',
        podIP: `198.18.1.${name.length + name.charCodeAt(name.length - 1)}`,
        startTime: '2026-01-01T00:00:00Z',
        conditions: [{ type: 'Ready', status: 'True' }],
        ...status,
      },
    },
  );
}

const CAPTURED = { 'ambient.istio.io/redirection': 'enabled' };
const namespace = (name: string, labels: Loose = {}) =>
  object('Namespace', name, undefined, { namespace: undefined, labels });
const peer = (name: string, spec: Loose, inNamespace: string, more: Loose = {}) =>
  object(
    'PeerAuthentication',
    name,
    spec,
    { namespace: inNamespace, uid: `${inNamespace}/${name}`, ...more },
    { apiVersion: 'security.istio.io/v1' },
  );

const REPORTED = {
  proxy: 'istio-system/reporting',
  connectedMs: 0,
  reportedMs: 1_800_000_000_000,
  clockOffsetMs: -12.4,
  replica: '',
};

function viewOf(objects: readonly KubeObject[], proxies: StatusAnswer['proxies'] = []) {
  const clock = new FakeClock();
  const { graph, mesh, put, remove } = meshOf(objects);
  const view = new ControlMeshView({
    clock,
    graph,
    mesh,
    settings: DEFAULT_MESH,
    version: '1.2.3',
    proxies: () => proxies,
    waypoints: () => [],
    problems: () => [],
    streams: () => [],
    use: () => ({ cpu: 0.25 }),
    report: (proxy) => (REPORTED.proxy === proxy ? REPORTED : undefined),
    control: () => [],
    roots: () => '',
  });
  const changes: MeshChange[] = [];
  view.onChange((change) => changes.push(change));
  view.start();
  return { view, put, remove, changes, clock };
}

describe('workloads', () => {
  test('pods of one Deployment are one workload, of as many versions as they have', () => {
    const { view } = viewOf([
      ...BASE,
      pod('a-1', { annotations: CAPTURED }),
      pod('a-2', {
        hash: 'h2',
        labels: { version: 'v2' },
        annotations: CAPTURED,
        status: {
          conditions: [{ type: 'Ready', status: 'False' }],
          containerStatuses: [{ restartCount: 3 }],
        },
      }),
    ]);
    const workload = view.workload('shop/a');
    expect(workload).toMatchObject({
      kind: 'Deployment',
      app: 'a',
      versions: ['v1', 'v2'],
      labels: { app: 'a' },
      isCaptured: true,
      notCaptured: '',
      role: 'workload',
      replicas: { ready: 1, desired: 2 },
      services: ['shop/a.shop.svc.cluster.local'],
      identity: 'spiffe://cluster.local/ns/shop/sa/a',
    });
    expect(workload?.pods()).toMatchObject([
      { name: 'a-1', isReady: true, isCaptured: true, restarts: 0 },
      { name: 'a-2', isReady: false, restarts: 3 },
    ]);
  });

  test.each([
    ['the namespace is not enrolled', namespace('shop'), {}, 'namespace shop is not enrolled'],
    [
      'a label keeps it out',
      namespace('shop', { 'istio.io/dataplane-mode': 'ambient' }),
      { labels: { 'istio.io/dataplane-mode': 'none' } },
      'keeps its pods out',
    ],
    [
      'the node proxy is at work',
      namespace('shop', { 'istio.io/dataplane-mode': 'ambient' }),
      { annotations: { 'ambient.istio.io/redirection': 'pending' } },
      'about to capture',
    ],
    [
      'the node proxy has not',
      namespace('shop', { 'istio.io/dataplane-mode': 'ambient' }),
      {},
      'has not captured',
    ],
    [
      'it does not run',
      namespace('shop', { 'istio.io/dataplane-mode': 'ambient' }),
      { status: { phase: 'Pending' } },
      'none of its pods runs',
    ],
  ])('says why it is not captured: %s', (_title, inNamespace, more, want) => {
    const { view } = viewOf([inNamespace, service('a'), pod('a-1', more)]);
    expect(view.workload('shop/a')).toMatchObject({
      isCaptured: false,
      notCaptured: expect.stringContaining(want),
    });
  });

  test('what has ended is none, and proxies are known as such', () => {
    const gateway = {
      'gateway.networking.k8s.io/gateway-name': 'web',
      'gateway.networking.k8s.io/gateway-class-name': 'tulle',
    };
    const waypoint = {
      ...gateway,
      'gateway.networking.k8s.io/gateway-class-name': 'istio-waypoint',
    };
    const { view } = viewOf([
      ...BASE,
      pod('done', { owner: 'job', status: { phase: 'Succeeded' } }),
      pod('web-1', { owner: 'web', labels: gateway }),
      pod('waypoint-1', { owner: 'waypoint', labels: waypoint }),
    ]);
    expect([...view.workloads()].map(({ key, role }) => [key, role])).toEqual([
      ['shop/web', 'gateway'],
      ['shop/waypoint', 'waypoint'],
    ]);
  });
});

describe('services and splits', () => {
  test('a service has its ports by name, its workloads, and endpoints with what ejected them', () => {
    const proxy = {
      kind: 'waypoint',
      namespace: 'shop',
      name: 'waypoint-1',
      node: '',
      ip: '',
      connected: true,
      sync: 'synced',
      types: [],
      certificates: [],
      ejections: [
        {
          upstream: 'shop/a.shop.svc.cluster.local',
          endpoint: `198.18.1.${3 + '2'.charCodeAt(0)}:8080`,
          workload: 'a-2',
          reason: '3 errors',
          by: 'shop/waypoint-1',
        },
      ],
    } as const;
    const { view } = viewOf([...BASE, pod('a-1'), pod('a-2')], [proxy]);
    const found = view.service('shop/a.shop.svc.cluster.local');
    expect(found).toMatchObject({
      name: 'a',
      kind: 'Service',
      isExternal: false,
      ports: [
        { name: 'http', port: 80 },
        { name: 'admin', port: 81 },
      ],
      workloads: ['shop/a'],
      waypoint: 'shop/waypoint',
    });
    const health = Object.fromEntries(
      (found?.endpoints() ?? []).map((each) => [each.address, each.health]),
    );
    expect(Object.values(health).sort()).toEqual(['ejected', 'healthy']);
    expect(view.ejected()).toMatchObject([{ workload: 'shop/a', reason: '3 errors' }]);
  });

  test('a weighted route is a split with the workloads behind each part', () => {
    const backends = [
      { name: 'a', port: 80, weight: 90 },
      { name: 'b', port: 80, weight: 10 },
    ];
    const { view } = viewOf([
      ...BASE,
      pod('a-1'),
      pod('b-1', { owner: 'b', labels: { app: 'b' } }),
      route('canary', { ...toService('a'), rules: [{ backendRefs: backends }] }),
    ]);
    expect(view.splits()).toEqual([
      {
        route: 'HTTPRoute shop/canary',
        service: 'shop/a.shop.svc.cluster.local',
        parts: [
          { percent: 90, workloads: ['shop/a'] },
          { percent: 10, workloads: ['shop/b'] },
        ],
      },
    ]);
  });
});

describe('namespaces', () => {
  test.each([
    ['nothing is said', [], 'PERMISSIVE', 'default'],
    [
      'the mesh is strict',
      [peer('default', { mtls: { mode: 'STRICT' } }, 'istio-system')],
      'STRICT',
      'PeerAuthentication istio-system/default',
    ],
    [
      'the namespace says otherwise',
      [
        peer('default', { mtls: { mode: 'STRICT' } }, 'istio-system'),
        peer('own', { mtls: { mode: 'PERMISSIVE' } }, 'shop'),
      ],
      'PERMISSIVE',
      'PeerAuthentication shop/own',
    ],
    [
      'the oldest of two counts',
      [
        peer('b', { mtls: { mode: 'STRICT' } }, 'shop'),
        peer('a', { mtls: { mode: 'DISABLE' } }, 'shop', {
          creationTimestamp: '2026-02-01T00:00:00Z',
        }),
      ],
      'STRICT',
      'PeerAuthentication shop/b',
    ],
    [
      'one workload differs',
      [peer('one', { selector: { matchLabels: { app: 'a' } }, mtls: { mode: 'STRICT' } }, 'shop')],
      'MIXED',
      'PeerAuthentication shop/one',
    ],
    [
      'one port differs',
      [
        peer(
          'port',
          { mtls: { mode: 'STRICT' }, portLevelMtls: { 80: { mode: 'DISABLE' } } },
          'shop',
        ),
      ],
      'MIXED',
      'PeerAuthentication shop/port',
    ],
  ])('mutual TLS where %s', (_title, policies, mode, from) => {
    const { view } = viewOf([...BASE, namespace('istio-system'), ...policies]);
    expect(view.namespaces().find(({ name }) => name === 'shop')).toMatchObject({
      mtlsMode: mode,
      mtlsFrom: from,
      waypoint: 'shop/waypoint',
    });
  });
});

describe('onChange', () => {
  const policy = (spec: Loose, more: Loose = {}) =>
    object('AuthorizationPolicy', 'p', spec, more, { apiVersion: 'security.istio.io/v1' });

  test('objects are told with the fields that differ, as YAML without what the server writes', () => {
    const { put, remove, changes } = viewOf(BASE);
    put(policy({ action: 'DENY' }, { resourceVersion: '1', managedFields: [{}] }));
    put(policy({ action: 'ALLOW' }, { resourceVersion: '2' }));
    put(policy({ action: 'ALLOW' }, { resourceVersion: '3' }));
    remove(policy({}));
    expect(
      changes.map(({ kind, resource, change, summary }) => [kind, resource, change, summary]),
    ).toEqual([
      ['config', 'AuthorizationPolicy shop/p', 'added', 'added'],
      ['config', 'AuthorizationPolicy shop/p', 'changed', 'spec.action'],
      ['config', 'AuthorizationPolicy shop/p', 'removed', 'removed'],
    ]);
    expect(changes[1].before).toContain('action: DENY');
    expect(changes[1].after).toContain('action: ALLOW');
    expect(changes[0].after).not.toMatch(/managedFields|resourceVersion|uid/);
  });

  test('new pods of another template are a deployment, and ready ones change endpoints', () => {
    const { put, remove, changes } = viewOf([...BASE, pod('a-1')]);
    put(pod('a-2', { hash: 'h2', image: 'shop/a:2' }));
    put(pod('a-3', { hash: 'h2', image: 'shop/a:2' }));
    remove(pod('a-1'));
    expect(changes.map(({ kind, resource, summary }) => [kind, resource, summary])).toEqual([
      ['deployment', 'Deployment shop/a', 'shop/a:1 → shop/a:2'],
      ['endpoints', 'Service shop/a', '1 → 2 endpoints'],
      ['endpoints', 'Service shop/a', '2 → 3 endpoints'],
      ['endpoints', 'Service shop/a', '3 → 2 endpoints'],
    ]);
  });

  test('what is there at the start is no change, and rows are made anew after one', () => {
    const { view, put, changes } = viewOf([...BASE, pod('a-1')]);
    expect(changes).toEqual([]);
    const before = view.revision;
    expect(view.workloads()).toBeDefined();
    put(pod('c-1', { owner: 'c' }));
    expect(view.revision).toBeGreaterThan(before);
    expect(view.workload('shop/c')).toBeDefined();
  });

  test('rows are made anew where something changed, and are the same objects elsewhere', () => {
    const { view, put, remove } = viewOf([
      ...BASE,
      pod('a-1', { annotations: CAPTURED }),
      pod('b-1', { owner: 'b', labels: { app: 'b' } }),
      route('canary', {
        ...toService('b'),
        rules: [{ backendRefs: ['a', 'b'].map((name) => ({ name, port: 80 })) }],
      }),
    ]);
    const [a, b] = ['a', 'b'].map((name) => ({
      workload: view.workload(`shop/${name}`),
      service: view.service(`shop/${name}.shop.svc.cluster.local`),
    }));
    const [split] = view.splits();
    put(pod('a-2'));
    expect(view.workload('shop/a')).toMatchObject({ replicas: { desired: 2 }, isCaptured: false });
    expect(view.workload('shop/b')).toBe(b.workload as never);
    expect(view.service('shop/b.shop.svc.cluster.local')).toBe(b.service as never);
    expect(view.splits()).toEqual([split]);
    remove(pod('a-1'));
    remove(pod('a-2'));
    expect(view.workload('shop/a')).toBeUndefined();
    expect(view.service('shop/a.shop.svc.cluster.local')).toMatchObject({ workloads: [] });
    expect(view.splits()).toMatchObject([
      { parts: [{ workloads: [] }, { workloads: ['shop/b'] }] },
    ]);
    expect(a.workload?.replicas.desired).toBe(1);
    put(namespace('shop', { 'istio.io/dataplane-mode': 'ambient' }));
    expect(view.workload('shop/b')?.notCaptured).toContain('has not captured');
  });
});

describe('proxies', () => {
  const now = Date.UTC(2026, 0, 2);
  const at = (ms: number) => new Date(now + ms).toISOString();

  test.each([
    ['valid', { notBefore: at(-12 * HOUR_MS), notAfter: at(12 * HOUR_MS) }],
    ['expiring', { notBefore: at(-20 * HOUR_MS), notAfter: at(4 * HOUR_MS) }],
    ['expired', { notBefore: at(-24 * HOUR_MS), notAfter: at(-1) }],
    ['expired', { notAfter: 'never' }],
  ])('a certificate is %s', (want, certificate) => {
    expect<string>(stateOf(certificate, now)).toBe(want);
  });

  test('certificateRows names the proxy that holds it', () => {
    const proxy = {
      namespace: 'istio-system',
      name: 'z',
      certificates: [{ principal: 'p', notAfter: at(HOUR_MS), serial: '1' }],
    };
    expect(certificateRows([proxy as unknown as StatusAnswer['proxies'][number]], now)).toEqual([
      {
        principal: 'p',
        proxy: 'istio-system/z',
        notAfter: at(HOUR_MS),
        serial: '1',
        state: 'expiring',
      },
    ]);
  });

  test('rootRows reads every certificate of a bundle', async () => {
    const deps = {
      clock: { ...new FakeClock(), wallTime: () => now } as never,
      random: seededRandom(1),
    };
    const { certificate } = await createRoot(deps, 'cluster.local');
    expect(rootRows(`${certificate}\n${certificate}`)).toMatchObject([
      { fingerprint: expect.stringMatching(/^[0-9A-F:]{95}$/) },
      {},
    ]);
    expect(rootRows('')).toEqual([]);
  });

  test('controlRows knows the other replicas by their pods and by what they say', () => {
    const control = { ready: true, leader: false, pod: 'istiod-1', version: '1', startedAt: '' };
    const other = (name: string) =>
      object(
        'Pod',
        name,
        { containers: [{ name: 'd', image: 'tulle:1.3@sha256:x' }] },
        { namespace: 'istio-system', labels: { app: 'istiod' } },
        { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
      ) as never;
    const streams = Array(3).fill({}) as never[];
    const rows = controlRows({
      own: control,
      revision: 'default',
      proxies: 2,
      use: { memoryBytes: 7 },
      pushesPerSecond: 0.5,
      pods: ['istiod-4', 'istiod-3', 'istiod-2'].map(other),
      namespace: 'istio-system',
      silent: ['istiod-2'],
      words: new Map([
        ['istiod-3', { streams, leads: true }],
        ['istiod-4', { streams: [], leads: undefined }],
      ]),
    });
    expect(rows).toMatchObject([
      { pod: 'istiod-1', isLeader: false, memoryBytes: 7, pushesPerSecond: 0.5 },
      { pod: 'istiod-2', isLeader: undefined, version: '1.3', isReady: false, proxies: 0 },
      { pod: 'istiod-3', isLeader: true, isReady: true, proxies: 3 },
      { pod: 'istiod-4', isLeader: undefined, isReady: true },
    ]);
  });

  test('CounterRate is of the last minute, and begins anew with the process', () => {
    const share = new CounterRate();
    expect(share.perSecond).toBeUndefined();
    share.add(0, 10);
    for (let second = 1; second <= 120; second++)
      share.add(second * 1000, 10 + (second > 60 ? (second - 60) * 0.5 : 0));
    expect(share.perSecond).toBeCloseTo(0.5, 2);
    share.add(121_000, 0);
    expect(share.perSecond).toBeUndefined();
  });
});

describe('proxies', () => {
  test('say when they reported last and how far their clocks are, those without a stream when they were scraped', () => {
    const proxy = {
      kind: 'node' as const,
      namespace: 'istio-system',
      node: 'node1',
      ip: '198.18.255.11',
      connected: true,
      sync: 'synced' as const,
      types: [],
      scrapedAt: '2026-01-01T00:00:00.000Z',
      certificates: [],
      ejections: [],
    };
    const { view } = viewOf(
      [],
      [
        { ...proxy, name: 'reporting' },
        { ...proxy, name: 'foreign' },
      ],
    );
    expect(view.proxies()).toMatchObject([
      { name: 'reporting', reportedAt: '2027-01-15T08:00:00.000Z', clockOffsetMs: -12 },
      { name: 'foreign', reportedAt: proxy.scrapedAt, clockOffsetMs: undefined },
    ]);
  });
});
