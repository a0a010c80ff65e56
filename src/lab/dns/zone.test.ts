import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import type { EndpointSlice, Service } from '#kube/client/kinds.ts';
import { digAuthority, noDig } from '#test/support/dig.ts';
import { RCODE, TYPE } from '#wire/dns/codes.ts';
import { queryFor, type RecordValue } from '#wire/dns/message.ts';
import { negativeAuthority } from '#wire/dns/negative.ts';
import { SERVICE_NAME } from '../controllers/endpoint-plan.ts';
import { DNS_NEGATIVE_TTL_SECONDS } from '../limits.ts';
import { answerQuery, startDnsServer } from './server.ts';
import { slicesOfService, type ZoneObjects } from './zone.ts';

const service = (name: string, spec: Service['spec']): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'shop', name },
  spec,
});
const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
const SERVICES = [
  service('web', { clusterIP: '198.19.0.9', ports }),
  service('db', { clusterIP: 'None', ports }),
  service('out', { type: 'ExternalName', externalName: 'example.test' }),
  service('alias', { type: 'ExternalName', externalName: 'web.shop.svc.cluster.local.' }),
  service('ring', { type: 'ExternalName', externalName: 'ring.shop.svc.cluster.local' }),
];
const SLICES: EndpointSlice[] = [
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'shop', name: 'db-1', labels: { [SERVICE_NAME]: 'db' } },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['198.18.1.2'], hostname: 'db-0', conditions: { ready: true } },
      { addresses: ['198.18.1.3'], conditions: { ready: true } },
      { addresses: ['198.18.1.4'], conditions: { ready: false } },
    ],
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  },
];
const objects: ZoneObjects = {
  service: (namespace, name) =>
    namespace === 'shop' ? SERVICES.find((entry) => entry.metadata.name === name) : undefined,
  services: () => SERVICES,
  slices: (_, name) => slicesOfService(SLICES, name),
  hasNamespace: (name) => name === 'shop',
};

function text(value: RecordValue): string {
  if (value.kind === 'address') return value.address;
  if (value.kind === 'name') return value.name;
  return value.kind === 'service' ? `${value.port} ${value.target}` : value.kind;
}

const zone = 'shop.svc.cluster.local';
const ROWS = [
  { name: `web.${zone}`, type: TYPE.A, rcode: RCODE.noError, want: ['198.19.0.9'] },
  { name: `WEB.Shop.svc.cluster.local`, type: TYPE.A, rcode: RCODE.noError, want: ['198.19.0.9'] },
  { name: `web.${zone}`, type: TYPE.AAAA, rcode: RCODE.noError, want: [] },
  { name: `none.${zone}`, type: TYPE.A, rcode: RCODE.nameError, want: [] },
  { name: `a.b.web.${zone}`, type: TYPE.A, rcode: RCODE.nameError, want: [] },
  { name: `db.${zone}`, type: TYPE.A, rcode: RCODE.noError, want: ['198.18.1.2', '198.18.1.3'] },
  { name: `db-0.db.${zone}`, type: TYPE.A, rcode: RCODE.noError, want: ['198.18.1.2'] },
  { name: `db-9.db.${zone}`, type: TYPE.A, rcode: RCODE.nameError, want: [] },
  { name: `out.${zone}`, type: TYPE.A, rcode: RCODE.noError, want: ['example.test'] },
  {
    name: `alias.${zone}`,
    type: TYPE.A,
    rcode: RCODE.noError,
    want: [`web.${zone}`, '198.19.0.9'],
  },
  { name: `alias.${zone}`, type: TYPE.CNAME, rcode: RCODE.noError, want: [`web.${zone}`] },
  {
    name: `ring.${zone}`,
    type: TYPE.A,
    rcode: RCODE.noError,
    want: new Array<string>(9).fill(`ring.${zone}`),
  },
  {
    name: `_http._tcp.web.${zone}`,
    type: TYPE.SRV,
    rcode: RCODE.noError,
    want: [`80 web.${zone}`],
  },
  {
    name: `_http._tcp.db.${zone}`,
    type: TYPE.SRV,
    rcode: RCODE.noError,
    want: [`8080 db-0.db.${zone}`, `8080 198-18-1-3.db.${zone}`],
  },
  { name: `_none._tcp.web.${zone}`, type: TYPE.SRV, rcode: RCODE.nameError, want: [] },
  {
    name: '198-18-1-2.shop.pod.cluster.local',
    type: TYPE.A,
    rcode: RCODE.noError,
    want: ['198.18.1.2'],
  },
  { name: '198-18-1-999.shop.pod.cluster.local', type: TYPE.A, rcode: RCODE.nameError, want: [] },
  { name: '9.0.19.198.in-addr.arpa', type: TYPE.PTR, rcode: RCODE.noError, want: [`web.${zone}`] },
  {
    name: '2.1.18.198.in-addr.arpa',
    type: TYPE.PTR,
    rcode: RCODE.noError,
    want: [`db-0.db.${zone}`],
  },
  { name: 'localhost', type: TYPE.A, rcode: RCODE.noError, want: ['127.0.0.1'] },
  { name: 'example.test', type: TYPE.A, rcode: RCODE.nameError, want: [] },
  { name: 'svc.cluster.local', type: TYPE.A, rcode: RCODE.noError, want: [] },
];

