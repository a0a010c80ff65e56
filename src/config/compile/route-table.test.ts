import { describe, expect, test } from 'bun:test';
import type { Service } from '#model/service/service.ts';
import { service, virtualService } from '#test/support/compile-fixtures.ts';
import { DEFAULT_RETRIES } from './http-features.ts';
import type { RouteTableInput } from './route-table.ts';
import { buildRouteTable, defaultRoute } from './route-table.ts';
import { waypointProxy } from './source-condition.ts';
import { compileVirtualService } from './virtual-service.ts';
import type { HttpRouteSpec, VirtualServiceSpec } from './virtual-service-kinds.ts';

const DOMAIN = { domain: 'cluster.local' };
const PRODUCT = service('product-service');
const SERVICES: Service[] = [
  PRODUCT,
  service('two-ports', { 80: 'http', 81: 'http' }),
  service('db', { 5432: 'tcp' }),
];
const HOST = 'product-service.shop.svc.cluster.local';

function compile(spec: VirtualServiceSpec, meta = {}) {
  return compileVirtualService(virtualService(spec, meta), DOMAIN);
}

function build(specs: VirtualServiceSpec[], target = PRODUCT, more: Partial<RouteTableInput> = {}) {
  const virtualServices = specs.map((spec, index) => {
    const meta = { name: `vs${index}`, created: `2026-01-0${index + 1}T00:00:00Z` };
    const { value, findings } = compile(spec, meta);
    if (value === undefined) throw new Error(JSON.stringify(findings));
    return value;
  });
  return buildRouteTable({
    service: target,
    virtualServices,
    resolve: (hostname) => SERVICES.find((each) => each.hostname === hostname),
    subsets: (each) => new Set(each.name === 'product-service' ? ['stable', 'canary'] : []),
    proxy: waypointProxy('shop'),
    ...more,
  });
}

function rules(...http: HttpRouteSpec[]): VirtualServiceSpec {
  return { hosts: ['product-service'], http };
}

const to = (host: string, subset?: string, weight?: number, port?: number) => ({
  destination: { host, subset, port: port === undefined ? undefined : { number: port } },
  weight,
});

