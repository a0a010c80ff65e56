/** Rows, what needs attention, and what applies to whom: pure functions over an invented mesh. */
import { describe, expect, test } from 'bun:test';
import type { Finding } from '#console/api/config.ts';
import type { CertificateRow, ProxyRow } from '#console/api/mesh.ts';
import type { ConfigView, ServiceView } from '#console/mesh-view.ts';
import { policy, requestRow, smallMesh, TRAFFIC } from '#test/support/console-rig.ts';
import { appliedTo, subjectOfService, subjectOfWorkload } from './applied.ts';
import { type AttentionInput, attention, meshHealth, spanText } from './attention.ts';
import { configAnswer, referencesOf } from './config-rows.ts';
import { effectOf } from './effects.ts';
import { joinLines, mentions, parseLogLine, requestText } from './log-lines.ts';
import { policyRows } from './mesh-page.ts';
import { namesService } from './names.ts';
import { appRows, namespaceRow, serviceRow, withReplicas, workloadRow } from './rows.ts';

const MESH = smallMesh();
const CART = MESH.service('shop/cart.shop.svc.cluster.local') as ServiceView;
const HEALTHY = { status: 'healthy', reason: 'fine', samples: 100 } as const;

function config(
  kind: string,
  name: string,
  spec: object,
  more: Partial<ConfigView> = {},
): ConfigView {
  const { apiVersion = 'networking.istio.io/v1', namespace = 'shop' } = more;
  return {
    ...policy(namespace, name),
    ...more,
    kind,
    apiVersion,
    object: { apiVersion, kind, metadata: { name, namespace }, spec },
  };
}

describe('namesService', () => {
  test.each([
    ['cart', 'shop', true],
    ['cart', 'bank', false],
    ['cart.shop', 'bank', true],
    ['cart.shop.svc', 'bank', true],
    ['cart.shop.svc.cluster.local', 'bank', true],
    ['*.shop.svc.cluster.local', 'bank', true],
    ['*', 'bank', true],
    ['cart.shop.example', 'shop', false],
    ['other', 'shop', false],
  ])('%s as written in %s', (host, namespace, want) => {
    expect(namesService(host, namespace, CART)).toBe(want);
  });
});

describe('effectOf', () => {
  test.each([
    ['AuthorizationPolicy', {}, 'ALLOW without rules: nothing is allowed by it'],
    ['AuthorizationPolicy', { action: 'DENY', rules: [{}, {}] }, 'DENY by 2 rules'],
    [
      'PeerAuthentication',
      { mtls: { mode: 'STRICT' }, portLevelMtls: { 80: { mode: 'DISABLE' } } },
      'mutual TLS STRICT, 80: DISABLE',
    ],
    [
      'VirtualService',
      { hosts: ['cart'], http: [{ route: [{ weight: 90 }, { weight: 10 }], timeout: '1s' }] },
      '1 rule for cart: split 90 : 10, timeout',
    ],
    [
      'HTTPRoute',
      { parentRefs: [{ name: 'cart' }], rules: [{ filters: [{ type: 'RequestMirror' }] }] },
      '1 rule at cart: mirror',
    ],
    [
      'DestinationRule',
      { host: 'cart', subsets: [{ name: 'v1' }], trafficPolicy: { outlierDetection: {} } },
      'for cart: subsets v1, outlier ejection',
    ],
    [
      'Gateway',
      { gatewayClassName: 'istio', listeners: [{ protocol: 'HTTP', port: 80 }] },
      'istio: HTTP 80',
    ],
    ['Unknown', {}, ''],
    ['VirtualService', { hosts: 'no list', http: 7 }, '0 rules for '],
  ])('%s %p', (kind, spec, want) => {
    expect(effectOf(config(kind, 'x', spec))).toBe(want);
  });
});

describe('appliedTo', () => {
  const labels = { app: 'cart' };
  const objects = [
    config('VirtualService', 'route', { hosts: ['cart'], http: [] }),
    config('DestinationRule', 'rule', { host: 'cart' }),
    config('AuthorizationPolicy', 'allow', { rules: [{}] }),
    config('AuthorizationPolicy', 'deny', {
      action: 'DENY',
      rules: [{}],
      selector: { matchLabels: labels },
    }),
    config('AuthorizationPolicy', 'other', { selector: { matchLabels: { app: 'web' } } }),
    config('AuthorizationPolicy', 'at-service', {
      targetRefs: [{ kind: 'Service', name: 'cart' }],
    }),
    config(
      'PeerAuthentication',
      'mesh',
      { mtls: { mode: 'STRICT' } },
      { namespace: 'istio-system' },
    ),
    config('HTTPRoute', 'api', { parentRefs: [{ kind: 'Service', name: 'cart' }] }),
    config('HTTPRoute', 'elsewhere', {
      parentRefs: [{ kind: 'Service', name: 'vault', namespace: 'bank' }],
    }),
  ];
  const from = { objects, findings: MESH.findings(), rootNamespace: 'istio-system' };
  const names = (rows: readonly { resource: string }[]) =>
    rows.map(({ resource }) => resource.split('/')[1]);

  test('a workload has the policies in the order in which they are judged, then what a request meets', () => {
    const view = MESH.workload('shop/cart');
    if (view === undefined) throw new Error('no cart');
    const { policies, config: rest } = appliedTo(subjectOfWorkload(view, MESH), from);
    expect(names(policies)).toEqual(['mesh', 'deny', 'allow', 'at-service']);
    expect(names(rest)).toEqual(['route', 'api', 'rule']);
  });

  test('a service has none that select by labels', () => {
    expect(names(appliedTo(subjectOfService(CART), from).policies)).toEqual([
      'mesh',
      'allow',
      'at-service',
    ]);
  });
});

