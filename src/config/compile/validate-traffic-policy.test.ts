import { describe, expect, test } from 'bun:test';
import type { TrafficPolicySpec } from './destination-rule-kinds.ts';
import { Findings } from './finding.ts';
import { checkTrafficPolicy } from './validate-traffic-policy.ts';

function pathsOf(spec: TrafficPolicySpec): string[] {
  const findings = new Findings('DestinationRule', { namespace: 'shop', name: 'r' });
  checkTrafficPolicy(spec, 'p', { findings, namespace: 'shop' });
  return findings.list.filter(({ level }) => level === 'error').map(({ path }) => path);
}

const lb = (loadBalancer: TrafficPolicySpec['loadBalancer']) => ({ loadBalancer });
const to = (weights: Record<string, number>, from = 'r1') =>
  lb({ localityLbSetting: { distribute: [{ from, to: weights }] } });
const tls = (spec: TrafficPolicySpec['tls']) => ({ tls: spec });

describe('checkTrafficPolicy', () => {
  const GOOD: [string, TrafficPolicySpec][] = [
    ['a table of prime size', lb({ consistentHash: { maglev: { tableSize: 65_537 } } })],
    ['weights that sum to 100', to({ r1: 80, 'r2/z1/*': 20 })],
    ['failover regions', lb({ localityLbSetting: { failover: [{ from: 'a', to: 'b' }] } })],
    ['an idle timeout that is off', { connectionPool: { tcp: { idleTimeout: '0s' } } }],
    ['a Secret for mutual TLS', tls({ mode: 'MUTUAL', credentialName: 'c' })],
    ['a tunnel', { tunnel: { protocol: 'POST', targetHost: '198.18.0.1', targetPort: 3128 } }],
  ];
  test.each(GOOD)('takes %s', (_title, spec) => {
    expect(pathsOf(spec)).toEqual([]);
  });

  const BAD: [string, TrafficPolicySpec, string][] = [
    ['nothing at all', {}, 'p'],
    ['an empty pool', { connectionPool: {} }, 'p.connectionPool'],
    [
      'tunnel and PROXY protocol',
      { tunnel: { targetHost: 'a.b', targetPort: 1 }, proxyProtocol: {} },
      'p',
    ],
    [
      'a table of no prime size',
      lb({ consistentHash: { maglev: { tableSize: 100 } } }),
      'p.loadBalancer.consistentHash.maglev.tableSize',
    ],
    [
      'a table too large',
      lb({ consistentHash: { maglev: { tableSize: '5000011' } } }),
      'p.loadBalancer.consistentHash.maglev.tableSize',
    ],
    [
      'two ring sizes',
      lb({ consistentHash: { minimumRingSize: 5, ringHash: {} } }),
      'p.loadBalancer.consistentHash',
    ],
    [
      'a cookie without name',
      lb({ consistentHash: { httpCookie: {} } }),
      'p.loadBalancer.consistentHash.httpCookie.name',
    ],
    [
      'a cookie attribute twice',
      lb({
        consistentHash: {
          httpCookie: { name: 'c', attributes: [{ name: 'Secure' }, { name: 'Secure' }] },
        },
      }),
      'p.loadBalancer.consistentHash.httpCookie.attributes[1].name',
    ],
    ['weights below 100', to({ r1: 50 }), 'p.loadBalancer.localityLbSetting.distribute[0].to'],
    ['a weight of 0', to({ r1: 100, r2: 0 }), 'p.loadBalancer.localityLbSetting.distribute[0].to'],
    [
      'localities that overlap',
      to({ r1: 50, 'r1/z1': 50 }),
      'p.loadBalancer.localityLbSetting.distribute[0].to',
    ],
    [
      'a wildcard in the middle',
      to({ 'r1/*/s1': 100 }),
      'p.loadBalancer.localityLbSetting.distribute[0].to',
    ],
    ['an empty zone', to({ 'r1//s1': 100 }), 'p.loadBalancer.localityLbSetting.distribute[0].to'],
    [
      'distribute and failover',
      lb({
        localityLbSetting: {
          distribute: [{ from: 'a', to: { a: 100 } }],
          failover: [{ from: 'a', to: 'b' }],
        },
      }),
      'p.loadBalancer.localityLbSetting',
    ],
    [
      'failover to the same region',
      lb({ localityLbSetting: { failover: [{ from: 'a', to: 'a' }] } }),
      'p.loadBalancer.localityLbSetting.failover[0]',
    ],
    [
      'failover to a zone',
      lb({ localityLbSetting: { failover: [{ from: 'a', to: 'b/c' }] } }),
      'p.loadBalancer.localityLbSetting.failover[0]',
    ],
    [
      'failover next to topology labels',
      lb({
        localityLbSetting: {
          failover: [{ from: 'a', to: 'b' }],
          failoverPriority: ['topology.kubernetes.io/zone'],
        },
      }),
      'p.loadBalancer.localityLbSetting.failoverPriority',
    ],
    [
      'topology labels of a zone aware setting',
      lb({ zoneAwareLbSetting: { failoverPriority: ['topology.kubernetes.io/region'] } }),
      'p.loadBalancer.zoneAwareLbSetting.failoverPriority',
    ],
    [
      'both locality settings',
      lb({ localityLbSetting: {}, zoneAwareLbSetting: {} }),
      'p.loadBalancer',
    ],
    ['a warm-up without duration', lb({ warmup: {} }), 'p.loadBalancer.warmup.duration'],
    [
      'a warm-up from above 100 %',
      lb({ warmup: { duration: '1s', minimumPercent: 101 } }),
      'p.loadBalancer.warmup.minimumPercent',
    ],
    [
      'a warm-up without aggression',
      lb({ warmup: { duration: '1s', aggression: 0 } }),
      'p.loadBalancer.warmup.aggression',
    ],
    [
      'an interval below a millisecond',
      { outlierDetection: { interval: '0.0001s' } },
      'p.outlierDetection.interval',
    ],
    [
      'a timeout with a fraction of a millisecond',
      { connectionPool: { tcp: { connectTimeout: '1.0005s' } } },
      'p.connectionPool.tcp.connectTimeout',
    ],
    [
      'client protocol and upgrade',
      { connectionPool: { http: { h2UpgradePolicy: 'UPGRADE', useClientProtocol: true } } },
      'p.connectionPool.http.useClientProtocol',
    ],
    [
      'a keepalive without timeout',
      { connectionPool: { http: { http2KeepAlive: { interval: '1s' } } } },
      'p.connectionPool.http.http2KeepAlive.timeout',
    ],
    ['mutual TLS without key', tls({ mode: 'MUTUAL', clientCertificate: 'c' }), 'p.tls.privateKey'],
    [
      'a Secret next to files',
      tls({ mode: 'SIMPLE', credentialName: 'c', caCertificates: 'r' }),
      'p.tls.credentialName',
    ],
    [
      'names that nobody would check',
      tls({ mode: 'SIMPLE', insecureSkipVerify: true, subjectAltNames: ['a'] }),
      'p.tls.insecureSkipVerify',
    ],
    [
      'a ConfigMap of another namespace',
      tls({ mode: 'SIMPLE', credentialName: 'configmap://other/c' }),
      'p.tls.credentialName',
    ],
    ['a tunnel to nowhere', { tunnel: { targetHost: '*', targetPort: 1 } }, 'p.tunnel.targetHost'],
    [
      'settings of a port without any',
      { portLevelSettings: [{ port: { number: 80 } }] },
      'p.portLevelSettings[0]',
    ],
    ['a budget above 100 %', { retryBudget: { percent: { value: 101 } } }, 'p.retryBudget.percent'],
  ];
  test.each(BAD)('refuses %s', (_title, spec, path) => {
    expect(pathsOf(spec)).toContain(path);
  });
});
