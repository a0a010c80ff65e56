/** Who the peer of a TLS connection is, and whether its trust domain is ours. The chain was verified before. */
import { MeshError } from '#base/errors.ts';
import { type Principal, parseIdentity, principalOf } from '#model/identity/spiffe.ts';

/**
 * The peer's principal out of the URI SANs of its leaf: the first that is an Istio identity counts, as for ztunnel
 * (src/tls/workload.rs). It must be of our trust domain; ztunnel asks that of any of them.
 */
export function verifyPeer(uris: readonly string[], trustDomain: string): Principal | MeshError {
  const principal = principalOf(uris);
  const identity = principal === undefined ? undefined : parseIdentity(principal);
  if (principal === undefined || identity === undefined) {
    const shown = uris.length === 0 ? 'none' : uris.slice(0, 3).join(', ');
    return new MeshError('TRUST_NO_IDENTITY', `peer proved no mesh identity (URI SANs: ${shown})`, {
      side: 'downstream',
      hint: 'is the peer part of the mesh?',
    });
  }
  if (identity.trustDomain !== trustDomain) {
    return new MeshError(
      'TRUST_FOREIGN_DOMAIN',
      `${principal} is not of trust domain ${trustDomain}`,
      {
        side: 'downstream',
        hint: 'set trustDomain alike on both sides',
      },
    );
  }
  return principal;
}
