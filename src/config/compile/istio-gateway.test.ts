import { describe, expect, test } from 'bun:test';
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import type { Service } from '#model/service/service.ts';
import type { MetaOptions } from '#test/support/compile-fixtures.ts';
import { istioGateway, service, virtualService } from '#test/support/compile-fixtures.ts';
import type { ServerSpec, ServerTlsSpec } from './gateway-kinds.ts';
import type { IstioGatewaysInput } from './istio-gateway.ts';
import { compileIstioGateway, compileIstioGateways } from './istio-gateway.ts';
import { mergeGatewayConfigs } from './merge-gateway-configs.ts';
import { compileVirtualServices } from './virtual-service.ts';
import type { VirtualServiceSpec } from './virtual-service-kinds.ts';

const SERVICES: Service[] = ['a', 'b', 'c'].map((name) => service(name));
const SELECTOR = { istio: 'ingressgateway' };

const http = (port: number, hosts: string[], tls?: ServerTlsSpec): ServerSpec => ({
  port: { number: port, name: `http-${port}`, protocol: 'HTTP' },
  hosts,
  tls,
});
const https = (hosts: string[], tls: ServerTlsSpec, protocol = 'HTTPS'): ServerSpec => ({
  port: { number: 443, name: `https-${hosts[0]}`, protocol },
  hosts,
  tls,
});
const SIMPLE: ServerTlsSpec = { mode: 'SIMPLE', credentialName: 'cert' };
type Named<S> = [spec: S, meta?: MetaOptions];

function build(
  gateways: Named<ServerSpec[]>[],
  virtualServices: Named<VirtualServiceSpec>[] = [],
  more: Partial<IstioGatewaysInput> = {},
) {
  const compiled = gateways.map(([servers, meta]) => {
    const object = istioGateway({ selector: SELECTOR, servers }, { name: 'gateway', ...meta });
    const { value, findings } = compileIstioGateway(object);
    if (value === undefined) throw new Error(JSON.stringify(findings));
    return value;
  });
  const objects = virtualServices.map(([spec, meta], at) =>
    virtualService(spec, { name: `vs${at}`, created: `2026-01-0${at + 1}T00:00:00Z`, ...meta }),
  );
  const all = compileVirtualServices(objects, { domain: 'cluster.local' });
  if (all.findings.some(({ level }) => level === 'error'))
    throw new Error(JSON.stringify(all.findings));
  return compileIstioGateways({
    proxy: { namespace: 'istio-system', name: 'ingress', labels: SELECTOR },
    gateways: compiled,
    virtualServices: all.virtualServices,
    resolve: (hostname) => SERVICES.find((each) => each.hostname === hostname),
    subsets: () => new Set(),
    ...more,
  });
}

const to = (host: string, match?: object[]): VirtualServiceSpec => ({
  hosts: [`${host}.example.com`],
  gateways: ['gateway'],
  http: [{ match, route: [{ destination: { host } }] }],
});

/** `host → upstreams in the order of their routes`, for each listener. */
function outline({ listeners }: GatewayConfig): Record<string, string[]> {
  return Object.fromEntries(
    listeners.map(({ port, bind, servers }) => [
      bind ? `${bind}:${port}` : port,
      servers.flatMap(({ virtualHosts, l4Routes, protocol }) => [
        ...virtualHosts.map(
          ({ domains, routes }) => `${protocol} ${domains} → ${routes.map(routeTarget)}`,
        ),
        ...l4Routes.map(
          ({ matches, destinations }) =>
            `${protocol} ${matches.flatMap((each) => each.sniHosts)} → ${destinations.map((each) => each.host)}`,
        ),
      ]),
    ]),
  );
}
function routeTarget({
  action,
}: GatewayConfig['listeners'][0]['servers'][0]['virtualHosts'][0]['routes'][0]) {
  return action.kind === 'forward' ? action.destinations[0].host.split('.')[0] : action.kind;
}

