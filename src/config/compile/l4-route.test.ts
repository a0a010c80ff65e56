import { describe, expect, test } from 'bun:test';
import type { L4Route } from '#model/route/route-table.ts';
import type { AppProtocol } from '#model/service/service.ts';
import { service, virtualService } from '#test/support/compile-fixtures.ts';
import { buildRouteTable } from './route-table.ts';
import type { RouteProxy } from './source-condition.ts';
import { judgeSource, sourceCondition, waypointProxy } from './source-condition.ts';
import { compileVirtualServices } from './virtual-service.ts';
import type { VirtualServiceSpec } from './virtual-service-kinds.ts';

const B = service('b', { 5432: 'tcp' });

function build(
  protocol: AppProtocol,
  spec: Omit<VirtualServiceSpec, 'hosts'>,
  proxy: RouteProxy = waypointProxy('shop'),
) {
  const db = service('db', { 5432: protocol });
  const { virtualServices, findings } = compileVirtualServices(
    [virtualService({ hosts: ['db', '*.example.com'], ...spec })],
    { domain: 'cluster.local' },
  );
  const { table, findings: bound } = buildRouteTable({
    service: db,
    virtualServices,
    resolve: (hostname) => [db, B].find((each) => each.hostname === hostname),
    subsets: () => new Set(['v1']),
    proxy,
  });
  return { routes: table.ports[0].l4Routes, findings: [...findings, ...bound] };
}
const to = (host: string) => [{ destination: { host } }];
const outline = (routes: readonly L4Route[] | undefined) =>
  routes?.map(
    ({ name, destinations }) => `${name} → ${destinations.map(({ host }) => host.split('.')[0])}`,
  );

describe('buildRouteTable for bytes', () => {
  test('binds TCP rules in order, then the service itself', () => {
    const { routes } = build('tcp', {
      tcp: [
        {
          match: [{ destinationSubnets: ['10.0.0.0/8'], sourceSubnet: '10.1.0.0/16' }],
          route: to('b'),
        },
        { match: [{ port: 1 }], route: to('b') },
      ],
    });
    expect(outline(routes)).toEqual(['product-service.tcp[0] → b', 'default → db']);
    expect(routes?.[0]).toEqual({
      name: 'product-service.tcp[0]',
      provenance: {
        kind: 'VirtualService',
        namespace: 'shop',
        name: 'product-service',
        rule: 'tcp[0]',
      },
      matches: [
        { sniHosts: [], destinationSubnets: ['10.0.0.0/8'], sourceSubnets: ['10.1.0.0/16'] },
      ],
      destinations: [{ upstream: `shop/${B.hostname}`, host: B.hostname, port: 5432, weight: 1 }],
    });
  });

  test('binds weights and subsets as for HTTP', () => {
    const route = [
      { destination: { host: 'b', subset: 'v1' }, weight: 3 },
      { destination: { host: 'db', port: { number: 5432 } }, weight: 1 },
      { destination: { host: 'nobody' }, weight: 0 },
    ];
    const { routes, findings } = build('tcp', { tcp: [{ route }] });
    expect(routes?.[0].destinations).toMatchObject([
      { subset: 'v1', weight: 3 },
      { port: 5432, weight: 1 },
    ]);
    expect(findings).toEqual([]);
  });

  test('breaks what leads nowhere, and says so', () => {
    const { routes, findings } = build('tcp', { tcp: [{ route: to('nobody') }] });
    expect(routes?.[0].destinations).toMatchObject([{ broken: { flag: 'NC' } }]);
    expect(findings).toMatchObject([{ code: 'IST0101', path: 'spec.tcp[0].route[0].destination' }]);
  });

  test('stops behind a rule for every connection', () => {
    const { routes } = build('tcp', {
      tcp: [{ match: [{ sourceSubnet: '10.0.0.1' }, {}], route: to('b') }, { route: to('db') }],
    });
    expect(outline(routes)).toEqual(['product-service.tcp[0] → b', 'default → db']);
  });

  test('binds TLS rules by SNI, and nothing beside them', () => {
    const sni = (host: string) => [{ sniHosts: [host] }];
    const spec = {
      tls: [
        { match: sni('A.example.com'), route: to('b') },
        { match: sni('*.example.com'), route: to('db') },
      ],
    };
    const { routes } = build('tls', spec);
    expect(outline(routes)).toEqual(['product-service.tls[0] → b', 'product-service.tls[1] → db']);
    expect(routes?.[0].matches[0].sniHosts).toEqual(['a.example.com']);
    expect(build('tcp', spec).routes).toBeUndefined();
  });

  test('leaves ports alone that no rule is about', () => {
    expect(build('tls', { tcp: [{ route: to('b') }] }).routes).toBeUndefined();
    expect(build('http', { tcp: [{ route: to('b') }] }).routes).toBeUndefined();
    expect(build('tcp', { http: [{ route: to('b') }] }).routes).toBeUndefined();
  });

  test('gives sniffed ports TLS rules and TCP rules', () => {
    const { routes } = build('unknown', {
      tls: [{ match: [{ sniHosts: ['x.example.com'] }], route: to('b') }],
      tcp: [{ route: to('db') }],
    });
    expect(outline(routes)).toEqual([
      'product-service.tls[0] → b',
      'product-service.tcp[0] → db',
      'default → db',
    ]);
  });

  test('never matches labels of clients at a waypoint, and says so', () => {
    const tcp = [{ match: [{ sourceLabels: { app: 'web' } }], route: to('b') }];
    const { routes, findings } = build('tcp', { tcp });
    expect(routes).toBeUndefined();
    expect(findings).toMatchObject([
      { code: 'TULLE0001', path: 'spec.tcp[0].match[0].sourceLabels' },
    ]);
    const sidecar = { namespace: 'shop', labels: { app: 'web' }, gateways: ['mesh'] };
    expect(outline(build('tcp', { tcp }, sidecar).routes)).toHaveLength(2);
  });

  const REFUSED: [Omit<VirtualServiceSpec, 'hosts'>, string][] = [
    [{ tcp: [{ match: [{}] }] }, 'spec.tcp[0].route'],
    [
      { tcp: [{ match: [{ destinationSubnets: ['10/8'] }], route: to('b') }] },
      'spec.tcp[0].match[0].destinationSubnets[0]',
    ],
    [
      { tcp: [{ match: [{ sourceSubnet: 'x' }], route: to('b') }] },
      'spec.tcp[0].match[0].sourceSubnet',
    ],
    [{ tcp: [{ route: [...to('b'), ...to('db')] }] }, 'spec.tcp[0].route'],
    [{ tls: [{ route: to('b') }] }, 'spec.tls[0].match'],
    [{ tls: [{ match: [{}], route: to('b') }] }, 'spec.tls[0].match[0].sniHosts'],
    [
      { tls: [{ match: [{ sniHosts: ['other.org'] }], route: to('b') }] },
      'spec.tls[0].match[0].sniHosts[0]',
    ],
    [
      { tls: [{ match: [{ sniHosts: ['*.com'] }], route: to('b') }] },
      'spec.tls[0].match[0].sniHosts[0]',
    ],
  ];
  test.each(REFUSED)('refuses %p at %p', (spec, path) => {
    const { findings } = build('tcp', spec);
    expect(findings.filter(({ level }) => level === 'error').map((each) => each.path)).toEqual([
      path,
    ]);
  });
});

