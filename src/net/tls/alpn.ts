/** ALPN protocol lists in the wire format that Bun's TLS options want (RFC 7301 §3.1). */
import { assert } from '#base/assert.ts';

export function encodeAlpn(protocols: readonly string[]): Buffer {
  const parts: number[] = [];
  for (const protocol of protocols) {
    const name = Buffer.from(protocol, 'latin1');
    assert(name.length > 0 && name.length < 256, `not an ALPN protocol name: ${protocol}`);
    parts.push(name.length, ...name);
  }
  return Buffer.from(parts);
}