describe('compileIstioGateways chooses', () => {
  test('Gateways by the labels of the proxy, and none for another proxy', () => {
    const gateways: Named<ServerSpec[]>[] = [[[http(80, ['*'])]]];
    expect(build(gateways).config.listeners).toHaveLength(1);
    const proxy = { namespace: 'istio-system', name: 'egress', labels: { istio: 'egress' } };
    expect(build(gateways, [], { proxy }).config).toEqual({
      namespace: 'istio-system',
      name: 'egress',
      listeners: [],
    });
  });

  test('the target port of the Service before the proxy, and the port itself without one', () => {
    const targetPorts = (port: number) => (port === 80 ? [8080, 8081] : []);
    const { config } = build([[[http(80, ['*']), http(9090, ['*'])]]], [], { targetPorts });
    expect(config.listeners.map(({ port }) => port)).toEqual([8080, 9090]);
  });

  test('every target port of a Service that the Gateway names, and nothing where it has none', () => {
    const { value } = compileIstioGateway(
      istioGateway(
        { servers: [http(80, ['*']), http(90, ['*'])] },
        {
          annotations: { 'internal.istio.io/gateway-service': 'in.istio-system.svc.cluster.local' },
        },
      ),
    );
    const targetPorts = (port: number, hostname: string | undefined) =>
      port === 80 && hostname === 'in.istio-system.svc.cluster.local' ? [8080, 8081] : [];
    const { config } = build([], [], { gateways: value ? [value] : [], targetPorts });
    expect(config.listeners.map(({ port }) => port)).toEqual([8080, 8081]);
  });
});

describe('compileIstioGateways makes virtual hosts', () => {
  test('of the hosts that server and VirtualService have in common', () => {
    const { config } = build(
      [[[http(80, ['*.example.com', 'other/x.com', './d.com', '*/e.com'])]]],
      [
        [to('a')],
        [{ ...to('b'), hosts: ['*'] }],
        [{ ...to('c'), hosts: ['x.com', 'd.com', 'e.com', 'www.a.net'] }],
      ],
    );
    expect(outline(config)).toEqual({
      80: [
        'http a.example.com → a',
        'http *.example.com → b',
        'http d.com → b,c',
        'http e.com → b,c',
      ],
    });
  });

  test('with the rules of all that have the host: first the private, then the older; for everything last', () => {
    const host = { hosts: ['a.example.com'] };
    const { config } = build(
      [[[http(80, ['*'])], { namespace: 'istio-system' }]],
      [
        [{ ...to('a'), ...host, gateways: ['istio-system/gateway'] }],
        [{ ...to('b', [{ uri: { prefix: '/b' } }]), ...host, gateways: ['istio-system/gateway'] }],
        [
          {
            ...to('c.shop.svc.cluster.local', [
              { uri: { prefix: '/c' } },
              { uri: { prefix: '/' } },
            ]),
            ...host,
            gateways: ['gateway'],
            exportTo: ['.'],
          },
          { namespace: 'istio-system' },
        ],
      ],
    );
    expect(outline(config)).toEqual({ 80: ['http a.example.com → c,b,c,a'] });
    const [first, , third] = config.listeners[0].servers[0].virtualHosts[0].routes;
    expect([first, third].map(({ matches }) => matches.map(({ path }) => path))).toEqual([
      [{ kind: 'prefix', value: '/c' }],
      [{ kind: 'prefix', value: '/' }],
    ]);
  });

  test('only of VirtualServices that name the Gateway and are exported to the proxy', () => {
    const { config } = build(
      [[[http(80, ['*'])]]],
      [
        [{ ...to('a'), gateways: ['other/gateway'] }],
        [{ ...to('b'), gateways: undefined }],
        [{ ...to('c'), exportTo: ['.'] }],
      ],
    );
    expect(config.listeners[0].servers[0].virtualHosts).toEqual([]);
  });

  test('from matches bound to the Gateway and to the port that it names', () => {
    const matches = [
      [{ gateways: ['mesh'] }],
      [{ gateways: ['gateway', 'mesh'], port: 80 }],
      [{ port: 8080 }],
      [{ sourceLabels: SELECTOR, sourceNamespace: 'istio-system' }],
      [{ sourceNamespace: 'shop' }],
    ];
    const http5 = matches.map((match, at) => ({
      name: `r${at}`,
      match,
      directResponse: { status: 200 + at },
    }));
    const { config } = build(
      [[[http(80, ['*'])]]],
      [[{ hosts: ['*'], gateways: ['gateway', 'mesh'].slice(0, 1), http: http5 }]],
      { targetPorts: () => [8080] },
    );
    const [{ routes }] = config.listeners[0].servers[0].virtualHosts;
    expect(routes.map(({ name }) => name)).toEqual(['r1', 'r3']);
  });

  test('one for a host in two Gateways on one port', () => {
    const { config } = build(
      [
        [[http(80, ['a.example.com'])], { name: 'gateway' }],
        [[http(80, ['a.example.com'])], { name: 'other' }],
      ],
      [
        [to('a', [{ uri: { prefix: '/a' } }])],
        [{ ...to('b'), hosts: ['a.example.com'], gateways: ['other'] }],
      ],
    );
    expect(outline(config)).toEqual({ 80: ['http a.example.com → a,b'] });
    expect(config.listeners[0].servers).toHaveLength(1);
  });

  test('that redirect to https, with rules and without', () => {
    const redirecting = http(80, ['a.example.com', 'b.example.com'], { httpsRedirect: true });
    const { config } = build([[[redirecting, http(81, ['a.example.com'])]]], [[to('a')]]);
    expect(outline(config)).toEqual({
      80: ['http a.example.com → redirect', 'http b.example.com → redirect'],
      81: ['http a.example.com → a'],
    });
    expect(config.listeners[0].servers[0].virtualHosts[0].routes[0].action).toEqual({
      kind: 'redirect',
      status: 301,
      scheme: 'https',
    });
  });

  test('and keeps a port without any open', () => {
    expect(build([[[http(80, ['foo.bar'])]]]).config.listeners).toMatchObject([
      { port: 80, servers: [{ protocol: 'http', hosts: ['foo.bar'], virtualHosts: [] }] },
    ]);
  });
});

