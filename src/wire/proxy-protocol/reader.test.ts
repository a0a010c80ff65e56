/** The PROXY protocol reader: a table of headers, wrong ones refused as early as they show, any cut. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { crc32c } from './crc32c.ts';
import { encodeProxyHeader, SIGNATURE } from './header.ts';
import { V1_BYTES_MAX, V2_BYTES_MAX } from './limits.ts';
import { readProxyHeader } from './reader.ts';

const text = (line: string) => Buffer.from(line, 'latin1');
const v2 = (command: number, family: number, payload: number[], length = payload.length) =>
  Buffer.from([...SIGNATURE, command, family, length >> 8, length & 0xff, ...payload]);
const IPV4_ENDS = [198, 18, 1, 2, 198, 19, 0, 4, 0xc3, 0x50, 0, 80];

/** A header with a CRC32c TLV, right or not. */
function withChecksum(change: number): Buffer {
  const header = v2(0x21, 0x11, [...IPV4_ENDS, 3, 0, 4, 0, 0, 0, 0]);
  header.writeUInt32BE((crc32c(header) ^ change) >>> 0, header.length - 4);
  return header;
}

test('crc32c of the check string', () => {
  expect(crc32c(text('123456789'))).toBe(0xe3069283);
});

describe('readProxyHeader takes', () => {
  const from = { address: '198.18.1.2', port: 50_000 };
  const to = { address: '198.19.0.4', port: 80 };
  const from6 = { address: '2001:2::1', port: 1 };
  const to6 = { address: '2001:2::2', port: 65_535 };
  const rows = [
    {
      title: 'TCP4',
      bytes: text('PROXY TCP4 198.18.1.2 198.19.0.4 50000 80\r\n'),
      ends: [from, to],
    },
    {
      title: 'TCP6',
      bytes: text('PROXY TCP6 2001:2::1 2001:2::2 1 65535\r\n'),
      ends: [from6, to6],
    },
    { title: 'UNKNOWN', bytes: text('PROXY UNKNOWN\r\n'), ends: [undefined, undefined] },
    {
      title: 'UNKNOWN with anything behind it',
      bytes: text('PROXY UNKNOWN ffff::1 x y 0\r\n'),
      ends: [undefined, undefined],
    },
    { title: 'version 2, IPv4', bytes: v2(0x21, 0x11, IPV4_ENDS), ends: [from, to] },
    {
      title: 'version 2, IPv6, TLVs',
      bytes: Buffer.from(
        encodeProxyHeader({ source: from6, destination: to6, tlvs: [{ type: 2, value: 'a.b' }] }) ??
          [],
      ),
      ends: [from6, to6],
    },
    { title: 'a right checksum', bytes: withChecksum(0), ends: [from, to] },
    { title: 'LOCAL', bytes: v2(0x20, 0x11, IPV4_ENDS), ends: [undefined, undefined] },
    { title: 'LOCAL without ends', bytes: v2(0x20, 0, []), ends: [undefined, undefined] },
    { title: 'UNSPEC', bytes: v2(0x21, 0, [1, 2, 3]), ends: [undefined, undefined] },
  ];
  for (const { title, bytes, ends } of rows) {
    test(`${title}, whatever the cut`, () => {
      const rest = text('GET / HTTP/1.1\r\n');
      for (let cut = 0; cut < bytes.length; cut++) {
        expect(readProxyHeader(bytes.subarray(0, cut))).toEqual({ kind: 'more' });
      }
      const got = readProxyHeader(Buffer.concat([bytes, rest]));
      if (got.kind !== 'header') throw new Error(got.kind);
      expect([got.source, got.destination]).toEqual(ends);
      expect(Buffer.from(got.rest)).toEqual(rest);
    });
  }
});

describe('readProxyHeader refuses', () => {
  const rows: { title: string; bytes: Buffer }[] = [
    { title: 'HTTP', bytes: text('G') },
    { title: 'TLS', bytes: Buffer.from([0x16]) },
    { title: 'a word that begins alike', bytes: text('PROPFIND / HTTP/1.1\r\n') },
    { title: 'POST', bytes: text('PO') },
    { title: 'a broken signature', bytes: Buffer.from([0x0d, 0x0a, 0x0d, 0x0b]) },
    { title: 'TCP5', bytes: text('PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n') },
    { title: 'lower case', bytes: text('PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n') },
    { title: 'two spaces', bytes: text('PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n') },
    { title: 'a space at the end', bytes: text('PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n') },
    { title: 'a port too few', bytes: text('PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n') },
    { title: 'a port over 65535', bytes: text('PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n') },
    { title: 'a port with a leading zero', bytes: text('PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n') },
    { title: 'an IPv6 address in TCP4', bytes: text('PROXY TCP4 ::1 1.2.3.4 1 2\r\n') },
    { title: 'an IPv4 address in TCP6', bytes: text('PROXY TCP6 1.2.3.4 ::1 1 2\r\n') },
    { title: 'an address that is none', bytes: text('PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n') },
    { title: 'bare LF', bytes: text('PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n') },
    { title: 'CR without LF', bytes: text('PROXY UNKNOWN\rx') },
    { title: 'a control character', bytes: text('PROXY UNKNOWN \0') },
    { title: 'a line over its limit', bytes: text(`PROXY UNKNOWN${' '.repeat(V1_BYTES_MAX)}`) },
    {
      title: 'a line that ends one byte too late',
      bytes: text(`${'PROXY UNKNOWN'.padEnd(V1_BYTES_MAX - 1)}\r\n`),
    },
    { title: 'version 1 in version 2', bytes: v2(0x11, 0x11, IPV4_ENDS) },
    { title: 'an unknown command', bytes: v2(0x22, 0x11, IPV4_ENDS) },
    { title: 'UDP', bytes: v2(0x21, 0x12, IPV4_ENDS) },
    { title: 'a Unix socket', bytes: v2(0x21, 0x31, new Array<number>(216).fill(0)) },
    { title: 'ends that are cut short', bytes: v2(0x21, 0x11, IPV4_ENDS.slice(1)) },
    { title: 'IPv6 with the length of IPv4', bytes: v2(0x21, 0x21, IPV4_ENDS) },
    { title: 'more than the limit', bytes: v2(0x21, 0x11, [], V2_BYTES_MAX + 1) },
    { title: 'a TLV without its length', bytes: v2(0x21, 0x11, [...IPV4_ENDS, 1, 0]) },
    { title: 'a TLV beyond the end', bytes: v2(0x21, 0x11, [...IPV4_ENDS, 1, 0, 2, 0]) },
    { title: 'a wrong checksum', bytes: withChecksum(1) },
    { title: 'a checksum of three bytes', bytes: v2(0x21, 0x11, [...IPV4_ENDS, 3, 0, 3, 0, 0, 0]) },
  ];
  for (const { title, bytes } of rows) {
    test(title, () => expect(readProxyHeader(bytes).kind).toBe('invalid'));
  }
});

test('readProxyHeader never throws and never changes its mind once it decided', () => {
  const starts = fc.constantFrom(
    text('PROXY TCP4 '),
    text('PROXY '),
    Buffer.from(SIGNATURE),
    text(''),
  );
  fc.assert(
    fc.property(starts, fc.uint8Array({ maxLength: 140 }), fc.nat(150), (start, tail, cut) => {
      const bytes = Buffer.concat([start, tail]);
      const early = readProxyHeader(bytes.subarray(0, cut));
      if (early.kind !== 'more') expect(readProxyHeader(bytes).kind).toBe(early.kind);
    }),
  );
});
