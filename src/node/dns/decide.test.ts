import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { seededRandom } from '#base/random.ts';
import type { Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { CLASS_IN, RCODE, TYPE } from '#wire/dns/codes.ts';
import { encodeMessage, queryFor } from '#wire/dns/message.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import {
  DEFAULT_DNS_SETTINGS,
  type DnsSettings,
  type DnsVerdict,
  decideDns,
  screenQuery,
} from './decide.ts';
import { aliasesOf, wildcardsOf } from './names.ts';

const V4 = '198.19.0.1';
const V6 = '2001:2::1';

const workload = (name: string, more: Partial<Omit<Workload, 'services'>> = {}, key?: string) => ({
  kind: 'workload' as const,
  workload: completeWorkload(
    { name, namespace: 'shop', ...more, services: key === undefined ? {} : { [key]: [] } },
    'cluster.local',
  ),
});
const service = (name: string, more: Partial<Service> = {}) => ({
  kind: 'service' as const,
  service: completeService({
    name,
    namespace: 'shop',
    addresses: [{ network: '', address: V4 }],
    ...more,
  }),
});
const entry = (hostname: string, more: Partial<Service> = {}) =>
  service('entry', { hostname, canonical: false, ...more });

const HEADLESS = 'shop/db.shop.svc.cluster.local';
const CLIENT = completeWorkload({ name: 'web', namespace: 'shop' }, 'cluster.local');
const SNAPSHOT = new MeshSnapshot({
  version: 1,
  authorizations: [],
  addresses: [
    service('product'),
    service('dual', {
      addresses: [
        { network: '', address: V4 },
        { network: '', address: V6 },
      ],
    }),
    service('only4', { addresses: [{ network: '', address: V6 }], ipFamilies: 'ipv4' }),
    service('only6', { addresses: [{ network: '', address: V4 }], ipFamilies: 'ipv6' }),
    service('remote', { addresses: [{ network: 'west', address: V4 }] }),
    service('two', {
      addresses: [
        { network: 'west', address: '198.19.9.9' },
        { network: '', address: V4 },
      ],
    }),
    service('pay', { namespace: 'bank', addresses: [{ network: '', address: '198.19.0.2' }] }),
    service('secret', { namespace: 'bank', visibility: 'namespace' }),
    service('db', { addresses: [] }),
    service('db4', { addresses: [], ipFamilies: 'ipv4' }),
    service('empty', { addresses: [] }),
    service('late', {
      addresses: [],
      loadBalancing: { mode: 'unspecified', scopes: [], includeUnhealthy: true },
    }),
    workload('db-0', { addresses: ['198.18.1.1', '198.18.1.9', '2001:2::11'] }, HEADLESS),
    workload('db-1', { addresses: ['198.18.1.2'] }, HEADLESS),
    workload('db-2', { addresses: ['198.18.1.3'], healthy: false }, HEADLESS),
    workload(
      'db4-0',
      { addresses: ['198.18.1.4', '2001:2::14'] },
      'shop/db4.shop.svc.cluster.local',
    ),
    workload(
      'late-0',
      { addresses: ['198.18.1.5'], healthy: false },
      'shop/late.shop.svc.cluster.local',
    ),
    entry('api.example.com'),
    entry('*.wild.example.com', { addresses: [{ network: '', address: '198.19.0.5' }] }),
    entry('*.deep.wild.example.com', { addresses: [{ network: '', address: '198.19.0.6' }] }),
    entry('exact.wild.example.com', { addresses: [{ network: '', address: '198.19.0.7' }] }),
    entry('novip.example.com', { addresses: [] }),
    entry('range.example.com', { addresses: [{ network: '', address: '198.19.8.0', length: 24 }] }),
    entry('single.example.com', { addresses: [{ network: '', address: V4, length: 32 }] }),
    entry('Mixed.Example.com'),
    entry('twice.example.com', {
      namespace: 'bank',
      addresses: [{ network: '', address: '198.19.0.8' }],
    }),
    entry('twice.example.com'),
    entry('other.example.com', {
      namespace: 'a',
      addresses: [{ network: '', address: '198.19.0.9' }],
    }),
    entry('other.example.com', {
      namespace: 'b',
      addresses: [{ network: '', address: '198.19.0.10' }],
    }),
    entry('canon.example.com', {
      namespace: 'a',
      addresses: [{ network: '', address: '198.19.0.9' }],
    }),
    entry('canon.example.com', {
      namespace: 'b',
      addresses: [{ network: '', address: '198.19.0.10' }],
      canonical: true,
    }),
  ],
});