describe('compileIstioGateways ends TLS', () => {
  /** [title, tls, ServerTls] */
  const rows: [string, ServerTlsSpec, object][] = [
    [
      'SIMPLE with a Secret of the proxy’s namespace',
      SIMPLE,
      { mode: 'simple', certificates: ['kubernetes://istio-system/cert'] },
    ],
    [
      'several certificates',
      { mode: 'SIMPLE', credentialNames: ['rsa', 'kubernetes://ecdsa', 'istio-system/own'] },
      {
        certificates: [
          'kubernetes://istio-system/rsa',
          'kubernetes://istio-system/ecdsa',
          'kubernetes://istio-system/own',
        ],
      },
    ],
    [
      "MUTUAL with roots in the certificate's Secret",
      { ...SIMPLE, mode: 'MUTUAL' },
      { mode: 'mutual', clientRoots: 'kubernetes://istio-system/cert' },
    ],
    [
      'MUTUAL with roots of their own',
      { ...SIMPLE, mode: 'MUTUAL', caCertCredentialName: 'roots' },
      { clientRoots: 'kubernetes://istio-system/roots' },
    ],
    [
      'OPTIONAL_MUTUAL',
      { ...SIMPLE, mode: 'OPTIONAL_MUTUAL' },
      { mode: 'optional', clientRoots: 'kubernetes://istio-system/cert' },
    ],
    ['ISTIO_MUTUAL', { mode: 'ISTIO_MUTUAL' }, { mode: 'istio-mutual', certificates: [] }],
    [
      'names and hashes of clients',
      {
        ...SIMPLE,
        mode: 'MUTUAL',
        subjectAltNames: ['spiffe://x'],
        verifyCertificateHash: ['AB:CD'],
        verifyCertificateSpki: ['c3BraQ=='],
      },
      {
        clientSubjectAltNames: ['spiffe://x'],
        clientCertificateHashes: ['abcd'],
        clientSpkiHashes: ['c3BraQ=='],
      },
    ],
    [
      'versions',
      { ...SIMPLE, minProtocolVersion: 'TLSV1_2', maxProtocolVersion: 'TLSV1_3' },
      { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' },
    ],
    [
      'cipher suites, known and each once',
      { ...SIMPLE, cipherSuites: ['AES128-SHA', 'NONSENSE', 'AES128-SHA'] },
      { cipherSuites: ['AES128-SHA'] },
    ],
  ];
  test.each(rows)('%s', (_title, tls, want) => {
    const { config } = build([[[https(['a.example.com'], tls)]]], [[to('a')]]);
    expect(config.listeners[0].servers).toMatchObject([
      { protocol: 'https', hosts: ['a.example.com'], tls: want },
    ]);
    expect(outline(config)).toEqual({ 443: ['https a.example.com → a'] });
  });

  test('with roots beside the certificate where a Secret has them', () => {
    const servers = [
      https(['a.b'], { ...SIMPLE, mode: 'MUTUAL' }),
      https(['b.b'], { ...SIMPLE, mode: 'MUTUAL', caCertCredentialName: 'roots' }),
    ];
    const keys = ['istio-system/cert-cacert', 'istio-system/roots-cacert'];
    const { config } = build([[servers]], [], { hasSecret: (key) => keys.includes(key) });
    expect(config.listeners[0].servers.map(({ tls }) => tls?.clientRoots)).toEqual([
      'kubernetes://istio-system/cert-cacert',
      'kubernetes://istio-system/roots',
    ]);
  });

  test('never with a Secret of another namespace', () => {
    const { config, findings } = build([
      [[https(['a.example.com'], { mode: 'SIMPLE', credentialName: 'other/cert' })]],
    ]);
    expect(config.listeners).toEqual([]);
    expect(findings).toMatchObject([
      { code: 'IST0101', resource: 'Gateway shop/gateway', path: 'spec.servers[0].tls' },
    ]);
  });

  test('for each server by itself, the virtual hosts of one are not those of another', () => {
    const { config } = build(
      [[[https(['a.example.com'], SIMPLE), https(['b.example.com'], SIMPLE)]]],
      [[{ ...to('a'), hosts: ['*'] }], [to('b', [{ uri: { exact: '/b' } }])]],
    );
    expect(outline(config)).toEqual({
      443: ['https a.example.com → a', 'https b.example.com → b,a'],
    });
    expect(config.listeners[0].servers.map(({ name }) => name)).toEqual([
      'shop/gateway/https-a.example.com',
      'shop/gateway/https-b.example.com',
    ]);
  });
});

describe('compileIstioGateways forwards bytes', () => {
  const tcp: ServerSpec = {
    port: { number: 3306, name: 'db', protocol: 'MYSQL' },
    hosts: ['*'],
  };
  const byTcp: VirtualServiceSpec = {
    hosts: ['*'],
    gateways: ['gateway'],
    tcp: [
      { match: [{ port: 1 }], route: [{ destination: { host: 'b' } }] },
      { match: [{ port: 3306 }], route: [{ destination: { host: 'a' } }] },
    ],
  };
  const bySni: VirtualServiceSpec = {
    hosts: ['*.example.com'],
    gateways: ['gateway'],
    tls: [
      {
        match: [{ sniHosts: ['a.example.com'] }, { sniHosts: ['b.example.com'], port: 1 }],
        route: [{ destination: { host: 'a' } }],
      },
    ],
  };

  test('by TCP rules', () => {
    expect(outline(build([[[tcp]]], [[byTcp]]).config)).toEqual({
      3306: ['tcp  → a.shop.svc.cluster.local'],
    });
  });

  test('by TCP rules behind TLS that it ends', () => {
    const server = https(['*'], SIMPLE, 'TLS');
    const rules = { ...byTcp, tcp: [{ route: [{ destination: { host: 'a' } }] }] };
    const { config } = build([[[server]]], [[rules]]);
    expect(config.listeners[0].servers).toMatchObject([
      { protocol: 'tls', tls: { mode: 'simple' }, l4Routes: [{ destinations: [{ weight: 1 }] }] },
    ]);
  });

  test.each(['TLS', 'HTTPS'])('by SNI where %s is passed through', (protocol) => {
    const { config } = build(
      [[[https(['*.example.com'], { mode: 'PASSTHROUGH' }, protocol)]]],
      [[bySni]],
    );
    expect(config.listeners[0].servers).toMatchObject([
      { protocol: 'tls', hosts: ['a.example.com'] },
    ]);
    expect(config.listeners[0].servers[0].tls).toBeUndefined();
    expect(outline(config)).toEqual({
      443: ['tls a.example.com → a.shop.svc.cluster.local'],
    });
  });

  test('and closes a port without rules', () => {
    const { config, findings } = build([[[tcp]]]);
    expect(config.listeners).toEqual([]);
    expect(findings).toMatchObject([{ path: 'spec.servers[0]', code: 'TULLE0001' }]);
  });
});

describe('compileIstioGateways decides conflicts', () => {
  const tcp: ServerSpec = { port: { number: 80, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] };
  const rows: [string, Named<ServerSpec[]>[], number][] = [
    ['HTTP before TCP', [[[http(80, ['*'])]], [[tcp], { name: 'z' }]], 1],
    ['TCP twice', [[[tcp]], [[tcp], { name: 'z' }]], 1],
    [
      'a TLS host twice',
      [[[https(['a.b'], SIMPLE)]], [[https(['a.b'], SIMPLE)], { name: 'z' }]],
      1,
    ],
    ['two TLS hosts', [[[https(['a.b'], SIMPLE)]], [[https(['b.b'], SIMPLE)], { name: 'z' }]], 0],
    ['two binds', [[[http(80, ['*'])]], [[{ ...tcp, bind: '10.0.0.1' }], { name: 'z' }]], 0],
  ];
  test.each(rows)('%s', (_title, gateways, conflicts) => {
    const { findings } = build(gateways);
    const found = findings.filter(({ code }) => code === 'IST0109');
    expect(found).toHaveLength(conflicts);
    for (const { resource, hint } of found) {
      expect(resource).toBe('Gateway shop/z');
      expect(hint).not.toBe('');
    }
  });
});

describe('compileIstioGateway does not serve', () => {
  const rows: [string, ServerSpec, string][] = [
    ['AUTO_PASSTHROUGH', https(['*.local'], { mode: 'AUTO_PASSTHROUGH' }, 'TLS'), 'tls.mode'],
    ['UDP', { port: { number: 53, name: 'dns', protocol: 'UDP' }, hosts: ['*'] }, 'port.protocol'],
    [
      'a Unix socket',
      { port: { name: 's', protocol: 'HTTP' }, bind: 'unix:///x', hosts: ['*'] },
      'bind',
    ],
  ];
  test.each(rows)('%s, and says why', (_title, server, field) => {
    const { value, findings } = compileIstioGateway(istioGateway({ servers: [server] }));
    expect(value?.servers).toEqual([]);
    expect(findings).toMatchObject([{ level: 'warning', path: `spec.servers[0].${field}` }]);
  });
});

describe('mergeGatewayConfigs', () => {
  const one = (server: ServerSpec, name: string) => build([[[server], { name }]]).config;

  test('keeps ports apart and joins servers of one port', () => {
    const { config, findings } = mergeGatewayConfigs(
      one(https(['a.b'], SIMPLE), 'first'),
      one(https(['b.b'], SIMPLE), 'second'),
      one(http(80, ['*']), 'third'),
    );
    expect(config.listeners.map(({ port, servers }) => [port, servers.length])).toEqual([
      [80, 1],
      [443, 2],
    ]);
    expect(findings).toEqual([]);
  });

  test('refuses the later of what excludes the earlier', () => {
    const { config, findings } = mergeGatewayConfigs(
      one(http(443, ['*']), 'first'),
      one(https(['b.b'], SIMPLE), 'second'),
    );
    expect(config.listeners[0].servers).toHaveLength(1);
    expect(findings).toMatchObject([{ code: 'IST0109', resource: 'Gateway shop/second' }]);
  });

  test('leaves a host of plain HTTP to the earlier', () => {
    const { config, findings } = mergeGatewayConfigs(
      build([[[http(80, ['*'])]]], [[to('a')]]).config,
      build([[[http(80, ['*'])]]], [[{ ...to('b'), hosts: ['a.example.com', 'b.example.com'] }]])
        .config,
    );
    expect(outline(config)).toEqual({
      80: ['http a.example.com → a', 'http b.example.com → b'],
    });
    expect(findings).toHaveLength(1);
  });
});
