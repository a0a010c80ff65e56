/**
 * What a gateway (ingress, egress) listens on and does with each host: derived by control from Gateway resources (Gateway API's and
 * Istio's) and the routes attached to them, enforced by the gateway process. One resource a gateway; JSON-safe, swapped whole.
 */

import type { HttpPolicies } from '#model/authorization/http-policies.ts';
import type { PathNormalization } from './normalize-path.ts';
import type { L4Route, PolicyDenial, Provenance, Route } from './route-table.ts';
import type { LoadShedding, RateLimit } from './traffic-limits.ts';

export interface GatewayConfig {
  /** Of the Gateway resource; for Istio's Gateways, of the proxies that their selectors choose. */
  readonly namespace: string;
  readonly name: string;
  readonly listeners: readonly GatewayListener[];
  /** All of them must let a request pass. */
  readonly rateLimits?: readonly RateLimit[];
  readonly shedding?: readonly LoadShedding[];
  /** Proxies in front that are believed about the client (gatewayTopology.numTrustedProxies); undefined = none. */
  readonly trustedProxies?: number;
  /** As of a route table. */
  readonly pathNormalization?: PathNormalization;
  readonly denied?: PolicyDenial;
  /** As of a route table. */
  readonly policies?: HttpPolicies;
}

/** One port that is bound. Which server of it takes a connection: the most specific by SNI, without TLS all of them. */
export interface GatewayListener {
  readonly port: number;
  /** Address to bind; undefined = all. */
  readonly bind?: string;
  /** A PROXY protocol header comes first, and says who the client is. */
  readonly proxyProtocol?: boolean;
  readonly servers: readonly GatewayServer[];
}

export interface GatewayServer {
  /** Unique in its gateway: listener or section name. */
  readonly name: string;
  readonly provenance: Provenance;
  readonly protocol: 'http' | 'https' | 'tcp' | 'tls';
  /** SNI patterns (exact, `*.suffix`, `*`) of a TLS server; without TLS the hosts that are served. */
  readonly hosts: readonly string[];
  /** Undefined: plaintext, or (protocol `tls`) passed through by SNI. */
  readonly tls?: ServerTls;
  /** Answers every request with a redirect to https (301). */
  readonly httpsRedirect?: boolean;
  /** HTTP: the most specific domain wins, then path by path the first route. */
  readonly virtualHosts: readonly VirtualHost[];
  /** TCP, and TLS passed through or terminated as bytes. */
  readonly l4Routes: readonly L4Route[];
}

export interface VirtualHost {
  /** Exact, `*.suffix` or `*`, without port. */
  readonly domains: readonly string[];
  readonly routes: readonly Route[];
}

export interface ServerTls {
  /**
   * `mutual` demands a client certificate, `optional` takes one, `unverified` asks for one and takes whatever comes, `istio-mutual`
   * uses the mesh's certificates and roots.
   */
  readonly mode: 'simple' | 'mutual' | 'optional' | 'unverified' | 'istio-mutual';
  /** Names of `TlsMaterial`: the first whose certificate covers the SNI is presented, else the first. */
  readonly certificates: readonly string[];
  /** Names the `TlsMaterial` whose roots client certificates are checked against. */
  readonly clientRoots?: string;
  /** Certificate hash (SHA-256, hex) or SPKI hash (SHA-256, base64): any of them, in addition to the roots. */
  readonly clientCertificateHashes?: readonly string[];
  readonly clientSpkiHashes?: readonly string[];
  /** Any of these must be among the client certificate's names. */
  readonly clientSubjectAltNames?: readonly string[];
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly cipherSuites?: readonly string[];
  /** Offered to clients, in order; undefined = `h2`, `http/1.1` for HTTP servers. */
  readonly alpn?: readonly string[];
}

/** Certificate, key and roots from a Secret or ConfigMap, sent only to proxies that may have it. PEM. */
export interface TlsMaterial {
  /** `kubernetes://namespace/name`, as Istio names them. */
  readonly name: string;
  readonly certificateChain?: string;
  readonly privateKey?: string;
  readonly roots?: string;
  readonly revocationList?: string;
}
