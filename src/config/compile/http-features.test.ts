import { describe, expect, test } from 'bun:test';
import type { Route } from '#model/route/route-table.ts';
import { service, virtualService } from '#test/support/compile-fixtures.ts';
import type { Finding } from './finding.ts';
import { buildRouteTable } from './route-table.ts';
import { waypointProxy } from './source-condition.ts';
import { compileVirtualServices } from './virtual-service.ts';
import type { HttpRouteSpec } from './virtual-service-kinds.ts';

const A = service('a');
const B = service('b', { 80: 'http', 90: 'http' });
const to = (host: string) => ({ destination: { host } });

function compile(rule: HttpRouteSpec): { route: Route; findings: readonly Finding[] } {
  const spec = { hosts: ['a'], http: [{ route: [to('a')], ...rule }] };
  const compiled = compileVirtualServices([virtualService(spec)], { domain: 'cluster.local' });
  const { table, findings } = buildRouteTable({
    service: A,
    virtualServices: compiled.virtualServices,
    resolve: (hostname) => [A, B].find((each) => each.hostname === hostname),
    subsets: () => new Set(['v1']),
    proxy: waypointProxy('shop'),
  });
  return { route: table.ports[0].routes[0], findings: [...compiled.findings, ...findings] };
}
function errorsOf(rule: HttpRouteSpec): string[] {
  return compile(rule)
    .findings.filter(({ level }) => level === 'error')
    .map(({ path }) => path.replace('spec.http[0].', ''));
}
function warningsOf(rule: HttpRouteSpec): string[] {
  return compile(rule)
    .findings.filter(({ level }) => level !== 'error')
    .map(({ path }) => path.replace('spec.http[0].', ''));
}

describe('fault', () => {
  const rows: [string, HttpRouteSpec['fault'], Route['fault'], string[]][] = [
    [
      'a delay',
      { delay: { fixedDelay: '1.5s', percentage: { value: 12.34567 } } },
      { delay: { ms: 1500, percent: 12.3456 } },
      [],
    ],
    [
      'a delay with the old percent',
      { delay: { fixedDelay: '1s', percent: 5 } },
      { delay: { ms: 1000, percent: 5 } },
      ['fault.delay.percent'],
    ],
    [
      'an HTTP status',
      { abort: { httpStatus: 418, percentage: { value: '0.0001' } } },
      { abort: { percent: 0.0001, httpStatus: 418 } },
      [],
    ],
    [
      'a gRPC status',
      { abort: { grpcStatus: 'UNAVAILABLE', percentage: { value: 100 } } },
      { abort: { percent: 100, grpcStatus: 14 } },
      [],
    ],
    [
      'both',
      {
        delay: { fixedDelay: '1s', percentage: { value: 50 } },
        abort: { httpStatus: 500, percentage: { value: 50 } },
      },
      { delay: { ms: 1000, percent: 50 }, abort: { percent: 50, httpStatus: 500 } },
      [],
    ],
    ['no percentage: none', { delay: { fixedDelay: '1s' } }, undefined, ['fault.delay.percentage']],
    [
      '0 percent: none',
      { abort: { httpStatus: 500, percentage: { value: 0 } } },
      undefined,
      ['fault.abort.percentage'],
    ],
    [
      'no status: none',
      { abort: { percentage: { value: 1 } } },
      undefined,
      ['fault.abort.httpStatus'],
    ],
  ];
  test.each(rows)('%s', (_title, fault, want, warnings) => {
    expect(compile({ fault }).route.fault).toEqual(want);
    expect(warningsOf({ fault })).toEqual(warnings);
  });

  const REFUSED: [HttpRouteSpec['fault'], string][] = [
    [{}, 'fault'],
    [{ delay: { exponentialDelay: '1s' } }, 'fault.delay.exponentialDelay'],
    [{ delay: { fixedDelay: '1us' } }, 'fault.delay.fixedDelay'],
    [{ delay: { fixedDelay: '1.0001s' } }, 'fault.delay.fixedDelay'],
    [{ delay: { fixedDelay: '1s', percentage: { value: 101 } } }, 'fault.delay.percentage'],
    [{ delay: { fixedDelay: '1s', percentage: { value: 0.00001 } } }, 'fault.delay.percentage'],
    [{ delay: { fixedDelay: '1s', percent: 101 } }, 'fault.delay.percent'],
    [{ abort: { httpStatus: 99 } }, 'fault.abort.httpStatus'],
    [{ abort: { httpStatus: 600 } }, 'fault.abort.httpStatus'],
    [{ abort: { grpcStatus: 'FINE' } }, 'fault.abort.grpcStatus'],
    [{ abort: { http2Error: 'x' } }, 'fault.abort.http2Error'],
    [{ abort: { httpStatus: 500, grpcStatus: 'OK' } }, 'fault.abort'],
    [{ abort: { httpStatus: 500, percentage: { value: 'many' } } }, 'fault.abort.percentage'],
  ];
  test.each(REFUSED)('refuses %p at %p', (fault, path) => {
    expect(errorsOf({ fault })).toEqual([path]);
  });
});

