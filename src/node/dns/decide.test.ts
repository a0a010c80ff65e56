import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { seededRandom } from '#base/random.ts';
import type { Workload } from '#model/workload/workload.ts';
import { DNS_CASES, DNS_CLIENT, DNS_MESH, DNS_NAME } from '#test/support/dns-cases.ts';
import { CLASS_IN, RCODE, TYPE } from '#wire/dns/codes.ts';
import { encodeMessage, queryFor } from '#wire/dns/message.ts';
import { completeWorkload } from '../config/static-file.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import {
  DEFAULT_DNS_SETTINGS,
  type DnsSettings,
  type DnsVerdict,
  decideDns,
  screenQuery,
} from './decide.ts';
import { aliasesOf, wildcardsOf } from './names.ts';

const SNAPSHOT = new MeshSnapshot({ version: 1, authorizations: [], addresses: DNS_MESH });
const V4 = '198.19.0.1';
function decide(
  name: string,
  type: number = TYPE.A,
  more: { client?: Workload; settings?: Partial<DnsSettings>; class?: number; seed?: number } = {},
): DnsVerdict {
  const settings = { ...DEFAULT_DNS_SETTINGS, ...more.settings };
  return decideDns(
    SNAPSHOT,
    { client: more.client ?? DNS_CLIENT, question: { name, type, class: more.class ?? CLASS_IN } },
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

describe('decideDns', () => {
  for (const { title, name, type, settings, want } of DNS_CASES) {
    test(`${title}: ${want}`, () => {
      const verdict = decide(name, type, { settings });
      expect(text(verdict)).toBe(want);
      expect(verdict.reason).not.toBe('');
    });
  }

  test('other classes are not ours', () => {
    expect(text(decide(DNS_NAME, TYPE.A, { class: 3 }))).toBe('forward');
  });

  test('what is forwarded of a known name still names its service', () => {
    const verdict = decide(DNS_NAME, TYPE.SRV);
    expect(verdict.kind === 'forward' && verdict.service?.hostname).toBe(DNS_NAME);
  });

  test('a private service is seen from its own namespace', () => {
    const client = completeWorkload({ name: 'x', namespace: 'bank' }, 'cluster.local');
    expect(text(decide('secret', TYPE.A, { client }))).toBe(V4);
  });

  test('an unknown client gets SERVFAIL, whatever it asks', () => {
    const question = { name: DNS_NAME, type: TYPE.A, class: CLASS_IN };
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
