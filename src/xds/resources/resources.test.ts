import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Authorization, StringMatch } from '#model/authorization/authorization.ts';
import type { RouteTable, Upstream } from '#model/route/route-table.ts';
import type { GatewayAddress, Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { ADDRESS, WORKLOAD } from './address.ts';
import { AUTHORIZATION } from './authorization.ts';
import { encodeJson } from './json.ts';
import type { ResourceType } from './resource-type.ts';
import { ROUTE_TABLE } from './route-table.ts';
import { UPSTREAM } from './upstream.ts';
import { versionOf } from './version.ts';

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const address = fc.oneof(
  fc.tuple(fc.nat(255), fc.nat(255)).map(([third, last]) => `198.18.${third}.${last}`),
  fc.nat(0xffff).map((last) => `2001:db8::${(last | 1).toString(16)}`),
);
const port = fc.integer({ min: 1, max: 65535 });
const gateway: fc.Arbitrary<GatewayAddress | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.record({ service: fc.record({ namespace: name, hostname: name }), hbonePort: port }),
  fc.record({ address: fc.record({ network: name, address }), hbonePort: port }),
);

const workload: fc.Arbitrary<Workload> = fc.record({
  uid: name,
  name,
  namespace: name,
  trustDomain: fc.constantFrom('cluster.local', 'example.org'),
  serviceAccount: name,
  addresses: fc.array(address, { maxLength: 2 }),
  network: fc.constantFrom('', 'west'),
  protocol: fc.constantFrom<'hbone' | 'none'>('hbone', 'none'),
  node: name,
  workloadName: name,
  workloadType: fc.constantFrom<Workload['workloadType']>('deployment', 'cronjob', 'pod', 'job'),
  canonicalName: name,
  canonicalRevision: name,
  clusterId: name,
  locality: fc.record({ region: fc.constantFrom('', 'r'), zone: name, subzone: name }),
  healthy: fc.boolean(),
  hostNetwork: fc.boolean(),
  nativeTunnel: fc.boolean(),
  hostname: fc.constantFrom('', 'db.example.org'),
  capacity: fc.integer({ min: 0, max: 1000 }),
  waypoint: gateway,
  services: fc
    .array(fc.tuple(name, fc.array(fc.record({ servicePort: port, targetPort: port }))), {
      maxLength: 3,
    })
    .map((entries) => new Map(entries)),
  authorizationPolicies: fc.array(name, { maxLength: 2 }),
});

const service: fc.Arbitrary<Service> = fc.record({
  visibility: fc.constantFrom('public', 'namespace'),
  ipFamilies: fc.constantFrom('automatic', 'ipv4', 'ipv6', 'dual'),
  name,
  namespace: name,
  hostname: name,
  addresses: fc.array(
    fc.oneof(
      fc.record({ network: fc.constantFrom('', 'west'), address }),
      fc.record({ network: fc.constant(''), address, length: fc.nat(32) }),
    ),
    { maxLength: 2 },
  ),
  ports: fc.array(
    fc.record({
      servicePort: port,
      targetPort: fc.oneof(port, fc.constant(0)),
      appProtocol: fc.constantFrom<Service['ports'][0]['appProtocol']>(
        'unknown',
        'http',
        'http2',
        'grpc',
        'tcp',
        'tls',
      ),
    }),
  ),
  subjectAltNames: fc.array(name, { maxLength: 2 }),
  waypoint: gateway,
  loadBalancing: fc.option(
    fc.record({
      mode: fc.constantFrom<NonNullable<Service['loadBalancing']>['mode']>(
        'unspecified',
        'strict',
        'failover',
        'passthrough',
      ),
      scopes: fc.subarray<NonNullable<Service['loadBalancing']>['scopes'][0]>([
        'network',
        'region',
        'zone',
        'subzone',
        'node',
        'cluster',
      ]),
      includeUnhealthy: fc.boolean(),
    }),
    { nil: undefined },
  ),
  canonical: fc.boolean(),
});

