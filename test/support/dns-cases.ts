/**
 * Names as a mesh may have them, and what a client in namespace `shop` that asks is to be told: one row a rule of ztunnel's
 * DNS proxy (src/dns/server.rs). For our decision, and to hold it against theirs.
 */
import type { Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { completeService, completeWorkload } from '#node/config/static-file.ts';
import type { DnsSettings } from '#node/dns/decide.ts';
import type { MeshAddress } from '#node/state/mesh-snapshot.ts';
import { TYPE } from '#wire/dns/codes.ts';

export const DNS_NAME = 'product.shop.svc.cluster.local';
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
export const DNS_CLIENT = completeWorkload({ name: 'web', namespace: 'shop' }, 'cluster.local');
/** Without the client itself. */
export const DNS_MESH: MeshAddress[] = [
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
  workload('db4-0', { addresses: ['198.18.1.4', '2001:2::14'] }, 'shop/db4.shop.svc.cluster.local'),
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
];

export interface DnsCase {
  title: string;
  name: string;
  type?: number;
  settings?: Partial<DnsSettings>;
  /** `forward`, or addresses in order (`nothing`: NODATA), with the alias that leads to them. */
  want: string;
}

export const DNS_CASES: DnsCase[] = [
  { title: 'a whole name', name: DNS_NAME, want: V4 },
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
    name: DNS_NAME,
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
    name: DNS_NAME,
    type,
    want: 'forward',
  })),
];