function decide(
  name: string,
  type: number = TYPE.A,
  more: { client?: Workload; settings?: Partial<DnsSettings>; class?: number; seed?: number } = {},
): DnsVerdict {
  const settings = { ...DEFAULT_DNS_SETTINGS, ...more.settings };
  return decideDns(
    SNAPSHOT,
    { client: more.client ?? CLIENT, question: { name, type, class: more.class ?? CLASS_IN } },
    { settings, random: seededRandom(more.seed ?? 1) },
  );
}

/** `answer ADDRESSES [via CNAME]`, `forward`, `refuse N`. */
function text(verdict: DnsVerdict): string {
  if (verdict.kind === 'refuse') return `refuse ${verdict.rcode}`;
  if (verdict.kind === 'forward') return 'forward';
  const addresses = [...verdict.addresses].sort().join(' ') || 'nothing';
  return verdict.alias === undefined ? addresses : `${addresses} via ${verdict.alias}`;
}

const FULL = 'product.shop.svc.cluster.local';
interface Row {
  title: string;
  name: string;
  type?: number;
  settings?: Partial<DnsSettings>;
  want: string;
}

const ROWS: Row[] = [
  { title: 'a whole name', name: FULL, want: V4 },
  { title: 'any case', name: 'PrOdUcT.ShOp.SvC.cLuStEr.LoCaL', want: V4 },
  { title: 'a hostname that the mesh writes in mixed case', name: 'mixed.example.COM', want: V4 },
  { title: 'one label: a service of the own namespace', name: 'product', want: V4 },
  { title: 'one label of another namespace is unknown', name: 'pay', want: 'forward' },
  { title: 'two labels: service and namespace', name: 'pay.bank', want: '198.19.0.2' },
  { title: 'three labels with svc', name: 'pay.bank.svc', want: '198.19.0.2' },
  { title: 'a pod hostname of a StatefulSet', name: 'db-0.db', want: 'forward' },
  { title: 'a whole pod hostname', name: 'db-0.db.shop.svc.cluster.local', want: 'forward' },
  { title: 'the root', name: '', want: 'forward' },
  { title: 'an unknown name', name: 'www.example.org', want: 'forward' },
  {
    title: 'an unknown name of the cluster domain',
    name: 'nope.shop.svc.cluster.local',
    want: 'forward',
  },
  { title: 'AAAA of a dual stack service', name: 'dual', type: TYPE.AAAA, want: V6 },
  { title: 'A of a dual stack service', name: 'dual', want: V4 },
  {
    title: 'the wrong family is empty, not forwarded',
    name: FULL,
    type: TYPE.AAAA,
    want: 'nothing',
  },
  {
    title: 'AAAA where the service has IPv4 only',
    name: 'only4',
    type: TYPE.AAAA,
    want: 'nothing',
  },
  { title: 'A where the service has IPv6 only', name: 'only6', want: 'nothing' },
  {
    title: 'AAAA with IPv6 switched off',
    name: 'dual',
    type: TYPE.AAAA,
    settings: { ipv6: false },
    want: 'nothing',
  },
  { title: 'addresses on other networks do not count', name: 'remote', want: 'nothing' },
  { title: 'of several networks the own one', name: 'two', want: V4 },
  {
    title: 'headless: one address of each healthy endpoint',
    name: 'db',
    want: '198.18.1.1 198.18.1.2',
  },
  { title: 'headless AAAA', name: 'db', type: TYPE.AAAA, want: '2001:2::11' },
  {
    title: 'headless of one family with dual stack pods',
    name: 'db4',
    type: TYPE.AAAA,
    want: 'nothing',
  },
  { title: 'headless without endpoints', name: 'empty', want: 'nothing' },
  { title: 'headless that publishes unready endpoints', name: 'late', want: '198.18.1.5' },
  { title: 'not visible: as if it were not there', name: 'secret.bank', want: 'forward' },
  { title: 'a ServiceEntry', name: 'api.example.com', want: V4 },
  { title: 'a ServiceEntry without addresses', name: 'novip.example.com', want: 'forward' },
  { title: 'a ServiceEntry with a range', name: 'range.example.com', want: 'forward' },
  { title: 'a range of one address is an address', name: 'single.example.com', want: V4 },
  { title: 'a wildcard', name: 'a.wild.example.com', want: '198.19.0.5' },
  { title: 'a wildcard covers several labels', name: 'a.b.wild.example.com', want: '198.19.0.5' },
  { title: 'the closest wildcard wins', name: 'a.deep.wild.example.com', want: '198.19.0.6' },
  {
    title: 'an exact name wins over a wildcard',
    name: 'exact.wild.example.com',
    want: '198.19.0.7',
  },
  { title: 'a wildcard does not cover its own domain', name: 'wild.example.com', want: 'forward' },
  {
    title: 'the own search domain leads to the name without it',
    name: 'api.example.com.shop.svc.cluster.local',
    want: `${V4} via api.example.com`,
  },
  {
    title: 'the second search domain',
    name: 'api.example.com.svc.cluster.local',
    want: `${V4} via api.example.com`,
  },
  {
    title: 'the third search domain',
    name: 'api.example.com.cluster.local',
    want: `${V4} via api.example.com`,
  },
  {
    title: "another namespace's search domain",
    name: 'api.example.com.bank.svc.cluster.local',
    want: 'forward',
  },
  {
    title: 'a short name behind a search domain',
    name: 'pay.bank.shop.svc.cluster.local',
    want: '198.19.0.2 via pay.bank',
  },
  {
    title: 'a wildcard behind a search domain answers under the asked name',
    name: 'a.wild.example.com.shop.svc.cluster.local',
    want: '198.19.0.5',
  },
  {
    title: 'no CNAME without an address behind it',
    name: 'api.example.com.shop.svc.cluster.local',
    type: TYPE.AAAA,
    want: 'nothing',
  },
  { title: 'of one hostname the own namespace', name: 'twice.example.com', want: V4 },
  { title: 'of one hostname the canonical', name: 'canon.example.com', want: '198.19.0.10' },
  {
    title: 'of one hostname the preferred namespace',
    name: 'other.example.com',
    settings: { preferredNamespace: 'b' },
    want: '198.19.0.10',
  },
  { title: 'of one hostname the first', name: 'other.example.com', want: '198.19.0.9' },
  {
    title: 'canonical goes before the preferred namespace',
    name: 'canon.example.com',
    settings: { preferredNamespace: 'a' },
    want: '198.19.0.10',
  },
  {
    title: 'another cluster domain',
    name: 'product.shop.svc.cluster.local',
    settings: { domain: 'example.internal' },
    want: V4,
  },
  {
    title: 'headless in another cluster domain is no Kubernetes service',
    name: 'db.shop.svc.cluster.local',
    settings: { domain: 'example.internal' },
    want: 'forward',
  },
  ...[
    TYPE.SRV,
    TYPE.TXT,
    TYPE.PTR,
    TYPE.MX,
    TYPE.ANY,
    TYPE.CNAME,
    TYPE.SOA,
    TYPE.NS,
    64,
    65,
    65280,
  ].map((type) => ({
    title: `type ${type} of a name of the mesh is not ours`,
    name: FULL,
    type,
    want: 'forward',
  })),
];

