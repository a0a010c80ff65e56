/** Reads what a TLS handshake proved out of a Bun socket, and judges it. */
import { type MeshError, messageOf } from '#base/errors.ts';
import { uriNamesOf } from '#wire/x509/certificate.ts';
import { CHAIN_MAX } from '../limits.ts';
import { checkPeer, type PeerRequirement } from '../tls/peer-check.ts';
import type { SocketConnection } from './socket-connection.ts';

/** The TLS part of a Bun socket. */
export interface HandshakeSocket {
  getTLSVersion(): string | null | undefined;
  /** Bun's `abbreviated`: false adds the certificates above the leaf. */
  getPeerCertificate(abbreviated?: boolean): unknown;
  readonly alpnProtocol: string | false | null;
}

/** Fills in the connection's peer fields; returns why the peer is refused, or undefined. */
export function finishHandshake(
  socket: HandshakeSocket,
  connection: SocketConnection,
  result: { success: boolean; error: unknown },
  requirement: PeerRequirement,
): MeshError | undefined {
  const der = leafOf(socket.getPeerCertificate());
  const peerUris = der === undefined ? [] : uriNamesOf(der);
  const alpn = socket.alpnProtocol || undefined;
  const refused = checkPeer(
    {
      success: result.success,
      errorCode: codeOf(result.error),
      errorMessage: messageOf(result.error),
      protocol: socket.getTLSVersion() ?? undefined,
      alpn,
      peerUris,
    },
    requirement,
  );
  if (refused !== undefined) return refused;
  connection.peerUris = peerUris;
  connection.alpn = alpn;
  const { judgePeer } = requirement;
  if (judgePeer === undefined) return undefined;
  connection.peerChain = chainOf(socket.getPeerCertificate(false));
  return judgePeer(connection.peerChain);
}

function chainOf(leaf: unknown): Uint8Array[] {
  const chain: Uint8Array[] = [];
  for (let each = leaf; chain.length < CHAIN_MAX; ) {
    const der = leafOf(each);
    if (der === undefined) break;
    chain.push(der);
    const issuer: unknown = Reflect.get(each as object, 'issuerCertificate');
    if (issuer === each) break;
    each = issuer;
  }
  return chain;
}

function leafOf(certificate: unknown): Uint8Array | undefined {
  if (typeof certificate !== 'object' || certificate === null) return undefined;
  const raw: unknown = Reflect.get(certificate, 'raw');
  return raw instanceof Uint8Array && raw.length > 0 ? raw : undefined;
}

function codeOf(error: unknown): string | undefined {
  if (error === undefined || error === null) return undefined;
  const code: unknown = typeof error === 'object' ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : 'UNKNOWN';
}