describe('corsPolicy', () => {
  test('in the model’s words', () => {
    const { route } = compile({
      corsPolicy: {
        allowOrigins: [
          { exact: 'https://a' },
          { prefix: 'https://b' },
          { regex: '.*c' },
          { exact: '*' },
        ],
        allowMethods: ['GET', '*'],
        allowHeaders: ['x-a', '*'],
        exposeHeaders: ['x-b'],
        maxAge: '24h',
        allowCredentials: true,
        unmatchedPreflights: 'IGNORE',
      },
    });
    expect(route.cors).toEqual({
      allowOrigins: [
        { kind: 'exact', value: 'https://a' },
        { kind: 'prefix', value: 'https://b' },
        { kind: 'regex', value: '.*c' },
        { kind: 'present' },
      ],
      allowMethods: ['GET', '*'],
      allowHeaders: ['x-a', '*'],
      exposeHeaders: ['x-b'],
      maxAgeSeconds: 86_400,
      allowCredentials: true,
      unmatchedPreflights: 'ignore',
    });
  });

  test('defaults, and the old allowOrigin', () => {
    const rule = {
      corsPolicy: { allowOrigin: ['https://a', '*'], unmatchedPreflights: 'UNSPECIFIED' },
    };
    expect(compile(rule).route.cors).toEqual({
      allowOrigins: [{ kind: 'exact', value: 'https://a' }, { kind: 'present' }],
      allowMethods: [],
      allowHeaders: [],
      exposeHeaders: [],
      allowCredentials: false,
      unmatchedPreflights: 'forward',
    });
    expect(warningsOf(rule)).toEqual(['corsPolicy.allowOrigin']);
  });

  const REFUSED: [HttpRouteSpec['corsPolicy'], string][] = [
    [{ allowMethods: ['FETCH'] }, 'corsPolicy.allowMethods[0]'],
    [{ allowHeaders: ['a b'] }, 'corsPolicy.allowHeaders[0]'],
    [{ exposeHeaders: [''] }, 'corsPolicy.exposeHeaders[0]'],
    [{ allowOrigins: [{}] }, 'corsPolicy.allowOrigins[0]'],
    [{ allowOrigins: [{ regex: '(' }] }, 'corsPolicy.allowOrigins[0].regex'],
    [{ maxAge: '1.5s' }, 'corsPolicy.maxAge'],
    [{ maxAge: 'long' }, 'corsPolicy.maxAge'],
  ];
  test.each(REFUSED)('refuses %p at %p', (corsPolicy, path) => {
    expect(errorsOf({ corsPolicy })).toEqual([path]);
  });
});