describe('decideDns', () => {
  for (const { title, name, type, settings, want } of ROWS) {
    test(`${title}: ${want}`, () => {
      const verdict = decide(name, type, { settings });
      expect(text(verdict)).toBe(want);
      expect(verdict.reason).not.toBe('');
    });
  }

  test('other classes are not ours', () => {
    expect(text(decide(FULL, TYPE.A, { class: 3 }))).toBe('forward');
  });

  test('what is forwarded of a known name still names its service', () => {
    const verdict = decide(FULL, TYPE.SRV);
    expect(verdict.kind === 'forward' && verdict.service?.hostname).toBe(FULL);
  });

  test('a private service is seen from its own namespace', () => {
    const client = completeWorkload({ name: 'x', namespace: 'bank' }, 'cluster.local');
    expect(text(decide('secret', TYPE.A, { client }))).toBe(V4);
  });

  test('an unknown client gets SERVFAIL, whatever it asks', () => {
    const question = { name: FULL, type: TYPE.A, class: CLASS_IN };
    const context = { settings: DEFAULT_DNS_SETTINGS, random: seededRandom(1) };
    const verdict = decideDns(SNAPSHOT, { client: undefined, question }, context);
    expect(text(verdict)).toBe(`refuse ${RCODE.serverFailure}`);
  });

  test('the order of addresses is random', () => {
    const orders = new Set(
      Array.from({ length: 20 }, (_, seed) => {
        const verdict = decide('db', TYPE.A, { seed });
        return verdict.kind === 'answer' ? verdict.addresses.join(' ') : '';
      }),
    );
    expect([...orders].sort()).toEqual(['198.18.1.1 198.18.1.2', '198.18.1.2 198.18.1.1']);
  });

  test('no name makes it throw, and every verdict says why', () => {
    const part = fc.constantFrom(
      'product',
      'shop',
      'svc',
      'cluster',
      'local',
      'wild',
      '*',
      '',
      'x',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.nat(65535), (labels, type) => {
        expect(decide(labels.join('.'), type).reason).not.toBe('');
      }),
    );
  });
});

