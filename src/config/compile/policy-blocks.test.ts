import { describe, expect, test } from 'bun:test';
import { destinationRule, service } from '#test/support/compile-fixtures.ts';
import { compileDestinationRule, destinationPolicies } from './destination-rule.ts';
import type { DestinationRuleSpec, TrafficPolicySpec } from './destination-rule-kinds.ts';

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

describe('every field', () => {
  const policyOf = (trafficPolicy: TrafficPolicySpec) => policies([rule(trafficPolicy)]).policy;
  const balancer = (loadBalancer: TrafficPolicySpec['loadBalancer'], more?: TrafficPolicySpec) =>
    policyOf({ loadBalancer, ...more });
  const OUTLIER = { outlierDetection: {} };

  const ROWS: [string, object, object][] = [
    ['simple LEAST_CONN', balancer({ simple: 'LEAST_CONN' }), { loadBalancer: 'least-request' }],
    ['simple PASSTHROUGH', balancer({ simple: 'PASSTHROUGH' }), { loadBalancer: 'passthrough' }],
    [
      'hash by header, ring by default',
      balancer({ consistentHash: { httpHeaderName: 'X-User' } }),
      {
        hash: { keys: [{ kind: 'header', name: 'x-user' }], algorithm: 'ring-hash', size: 1024 },
      },
    ],
    [
      'hash by cookie, Maglev',
      balancer({
        consistentHash: {
          httpCookie: { name: 'u', path: '/', ttl: '90s', attributes: [{ name: 'Secure' }] },
          maglev: { tableSize: '101' },
        },
      }),
      {
        hash: {
          keys: [
            {
              kind: 'cookie',
              name: 'u',
              path: '/',
              ttlSeconds: 90,
              attributes: [{ name: 'Secure' }],
            },
          ],
          algorithm: 'maglev',
          size: 101,
        },
      },
    ],
    [
      'hash by client, deprecated ring size',
      balancer({ consistentHash: { useSourceIp: true, minimumRingSize: '2048' } }),
      { hash: { keys: [{ kind: 'source-ip' }], algorithm: 'ring-hash', size: 2048 } },
    ],
    [
      'hash by query parameter, ring size',
      balancer({
        consistentHash: { httpQueryParameterName: 'q', ringHash: { minimumRingSize: 64 } },
      }),
      { hash: { keys: [{ kind: 'query', name: 'q' }], algorithm: 'ring-hash', size: 64 } },
    ],
    [
      'warmup',
      balancer({ warmup: { duration: '60s', minimumPercent: 20, aggression: 2 } }),
      { warmup: { durationMs: 60_000, minimumPercent: 20, aggression: 2 } },
    ],
    [
      'warmupDurationSecs',
      balancer({ simple: 'ROUND_ROBIN', warmupDurationSecs: '30s' }),
      { warmup: { durationMs: 30_000, minimumPercent: 10, aggression: 1 } },
    ],
    [
      'distribute',
      balancer({
        localityLbSetting: { distribute: [{ from: 'r1/*', to: { 'r1/*': 80, 'r2/*': 20 } }] },
      }),
      { locality: { distribute: [{ from: 'r1/*', to: { 'r1/*': 80, 'r2/*': 20 } }] } },
    ],
    [
      'failover and failoverPriority, with outlier detection',
      balancer(
        {
          localityLbSetting: {
            failover: [{ from: 'r1', to: 'r2' }],
            failoverPriority: ['version'],
          },
        },
        OUTLIER,
      ),
      { locality: { failover: [{ from: 'r1', to: 'r2' }], failoverPriority: ['version'] } },
    ],
    [
      'zoneAwareLbSetting',
      balancer({ zoneAwareLbSetting: { failover: [{ from: 'r1', to: 'r2' }] } }),
      { locality: { failover: [{ from: 'r1', to: 'r2' }], scope: 'region' } },
    ],
    [
      'connectionPool.tcp',
      policyOf({
        connectionPool: {
          tcp: {
            maxConnections: 7,
            connectTimeout: '2s',
            idleTimeout: '0s',
            maxConnectionDuration: '1h',
            tcpKeepalive: { probes: 3, time: '7s', interval: '1s' },
          },
        },
      }),
      {
        connectionPool: {
          maxConnections: 7,
          connectTimeoutMs: 2000,
          idleTimeoutMs: 0,
          tcpIdleTimeoutMs: 0,
          maxConnectionDurationMs: 3_600_000,
          tcpKeepalive: { probes: 3, timeMs: 7000, intervalMs: 1000 },
        },
      },
    ],
    [
      'connectionPool.http',
      policyOf({
        connectionPool: {
          http: {
            http1MaxPendingRequests: 1,
            http2MaxRequests: 2,
            maxRequestsPerConnection: 3,
            maxRetries: 4,
            idleTimeout: '5s',
            useClientProtocol: true,
            maxConcurrentStreams: 6,
            http2KeepAlive: { interval: '7s', timeout: '8s' },
          },
        },
      }),
      {
        connectionPool: {
          maxPendingRequests: 1,
          maxRequests: 2,
          maxRequestsPerConnection: 3,
          maxRetries: 4,
          idleTimeoutMs: 5000,
          useClientProtocol: true,
          maxConcurrentStreams: 6,
          http2KeepAlive: { intervalMs: 7000, timeoutMs: 8000 },
        },
      },
    ],
    [
      'outlierDetection',
      policyOf({
        outlierDetection: {
          consecutive5xxErrors: 0,
          consecutiveGatewayErrors: 2,
          splitExternalLocalOriginErrors: true,
          consecutiveLocalOriginFailures: 3,
          interval: '1s',
          baseEjectionTime: '2s',
          maxEjectionPercent: 50,
          minHealthPercent: 30,
          outlierDetectionHttpErrorCodes: [429],
        },
      }),
      {
        outlier: {
          consecutive5xx: 0,
          consecutiveGatewayErrors: 2,
          splitExternalLocalOriginErrors: true,
          consecutiveLocalOriginFailures: 3,
          intervalMs: 1000,
          baseEjectionTimeMs: 2000,
          maxEjectionPercent: 50,
          minHealthPercent: 30,
          errorCodes: [429],
        },
      },
    ],
    [
      'tls SIMPLE with a Secret',
      policyOf({ tls: { mode: 'SIMPLE', credentialName: 'roots', sni: 'a.b' } }),
      {
        tls: {
          mode: 'simple',
          sni: 'a.b',
          subjectAltNames: [],
          material: 'kubernetes://shop/roots',
          insecureSkipVerify: false,
        },
      },
    ],
    [
      'tls MUTUAL with files',
      policyOf({
        tls: {
          mode: 'MUTUAL',
          clientCertificate: '/c',
          privateKey: '/k',
          caCertificates: '/r',
          caCrl: '/l',
          subjectAltNames: ['a'],
        },
      }),
      {
        tls: {
          mode: 'mutual',
          subjectAltNames: ['a'],
          files: { certificate: '/c', privateKey: '/k', roots: '/r', revocationList: '/l' },
          insecureSkipVerify: false,
        },
      },
    ],
    ['proxyProtocol', policyOf({ proxyProtocol: { version: 'V2' } }), { proxyProtocol: 'v2' }],
    [
      'retryBudget',
      policyOf({ retryBudget: { percent: { value: 30 }, budgetInterval: '2s' } }),
      { retryBudget: { percent: 30, minRetryConcurrency: 3, intervalMs: 2000 } },
    ],
    [
      'tunnel: refused, with the reason',
      policyOf({ tunnel: { targetHost: 'proxy.test', targetPort: 3128 } }),
      {
        refusal:
          'DestinationRule shop/dr0 asks for a tunnel to proxy.test:3128, which this proxy does not open',
      },
    ],
  ];
  test.each(ROWS)('%s', (_title, got, want) => {
    expect(got).toMatchObject(want);
  });

  const INEFFECTIVE: [string, TrafficPolicySpec][] = [
    ['loadBalancer.backendUtilization', { loadBalancer: { backendUtilization: {} } }],
    [
      'loadBalancer.zoneAwareLbSetting.minClusterSize',
      { loadBalancer: { zoneAwareLbSetting: { minClusterSize: 3 } } },
    ],
    ['loadBalancer.consistentHash', { loadBalancer: { consistentHash: {} } }],
    ['tunnel', { tunnel: { targetHost: 'proxy.test', targetPort: 3128 } }],
    ['outlierDetection.consecutiveErrors', { outlierDetection: { consecutiveErrors: 3 } }],
  ];
  test.each(INEFFECTIVE)('says that %s has no effect', (field, trafficPolicy) => {
    const { value, findings } = compileDestinationRule(
      destinationRule(rule(trafficPolicy)),
      DOMAIN,
    );
    expect(value).toBeDefined();
    expect(findings).toContainEqual(
      expect.objectContaining({ level: 'warning', path: `spec.trafficPolicy.${field}` }),
    );
  });

  const ABSENT: [string, object, string][] = [
    ['failover without outlier detection', balancer({ localityLbSetting: {} }), 'locality'],
    [
      'localityLbSetting off',
      balancer({ localityLbSetting: { enabled: false } }, OUTLIER),
      'locality',
    ],
    ['warmup of RANDOM', balancer({ simple: 'RANDOM', warmupDurationSecs: '1s' }), 'warmup'],
    ['tls DISABLE', policyOf({ tls: { mode: 'DISABLE' } }), 'tls'],
    ['tls ISTIO_MUTUAL', policyOf({ tls: { mode: 'ISTIO_MUTUAL' } }), 'tls'],
  ];
  test.each(ABSENT)('%s has no effect', (_title, got, field) => {
    expect(got).not.toHaveProperty(field);
  });

  test("a port's settings leave nothing of the destination, its subset's keep what a port cannot say", () => {
    const { portPolicies, subsets } = policies([
      rule(
        {
          proxyProtocol: { version: 'V1' },
          portLevelSettings: [{ port: { number: 80 }, tls: { mode: 'DISABLE' } }],
        },
        {
          subsets: [
            {
              name: 'a',
              trafficPolicy: {
                portLevelSettings: [{ port: { number: 81 }, loadBalancer: { simple: 'RANDOM' } }],
              },
            },
          ],
        },
      ),
    ]);
    expect(portPolicies?.[80].proxyProtocol).toBeUndefined();
    expect(subsets[0].portPolicies?.[81]).toMatchObject({
      proxyProtocol: 'v1',
      loadBalancer: 'random',
    });
  });
});

