import { describe, expect, test } from 'bun:test';
import type { Workload } from '#model/workload/workload.ts';
import { destinationRule, service } from '#test/support/compile-fixtures.ts';
import { compileDestinationRule, DEFAULT_POLICY, destinationPolicies } from './destination-rule.ts';
import type { DestinationRuleSpec, TrafficPolicySpec } from './destination-rule-kinds.ts';
import { buildUpstream } from './upstream.ts';

const DOMAIN = { domain: 'cluster.local' };
const PRODUCT = service('product-service');

function policies(...rules: [DestinationRuleSpec, object?][]) {
  return destinationPolicies(PRODUCT, compiledRules(rules), { rootNamespace: 'istio-system' });
}

function compiledRules(rules: readonly [DestinationRuleSpec, object?][]) {
  return rules.map(([spec, meta], index) => {
    const defaults = { name: `dr${index}`, created: `2026-01-0${index + 1}T00:00:00Z` };
    const { value, findings } = compileDestinationRule(
      destinationRule(spec, { ...defaults, ...meta }),
      DOMAIN,
    );
    if (value === undefined) throw new Error(JSON.stringify(findings));
    return value;
  });
}

const rule = (
  trafficPolicy?: TrafficPolicySpec,
  more: DestinationRuleSpec = {},
): DestinationRuleSpec => ({
  host: 'product-service',
  trafficPolicy,
  ...more,
});

describe('destinationPolicies', () => {
  test('fills in the defaults of an outlier block and of the pool', () => {
    expect(policies([rule({ outlierDetection: {}, connectionPool: { http: {} } })]).policy).toEqual(
      {
        loadBalancer: 'least-request',
        // Failover between localities comes with outlier detection (Istio: LocalityLBSettings).
        locality: {},
        connectionPool: DEFAULT_POLICY.connectionPool,
        outlier: {
          consecutive5xx: 5,
          consecutiveGatewayErrors: 0,
          intervalMs: 10_000,
          baseEjectionTimeMs: 30_000,
          maxEjectionPercent: 10,
          minHealthPercent: 0,
        },
      },
    );
    expect(policies().policy).toEqual(DEFAULT_POLICY);
  });

  test('compiles the canary example', () => {
    const { policy, subsets, provenance } = policies([
      rule(
        {
          connectionPool: { http: { h2UpgradePolicy: 'UPGRADE' } },
          outlierDetection: { consecutive5xxErrors: 3, interval: '30s', baseEjectionTime: '60s' },
        },
        {
          subsets: [
            { name: 'stable', labels: { version: 'v1' } },
            { name: 'canary', labels: { version: 'v2' } },
          ],
        },
      ),
    ]);
    expect(policy.connectionPool.h2Upgrade).toBe('upgrade');
    expect(policy.outlier).toMatchObject({
      consecutive5xx: 3,
      intervalMs: 30_000,
      baseEjectionTimeMs: 60_000,
    });
    expect(subsets).toMatchObject([
      { name: 'stable', labels: { version: 'v1' }, policy },
      { name: 'canary', labels: { version: 'v2' }, policy },
    ]);
    expect(provenance).toEqual({ kind: 'DestinationRule', namespace: 'shop', name: 'dr0' });
  });

  test('overrides block by block in a subset', () => {
    const { subsets } = policies([
      rule(
        { loadBalancer: { simple: 'RANDOM' }, outlierDetection: {} },
        { subsets: [{ name: 'a', trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } } }] },
      ),
    ]);
    expect(subsets[0].policy.loadBalancer).toBe('round-robin');
    expect(subsets[0].policy.outlier).toBeDefined();
  });

  test('replaces everything for a port, and lets a subset override that', () => {
    const { policy, portPolicies, subsets } = policies([
      rule(
        {
          outlierDetection: {},
          portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: 'RANDOM' } }],
        },
        {
          subsets: [
            { name: 'plain' },
            { name: 'block', trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } } },
            {
              name: 'port',
              trafficPolicy: {
                portLevelSettings: [{ port: { number: 80 }, outlierDetection: {} }],
              },
            },
          ],
        },
      ),
    ]);
    expect(policy.outlier).toBeDefined();
    expect(portPolicies?.[80]).toMatchObject({ loadBalancer: 'random' });
    expect(portPolicies?.[80].outlier).toBeUndefined();
    const at80 = Object.fromEntries(
      subsets.map((subset) => [subset.name, subset.portPolicies?.[80]]),
    );
    expect(at80.plain?.loadBalancer).toBe('random');
    expect(at80.block?.loadBalancer).toBe('round-robin');
    expect(at80.port).toMatchObject({
      loadBalancer: 'least-request',
      outlier: { consecutive5xx: 5 },
    });
  });

  test('merges rules of one host: subsets united, the oldest policy first', () => {
    const { policy, subsets } = policies(
      [
        rule(
          { loadBalancer: { simple: 'RANDOM' } },
          {
            subsets: [
              { name: 'a', labels: { from: 'new' } },
              { name: 'c', labels: { from: 'new' } },
            ],
          },
        ),
        { created: '2026-02-01T00:00:00Z' },
      ],
      [
        rule(
          { loadBalancer: { simple: 'ROUND_ROBIN' } },
          { subsets: [{ name: 'a', labels: { from: 'old' } }] },
        ),
      ],
    );
    expect(policy.loadBalancer).toBe('round-robin');
    expect(subsets.map((subset) => [subset.name, subset.labels.from])).toEqual([
      ['a', 'old'],
      ['c', 'new'],
    ]);
  });

  const FQDN = 'product-service.shop.svc.cluster.local';
  const random = { loadBalancer: { simple: 'RANDOM' } };
  const SCOPES: [string, [DestinationRuleSpec, object?][], string][] = [
    [
      'the service namespace before the root',
      [
        [rule(random)],
        [
          rule({ loadBalancer: { simple: 'ROUND_ROBIN' } }, { host: FQDN }),
          { namespace: 'istio-system' },
        ],
      ],
      'random',
    ],
    [
      'the root namespace',
      [[rule(random, { host: FQDN }), { namespace: 'istio-system' }]],
      'random',
    ],
    [
      'not another namespace',
      [[rule(random, { host: FQDN }), { namespace: 'other' }]],
      'least-request',
    ],
    [
      'exact host before wildcard',
      [
        [rule({ loadBalancer: { simple: 'ROUND_ROBIN' } }, { host: '*.svc.cluster.local' })],
        [rule(random)],
      ],
      'random',
    ],
    [
      'not a rule for some proxies',
      [[rule(random, { workloadSelector: { matchLabels: { app: 'x' } } })]],
      'least-request',
    ],
    [
      'not what the root keeps to itself',
      [[rule(random, { host: FQDN, exportTo: ['.'] }), { namespace: 'istio-system' }]],
      'least-request',
    ],
  ];
  test.each(SCOPES)('takes %s', (_title, rules, want) => {
    expect(policies(...rules).policy.loadBalancer).toBe(want as 'random');
  });
});