describe('answerQuery', () => {
  for (const row of ROWS) {
    test(`${row.name} type ${row.type}`, () => {
      const answer = answerQuery(queryFor(1, row.name, row.type), objects);
      expect(answer?.rcode).toBe(row.rcode);
      expect(answer?.answers.map(({ value }) => text(value))).toEqual(row.want);
    });
  }

  const NEGATIVES: [title: string, name: string, type: number, zone: string | undefined][] = [
    ['NXDOMAIN', `none.${zone}`, TYPE.A, 'cluster.local'],
    ['NODATA', `web.${zone}`, TYPE.AAAA, 'cluster.local'],
    ['NODATA of the zone itself', 'CLUSTER.local', TYPE.A, 'cluster.local'],
    ['NODATA of localhost', 'localhost', TYPE.AAAA, 'localhost'],
    ['NODATA below localhost', 'a.localhost', TYPE.AAAA, 'localhost'],
    ['NXDOMAIN of an address', '7.7.18.198.in-addr.arpa', TYPE.PTR, '18.198.in-addr.arpa'],
    ['an alias that leads to NODATA', `alias.${zone}`, TYPE.AAAA, 'cluster.local'],
    ['an answer', `web.${zone}`, TYPE.A, undefined],
    ['an alias with its answer', `alias.${zone}`, TYPE.A, undefined],
    ['an alias that is what was asked for', `alias.${zone}`, TYPE.CNAME, undefined],
    ['an alias that leads out of the zone', `out.${zone}`, TYPE.A, undefined],
    ['a name of no zone of ours', 'example.test', TYPE.A, undefined],
  ];
  test.each(NEGATIVES)('%s: %s type %d has the SOA of %p', (_, name, type, owner) => {
    const authorities = answerQuery(queryFor(1, name, type), objects)?.authorities;
    const want = owner === undefined ? [] : [negativeAuthority(owner, DNS_NEGATIVE_TTL_SECONDS)];
    expect(authorities).toEqual(want);
  });

  test.skipIf(noDig)('dig reads how long it may keep that there is nothing', async () => {
    const server = await startDnsServer(
      { objects, log: silentLogger },
      { address: '127.0.0.1', port: 0 },
    );
    for (const [name, type, status, extra] of [
      [`none.${zone}`, 'A', 'NXDOMAIN', '+noedns'],
      [`web.${zone}`, 'AAAA', 'NOERROR', '+bufsize=512'],
      [`none.${zone}`, 'A', 'NXDOMAIN', '+tcp'],
    ]) {
      const stdout = await digAuthority(server.port, extra, name, type);
      expect(stdout).toContain(`status: ${status}`);
      expect(stdout).toMatch(/AUTHORITY: 1[^0-9]/);
      expect(stdout).toMatch(
        /^cluster\.local\.\t+5\tIN\tSOA\tcluster\.local\. nobody\.invalid\. 1 7200 1800 86400 5$/m,
      );
    }
    server.stop();
  });

  test('does not answer an answer, and refuses other opcodes and question counts', () => {
    const query = queryFor(1, 'localhost', TYPE.A);
    expect(answerQuery({ ...query, response: true }, objects)).toBeUndefined();
    expect(answerQuery({ ...query, opcode: 5 }, objects)?.rcode).toBe(RCODE.notImplemented);
    expect(answerQuery({ ...query, questions: [] }, objects)?.rcode).toBe(RCODE.formatError);
  });

  test.each([3, 254, 255])('refuses class %d: its records are of class IN', (kind) => {
    const query = queryFor(1, `web.${zone}`, TYPE.A);
    const [question] = query.questions;
    const answer = answerQuery({ ...query, questions: [{ ...question, class: kind }] }, objects);
    expect(answer?.rcode).toBe(RCODE.refused);
    expect(answer?.answers).toEqual([]);
  });
});