const text: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({
    kind: fc.constantFrom<'exact' | 'prefix' | 'suffix'>('exact', 'prefix', 'suffix'),
    value: fc.string(),
  }),
  fc.constant({ kind: 'presence' as const }),
);
const texts = fc.array(text, { maxLength: 2 });
const ranges = fc.array(fc.record({ address, length: fc.nat(32) }), { maxLength: 2 });
const accounts = fc.array(fc.record({ namespace: name, serviceAccount: name }), { maxLength: 2 });
const authorization: fc.Arbitrary<Authorization> = fc.record({
  name,
  namespace: name,
  scope: fc.constantFrom<Authorization['scope']>('global', 'namespace', 'workload-selector'),
  action: fc.constantFrom<Authorization['action']>('allow', 'deny'),
  rules: fc.array(
    fc.record({
      clauses: fc.array(
        fc.array(
          fc.record({
            namespaces: texts,
            notNamespaces: texts,
            principals: texts,
            notPrincipals: texts,
            sourceIps: ranges,
            notSourceIps: ranges,
            destinationIps: ranges,
            notDestinationIps: ranges,
            destinationPorts: fc.array(port, { maxLength: 2 }),
            notDestinationPorts: fc.array(port, { maxLength: 2 }),
            serviceAccounts: accounts,
            notServiceAccounts: accounts,
          }),
          { maxLength: 2 },
        ),
        { maxLength: 2 },
      ),
    }),
    { maxLength: 2 },
  ),
  dryRun: fc.boolean(),
});

/** What most workloads and services leave out. */
const someGateway = gateway.filter((each) => each !== undefined);
const workloadExtras = fc.record(
  {
    applicationTunnel: fc.record({
      protocol: fc.constantFrom<'none' | 'proxy'>('none', 'proxy'),
      port: fc.oneof(port, fc.constant(0)),
    }),
    networkGateway: someGateway,
  },
  { requiredKeys: [] },
);
const serviceExtras = fc.record(
  {
    weightedWaypoints: fc.array(fc.record({ destination: someGateway, weight: fc.nat(100) }), {
      minLength: 1,
      maxLength: 3,
    }),
    ingressUseWaypoint: fc.constant(true),
  },
  { requiredKeys: [] },
);
const wholeWorkload = fc
  .tuple(workload, workloadExtras)
  .map(([base, extras]): Workload => ({ ...base, ...extras }) as Workload);
const wholeService = fc
  .tuple(service, serviceExtras)
  .map(([base, extras]): Service => ({ ...base, ...extras }) as Service);

function roundTrips<T>(type: ResourceType<T>, values: fc.Arbitrary<T>) {
  fc.assert(
    fc.property(values, (value) => {
      const bytes = type.encode(value);
      expect(type.decode(bytes)).toEqual({ value });
      expect(versionOf(type.encode(value))).toBe(versionOf(bytes));
    }),
  );
}

const policy = {
  loadBalancer: 'least-request' as const,
  connectionPool: {
    connectTimeoutMs: 10_000,
    idleTimeoutMs: 3_600_000,
    h2Upgrade: 'default' as const,
  },
};
const UPSTREAM_VALUE: Upstream = {
  namespace: 'shop',
  hostname: 'web.shop.svc.cluster.local',
  ports: [{ port: 80, protocol: 'http' }],
  policy,
  subsets: [{ name: 'v1', labels: { version: 'v1' }, policy }],
  endpoints: [
    {
      uid: 'a',
      name: 'a',
      address: '198.18.1.2',
      ports: { 80: 8080 },
      labels: {},
      locality: { region: '', zone: '', subzone: '' },
      node: 'node1',
      weight: 1,
      healthy: true,
      protocol: 'hbone',
      principal: 'spiffe://cluster.local/ns/shop/sa/web',
      workloadName: 'web',
      canonicalName: 'web',
      canonicalRevision: 'v1',
    },
  ],
};
const TABLE: RouteTable = {
  namespace: 'shop',
  hostname: 'web.shop.svc.cluster.local',
  addresses: ['198.19.0.5'],
  ports: [
    {
      port: 80,
      protocol: 'http',
      routes: [
        {
          name: 'default',
          provenance: { kind: 'Service', namespace: 'shop', name: 'web' },
          matches: [],
          action: { kind: 'forward', destinations: [] },
          retries: { attempts: 2, on: ['connect-failure'], statusCodes: [], backoffBaseMs: 25 },
        },
      ],
    },
  ],
};

