/** Judges a peer that is known by its IP address: TLS sends no such name (RFC 6066 §3), so nobody else compares it. */
import { MeshError } from '#base/errors.ts';
import { parseIp } from '#base/ip.ts';
import { ipNamesOf } from '#wire/x509/certificate.ts';
import { NET_ERRORS } from '../errors.ts';
import type { JudgePeer } from '../network.ts';

/** Undefined when `name` is no IP address. */
export function judgeByAddress(name: string): JudgePeer | undefined {
  const address = parseIp(name);
  if (address === undefined) return undefined;
  return (chain) => {
    const names = chain.length === 0 ? [] : ipNamesOf(chain[0]);
    if (names.some((each) => Buffer.compare(each, address) === 0)) return undefined;
    return new MeshError('NET_PEER_IDENTITY', `the certificate of the peer is not for ${name}`, {
      side: 'upstream',
      hint: NET_ERRORS.NET_PEER_IDENTITY,
      retry: 'safe',
    });
  };
}