describe('rules for one proxy', () => {
  const FQDN = 'product-service.shop.svc.cluster.local';
  const policyFor = (
    rules: [DestinationRuleSpec, object?][],
    client?: { namespace: string; labels?: Record<string, string> },
    service: Parameters<typeof destinationPolicies>[0] = PRODUCT,
  ) =>
    destinationPolicies(service, compiledRules(rules), { rootNamespace: 'istio-system', client })
      .policy.loadBalancer;
  const by = (simple: string, more: DestinationRuleSpec = {}): DestinationRuleSpec =>
    rule({ loadBalancer: { simple } }, { host: FQDN, ...more });

  test("come from the client's namespace first", () => {
    const rules: [DestinationRuleSpec, object?][] = [
      [by('RANDOM')],
      [by('ROUND_ROBIN'), { namespace: 'ingress' }],
    ];
    expect(policyFor(rules, { namespace: 'ingress' })).toBe('round-robin');
    expect(policyFor(rules, { namespace: 'other' })).toBe('random');
    expect(policyFor(rules)).toBe('random');
  });

  test("of the service's namespace count only where they are exported to", () => {
    const rules: [DestinationRuleSpec, object?][] = [
      [by('RANDOM', { exportTo: ['.'] })],
      [by('ROUND_ROBIN'), { namespace: 'istio-system' }],
    ];
    expect(policyFor(rules)).toBe('random');
    expect(policyFor(rules, { namespace: 'ingress' })).toBe('round-robin');
  });

  test("for the root namespace's proxies: its private rules, else the service's, else its own", () => {
    const root = { namespace: 'istio-system' };
    const own: [DestinationRuleSpec, object?] = [by('ROUND_ROBIN'), root];
    expect(policyFor([own, [by('RANDOM')]], root)).toBe('random');
    expect(policyFor([own], root)).toBe('round-robin');
    const secret: [DestinationRuleSpec, object?] = [by('ROUND_ROBIN', { exportTo: ['.'] }), root];
    expect(policyFor([secret, [by('RANDOM')]], root)).toBe('round-robin');
  });

  test('a selector chooses gateways by label, and no waypoint', () => {
    const selected = by('ROUND_ROBIN', { workloadSelector: { matchLabels: { istio: 'edge' } } });
    const rules: [DestinationRuleSpec, object?][] = [[by('RANDOM')], [selected]];
    const edge = { namespace: 'shop', labels: { istio: 'edge', app: 'gw' } };
    expect(policyFor(rules, edge)).toBe('round-robin');
    expect(policyFor(rules, { namespace: 'shop', labels: { app: 'gw' } })).toBe('random');
    expect(policyFor(rules, { namespace: 'shop' })).toBe('random');
    expect(policyFor([[selected]], { namespace: 'shop' })).toBe('least-request');
  });
});

