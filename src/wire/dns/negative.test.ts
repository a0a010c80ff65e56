import { describe, expect, test } from 'bun:test';
import { RCODE, TYPE } from './codes.ts';
import { UDP_PAYLOAD_BYTES } from './limits.ts';
import { answerTo, type DnsMessage, decodeMessage, encodeMessage, queryFor } from './message.ts';
import { negativeAuthority } from './negative.ts';

/** 253 characters: no name is longer (RFC 1035 §3.1). */
const LONGEST = [63, 63, 63, 61].map((length) => 'a'.repeat(length)).join('.');

const ROWS: [title: string, name: string, zone: string][] = [
  ['a name below the zone', 'x.cluster.local', 'cluster.local'],
  ['the zone itself', 'cluster.local', 'cluster.local'],
  ['the longest name, its own zone', LONGEST, LONGEST],
];

describe('negativeAuthority', () => {
  test.each(ROWS)('of %s comes whole with an answer of 512 bytes', (_, name, zone) => {
    const edns = { version: 0, payloadBytes: 512, dnssecOk: true };
    const query = { ...queryFor(1, name, TYPE.A), edns };
    const options = { rcode: RCODE.nameError, authoritative: true, payloadBytes: 512 };
    const authorities = [negativeAuthority(zone, 5)];
    const bytes = encodeMessage({ ...answerTo(query, options), authorities }, UDP_PAYLOAD_BYTES);
    const read = decodeMessage(bytes) as DnsMessage;
    expect([read.truncated, read.edns?.payloadBytes, read.rcode]).toEqual([false, 512, 3]);
    expect(read.authorities).toEqual([
      {
        name: zone,
        type: 6,
        class: 1,
        ttlSeconds: 5,
        value: {
          kind: 'authority',
          primary: zone,
          mailbox: 'nobody.invalid',
          numbers: [1, 7200, 1800, 86400, 5],
        },
      },
    ]);
  });
});
