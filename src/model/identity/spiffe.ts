/** SPIFFE identities as Istio writes them: spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT (ztunnel src/identity/manager.rs). */

declare const principalBrand: unique symbol;
/** A full `spiffe://…` URI; made only by `formatPrincipal` and `parsePrincipal`. */
export type Principal = string & { readonly [principalBrand]: true };

export interface Identity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export const DEFAULT_TRUST_DOMAIN = 'cluster.local';
const SCHEME = 'spiffe://';

/** Workloads are immutable, and each of their connections asks. */
const formatted = new WeakMap<Identity, Principal>();

export function formatPrincipal(identity: Readonly<Identity>): Principal {
  let principal = formatted.get(identity);
  if (principal === undefined) {
    const { trustDomain, namespace, serviceAccount } = identity;
    principal = `${SCHEME}${trustDomain}/ns/${namespace}/sa/${serviceAccount}` as Principal;
    formatted.set(identity, principal);
  }
  return principal;
}

/** Undefined when the URI is not an Istio SPIFFE identity: exactly five segments, `ns` and `sa` in place. */
export function parseIdentity(uri: string): Identity | undefined {
  if (!uri.startsWith(SCHEME)) return undefined;
  const segments = uri.slice(SCHEME.length).split('/');
  if (segments.length !== 5 || segments[1] !== 'ns' || segments[3] !== 'sa') return undefined;
  const [trustDomain, , namespace, , serviceAccount] = segments;
  if (!trustDomain || !namespace || !serviceAccount) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

export function parsePrincipal(uri: string): Principal | undefined {
  return parseIdentity(uri) === undefined ? undefined : (uri as Principal);
}

/** The first URI SAN that is an Istio identity decides who the peer is (ztunnel src/tls/workload.rs). */
export function principalOf(uris: readonly string[]): Principal | undefined {
  for (const uri of uris) {
    const principal = parsePrincipal(uri);
    if (principal !== undefined) return principal;
  }
  return undefined;
}