describe('judgeSource', () => {
  const client: RouteProxy = { namespace: 'shop', labels: { app: 'web' }, gateways: ['mesh'] };
  const gateway: RouteProxy = { namespace: 'edge', labels: { app: 'gw' }, gateways: ['shop/gw'] };
  const waypoint = waypointProxy('shop');
  type Spec = Parameters<typeof sourceCondition>[0];
  /** [condition, proxy, HTTP, TLS and TCP] */
  const rows: [Spec, RouteProxy, string, string][] = [
    [{}, waypoint, 'holds', 'holds'],
    [{ port: 80 }, waypoint, 'holds', 'holds'],
    [{ port: 81 }, waypoint, 'fails', 'fails'],
    [{ sourceNamespace: 'shop' }, waypoint, 'holds', 'holds'],
    [{ sourceNamespace: 'other' }, waypoint, 'fails', 'fails'],
    [{ sourceLabels: { app: 'web' } }, waypoint, 'unseen', 'unseen'],
    [{ sourceLabels: { app: 'web' } }, client, 'holds', 'holds'],
    [{ sourceLabels: { app: 'web', tier: 'x' } }, client, 'fails', 'fails'],
    [{ sourceLabels: { app: 'web' }, sourceNamespace: 'other' }, client, 'fails', 'fails'],
    [{ gateways: ['mesh'] }, client, 'holds', 'holds'],
    [{ gateways: ['mesh'] }, gateway, 'fails', 'fails'],
    [{ gateways: ['mesh', 'shop/gw'] }, gateway, 'holds', 'holds'],
    [{ gateways: ['shop/gw'], sourceLabels: { app: 'gw' } }, gateway, 'holds', 'holds'],
    [{ gateways: ['shop/gw'], sourceLabels: { app: 'web' } }, gateway, 'holds', 'fails'],
    [{ gateways: ['shop/gw'], sourceNamespace: 'shop' }, gateway, 'holds', 'fails'],
    [{ gateways: ['mesh'], sourceLabels: { app: 'web' } }, waypoint, 'unseen', 'unseen'],
  ];
  test.each(rows)('%p at %p: %s for HTTP, %s for bytes', (spec, proxy, http, bytes) => {
    const judge = (gateways: 'alone' | 'all') =>
      judgeSource(sourceCondition(spec), proxy, { port: 80, gateways });
    expect([judge('alone'), judge('all')]).toEqual([http, bytes] as never);
  });
});
