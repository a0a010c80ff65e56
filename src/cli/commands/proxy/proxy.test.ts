/** `tulle proxy`: which proxy a name means, and the tables. */
import { describe, expect, test } from 'bun:test';
import { UsageError } from '../../output/report.ts';
import { formatBytes, formatRelative } from '../../output/units.ts';
import { buildProgram } from '../../program.ts';
import { completionScript } from '../completion.ts';
import { type CertificateRow, formatCertificates, rowOfDump } from './certs.ts';
import { type ConfigDump, formatConfig } from './config.ts';
import { formatConnections, queryOf } from './connections.ts';
import { type FoundProxy, pickProxy, proxyNames } from './find.ts';
import { formatProxies, rowOf } from './list.ts';

const plain = (_colour: string, text: string) => text;
const loud = (colour: string, text: string) => `<${colour}>${text}`;
const NOW = Date.UTC(2026, 0, 2, 12);

const node = (name: string, on: string): FoundProxy => ({
  kind: 'node',
  namespace: 'istio-system',
  name,
  node: on,
  gateway: undefined,
});
const waypoint = (namespace: string, name: string): FoundProxy => ({
  kind: 'waypoint',
  namespace,
  name,
  node: 'node1',
  gateway: 'waypoint',
});
const PROXIES = [
  node('tulle-node-a', 'node1'),
  node('tulle-node-b', 'node2'),
  waypoint('shop', 'waypoint-x'),
  waypoint('data', 'waypoint-y'),
];

describe('pickProxy', () => {
  test.each([
    ['tulle-node-a', 'tulle-node-a'],
    ['node2', 'tulle-node-b'],
    ['istio-system/tulle-node-a', 'tulle-node-a'],
    ['waypoint-y', 'waypoint-y'],
    ['data/waypoint', 'waypoint-y'],
  ])('%s', (word, want) => {
    expect(pickProxy(PROXIES, word).name).toBe(want);
  });

  test('a name of two proxies is wrong usage that names both; of none, an error with the next command', () => {
    expect(() => pickProxy(PROXIES, 'waypoint')).toThrow(
      new UsageError('waypoint is one of shop/waypoint-x, data/waypoint-y'),
    );
    try {
      pickProxy(PROXIES, 'nosuch');
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'CLI_NO_PROXY', hint: 'tulle proxy list' });
    }
  });

  test('names for completion are pods, nodes and gateways, each once', () => {
    expect(proxyNames(PROXIES)).toEqual([
      'node1',
      'node2',
      'tulle-node-a',
      'tulle-node-b',
      'waypoint',
      'waypoint-x',
      'waypoint-y',
    ]);
    const script = completionScript('bash', buildProgram());
    expect(script).toMatch(/"proxy certs"\) words=".*\$\("\$\{COMP_WORDS\[0\]\}" proxy names/);
    expect(script).not.toMatch(/"proxy list"\).*proxy names/);
    expect(script).toContain('"proxy") words="list connections config certs log');
  });
});

describe('units', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [356_515_840, '340 MiB'],
    [5 * 1024 ** 4, '5.0 TiB'],
  ])('formatBytes(%d) is %s', (bytes, want) => {
    expect(formatBytes(bytes)).toBe(want);
  });

  test('formatRelative', () => {
    expect(formatRelative('2026-01-02T15:05:00Z', NOW)).toBe('in 3h5m');
    expect(formatRelative('2026-01-02T11:48:00Z', NOW)).toBe('12m ago');
  });
});

test('list shows what a proxy says of itself, and - for what it does not', () => {
  const common = {
    namespace: 'istio-system',
    node: 'node1',
    ip: '',
    connected: true,
    certificates: [],
    ejections: [],
  } as const;
  const rows = [
    rowOf({
      ...common,
      kind: 'node',
      name: 'a',
      sync: 'synced',
      types: [],
      detail: { version: '1.2', memoryBytes: 44_000_000, workloads: [{}, {}], connections: 7 },
    }),
    rowOf({
      ...common,
      kind: 'waypoint',
      name: 'b',
      sync: 'refused',
      types: [{ typeUrl: 't', resources: 1, nack: 'bad port', state: 'refused' }],
      scrapeError: 'no answer',
    }),
  ];
  expect(formatProxies(rows, loud).split('\n').slice(1, 3)).toEqual([
    'istio-system/a   node       node1   1.2       <green>synced   2      7             42.0 MiB',
    'istio-system/b   waypoint   node1   -         <red>refused    -      -             -          bad port',
  ]);
});