describe('mirrors', () => {
  const target = { upstream: `shop/${B.hostname}`, host: B.hostname, port: 90 };
  const mirror = { host: 'b', port: { number: 90 } };
  const rows: [string, HttpRouteSpec, object[] | undefined][] = [
    ['one, of everything', { mirror }, [{ ...target, percent: 100 }]],
    ['a share', { mirror, mirrorPercentage: { value: 0.5 } }, [{ ...target, percent: 0.5 }]],
    ['the old share', { mirror, mirrorPercent: 7 }, [{ ...target, percent: 7 }]],
    [
      'a share before the old one',
      { mirror, mirrorPercent: 7, mirrorPercentage: { value: 8 } },
      [{ ...target, percent: 8 }],
    ],
    ['no share', { mirror, mirrorPercentage: { value: 0 } }, undefined],
    [
      'several',
      {
        mirrors: [
          { destination: { ...mirror, subset: 'v1' } },
          { destination: mirror, percentage: { value: 1 } },
        ],
      },
      [
        { ...target, subset: 'v1', percent: 100 },
        { ...target, percent: 1 },
      ],
    ],
  ];
  test.each(rows)('%s', (_title, rule, want) => {
    expect(compile(rule).route.mirrors).toEqual(want as Route['mirrors']);
  });

  test('say when nothing is there to send to', () => {
    const { route, findings } = compile({ mirror: { host: 'nobody' } });
    expect(route.mirrors).toMatchObject([{ broken: { status: 503, flag: 'NC' } }]);
    expect(findings).toMatchObject([{ code: 'IST0101', path: 'spec.http[0].mirror' }]);
  });

  const REFUSED: [HttpRouteSpec, string][] = [
    [{ mirror, mirrors: [{ destination: mirror }] }, 'mirrors'],
    [{ mirrors: [{}] }, 'mirrors[0].destination'],
    [{ mirror, mirrorPercent: 101 }, 'mirrorPercent'],
    [{ mirror, mirrorPercentage: { value: -1 } }, 'mirrorPercentage'],
    [{ mirrors: [{ destination: mirror, percentage: { value: 101 } }] }, 'mirrors[0].percentage'],
    [{ mirror: { host: '*' } }, 'mirror.host'],
  ];
  test.each(REFUSED)('refuse %p at %p', (rule, path) => {
    expect(errorsOf(rule)).toEqual([path]);
  });
});

describe('retries', () => {
  test('may leave the locality, and come back to the same host', () => {
    const { route } = compile({
      retries: { attempts: 2, retryRemoteLocalities: true, retryIgnorePreviousHosts: false },
    });
    expect(route.retries).toMatchObject({ remoteLocalities: true, ignorePreviousHosts: false });
  });

  const REFUSED: [HttpRouteSpec['retries'], string][] = [
    [{ attempts: 0, retryOn: '5xx' }, 'retries'],
    [{ attempts: 0, retryRemoteLocalities: false }, 'retries'],
    [{ attempts: 1, retryOn: '5xx,often' }, 'retries.retryOn'],
    [{ attempts: 1, retryOn: '999' }, 'retries.retryOn'],
    [{ attempts: 1, perTryTimeout: '0s' }, 'retries.perTryTimeout'],
    [{ attempts: 1, backoff: '1us' }, 'retries.backoff'],
  ];
  test.each(REFUSED)('%p are refused at %p', (retries, path) => {
    expect(errorsOf({ retries })).toEqual([path]);
  });
});

