import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { MeshError } from '#base/errors.ts';
import { type AskedDatagram, dnsUpstreams, settle } from '#test/support/dns-upstreams.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { CLASS_IN, RCODE, TYPE } from '#wire/dns/codes.ts';
import { framed, MessageReader } from '#wire/dns/framing.ts';
import {
  answerTo,
  type DnsMessage,
  decodeMessage,
  encodeMessage,
  type ResourceRecord,
} from '#wire/dns/message.ts';
import { readQuestion } from '#wire/dns/query.ts';
import { DEFAULT_DNS_SETTINGS } from './decide.ts';
import { DnsHostResolver, readResolution } from './host-resolver.ts';
import {
  RESOLVED_NAMES_MAX,
  RESOLVED_TTL_CEILING_MS,
  RESOLVED_TTL_FLOOR_MS,
  RESOLVING_NAMES_MAX,
  UNRESOLVED_TTL_MS,
  UPSTREAM_DEADLINE_MS,
} from './limits.ts';

const V4 = '198.18.5.1';
const V6 = '2001:2:5::1';

interface Reply {
  addresses?: string[];
  ttlSeconds?: number;
  rcode?: number;
  truncated?: boolean;
  alias?: { name: string; ttlSeconds: number };
}

function replyTo(bytes: Uint8Array, reply: Reply): Uint8Array {
  const query = decodeMessage(bytes) as DnsMessage;
  const [{ name, type }] = query.questions;
  const {
    addresses = [],
    ttlSeconds = 60,
    rcode = RCODE.noError,
    truncated = false,
    alias,
  } = reply;
  const record = { class: CLASS_IN, ttlSeconds };
  const answers: ResourceRecord[] = addresses
    .filter((address) => address.includes(':') === (type === TYPE.AAAA))
    .map((address) => ({
      ...record,
      name: alias?.name ?? name,
      type,
      value: { kind: 'address', address },
    }));
  if (alias !== undefined)
    answers.unshift({
      ...record,
      name,
      type: TYPE.CNAME,
      ttlSeconds: alias.ttlSeconds,
      value: { kind: 'name', name: alias.name },
    });
  const empty = answerTo(query, { rcode, authoritative: false, payloadBytes: 512 });
  return encodeMessage({ ...empty, answers, truncated: false }, 65535).map((byte, index) =>
    index === 2 && truncated ? byte | 2 : byte,
  );
}

function rig({ ipv6 = true, seedNames = 0 } = {}) {
  const clock = new FakeClock();
  const upstreams = dnsUpstreams(clock);
  const resolver = new DnsHostResolver({
    ...upstreams.deps,
    nameservers: { current: () => ['198.18.0.1'] },
    settings: { ...DEFAULT_DNS_SETTINGS, ipv6 },
  });
  const found: string[] = [];
  const resolve = (name: string, near = '198.19.0.1') =>
    resolver.resolve(name, near, (each) =>
      found.push(each instanceof MeshError ? each.message : each),
    );
  let answered = 0;
  const answer = ({ sent, handler, options }: AskedDatagram, reply: Reply) =>
    handler.onDatagram(replyTo(sent[0], reply), options);
  /** Every question that is open. */
  const answerAll = (reply: Reply) => {
    for (; answered < upstreams.datagrams.length; answered++)
      answer(upstreams.datagrams[answered], reply);
  };
  for (let index = 0; index < seedNames; index++) {
    resolve(`seed-${index}.example.org`);
    answerAll({ addresses: [V4], ttlSeconds: 3600 });
  }
  const types = () =>
    upstreams.datagrams.map(({ sent }) => {
      const question = readQuestion(sent[0]);
      return typeof question === 'object' ? question.type : 0;
    });
  return { ...upstreams, clock, resolver, found, resolve, answer, answerAll, types };
}

