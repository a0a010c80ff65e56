/** What is asked of connection tracking and what is read from its answer, as bytes. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { decodeOriginalDestination, encodeTupleQuery } from './conntrack.ts';
import { decodeMessages, encodeRequests } from './netlink-codec.ts';

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

/** An entry of connection tracking as the kernel writes it. */
function entry(ip: [number, Uint8Array][], type = 0x100) {
  const tuple: [number, [number, Uint8Array][]][] = [
    [1, ip],
    [2, [[3, Uint8Array.of(0, 53)]]],
  ];
  return decodeMessages(
    encodeRequests([
      { type, flags: 0, sequence: 1, header: new Uint8Array(4), attributes: [[1, tuple]] },
    ]),
  )[0];
}

test('decodeOriginalDestination reads either family', () => {
  expect(decodeOriginalDestination(entry([[2, Uint8Array.of(198, 18, 0, 9)]]))).toEqual({
    address: '198.18.0.9',
    port: 53,
  });
  const ipv6 = Uint8Array.of(0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9);
  expect(decodeOriginalDestination(entry([[4, ipv6]]))).toEqual({ address: '2001:2::9', port: 53 });
});

test('decodeOriginalDestination has nothing to say about anything else', () => {
  expect(decodeOriginalDestination(entry([[2, Uint8Array.of(1, 2, 3)]]))).toBeUndefined();
  expect(decodeOriginalDestination(entry([[2, Uint8Array.of(1, 2, 3, 4)]], 0x101))).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (body) => {
      const read = decodeOriginalDestination({ type: 0x100, flags: 0, sequence: 1, body });
      expect(read === undefined || typeof read.address === 'string').toBe(true);
    }),
  );
});
