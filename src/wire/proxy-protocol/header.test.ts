import { expect, test } from 'bun:test';
import { encodeProxyHeader, TLV_SPIFFE_URI } from './header.ts';

const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
const SIGNATURE = '0d0a0d0a000d0a515549540a';

test('encodeProxyHeader writes IPv4 ends and the identity', () => {
  const header = encodeProxyHeader({
    source: { address: '198.18.1.2', port: 50_000 },
    destination: { address: '198.19.0.4', port: 80 },
    tlvs: [{ type: TLV_SPIFFE_URI, value: 'spiffe://a' }],
  });
  expect(hex(header)).toBe(
    `${SIGNATURE}21110019${'c6120102'}${'c6130004'}c3500050` +
      `d0000a${Buffer.from('spiffe://a').toString('hex')}`,
  );
});

test('encodeProxyHeader writes IPv6 ends, and IPv4 as mapped where the other end is IPv6', () => {
  expect(
    hex(
      encodeProxyHeader({
        source: { address: '198.18.1.2', port: 1 },
        destination: { address: '2001:2::4', port: 2 },
      }),
    ),
  ).toBe(
    `${SIGNATURE}21210024${'00000000000000000000ffffc6120102'}${'20010002000000000000000000000004'}00010002`,
  );
});

test('encodeProxyHeader knows addresses only', () => {
  const source = { address: 'example.com', port: 1 };
  expect(encodeProxyHeader({ source, destination: source })).toBeUndefined();
});
