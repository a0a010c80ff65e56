/**
 * TLS and the PROXY protocol towards a destination, inside whatever carries the connection: plain TCP or an HBONE tunnel. Certificates
 * and roots are looked up when a connection is opened, so those of a rotated Secret count from the next one on.
 */

import { existsSync, readFileSync } from 'node:fs';
import { MeshError } from '#base/errors.ts';
import { parseIp } from '#base/ip.ts';
import { revocationOf } from '#identity/trust/revocation.ts';
import { NO_MATERIAL } from '#model/route/no-material.ts';
import type { UpstreamTls } from '#model/route/route-table.ts';
import type { Connection, ConnectionHandler, SocketAddress } from '#net/connection.ts';
import { NET_ERRORS } from '#net/errors.ts';
import type {
  ConnectHandler,
  ConnectOptions,
  JudgePeer,
  Network,
  TlsConnectOptions,
} from '#net/network.ts';
import { encodeProxyHeader } from '#wire/proxy-protocol/header.ts';
import { readFiles } from '../config/file-material.ts';
import type { Material, Materials } from '../config/materials.ts';
import { provedNames, provesName, readCertificate } from '../listener/client-certificate.ts';

export interface Origination {
  readonly tls: UpstreamTls;
  /** When the configuration names none. */
  readonly defaultSni: string;
  readonly alpn: readonly string[];
}

/** Where distributions keep their roots: Debian and Alpine, Red Hat, SUSE. */
const SYSTEM_ROOTS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
];

/** What a TLS dial to the destination looks like, or why there can be none. */
export function originationOptions(
  { tls, defaultSni, alpn }: Origination,
  target: Pick<ConnectOptions, 'address' | 'port' | 'connectTimeoutMs' | 'keepalive'>,
  materials: Materials,
): TlsConnectOptions | MeshError {
  const name = tls.sni ?? defaultSni;
  const material = tls.files === undefined ? namedMaterial(tls, materials) : readFiles(tls.files);
  if (typeof material === 'string') return unusable(`files of the TLS settings: ${material}`);
  if (tls.material === NO_MATERIAL) return unusable('the TLS settings name no usable roots');
  if (tls.material !== undefined && material === undefined) {
    return unusable(`TLS material ${tls.material} is not there`);
  }
  if (tls.mode === 'mutual' && material?.pair === undefined) {
    return unusable(`TLS material ${tls.material ?? '(none named)'} has no client certificate`);
  }
  const names = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : [name];
  const pair = tls.mode === 'mutual' ? material?.pair : undefined;
  const roots = material?.roots ?? systemRoots();
  return {
    ...target,
    identity: pair && {
      certificateChain: pair.certificateChain,
      privateKey: pair.privateKey,
      trustBundle: roots ?? '',
    },
    trustBundle: roots,
    alpn,
    alpnOptional: true,
    versions: { min: 'TLSv1.2', max: 'TLSv1.3' },
    // RFC 6066 §3: an address is no server name.
    serverName: name === '' || parseIp(name) !== undefined ? undefined : name,
    ...(tls.insecureSkipVerify
      ? { verify: 'none' }
      : { verify: 'chain', judgePeer: serverJudge(names, material) }),
  };
}

function namedMaterial({ material }: UpstreamTls, materials: Materials): Material | undefined {
  return material === undefined ? undefined : materials.get(material);
}

function serverJudge(names: readonly string[], material: Material | undefined): JudgePeer {
  return (chain) => {
    const [leaf] = chain;
    if (leaf === undefined) return mismatch('the server showed no certificate');
    const certificate = readCertificate(leaf);
    if (certificate === undefined) return mismatch('the certificate cannot be read');
    if (!names.some((name) => provesName(certificate, name))) {
      const shown = provedNames(certificate).slice(0, 5).join(', ') || 'no name';
      return mismatch(`the certificate is for ${shown}, expected ${names.join(' or ')}`);
    }
    return revocationOf(chain, material?.revoked ?? [], 'upstream');
  };
}

function mismatch(message: string): MeshError {
  const hint = NET_ERRORS.NET_PEER_IDENTITY;
  return new MeshError('NET_PEER_IDENTITY', message, { side: 'upstream', hint, retry: 'safe' });
}

function unusable(message: string): MeshError {
  const hint = 'does the Secret or ConfigMap exist in the namespace of the proxy, and hold PEM?';
  return new MeshError('NET_TLS_FAILED', message, { side: 'config', hint, retry: 'safe' });
}

let readRoots: { pem: string | undefined } | undefined;

/** Undefined: none found, the runtime's own bundle is used. */
function systemRoots(): string | undefined {
  if (readRoots === undefined) {
    const path = SYSTEM_ROOTS.find((each) => existsSync(each));
    readRoots = { pem: path === undefined ? undefined : readFileSync(path, 'utf8') };
  }
  return readRoots.pem;
}

/** Speaks TLS over a connection that opens. */
export function secured(
  network: Network,
  options: TlsConnectOptions,
  handler: ConnectHandler<Connection>,
): ConnectHandler<Connection> {
  return {
    onOpen: (carrier) => network.connectTlsOver(carrier, options, handler),
    onFail: (error) => handler.onFail(error),
  };
}

/** Says first who the client is. */
export function introduced(
  version: 'v1' | 'v2',
  ends: { source: SocketAddress; destination: SocketAddress },
  handler: ConnectHandler<Connection>,
): ConnectHandler<Connection> {
  const header = version === 'v2' ? encodeProxyHeader(ends) : versionOne(ends);
  return {
    onOpen(connection): ConnectionHandler {
      // A socket that has just opened has room for so little.
      if (header !== undefined) connection.write(header);
      return handler.onOpen(connection);
    },
    onFail: (error) => handler.onFail(error),
  };
}

/** haproxy doc/proxy-protocol.txt §2.1. */
function versionOne({
  source,
  destination,
}: {
  source: SocketAddress;
  destination: SocketAddress;
}): Uint8Array {
  const family = source.address.includes(':') ? 'TCP6' : 'TCP4';
  const line =
    source.address.includes(':') === destination.address.includes(':')
      ? `PROXY ${family} ${source.address} ${destination.address} ${source.port} ${destination.port}`
      : 'PROXY UNKNOWN';
  return Buffer.from(`${line}\r\n`);
}