describe('buildRouteTable', () => {
  test('compiles the canary example', () => {
    const { table, findings } = build([
      rules(
        {
          match: [{ headers: { 'X-Canary': { exact: 'true' } } }],
          route: [to('product-service', 'canary')],
        },
        {
          route: [to('product-service', 'stable', 90), to('product-service', 'canary', 10)],
          retries: { attempts: 3, perTryTimeout: '2s' },
          timeout: '10s',
        },
      ),
    ]);
    expect(findings).toEqual([]);
    expect(table.addresses).toEqual(['198.19.0.10']);
    const upstream = `shop/${HOST}`;
    const [canary, split] = table.ports[0].routes;
    expect(canary).toMatchObject({
      provenance: { kind: 'VirtualService', namespace: 'shop', name: 'vs0', rule: 0 },
      matches: [{ headers: [{ name: 'x-canary', match: { kind: 'exact', value: 'true' } }] }],
      action: {
        kind: 'forward',
        destinations: [{ upstream, host: HOST, port: 80, subset: 'canary', weight: 1 }],
      },
      retries: DEFAULT_RETRIES,
    });
    expect(split).toMatchObject({
      matches: [],
      action: {
        destinations: [
          { subset: 'stable', weight: 90 },
          { subset: 'canary', weight: 10 },
        ],
      },
      retries: { attempts: 3, perTryTimeoutMs: 2000, on: DEFAULT_RETRIES.on },
      timeoutMs: 10_000,
    });
    expect(JSON.parse(JSON.stringify(table))).toEqual(table);
  });

  test('forwards to the service itself without a VirtualService', () => {
    const { table } = build([], service('two-ports', { 80: 'http', 81: 'grpc', 82: 'tcp' }));
    expect(
      table.ports.map(({ port, protocol, routes }) => [port, protocol, routes.length]),
    ).toEqual([
      [80, 'http', 1],
      [81, 'grpc', 1],
      [82, 'tcp', 1],
    ]);
    expect(table.ports[1].routes[0].action).toMatchObject({
      destinations: [{ port: 81, weight: 1 }],
    });
  });

  const BROKEN: [string, HttpRouteSpec, string][] = [
    [
      'unknown host',
      { route: [to('nobody')] },
      'host nobody.shop.svc.cluster.local does not exist',
    ],
    [
      'unknown subset',
      { route: [to('product-service', 'beta')] },
      `no DestinationRule defines subset beta of ${HOST}`,
    ],
    [
      'unknown port',
      { route: [to('product-service', undefined, undefined, 99)] },
      `service ${HOST} has no port 99`,
    ],
  ];
  test.each(BROKEN)('answers 503 NC for %s and names the rule', (_title, rule, reason) => {
    const { action } = build([rules(rule)]).table.ports[0].routes[0];
    expect(action).toMatchObject({
      kind: 'forward',
      destinations: [
        {
          broken: { status: 503, flag: 'NC', reason: `VirtualService shop/vs0 rule 0: ${reason}` },
        },
      ],
    });
  });

  test('reports a missing reference once, not for every port', () => {
    const spec = { hosts: ['two-ports'], http: [{ route: [to('nobody')] }] };
    expect(build([spec], SERVICES[1]).findings).toMatchObject([
      { code: 'IST0101', level: 'warning' },
    ]);
  });

  test('drops destinations of weight 0 and keeps a single one whatever its weight', () => {
    const dropped = build([
      rules({ route: [to('product-service', 'stable', 100), to('product-service', 'canary', 0)] }),
    ]);
    expect(dropped.table.ports[0].routes[0].action).toMatchObject({
      destinations: [{ subset: 'stable' }],
    });
    const single = build([rules({ route: [to('product-service', 'stable', 0)] })]);
    expect(single.table.ports[0].routes[0].action).toMatchObject({ destinations: [{ weight: 1 }] });
  });

  const PORTS: [string, HttpRouteSpec['match'], number][] = [
    ['the port of the request', [{ port: 81 }], 1],
    ['another port', [{ port: 9999 }], 0],
    ['mesh among the gateways', [{ gateways: ['mesh', 'x/y'] }], 2],
    ['gateways only', [{ gateways: ['x/y'] }], 0],
    ['source labels, unseen by a waypoint', [{ sourceLabels: { app: 'web' } }], 0],
    ["the waypoint's own namespace", [{ sourceNamespace: 'shop' }], 2],
    ['another namespace', [{ sourceNamespace: 'other' }], 0],
  ];
  test.each(PORTS)('a match on %s', (_title, match, want) => {
    const spec = { hosts: ['two-ports'], http: [{ match, route: [to('product-service')] }] };
    const { table } = build([spec], SERVICES[1]);
    expect(table.ports.flatMap((port) => port.routes)).toHaveLength(want);
  });

  test('stops behind a rule for every request', () => {
    const route = [to('product-service')];
    expect(build([rules({ route }, { route })]).table.ports[0].routes).toHaveLength(1);
  });

  test('puts the older VirtualService in force and reports the other', () => {
    const { table, findings } = build([
      rules({ name: 'old', route: [to('product-service')] }),
      rules({ name: 'new', route: [to('product-service')] }),
    ]);
    expect(table.ports[0].routes[0].name).toBe('old');
    expect(findings).toMatchObject([{ code: 'IST0109', resource: 'VirtualService shop/vs1' }]);
  });

  test('prefers the exact host to an older wildcard', () => {
    const wildcard = {
      hosts: ['*.svc.cluster.local'],
      http: [{ name: 'wild', route: [to('product-service')] }],
    };
    const { table } = build([wildcard, rules({ name: 'exact', route: [to('product-service')] })]);
    expect(table.ports[0].routes[0].name).toBe('exact');
  });

  const REDIRECTS: [HttpRouteSpec['redirect'], object][] = [
    [{ uri: '/new' }, { status: 301, path: '/new' }],
    [
      { redirectCode: 308, scheme: 'https', derivePort: 'FROM_PROTOCOL_DEFAULT' },
      { status: 308, scheme: 'https', port: undefined },
    ],
    [
      { scheme: 'https', derivePort: 'FROM_REQUEST_PORT' },
      { scheme: 'https', port: 80 },
    ],
    [
      { authority: 'b', derivePort: 'FROM_REQUEST_PORT' },
      { authority: 'b', port: undefined },
    ],
    [{ port: 8443 }, { port: 8443 }],
    [{ prefixRewrite: '/new/' }, { prefix: '/new/', path: undefined }],
  ];
  test.each(REDIRECTS)('compiles the redirect %p', (redirect, want) => {
    expect(build([rules({ redirect })]).table.ports[0].routes[0].action).toMatchObject({
      kind: 'redirect',
      ...want,
    });
  });

  test('compiles responses, rewrites and headers', () => {
    const { routes } = build([
      rules(
        {
          match: [{ uri: { exact: '/x' } }],
          directResponse: { status: 418, body: { bytes: btoa('tea') } },
        },
        {
          route: [to('product-service')],
          rewrite: { uri: '/v2' },
          headers: {
            request: { set: { Host: 'b.example', 'X-A': '1' }, remove: ['X-B'] },
            response: { add: { 'X-C': '2' } },
          },
        },
      ),
    ]).table.ports[0];
    expect(routes[0].action).toEqual({ kind: 'respond', status: 418, bodyBytes: btoa('tea') });
    expect(routes[1].rewrite).toEqual({ path: '/v2', authority: 'b.example' });
    expect(routes[1].headers).toEqual({
      request: { set: { 'x-a': '1' }, add: {}, remove: ['x-b'] },
      response: { set: {}, add: { 'x-c': '2' }, remove: [] },
    });
  });

  const RETRIES: [HttpRouteSpec['retries'], object][] = [
    [undefined, DEFAULT_RETRIES],
    [{}, { attempts: 0 }],
    [{ attempts: 0 }, { attempts: 0 }],
    [
      { attempts: 1, retryOn: '5xx, 429,reset' },
      { attempts: 1, on: ['5xx', 'reset', 'retriable-status-codes'], statusCodes: [429] },
    ],
    [
      { attempts: 1, backoff: '100ms' },
      { backoffBaseMs: 100, perTryTimeoutMs: undefined },
    ],
  ];
  test.each(RETRIES)('compiles the retries %p', (retries, want) => {
    const rule = { retries, route: [to('product-service')] };
    expect(build([rules(rule)]).table.ports[0].routes[0].retries).toMatchObject(want);
  });
});

