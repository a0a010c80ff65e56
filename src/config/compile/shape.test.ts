import { describe, expect, test } from 'bun:test';
import { malformed } from '#test/support/malformed.ts';
import { compileDestinationRule } from './destination-rule.ts';
import { Findings } from './finding.ts';
import { compileIstioGateway } from './istio-gateway.ts';
import type { ConfigObject } from './istio-kinds.ts';
import type { Shape } from './shape.ts';
import { readShape } from './shape.ts';
import { compileSidecar } from './sidecar.ts';
import { judgeTelemetry } from './telemetry.ts';
import { compileVirtualService } from './virtual-service.ts';

function read(value: unknown, shape: Shape) {
  const findings = new Findings('Kind', { namespace: 'shop', name: 'a' });
  const result = readShape(value, shape, 'spec', findings);
  return { result, errors: findings.list.map(({ path, message }) => `${path} ${message}`) };
}

describe('readShape', () => {
  const OBJECT: Shape = {
    fields: {
      name: 'text',
      port: 'number',
      isOn: 'flag',
      percent: 'double',
      list: { list: 'text' },
      map: { map: 'text' },
      matches: { map: { fields: { exact: 'text' } }, holdsNull: true },
      rules: { list: { fields: { name: 'text' } }, holdsNull: true },
    },
  };
  /** [title, value, result, errors] */
  const rows: [string, unknown, unknown, string[]][] = [
    ['nothing', undefined, undefined, []],
    [
      'fields of each kind',
      { name: 'a', port: 1, isOn: false, percent: 0.5, list: ['x'], map: { k: 'v' } },
      { name: 'a', port: 1, isOn: false, percent: 0.5, list: ['x'], map: { k: 'v' } },
      [],
    ],
    [
      'numbers as text, as protobuf writes them',
      { port: '80', percent: '0.5' },
      { port: 80, percent: '0.5' },
      [],
    ],
    ['what it does not know', { other: 1, __proto__: { name: 'x' } }, {}, []],
    ['null as absence', { name: null, list: null, map: { k: null } }, { map: {} }, []],
    [
      'null where it means something',
      { matches: { a: null }, rules: [null, {}] },
      { matches: { a: null }, rules: [null, {}] },
      [],
    ],
    [
      'a null element',
      { list: [null] },
      { list: [undefined] },
      ['spec.list[0] null is not a text'],
    ],
    ['a text for a number', { port: '8x' }, {}, ['spec.port "8x" is not a number']],
    ['a number for a text', { map: { k: 1 } }, { map: {} }, ['spec.map[k] 1 is not a text']],
    ['an object for a list', { list: {} }, {}, ['spec.list an object is not a list']],
    ['a list for an object', [], undefined, ['spec a list is not an object']],
  ];
  test.each(rows)('reads %s', (_title, value, result, errors) => {
    expect(read(value, OBJECT)).toEqual({ result, errors } as never);
  });
});