describe('connections', () => {
  const connection = {
    direction: 'inbound',
    pod: 'shop/product',
    source: {
      workload: 'shop/web',
      address: '198.18.1.2:4000',
      identity: 'spiffe://td/ns/shop/sa/web',
    },
    destination: {
      workload: 'shop/product',
      address: '198.18.1.3:15008',
      identity: 'spiffe://td/ns/shop/sa/p',
    },
    service: undefined,
    authority: '198.18.1.3:8080',
    protocol: 'HBONE',
    mutualTls: true,
    ageMs: 3000,
    receivedBytes: 10,
    sentBytes: 2048,
  } as const;

  test('a row says who talks to whom, under which identities, and how much', () => {
    const text = formatConnections(
      { total: 1, matched: 1, limit: 9, connections: [connection] },
      loud,
    );
    expect(text.split('\n')[1]).toBe(
      'inbound     shop/web (198.18.1.2:4000)   shop/product (198.18.1.3:15008)   -         198.18.1.3:8080   HBONE mTLS shop/web → shop/p   3s    2.0 KiB   10 B',
    );
  });

  test('plaintext stands out, strangers have an address, and bytes are as the client sees them', () => {
    const stranger = { workload: undefined, address: '203.0.113.9:9', identity: undefined };
    const outbound = {
      ...connection,
      direction: 'outbound',
      destination: stranger,
      authority: undefined,
      protocol: 'TCP',
      mutualTls: false,
    } as const;
    const text = formatConnections(
      { total: 3, matched: 2, limit: 1, connections: [outbound] },
      loud,
    );
    expect(text).toContain('   203.0.113.9:9   ');
    expect(text).toMatch(/<yellow>plaintext TCP +3s +10 B +2\.0 KiB/);
    expect(text).toEndWith('1 of 2 shown: --limit 2 shows all, filters choose\n');
  });

  test('bytes that a waypoint does not count are not shown as none', () => {
    const { receivedBytes: _received, sentBytes: _sent, ...http } = connection;
    const answer = { total: 1, matched: 1, limit: 1, connections: [http] };
    expect(formatConnections(answer, plain)).toEndWith('   3s    -      -\n');
  });

  test('nothing open, and nothing that matches, are different answers', () => {
    expect(formatConnections({ total: 0, matched: 0, limit: 1, connections: [] }, plain)).toBe(
      'nothing is open\n',
    );
    expect(formatConnections({ total: 5, matched: 0, limit: 1, connections: [] }, plain)).toContain(
      'none of 5',
    );
  });

  test('the query holds the filters that were given', () => {
    expect(String(queryOf({ output: 'text', pod: 'shop/web', direction: 'inbound' }))).toBe(
      'pod=shop%2Fweb&direction=inbound',
    );
    expect(() => queryOf({ output: 'text', limit: '-3' })).toThrow(UsageError);
  });
});

test('certs are in relative words; an expired or missing one is red', () => {
  const leaf = {
    pem: '',
    serialNumber: 'ab',
    validFrom: '2026-01-02T11:00:00Z',
    expirationTime: '2026-01-03T11:00:00Z',
  };
  const root = { ...leaf, serialNumber: 'r0' };
  const good = rowOfDump({
    identity: 'spiffe://td/ns/a/sa/b',
    state: 'Available',
    certChain: [leaf],
    rootCerts: [root, { ...leaf, serialNumber: 'r1' }],
    lastError: undefined,
  });
  const missing = rowOfDump({
    identity: 'spiffe://td/ns/a/sa/c',
    state: 'Unavailable',
    certChain: [],
    rootCerts: [],
    lastError: 'CA is down',
  });
  const expired: CertificateRow = { ...good, validUntil: '2026-01-02T11:59:00Z' };
  expect(formatCertificates([good, missing, expired], NOW, loud).split('\n').slice(1, 4)).toEqual([
    'spiffe://td/ns/a/sa/b   <green>Available   ab       60m ago      in 23h    r0, r1',
    'spiffe://td/ns/a/sa/c   <red>Unavailable   -        -            -         -        CA is down',
    'spiffe://td/ns/a/sa/b   <red>Available     ab       60m ago      60s ago   r0, r1',
  ]);
});

test('config shows workloads, services, policies and who has a waypoint, of one namespace when asked', () => {
  const gateway = { destination: { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' } };
  const dump: ConfigDump = {
    workloads: [
      {
        namespace: 'shop',
        name: 'web',
        workloadIps: ['198.18.1.2'],
        node: 'node1',
        protocol: 'HBONE',
        status: 'Healthy',
      },
      {
        namespace: 'data',
        name: 'db',
        workloadIps: [],
        node: '',
        protocol: 'TCP',
        status: 'Unhealthy',
      },
    ],
    services: [
      {
        namespace: 'shop',
        name: 'p',
        hostname: 'p.shop.svc',
        vips: ['net/198.19.0.5'],
        waypoint: gateway,
        endpoints: { a: { status: 'Healthy' }, b: { status: 'Unhealthy' } },
      },
    ],
    policies: [
      {
        namespace: 'shop',
        name: 'deny',
        action: 'Deny',
        scope: 'Namespace',
        rules: [1],
        dryRun: true,
      },
    ],
  };
  const all = formatConfig(dump, undefined, {});
  expect(all).toContain('shop/web   198.18.1.2   node1   -          HBONE      Healthy');
  expect(all).toContain('data/db    -            -       -          TCP        Unhealthy');
  expect(all).toContain('shop/p    p.shop.svc   198.19.0.5   shop/wp    1/2');
  expect(all).toContain('shop/deny   Deny     Namespace   1       dry run');
  expect(all).toContain('shop/wp    shop/p');
  expect(formatConfig(dump, undefined, { namespace: 'data' })).toBe(
    'WORKLOAD   ADDRESSES   NODE   WAYPOINT   PROTOCOL   STATE\ndata/db    -           -      -          TCP        Unhealthy\n',
  );
  expect(formatConfig(dump, 'policies', { namespace: 'data' })).toBe('nothing\n');
});
