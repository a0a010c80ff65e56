/** By which errors this end refuses who it talks to, in the few words that logs and metrics have for it. */
const REFUSALS: Readonly<Record<string, string>> = {
  NET_TLS_REFUSED: 'TLS refused',
  NET_CERTIFICATE_EXPIRED: 'certificate expired',
  NET_CERTIFICATE_UNTRUSTED: 'certificate untrusted',
  NET_CERTIFICATE_MISSING: 'no peer certificate',
  NET_PEER_IDENTITY: 'peer identity',
  TRUST_NO_IDENTITY: 'peer identity',
  TRUST_FOREIGN_DOMAIN: 'peer identity',
  TRUST_REVOKED: 'certificate revoked',
};

/** Undefined: it was the peer that ended it, or something else went wrong. */
export function refusalOf({ code }: { readonly code: string }): string | undefined {
  return REFUSALS[code];
}
