/** What is asked of connection tracking and what is read from its answer, as bytes. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { encodeUnreachable } from './abandoned.ts';
import { decodeOriginalDestination, decodeRedirected, encodeTupleQuery } from './conntrack.ts';
import { type Attribute, decodeMessages, encodeRequests, network16 } from './netlink-codec.ts';

const sender = { address: '198.18.77.2', port: 0x8c0b };
const receiver = { address: '127.0.0.1', port: 15053 };

test('encodeTupleQuery asks for the entry whose answers go from the receiver to the sender', () => {
  expect(Buffer.from(encodeTupleQuery({ sender, receiver }) ?? []).toString('hex')).toBe(
    [
      '480000000101010001000000' + '00000000', // length 72, ctnetlink GET, request
      '02000000', // AF_INET
      '34000280', // the reply tuple
      '14000180' + '08000100' + '7f000001' + '08000200' + 'c6124d02',
      '1c000280' + '0500010011000000' + '060002003acd0000' + '060003008c0b0000',
    ].join(''),
  );
});

test('encodeTupleQuery refuses addresses of two families', () => {
  expect(encodeTupleQuery({ sender: { address: '::1', port: 1 }, receiver })).toBeUndefined();
});

interface Ends {
  source?: Uint8Array;
  destination: Uint8Array;
  ports?: [source: number, destination: number];
  protocol?: number;
}

function tuple({ source, destination, ports = [0xabcd, 53], protocol = 17 }: Ends): Attribute[] {
  const first = destination.length === 16 ? 3 : 1;
  return [
    [
      1,
      [
        [first, source ?? destination],
        [first + 1, destination],
      ],
    ],
    [
      2,
      [
        [1, Uint8Array.of(protocol)],
        [2, network16(ports[0])],
        [3, network16(ports[1])],
      ],
    ],
  ];
}

/** An entry of connection tracking as the kernel writes it. */
function entry(original: Ends, { type = 0x100, reply }: { type?: number; reply?: Ends } = {}) {
  const attributes: Attribute[] = [[1, tuple(original)]];
  if (reply !== undefined)
    attributes.push(
      [2, tuple(reply)],
      [3, Uint8Array.of(0, 0, 1, 0xa2)],
      [7, Uint8Array.of(0, 0, 1, 4)],
    );
  const message = { type, flags: 0, sequence: 1, header: new Uint8Array(4), attributes };
  return decodeMessages(encodeRequests([message]))[0];
}

test('decodeOriginalDestination reads either family', () => {
  expect(decodeOriginalDestination(entry({ destination: Uint8Array.of(198, 18, 0, 9) }))).toEqual({
    address: '198.18.0.9',
    port: 53,
  });
  const ipv6 = Uint8Array.of(0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9);
  expect(decodeOriginalDestination(entry({ destination: ipv6 }))).toEqual({
    address: '2001:2::9',
    port: 53,
  });
});

test('decodeOriginalDestination has nothing to say about anything else', () => {
  expect(decodeOriginalDestination(entry({ destination: Uint8Array.of(1, 2, 3) }))).toBeUndefined();
  expect(
    decodeOriginalDestination(entry({ destination: Uint8Array.of(1, 2, 3, 4) }, { type: 0x101 })),
  ).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (body) => {
      const read = decodeOriginalDestination({ type: 0x100, flags: 0, sequence: 1, body });
      expect(read === undefined || typeof read.address === 'string').toBe(true);
    }),
  );
});

describe('decodeRedirected', () => {
  const app = Uint8Array.of(198, 18, 0, 2);
  const server = Uint8Array.of(198, 18, 0, 9);
  const loopback = Uint8Array.of(127, 0, 0, 1);
  const original: Ends = { source: app, destination: server, ports: [4321, 53] };
  const reply: Ends = { source: loopback, destination: app, ports: [15053, 4321] };

  test('gives both ends as the redirected datagram had them, and the time its entry has left', () => {
    expect(decodeRedirected(entry(original, { reply }), 15053)).toEqual({
      sender: { address: '198.18.0.2', port: 4321 },
      receiver: { address: '127.0.0.1', port: 15053 },
      answered: true,
      secondsLeft: 260,
    });
  });

  const rows: [title: string, original: Ends, reply: Ends | undefined][] = [
    ['another port', original, { ...reply, ports: [15054, 4321] }],
    ['another protocol', original, { ...reply, protocol: 6 }],
    ['sent to the port itself', { ...original, ports: [4321, 15053] }, reply],
    ['no reply tuple', original, undefined],
  ];
  for (const [title, first, second] of rows) {
    test(`is not for ${title}`, () => {
      expect(decodeRedirected(entry(first, { reply: second }), 15053)).toBeUndefined();
    });
  }
});

test('encodeUnreachable is what the kernel says of a port where nobody listens', () => {
  expect(Buffer.from(encodeUnreachable({ sender, receiver }) ?? []).toString('hex')).toBe(
    [
      '0303' + '361c' + '00000000', // destination unreachable, port; checksum
      '4500001c' + '00000000' + '4011' + 'e8bb' + 'c6124d02' + '7f000001',
      '8c0b' + '3acd' + '0008' + '0000',
    ].join(''),
  );
  const ipv6 = encodeUnreachable({
    sender: { address: '2001:2::2', port: 1 },
    receiver: { address: '::1', port: 15053 },
  });
  expect([...(ipv6 ?? []).slice(0, 4), ipv6?.length]).toEqual([1, 4, 0, 0, 56]);
  expect(encodeUnreachable({ sender, receiver: { address: '::1', port: 1 } })).toBeUndefined();
});