describe('screenQuery', () => {
  const QUERY = encodeMessage(queryFor(7, 'a.b', TYPE.A), 512);
  const changed = (change: (bytes: Uint8Array) => void) => {
    const bytes = Uint8Array.from(QUERY);
    change(bytes);
    return bytes;
  };
  const rows: [title: string, bytes: Uint8Array, want: string][] = [
    ['a query', QUERY, 'question'],
    ['a response', changed((bytes) => (bytes[2] |= 0x80)), `refuse ${RCODE.formatError}`],
    ...[1, 2, 3, 4, 5, 6, 15].map((opcode): [string, Uint8Array, string] => [
      `operation ${opcode}`,
      changed((bytes) => (bytes[2] = opcode << 3)),
      `refuse ${RCODE.notImplemented}`,
    ]),
    ['no question', changed((bytes) => (bytes[5] = 0)), 'forward'],
    ['two questions', changed((bytes) => (bytes[5] = 2)), `refuse ${RCODE.formatError}`],
    ['65535 questions', changed((bytes) => bytes.fill(255, 4, 6)), `refuse ${RCODE.formatError}`],
    ['half a question', QUERY.subarray(0, 16), `refuse ${RCODE.formatError}`],
    [
      'a name that loops',
      Uint8Array.from([...QUERY.subarray(0, 12), 0xc0, 12, 0, 1, 0, 1]),
      `refuse ${RCODE.formatError}`,
    ],
    ['half a header', QUERY.subarray(0, 11), 'ignore'],
    ['nothing', new Uint8Array(0), 'ignore'],
  ];
  for (const [title, bytes, want] of rows) {
    test(`${title}: ${want}`, () => {
      const screened = screenQuery(bytes);
      const got = screened.kind === 'refuse' ? `refuse ${screened.rcode}` : screened.kind;
      expect(got).toBe(want);
    });
  }

  test('no bytes make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const { kind } = screenQuery(bytes);
        expect(kind === 'ignore').toBe(bytes.length < 12);
      }),
    );
  });
});

describe('names', () => {
  test('wildcardsOf goes from the name to the last two labels', () => {
    expect(wildcardsOf('a.b.c')).toEqual(['a.b.c', '*.b.c', '*.c']);
    expect(wildcardsOf('a')).toEqual(['a']);
  });

  test('aliasesOf lists what a name may mean, in order, each once', () => {
    const context = { clientNamespace: 'ns', domain: 'd.l' };
    const rows: [string, string[]][] = [
      ['a', ['a', 'a.ns.svc.d.l']],
      ['a.b', ['a.b', 'a.b.svc.d.l', 'a.b.ns.svc.d.l']],
      ['a.b.c', ['a.b.c', 'a.b.c.svc.d.l']],
      ['a.b.svc', ['a.b.svc', 'a.b.svc.d.l', 'a.b.svc.svc.d.l']],
      ['a.b.c.svc', ['a.b.c.svc', 'a.b.c.svc.d.l']],
      ['a.b.c.d', ['a.b.c.d']],
      [
        'a.ns.svc.d.l',
        [
          'a.ns.svc.d.l',
          'a (a)',
          'a.ns (a.ns)',
          'a.ns.ns.svc.d.l (a.ns)',
          'a.ns.svc (a.ns.svc)',
          'a.ns.svc.svc.d.l (a.ns.svc)',
        ],
      ],
      ['svc.d.l', ['svc.d.l', 'svc.d.l.svc.d.l', 'svc (svc)', 'svc.ns.svc.d.l (svc)']],
    ];
    for (const [name, want] of rows) {
      const got = aliasesOf(name, context).map((alias) =>
        alias.stripped === undefined ? alias.name : `${alias.name} (${alias.stripped})`,
      );
      expect(got).toEqual(want);
    }
  });
});
