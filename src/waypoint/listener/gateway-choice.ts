/**
 * What a gateway does with a connection whose first bytes are known: pure, on the snapshot and the TLS material of the moment. The
 * verdict is a server with the terms of its handshake, a place to look routes up, or the reason why nobody serves it.
 */
import type { TlsIdentity } from '#net/connection.ts';
import type { ServerTlsSetup, TlsVersion } from '#net/network.ts';
import { readProxyHeader } from '#wire/proxy-protocol/reader.ts';
import { CLIENT_HELLO_REASON, NEED_MORE, readClientHello } from '#wire/tls/client-hello.ts';
import type { CompiledListener, CompiledServer } from '../config/gateway.ts';
import type { CertificatePair, Materials } from '../config/materials.ts';
import { clientJudge } from './client-certificate.ts';

/** Bytes in front that a proxy sent for the one behind it. */
export interface ProxyIntroduction {
  readonly skip: number;
  readonly remote: { address: string; port: number } | undefined;
}

const NOBODY: ProxyIntroduction = { skip: 0, remote: undefined };
const HTTP_ALPN = ['h2', 'http/1.1'] as const;

/** `more`, or a string: why the connection is refused. */
export function introduce(
  listener: CompiledListener,
  bytes: Uint8Array,
): ProxyIntroduction | 'more' | { refused: string } {
  if (!listener.proxyProtocol) return NOBODY;
  const read = readProxyHeader(bytes);
  if (read.kind === 'more') return 'more';
  if (read.kind === 'invalid') return { refused: `PROXY protocol: ${read.reason}` };
  return { skip: bytes.length - read.rest.length, remote: read.source };
}

export type HelloChoice =
  | { readonly kind: 'more' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'passed'; readonly server: CompiledServer; readonly sni: string | undefined }
  | {
      readonly kind: 'terminated';
      readonly server: CompiledServer;
      readonly sni: string | undefined;
      readonly setup: ServerTlsSetup;
    };

export function chooseByHello(
  listener: CompiledListener,
  bytes: Uint8Array,
  deps: { materials: Materials; identity: TlsIdentity | undefined },
): HelloChoice {
  const hello = readClientHello(bytes);
  if (hello === NEED_MORE) return { kind: 'more' };
  if (typeof hello === 'number') return { kind: 'refused', reason: CLIENT_HELLO_REASON[hello] };
  const sni = hello.serverName;
  const server = listener.bySni?.find(sni ?? '');
  if (server === undefined) {
    const asked = sni === undefined ? 'no server name' : `server name ${sni}`;
    return { kind: 'refused', reason: `no server of port ${listener.port} is for ${asked}` };
  }
  if (server.tls === undefined) return { kind: 'passed', server, sni };
  const setup = setupOf(server, sni, deps);
  if (typeof setup === 'string') {
    return { kind: 'refused', reason: `server ${server.server.name}: ${setup}` };
  }
  return { kind: 'terminated', server, sni, setup };
}

/** The terms of a handshake, or why there can be none. */
function setupOf(
  { server, tls }: CompiledServer,
  sni: string | undefined,
  deps: { materials: Materials; identity: TlsIdentity | undefined },
): ServerTlsSetup | string {
  if (tls === undefined) return 'it does not terminate TLS';
  const isHttp = server.protocol === 'http' || server.protocol === 'https';
  const minVersion: TlsVersion = tls.minVersion ?? 'TLSv1.2';
  const base = {
    alpn: tls.alpn ?? (isHttp ? HTTP_ALPN : []),
    minVersion,
    maxVersion: tls.maxVersion ?? 'TLSv1.3',
    cipherSuites: tls.cipherSuites?.length === 0 ? undefined : tls.cipherSuites,
  };
  if (tls.mode === 'istio-mutual') {
    const { identity } = deps;
    if (identity === undefined) return 'the mesh has given no certificate yet';
    const { certificateChain, privateKey, trustBundle } = identity;
    const judgePeer = clientJudge(tls, []);
    const keys = { certificateChain, privateKey, clientRoots: trustBundle };
    return { ...base, ...keys, clientCertificate: 'require', judgePeer };
  }
  const pair = pairFor(tls.certificates, sni, deps.materials);
  if (typeof pair === 'string') return pair;
  const { certificateChain, privateKey } = pair;
  if (tls.mode === 'simple') {
    return { ...base, certificateChain, privateKey, clientCertificate: 'none' };
  }
  if (tls.mode === 'unverified') {
    return { ...base, certificateChain, privateKey, clientCertificate: 'any' };
  }
  const { clientRoots: name = '' } = tls;
  const material = deps.materials.get(name);
  if (material?.roots === undefined) {
    return `the roots for client certificates (${name || 'none named'}) are not there`;
  }
  return {
    ...base,
    certificateChain,
    privateKey,
    clientRoots: material.roots,
    clientCertificate: tls.mode === 'mutual' ? 'require' : 'optional',
    judgePeer: clientJudge(tls, material.revoked),
  };
}

/** The first whose certificate covers the name, else the first that is usable. */
function pairFor(
  names: readonly string[],
  sni: string | undefined,
  materials: Materials,
): CertificatePair | string {
  let first: CertificatePair | undefined;
  for (const name of names) {
    const pair = materials.get(name)?.pair;
    if (pair === undefined) continue;
    if (sni !== undefined && pair.covers(sni)) return pair;
    first ??= pair;
  }
  return first ?? `its certificate (${names.join(', ') || 'none named'}) is not there`;
}