describe('DnsHostResolver', () => {
  test('asks both families of its own name server in its own network', () => {
    const { resolve, types, datagrams, answerAll, found, clock } = rig();
    resolve('Db.Example.Org');
    expect(types()).toEqual([TYPE.A, TYPE.AAAA]);
    expect(datagrams[0].options).toMatchObject({ address: '198.18.0.1', port: 53 });
    expect(datagrams[0].options.namespace).toBeUndefined();
    answerAll({ addresses: [V4, V6] });
    expect([found, clock.pending]).toEqual([[V4], 0]);
  });

  test('prefers the family of what the client dialled, and takes the other where that is all', () => {
    const { resolve, answerAll, found } = rig();
    resolve('both.example.org', '2001:2::9');
    answerAll({ addresses: [V4, V6] });
    resolve('four.example.org', '2001:2::9');
    answerAll({ addresses: [V4] });
    resolve('six.example.org');
    answerAll({ addresses: [V6] });
    expect(found).toEqual([V6, V4, V6]);
  });

  test('of several addresses each connection takes one by chance', () => {
    const { resolve, answerAll, found } = rig();
    const addresses = ['198.18.5.1', '198.18.5.2', '198.18.5.3'];
    for (let index = 0; index < 60; index++) {
      resolve('many.example.org');
      answerAll({ addresses });
    }
    expect([...new Set(found)].sort()).toEqual(addresses);
  });

  test('without IPv6 only A is asked for', () => {
    const { resolve, types } = rig({ ipv6: false });
    resolve('db.example.org');
    expect(types()).toEqual([TYPE.A]);
  });

  test('connections that want one name share one look-up, and what it found', () => {
    const { resolve, answerAll, found, datagrams } = rig();
    resolve('db.example.org');
    resolve('DB.example.org');
    answerAll({ addresses: [V4] });
    resolve('db.example.org');
    expect([found, datagrams.length]).toEqual([[V4, V4, V4], 2]);
  });

  const TTLS: [title: string, reply: Reply, keptMs: number][] = [
    ['its TTL', { addresses: [V4], ttlSeconds: 60 }, 60_000],
    [
      'the shorter TTL of an alias',
      { addresses: [V4], ttlSeconds: 60, alias: { name: 'x.y', ttlSeconds: 7 } },
      7000,
    ],
    ['the floor', { addresses: [V4], ttlSeconds: 0 }, RESOLVED_TTL_FLOOR_MS],
    ['the ceiling', { addresses: [V4], ttlSeconds: 604_800 }, RESOLVED_TTL_CEILING_MS],
    ['a while for "no such name"', { rcode: RCODE.nameError }, UNRESOLVED_TTL_MS],
    ['a while for no address', {}, UNRESOLVED_TTL_MS],
    ['a while for a failure', { rcode: RCODE.serverFailure }, UNRESOLVED_TTL_MS],
  ];
  for (const [title, reply, keptMs] of TTLS) {
    test(`an answer is kept for ${title}`, () => {
      const { resolve, answerAll, clock, datagrams } = rig();
      resolve('db.example.org');
      answerAll(reply);
      clock.advance(keptMs - 1);
      resolve('db.example.org');
      expect(datagrams.length).toBe(2);
      clock.advance(1);
      resolve('db.example.org');
      expect(datagrams.length).toBe(4);
    });
  }

  test('what fails says why', () => {
    const { resolve, answer, answerAll, found, datagrams, clock } = rig();
    resolve('no.example.org');
    answerAll({ rcode: RCODE.nameError });
    resolve('bad.example.org');
    answerAll({ rcode: RCODE.refused });
    resolve('empty.example.org');
    answerAll({});
    resolve('one.example.org');
    answer(datagrams[6], { addresses: [V4] });
    answer(datagrams[7], { rcode: RCODE.serverFailure });
    resolve('silent.example.org');
    clock.advance(UPSTREAM_DEADLINE_MS);
    expect(found).toEqual([
      'cannot resolve no.example.org: no such name',
      'cannot resolve bad.example.org: the name server failed (5)',
      'cannot resolve empty.example.org: the name has no address',
      V4,
      'cannot resolve silent.example.org: no answer from 198.18.0.1:53',
    ]);
  });

  test('a truncated answer is asked for again over TCP', async () => {
    const { resolve, answerAll, accept, connections, found } = rig({ ipv6: false });
    resolve('large.example.org');
    answerAll({ addresses: ['198.18.5.9'], truncated: true });
    expect(connections.length).toBe(1);
    const reader = new MessageReader();
    const server = accept(connections[0], {
      onData(bytes) {
        for (const query of reader.read(bytes))
          server.write(framed(replyTo(query, { addresses: [V4] })) ?? new Uint8Array());
      },
      onDrain: () => undefined,
      onEnd: () => undefined,
      onClose: () => undefined,
    });
    await settle();
    expect(found).toEqual([V4]);
  });

  test(`it remembers ${RESOLVED_NAMES_MAX} names, and forgets the one that was not used for longest`, () => {
    const { resolve, resolver, datagrams } = rig({ ipv6: false, seedNames: RESOLVED_NAMES_MAX });
    expect(resolver.size).toBe(RESOLVED_NAMES_MAX);
    resolve('seed-0.example.org');
    const before = datagrams.length;
    resolve('new.example.org');
    datagrams[before].handler.onDatagram(
      replyTo(datagrams[before].sent[0], { addresses: [V4] }),
      datagrams[before].options,
    );
    expect(resolver.size).toBe(RESOLVED_NAMES_MAX);
    resolve('seed-0.example.org');
    expect(datagrams.length).toBe(before + 1);
    resolve('seed-1.example.org');
    expect(datagrams.length).toBe(before + 2);
  });

  test('names that are being looked up are bounded', () => {
    const { resolve, found } = rig({ ipv6: false });
    for (let index = 0; index <= RESOLVING_NAMES_MAX; index++) resolve(`slow-${index}.example.org`);
    expect(found.length).toBe(1);
    expect(found[0]).toContain('other names are being looked up');
  });

  test('no bytes make readResolution throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const { addresses, failure } = readResolution(decodeMessage(bytes), TYPE.A);
        expect(addresses.length > 0).toBe(failure === '');
      }),
    );
  });
});