describe('traffic distribution and mesh defaults', () => {
  const ROOT = { rootNamespace: 'istio-system' };
  const close = {
    ...PRODUCT,
    loadBalancing: {
      mode: 'failover' as const,
      scopes: ['network', 'region', 'zone'] as const,
      includeUnhealthy: false,
    },
  };

  test('PreferClose needs no outlier detection, and a DestinationRule comes before it', () => {
    expect(destinationPolicies(close, [], ROOT).policy.locality).toEqual({
      failoverPriority: [
        'topology.istio.io/network',
        'topology.kubernetes.io/region',
        'topology.kubernetes.io/zone',
      ],
    });
    const rules = compiledRules([
      [rule({ loadBalancer: { localityLbSetting: { enabled: false } } })],
    ]);
    expect(destinationPolicies(close, rules, ROOT).policy.locality).toBeUndefined();
  });

  test('blocks of the mesh stand in where a rule has none', () => {
    const mesh = {
      pool: { connectTimeoutMs: 3000 },
      blocks: { outlier: DETECTING, connectionPool: { maxConnections: 9 } },
      locality: { enabled: false },
      zoneAware: undefined,
    };
    const context = { ...ROOT, mesh };
    const { policy } = destinationPolicies(PRODUCT, [], context);
    expect(policy).toMatchObject({
      outlier: DETECTING,
      connectionPool: { connectTimeoutMs: 3000, maxConnections: 9 },
    });
    expect(policy.locality).toBeUndefined();
    const rules = compiledRules([[rule({ connectionPool: { http: { maxRetries: 1 } } })]]);
    const own = destinationPolicies(PRODUCT, rules, context).policy.connectionPool;
    expect(own).toMatchObject({ connectTimeoutMs: 3000, maxRetries: 1 });
    expect(own.maxConnections).toBeUndefined();
  });
});

const DETECTING = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 0,
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionPercent: 10,
  minHealthPercent: 0,
};