describe('headers', () => {
  test('of rule and destination, with the authority as a rewrite of its own', () => {
    const { route } = compile({
      headers: { request: { add: { ':authority': 'x.y' }, set: { 'X-P': '100%%' } } },
      route: [
        { ...to('a'), weight: 1, headers: { request: { set: { host: 'not.this' } } } },
        { ...to('b'), weight: 1, headers: { response: { remove: ['X-R'] } } },
      ],
    });
    expect(route.rewrite).toEqual({ authority: 'x.y' });
    expect(route.headers?.request).toEqual({ set: { 'x-p': '100%%' }, add: {}, remove: [] });
    expect(route.action).toMatchObject({
      destinations: [{}, { headers: { response: { set: {}, add: {}, remove: ['x-r'] } } }],
    });
    expect(JSON.stringify(route.action)).not.toContain('not.this');
  });

  test('rewrite the authority of one destination when the rule does not', () => {
    const { route } = compile({
      route: [{ ...to('a'), headers: { request: { set: { Host: 'only.a' } } } }],
    });
    expect(route.action).toMatchObject({ destinations: [{ rewrite: { authority: 'only.a' } }] });
  });

  test('with variables that nobody knows are left alone, and said so', () => {
    const set = { 'x-h': '%HOSTNAME%', 'x-n': '%NONSENSE%' };
    const rule = { headers: { response: { set } } };
    expect(compile(rule).route.headers?.response?.set).toEqual({ 'x-h': '%HOSTNAME%' });
    expect(warningsOf(rule)).toEqual(['headers.response.set[x-n]']);
  });

  const REFUSED: [HttpRouteSpec, string][] = [
    [{ headers: { request: { set: { ':path': 'x' } } } }, 'headers.request.set[:path]'],
    [{ headers: { request: { remove: ['host'] } } }, 'headers.request.remove[0]'],
    [{ headers: { response: { add: { a: '%' } } } }, 'headers.response.add[a]'],
    [
      { headers: { request: { set: { host: 'a' }, add: { ':authority': 'b' } } } },
      'headers.request',
    ],
    [
      { headers: { request: { set: { host: 'a' } } }, rewrite: { authority: 'b' } },
      'headers.request',
    ],
  ];
  test.each(REFUSED)('%p are refused at %p', (rule, path) => {
    expect(errorsOf(rule)).toEqual([path]);
  });
});

describe('matches', () => {
  test('of every form', () => {
    const { route, findings } = compile({
      name: 'rule',
      match: [
        {
          name: 'all',
          uri: { prefix: '/A' },
          ignoreUriCase: true,
          scheme: { exact: 'https' },
          method: { regex: 'GET|PUT' },
          authority: { prefix: 'shop' },
          headers: { 'X-A': { exact: '1' }, ':method': { exact: 'GET' } },
          withoutHeaders: { 'X-B': {} },
          queryParams: { Q: { prefix: '2' } },
          statPrefix: 's',
        },
        null,
      ],
    });
    expect(route).toMatchObject({
      name: 'rule.all',
      matches: [
        {
          path: { kind: 'prefix', value: '/A' },
          ignorePathCase: true,
          scheme: { kind: 'exact', value: 'https' },
          method: { kind: 'regex', value: 'GET|PUT' },
          authority: { kind: 'prefix', value: 'shop' },
          headers: [
            { name: 'x-a', match: { kind: 'exact', value: '1' } },
            { name: ':method', match: { kind: 'exact', value: 'GET' } },
          ],
          withoutHeaders: [{ name: 'x-b', match: { kind: 'present' } }],
          queryParams: [{ name: 'Q', match: { kind: 'prefix', value: '2' } }],
        },
      ],
    });
    expect(findings).toMatchObject([{ level: 'info', path: 'spec.http[0].match[0].statPrefix' }]);
  });

  const REFUSED: [HttpRouteSpec['match'], string][] = [
    [[{ method: { prefix: '' } }], 'match[0].method.prefix'],
    [[{ uri: { regex: '' } }], 'match[0].uri.regex'],
    [[{ uri: { regex: 'a'.repeat(1025) } }], 'match[0].uri.regex'],
    [[{ headers: { a: null } }], 'match[0].headers[a]'],
    [[{ headers: { 'a b': {} } }], 'match[0].headers[a b]'],
    [[{ headers: { a: { regex: '*' } } }], 'match[0].headers[a].regex'],
    [[{ headers: { '@request.auth.claims.a': {} } }], 'match[0].headers[@request.auth.claims.a]'],
    [[{ port: 65_536 }], 'match[0].port'],
    [[{ sourceLabels: { 'a b': 'c' } }], 'match[0].sourceLabels'],
    [[{ sourceNamespace: 'a.b' }], 'match[0].sourceNamespace'],
    [[{ gateways: ['*/x'] }], 'match[0].gateways[0]'],
  ];
  test.each(REFUSED)('%p are refused at %p', (match, path) => {
    expect(errorsOf({ match })).toEqual([path]);
  });
});
