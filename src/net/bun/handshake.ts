/** Reads what a TLS handshake proved out of a Bun socket, and judges it. */
import { type MeshError, messageOf } from '#base/errors.ts';
import { checkPeer, type PeerRequirement } from '../tls/peer-check.ts';
import { uriNamesOf } from '../tls/subject-alt-names.ts';
import type { SocketConnection } from './socket-connection.ts';

/** The TLS part of a Bun socket. */
export interface HandshakeSocket {
  getTLSVersion(): string | null | undefined;
  getPeerCertificate(): unknown;
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
  if (refused === undefined) {
    connection.peerCertificate = der;
    connection.peerUris = peerUris;
    connection.alpn = alpn;
  }
  return refused;
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