describe('no object makes a compiler throw', () => {
  const text = { exact: 'a', prefix: 'b', regex: 'c' };
  const destination = { host: 'a', subset: 'v1', port: { number: 80 } };
  const headers = { request: { set: { a: 'b' }, add: { a: 'b' }, remove: ['a'] }, response: {} };
  const tls = {
    mode: 'MUTUAL',
    credentialName: 'c',
    credentialNames: ['c'],
    cipherSuites: ['AES128-SHA'],
    tlsCertificates: [{ serverCertificate: 'a', privateKey: 'b' }],
    subjectAltNames: ['a'],
    verifyCertificateHash: ['a'],
  };
  const port = { number: 80, name: 'http', protocol: 'HTTP', targetPort: 1 };
  const pool = {
    tcp: { maxConnections: 1, tcpKeepalive: { time: '1s' } },
    http: { http2KeepAlive: { interval: '1s' } },
  };
  const source = { port: 80, sourceLabels: { a: 'b' }, sourceNamespace: 'a', gateways: ['mesh'] };
  const policy = {
    loadBalancer: {
      consistentHash: {
        httpCookie: {
          name: 'a',
          path: '/',
          ttl: '1s',
          attributes: [{ name: 'a', value: 'b' }],
        },
        ringHash: { minimumRingSize: 8 },
      },
      localityLbSetting: {
        distribute: [{ from: 'a/*', to: { 'a/b': 100 } }],
        failover: [{ from: 'a', to: 'b' }],
        failoverPriority: ['a'],
        enabled: true,
      },
      warmup: { duration: '1s', minimumPercent: 1, aggression: 1 },
    },
    connectionPool: pool,
    outlierDetection: {
      consecutive5xxErrors: 1,
      interval: '1s',
      outlierDetectionHttpErrorCodes: [500],
    },
    tls: { mode: 'MUTUAL', clientCertificate: 'a', privateKey: 'b', subjectAltNames: ['a'] },
  };
  const KINDS: [string, (object: ConfigObject<object>) => unknown, object][] = [
    [
      'VirtualService',
      (object) => compileVirtualService(object, { domain: 'cluster.local' }),
      {
        hosts: ['a.b'],
        gateways: ['mesh'],
        exportTo: ['*'],
        http: [
          {
            name: 'a',
            match: [
              {
                ...source,
                uri: text,
                method: text,
                headers: { a: text },
                queryParams: { a: text },
              },
            ],
            route: [{ destination, weight: 1, headers }],
            rewrite: { uri: '/', uriRegexRewrite: { match: 'a', rewrite: 'b' } },
            retries: { attempts: 1, retryOn: '5xx', backoff: '1s' },
            fault: {
              delay: { fixedDelay: '1s', percentage: { value: 1 } },
              abort: { httpStatus: 500, percentage: { value: 1 } },
            },
            mirror: destination,
            mirrors: [{ destination, percentage: { value: 1 } }],
            corsPolicy: {
              allowOrigins: [text],
              allowOrigin: ['a'],
              allowMethods: ['GET'],
              maxAge: '1s',
            },
            headers,
            timeout: '1s',
          },
          {
            redirect: { uri: '/', port: 1 },
            delegate: { name: 'a' },
            directResponse: { status: 200, body: { string: 'a', bytes: 'YQ==' } },
          },
        ],
        tls: [
          {
            match: [{ ...source, sniHosts: ['a.b'], destinationSubnets: ['1.2.3.4'] }],
            route: [{ destination }],
          },
        ],
        tcp: [
          { match: [{ ...source, sourceSubnet: '1.2.3.4' }], route: [{ destination, weight: 1 }] },
        ],
      },
    ],
    [
      'Gateway',
      compileIstioGateway,
      { selector: { a: 'b' }, servers: [{ port, hosts: ['*'], tls, bind: '1.2.3.4', name: 'a' }] },
    ],
    [
      'Sidecar',
      (object) => compileSidecar(object, { domain: 'cluster.local' }),
      {
        workloadSelector: { labels: { a: 'b' } },
        ingress: [
          { port, tls, connectionPool: pool, defaultEndpoint: '127.0.0.1:1', bind: '1.2.3.4' },
        ],
        egress: [{ port, hosts: ['*/*'], bind: '1.2.3.4' }, { hosts: ['a/*'] }],
        outboundTrafficPolicy: { mode: 'ALLOW_ANY', egressProxy: destination },
        inboundConnectionPool: pool,
      },
    ],
    [
      'DestinationRule',
      (object) => compileDestinationRule(object, { domain: 'cluster.local' }),
      {
        host: 'a',
        exportTo: ['.'],
        workloadSelector: { matchLabels: { a: 'b' } },
        trafficPolicy: { ...policy, portLevelSettings: [{ port: { number: 80 }, ...policy }] },
        subsets: [
          {
            name: 'v1',
            labels: { a: 'b' },
            trafficPolicy: {
              loadBalancer: { simple: 'RANDOM' },
              tunnel: { protocol: 'CONNECT', targetHost: 'a.b', targetPort: 1 },
              proxyProtocol: { version: 'V1' },
              retryBudget: { percent: { value: 1 }, minRetryConcurrency: 1, budgetInterval: '1s' },
            },
          },
        ],
      },
    ],
    ['Telemetry', judgeTelemetry, { tracing: [{}], metrics: [{}], accessLogging: [{}] }],
  ];
  test.each(KINDS)('%s', (_kind, compile, spec) => {
    const metadata = { name: 'a', namespace: 'shop' };
    for (const wrong of malformed(spec)) compile({ metadata, spec: wrong as object });
  });
});