describe('compileDestinationRule', () => {
  const INVALID: [DestinationRuleSpec, string][] = [
    [{}, 'spec.host'],
    [rule({ outlierDetection: { interval: 'x' } }), 'spec.trafficPolicy.outlierDetection.interval'],
    [
      rule({ outlierDetection: { maxEjectionPercent: 101 } }),
      'spec.trafficPolicy.outlierDetection.maxEjectionPercent',
    ],
    [
      rule({ connectionPool: { tcp: { maxConnections: -1 } } }),
      'spec.trafficPolicy.connectionPool.tcp.maxConnections',
    ],
    [
      rule({ connectionPool: { http: { h2UpgradePolicy: 'MAYBE' } } }),
      'spec.trafficPolicy.connectionPool.http.h2UpgradePolicy',
    ],
    [rule({ loadBalancer: { simple: 'BEST' } }), 'spec.trafficPolicy.loadBalancer.simple'],
    [rule({ portLevelSettings: [{}] }), 'spec.trafficPolicy.portLevelSettings[0].port.number'],
    [rule({}, { subsets: [{ name: 'a' }, { name: 'a' }] }), 'spec.subsets[1].name'],
    [rule({}, { subsets: [{}] }), 'spec.subsets[0].name'],
  ];
  test.each(INVALID)('refuses %p at %p', (spec, path) => {
    const { value, findings } = compileDestinationRule(destinationRule(spec), DOMAIN);
    expect(value).toBeUndefined();
    expect(findings).toContainEqual(expect.objectContaining({ level: 'error', path }));
  });
});

describe('buildUpstream', () => {
  const workload: Workload = {
    trustDomain: 'cluster.local',
    namespace: 'shop',
    serviceAccount: 'product',
    uid: 'Kubernetes//Pod/shop/p-1',
    name: 'p-1',
    addresses: ['198.18.1.5'],
    network: '',
    protocol: 'hbone',
    node: 'node1',
    workloadName: 'p',
    workloadType: 'pod',
    canonicalName: 'product-service',
    canonicalRevision: 'v1',
    clusterId: 'Kubernetes',
    locality: { region: '', zone: '', subzone: '' },
    healthy: true,
    hostNetwork: false,
    nativeTunnel: false,
    hostname: '',
    capacity: 1,
    waypoint: undefined,
    services: new Map([[`shop/${PRODUCT.hostname}`, [{ servicePort: 80, targetPort: 8080 }]]]),
    authorizationPolicies: [],
  };

  test('makes endpoints of the members that serve a port', () => {
    const stranger = { ...workload, services: new Map() };
    const members = [workload, stranger].map((each) => ({
      workload: each,
      labels: { version: 'v1' },
    }));
    const upstream = buildUpstream(PRODUCT, policies(), members);
    expect(upstream.endpoints).toHaveLength(1);
    expect(upstream.endpoints[0]).toMatchObject({
      address: '198.18.1.5',
      ports: { 80: 8080 },
      labels: { version: 'v1' },
      protocol: 'hbone',
      principal: 'spiffe://cluster.local/ns/shop/sa/product',
    });
  });

  test('counts unready members as healthy only where the service publishes them', () => {
    const members = [{ workload: { ...workload, healthy: false }, labels: {} }];
    const includeUnhealthy = { mode: 'unspecified' as const, scopes: [], includeUnhealthy: true };
    expect(buildUpstream(PRODUCT, policies(), members).endpoints[0].healthy).toBe(false);
    const publishing = { ...PRODUCT, loadBalancing: includeUnhealthy };
    expect(buildUpstream(publishing, policies(), members).endpoints[0].healthy).toBe(true);
  });
});