test('referencesOf finds services, gateways and secrets, and configAnswer who names it', () => {
  const route = config('VirtualService', 'route', {
    hosts: ['cart'],
    gateways: ['mesh', 'edge', 'bank/other'],
    http: [{ route: [{ destination: { host: 'vault.bank' } }] }],
  });
  expect(referencesOf(route, [...MESH.services()])).toEqual([
    'Gateway bank/other',
    'Gateway shop/edge',
    'Service bank/vault',
    'Service shop/cart',
  ]);
  const edge = config('Gateway', 'edge', {
    gatewayClassName: 'istio',
    listeners: [{ tls: { certificateRefs: [{ name: 'tls' }] } }],
  });
  const mesh = smallMesh({ config: () => [route, edge] });
  const answer = configAnswer(edge, mesh, true);
  expect(answer).toMatchObject({
    references: ['GatewayClass istio', 'Secret shop/tls'],
    referencedBy: ['VirtualService shop/route'],
    isEditable: true,
  });
  expect(answer.yaml).not.toContain('resourceVersion');
});

describe('rows', () => {
  const traffic = new Map([
    [
      'workload/shop/cart',
      { health: HEALTHY, inbound: TRAFFIC, outbound: TRAFFIC, p95Ms: 12, spark: [] },
    ],
  ]);

  test.each([
    [{ ready: 1, desired: 1 }, 'healthy'],
    [{ ready: 0, desired: 2 }, 'failing'],
    [{ ready: 1, desired: 2 }, 'degraded'],
    [{ ready: 0, desired: 0 }, 'healthy'],
  ])('replicas %p are %s', (replicas, status) => {
    expect<string>(withReplicas(HEALTHY, replicas).status).toBe(status);
  });

  test('what has no traffic is idle, not well', () => {
    const [cart, web] = [...MESH.workloads()];
    expect(workloadRow(cart, traffic)).toMatchObject({
      id: 'workload/shop/cart',
      p95Ms: 12,
      health: { status: 'healthy' },
    });
    expect(workloadRow(web, traffic).health.status).toBe('idle');
    expect(serviceRow({ ...CART, endpoints: () => [] }, traffic, []).endpoints).toEqual({
      ready: 0,
      total: 0,
      ejected: 0,
    });
    expect(appRows(MESH.workloads(), traffic).map(({ id }) => id)).toEqual([
      'app/shop/cart',
      'app/shop/web',
      'app/bank/vault',
    ]);
  });

  test('a namespace names the workload that fails in it', () => {
    const [shop] = [...MESH.namespaces()].filter(({ name }) => name === 'shop');
    const row = {
      ...workloadRow([...MESH.workloads()][0], traffic),
      health: { status: 'failing', reason: 'none is ready', samples: 0 } as const,
    };
    expect(
      namespaceRow(shop, { workloads: [row], findings: MESH.findings(), traffic }),
    ).toMatchObject({
      health: { status: 'degraded', reason: 'cart: none is ready' },
      findings: 1,
    });
  });
});