describe('buildRouteTable with routes of the Gateway API', () => {
  const attached = { ...defaultRoute(PRODUCT, 80), name: 'from-http-route' };

  test('takes them instead of the VirtualService, and says so', () => {
    const { table, findings } = build(
      [rules({ route: [to('product-service', 'stable')] })],
      PRODUCT,
      {
        attached: (port) => (port === 80 ? [attached] : undefined),
      },
    );
    expect(table.ports[0].routes).toEqual([attached]);
    expect(findings).toMatchObject([
      { code: 'TULLE0001', resource: 'VirtualService shop/vs0', path: 'spec.hosts' },
    ]);
  });

  test('leaves ports without any to the VirtualService', () => {
    const target = SERVICES[1];
    const { table } = build(
      [{ hosts: ['two-ports'], http: [{ directResponse: { status: 204 } }] }],
      target,
      {
        attached: (port) => (port === 80 ? [attached] : undefined),
      },
    );
    expect(table.ports.map(({ port, routes }) => [port, routes[0].name])).toEqual([
      [80, 'from-http-route'],
      [81, 'vs0.0'],
    ]);
  });

  test('says nothing where no VirtualService is hidden', () => {
    expect(build([], PRODUCT, { attached: () => [attached] }).findings).toEqual([]);
  });
});

describe('compileVirtualService', () => {
  const route = [to('product-service')];
  const INVALID: [string, VirtualServiceSpec, string][] = [
    ['a bad duration', rules({ route, timeout: 'soon' }), 'spec.http[0].timeout'],
    [
      'a bad try timeout',
      rules({ route, retries: { attempts: 1, perTryTimeout: '1x' } }),
      'spec.http[0].retries.perTryTimeout',
    ],
    [
      'negative attempts',
      rules({ route, retries: { attempts: -1 } }),
      'spec.http[0].retries.attempts',
    ],
    [
      'a negative weight',
      rules({ route: [...route, to('product-service', 'x', -1)] }),
      'spec.http[0].route[1].weight',
    ],
    ['no destination', rules({ route: [] }), 'spec.http[0].route'],
    ['no action', rules({}), 'spec.http[0]'],
    ['two actions', rules({ route, redirect: { uri: '/' } }), 'spec.http[0].route'],
    [
      'a destination without host',
      rules({ route: [{ destination: {} }] }),
      'spec.http[0].route[0].destination.host',
    ],
    [
      'a bad regex',
      rules({ route, match: [{ uri: { regex: '(' } }] }),
      'spec.http[0].match[0].uri.regex',
    ],
    [
      'a back reference, not RE2',
      rules({ route, match: [{ headers: { a: { regex: '(a)\\1' } } }] }),
      'spec.http[0].match[0].headers[a].regex',
    ],
    [
      'two kinds of match',
      rules({ route, match: [{ uri: { exact: '/a', prefix: '/b' } }] }),
      'spec.http[0].match[0].uri',
    ],
    [
      'a bad redirect code',
      rules({ redirect: { uri: '/', redirectCode: 404 } }),
      'spec.http[0].redirect.redirectCode',
    ],
    [
      'a bad status',
      rules({ directResponse: { status: 99 } }),
      'spec.http[0].directResponse.status',
    ],
    [
      'a bad rewrite',
      rules({ route, rewrite: { uriRegexRewrite: { match: '[' } } }),
      'spec.http[0].rewrite.uriRegexRewrite.match',
    ],
    ['* without gateways', { hosts: ['*'], http: [{ route }] }, 'spec.hosts[0]'],
  ];
  test.each(INVALID)('refuses %s and says where', (_title, spec, path) => {
    const { value, findings } = compile(spec);
    expect(value).toBeUndefined();
    expect(findings).toContainEqual(
      expect.objectContaining({ level: 'error', path, code: 'IST0106' }),
    );
  });

  test('lists every error of an object at once', () => {
    const { findings } = compile(rules({ route, timeout: 'x' }, { route, timeout: 'y' }));
    const errors = findings.filter(({ level }) => level === 'error');
    expect(errors.map((finding) => finding.path)).toEqual([
      'spec.http[0].timeout',
      'spec.http[1].timeout',
    ]);
  });

  test('takes the empty match and the regex * as presence', () => {
    const match = [{ headers: { a: {} }, withoutHeaders: { b: { regex: '*' } } }];
    const compiled = compile(rules({ route, match })).value?.http[0].matches[0].match;
    expect(compiled?.headers).toEqual([{ name: 'a', match: { kind: 'present' } }]);
    expect(compiled?.withoutHeaders).toEqual([{ name: 'b', match: { kind: 'present' } }]);
  });
});