describe('resource types', () => {
  test('ADDRESS round-trips every workload', () =>
    roundTrips(
      ADDRESS,
      wholeWorkload.map((value) => ({ kind: 'workload' as const, workload: value })),
    ));
  test('WORKLOAD round-trips every workload', () => roundTrips(WORKLOAD, wholeWorkload));
  test('ADDRESS round-trips every service', () =>
    roundTrips(
      ADDRESS,
      wholeService.map((value) => ({ kind: 'service' as const, service: value })),
    ));
  test('bytes that were changed, cut or made longer are a value or a reason, never an exception', () => {
    const encoded = fc.oneof(
      wholeWorkload.map((value) => ({
        type: ADDRESS as ResourceType<unknown>,
        bytes: ADDRESS.encode({ kind: 'workload', workload: value }),
      })),
      wholeService.map((value) => ({
        type: ADDRESS as ResourceType<unknown>,
        bytes: ADDRESS.encode({ kind: 'service', service: value }),
      })),
      authorization.map((value) => ({
        type: AUTHORIZATION as ResourceType<unknown>,
        bytes: AUTHORIZATION.encode(value),
      })),
    );
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
    fc.assert(
      fc.property(
        encoded,
        changes,
        fc.nat(),
        fc.uint8Array(),
        ({ type, bytes }, edits, end, tail) => {
          const cut = bytes.slice(0, end % (bytes.length + 1));
          for (const [at, value] of edits) if (cut.length > 0) cut[at % cut.length] = value;
          const decoded = type.decode(new Uint8Array([...cut, ...tail]));
          expect('value' in decoded || typeof decoded.reason === 'string').toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
  test('AUTHORIZATION round-trips every policy', () => roundTrips(AUTHORIZATION, authorization));
  test('ROUTE_TABLE and UPSTREAM round-trip', () => {
    roundTrips(ROUTE_TABLE, fc.constant(TABLE));
    roundTrips(UPSTREAM, fc.constant(UPSTREAM_VALUE));
  });

  test('ADDRESS names by uid and by namespace/hostname, aliases by network/address', () => {
    const [one] = fc.sample(workload, 1);
    const value = {
      kind: 'workload' as const,
      workload: { ...one, network: '', addresses: ['198.18.0.1'] },
    };
    expect(ADDRESS.name(value)).toBe(one.uid);
    expect(ADDRESS.aliases(value)).toEqual(['/198.18.0.1']);
    const [two] = fc.sample(service, 1);
    expect(ADDRESS.name({ kind: 'service', service: two })).toBe(
      `${two.namespace}/${two.hostname}`,
    );
  });

  test('ADDRESS fills in what a peer leaves out', () => {
    // uid = "u" and nothing else.
    const decoded = ADDRESS.decode(fromHex('0a04a2010175'));
    if ('reason' in decoded || decoded.value.kind !== 'workload') throw new Error('refused');
    const { trustDomain, serviceAccount, clusterId, capacity, protocol } = decoded.value.workload;
    expect({ trustDomain, serviceAccount, clusterId, capacity, protocol }).toEqual({
      trustDomain: 'cluster.local',
      serviceAccount: 'default',
      clusterId: 'Kubernetes',
      capacity: 1,
      protocol: 'none',
    });
  });

  const json = (value: unknown) => encodeJson(value);
  const rows: readonly [string, ResourceType<never>, Uint8Array, string][] = [
    ['an empty address', ADDRESS as ResourceType<never>, fromHex(''), 'neither'],
    ['a workload without uid', ADDRESS as ResourceType<never>, fromHex('0a00'), 'without uid'],
    [
      'tunnel protocol 7',
      ADDRESS as ResourceType<never>,
      fromHex('0a062807a2010175'),
      'unknown TunnelProtocol value 7',
    ],
    [
      'an address of 3 bytes',
      ADDRESS as ResourceType<never>,
      fromHex('0a091a03010203a2010175'),
      '3 bytes',
    ],
    [
      'a policy without name',
      AUTHORIZATION as ResourceType<never>,
      fromHex('2000'),
      'without name',
    ],
    [
      'action 9',
      AUTHORIZATION as ResourceType<never>,
      fromHex('0a01612009'),
      'unknown Action value 9',
    ],
    [
      'an empty string match',
      AUTHORIZATION as ResourceType<never>,
      fromHex('0a01612a060a0412021a00'),
      'unknown kind',
    ],
    ['no JSON', ROUTE_TABLE as ResourceType<never>, fromHex('7b'), 'not JSON'],
    ['a JSON list', ROUTE_TABLE as ResourceType<never>, json([]), 'not a JSON object'],
    [
      'a table without ports',
      ROUTE_TABLE as ResourceType<never>,
      json({ namespace: 'a', hostname: 'b' }),
      'ports',
    ],
    [
      'a route with an unknown action',
      ROUTE_TABLE as ResourceType<never>,
      json({
        ...TABLE,
        ports: [{ port: 80, routes: [{ name: 'x', matches: [], action: { kind: 'warp' } }] }],
      }),
      'route x: unknown action',
    ],
    [
      'an unknown balancer',
      UPSTREAM as ResourceType<never>,
      json({ ...UPSTREAM_VALUE, policy: { ...policy, loadBalancer: 'fate' } }),
      'unknown load balancer fate',
    ],
    [
      'an unknown resolution',
      UPSTREAM as ResourceType<never>,
      json({ ...UPSTREAM_VALUE, resolution: 'oracle' }),
      'unknown resolution oracle',
    ],
    [
      'an unknown hash algorithm',
      UPSTREAM as ResourceType<never>,
      json({ ...UPSTREAM_VALUE, policy: { ...policy, hash: { keys: [], algorithm: 'rot13' } } }),
      'unknown hash algorithm rot13',
    ],
    [
      'a hash table without size',
      UPSTREAM as ResourceType<never>,
      json({ ...UPSTREAM_VALUE, policy: { ...policy, hash: { keys: [], algorithm: 'maglev' } } }),
      'a hash table of size undefined',
    ],
    [
      'TLS of an unknown mode',
      UPSTREAM as ResourceType<never>,
      json({ ...UPSTREAM_VALUE, policy: { ...policy, tls: { mode: 'quantum' } } }),
      'unknown TLS settings',
    ],
    [
      'a proxy’s own rules with an unknown balancer',
      UPSTREAM as ResourceType<never>,
      json({
        ...UPSTREAM_VALUE,
        variants: [{ proxies: [], subsets: [], policy: { ...policy, loadBalancer: 'fate' } }],
      }),
      'unknown load balancer fate',
    ],
    [
      'an endpoint of unknown protocol',
      UPSTREAM as ResourceType<never>,
      json({
        ...UPSTREAM_VALUE,
        endpoints: [{ ...UPSTREAM_VALUE.endpoints[0], protocol: 'quic' }],
      }),
      'unknown protocol quic',
    ],
  ];
  for (const [title, type, bytes, reason] of rows) {
    test(`${type.typeUrl.split('.').at(-1)} refuses ${title}`, () => {
      const decoded = type.decode(bytes);
      expect('reason' in decoded ? decoded.reason : 'accepted').toContain(reason);
    });
  }
});