describe('attention', () => {
  const proxy: ProxyRow = {
    kind: 'node',
    namespace: 'istio-system',
    name: 'z',
    node: 'n',
    version: '1',
    sync: 'synced',
    detail: '',
    serves: 3,
  };
  const certificate: CertificateRow = {
    principal: 'p',
    proxy: 'istio-system/z',
    notAfter: '2026-01-02T00:00:00Z',
    state: 'valid',
  };
  const finding = (level: Finding['level'], resource: string): Finding => ({
    code: 'IST0101',
    level,
    message: 'm',
    resource,
    path: 'spec',
    hint: 'h',
  });
  const quiet: AttentionInput = {
    workloads: [],
    services: [],
    findings: [],
    proxies: [proxy],
    control: [],
    certificates: [certificate],
    ejected: [],
    problems: [],
    nowMs: Date.UTC(2026, 0, 1),
  };

  test('is empty where nothing is wrong', () => {
    expect(
      attention({
        ...quiet,
        findings: [finding('info', 'HTTPRoute shop/a')],
        proxies: [proxy, { ...proxy, sync: 'waiting' }],
      }),
    ).toEqual([]);
  });

  test('the most harmful stands first, and each says what to do', () => {
    const row = {
      ...workloadRow([...MESH.workloads()][0], new Map()),
      health: { status: 'failing', reason: 'all fail', samples: 9 } as const,
    };
    const items = attention({
      ...quiet,
      workloads: [
        { ...row, name: 'quiet' },
        { ...row, name: 'busy', inbound: TRAFFIC },
        { ...row, name: 'slow', health: { ...row.health, status: 'degraded' } },
      ],
      findings: [
        finding('warning', 'HTTPRoute shop/a'),
        finding('error', 'AuthorizationPolicy shop/p'),
      ],
      proxies: [{ ...proxy, sync: 'disconnected', detail: 'no stream' }],
      certificates: [{ ...certificate, state: 'expiring' }],
      ejected: [
        {
          address: '1.2.3.4:80',
          workload: 'shop/cart',
          service: 'shop/cart.shop.svc.cluster.local',
          reason: '3 errors',
          by: 'shop/w',
          remainingMs: 5000,
        },
      ],
      problems: [{ message: 'may not list pods', since: 'now' }],
    });
    expect(items.map(({ severity, kind, title }) => [severity, kind, title])).toEqual([
      ['failing', 'control', 'the control plane cannot follow the API'],
      ['failing', 'workload', 'shop/busy'],
      ['failing', 'workload', 'shop/quiet'],
      ['failing', 'proxy', 'node proxy istio-system/z'],
      ['degraded', 'workload', 'shop/slow'],
      ['degraded', 'certificate', 'p'],
      ['degraded', 'refused-policy', 'AuthorizationPolicy shop/p'],
      ['notice', 'ejection', 'shop/cart of cart.shop.svc.cluster.local'],
      ['notice', 'finding', 'HTTPRoute shop/a'],
    ]);
    expect(items.every(({ command = '', href }) => command !== '' && href.startsWith('/'))).toBe(
      true,
    );
  });

  test.each([
    [{}, 'healthy'],
    [{ proxies: [] }, 'unknown'],
    [{ proxies: [{ ...proxy, sync: 'refused' as const }] }, 'degraded'],
    [{ certificates: [{ ...certificate, state: 'expired' as const }] }, 'failing'],
    [{ problems: [{ message: 'm', since: 's' }] }, 'failing'],
  ])('the mesh with %p is %s', (more, want) => {
    expect<string>(meshHealth({ ...quiet, ...more }).status).toBe(want);
  });

  test.each([
    [5000, '5 s'],
    [600_000, '10 min'],
    [8 * 3600_000, '8 h'],
    [5 * 86_400_000, '5 d'],
  ])('%p ms is %s', (ms, want) => {
    expect(spanText(ms)).toBe(want);
  });
});

describe('log lines', () => {
  test('have their time and trace, and join those of the mesh', () => {
    const line = parseLogLine(
      '2026-01-01T00:00:01.5Z level=info trace_id=0af7651916cd43dd8448eb211c80319c done',
      'app',
    );
    expect(line).toMatchObject({
      at: '2026-01-01T00:00:01.5Z',
      traceId: '0af7651916cd43dd8448eb211c80319c',
      text: expect.stringContaining('done'),
    });
    const joined = joinLines(
      [line, { ...line, at: '2026-01-01T00:00:00Z' }, { ...line, at: '2026-01-01T00:00:03Z' }],
      2,
    );
    expect(joined.isCut).toBe(true);
    expect(joined.lines.map(({ at }) => at)).toEqual([
      '2026-01-01T00:00:01.5Z',
      '2026-01-01T00:00:03Z',
    ]);
  });

  test('a record is of a pod when one of its ends is', () => {
    expect(mentions(requestRow(), '198.18.1.2')).toBe(true);
    expect(mentions(requestRow(), '198.18.1.20')).toBe(false);
    expect(mentions(requestRow({ sourceAddress: '[fd00::1]:80' }), 'fd00::1')).toBe(true);
    expect(requestText(requestRow({ status: 0, flags: 'UF', reason: 'refused' }))).toBe(
      'GET cart/items no answer 3.0 ms, workload/shop/web → workload/shop/cart UF: refused',
    );
  });
});

test('policyRows shows also what was never hit', () => {
  const rows = policyRows(MESH, [
    { resource: 'AuthorizationPolicy shop/only-web', action: 'ALLOW', denied: 4 },
  ]);
  expect(rows.map(({ resource, denied }) => [resource, denied])).toEqual([
    ['AuthorizationPolicy shop/only-web', 4],
    ['AuthorizationPolicy bank/nobody', 0],
  ]);
});
