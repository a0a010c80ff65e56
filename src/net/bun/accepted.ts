/** What accepted connections of every kind of listener go through: admission, the time for a handshake, its outcome. */
import type { Clock, Timer } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import { admit, IGNORE } from '../admit.ts';
import type { Connection, ConnectionHandler, SocketAddress } from '../connection.ts';
import { NET_ERRORS } from '../errors.ts';
import { TLS_HANDSHAKE_TIMEOUT_MS } from '../limits.ts';
import { peerName } from '../netns/raw-socket.ts';
import type { Accept, JudgePeer, ListenOptions, ServerTlsSetup, TlsVersion } from '../network.ts';
import { finishHandshake, type HandshakeSocket } from './handshake.ts';
import type { Newcomers } from './newcomers.ts';
import type { CallbackSocket } from './socket-callbacks.ts';
import { type RawSocket, SocketConnection } from './socket-connection.ts';

export type BunSocket = RawSocket & HandshakeSocket & CallbackSocket;

/** RFC 8446 version numbers, as Bun's `minVersion` wants them. */
export const TLS_VERSION = { 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 } as const;

/**
 * SSL_OP_NO_TICKET, as OpenSSL and BoringSSL number it. A resumed session is not verified again: with tickets a client could
 * come back with a certificate that has expired since.
 */
export const NO_TICKET = 0x4000;

export function versionsBetween(range: {
  min: TlsVersion;
  max: TlsVersion;
}): readonly TlsVersion[] {
  return range.min === range.max ? [range.min] : ['TLSv1.2', 'TLSv1.3'];
}

type OnRefused = ((error: MeshError, peer: SocketAddress) => void) | undefined;

/** What a server demands of the client's end of a handshake. */
export interface ClientRequirement {
  readonly alpn: readonly string[];
  readonly versions?: readonly string[];
  readonly clientCertificate: ServerTlsSetup['clientCertificate'];
  readonly judgePeer: JudgePeer | undefined;
  readonly onRefused: OnRefused;
}

/** Undefined: the peer is gone, there is no room or the gate is shut, and the socket reset; its callbacks find no connection. */
export function enter(
  socket: BunSocket,
  newcomers: Newcomers,
  { gate, share }: ListenOptions,
  tls: boolean,
): SocketConnection | undefined {
  const { fd } = socket;
  // Undefined: reset by its peer before it was accepted. Bun would ask the kernel for the address and again for the port.
  const remote = peerName(fd);
  const isWelcome = remote !== undefined && newcomers.admit(fd, remote);
  if (!isWelcome || (gate !== undefined && !gate.enter())) {
    socket.terminate();
    return undefined;
  }
  const connection = new SocketConnection(socket, { role: 'accepted', tls, remote, gate, share });
  socket.data = connection;
  return connection;
}

export function peerOf(connection: Connection): SocketAddress {
  return { address: connection.remoteAddress, port: connection.remotePort };
}

/** Refuses a connection that nobody serves yet. */
export function turnAway(connection: Connection, error: MeshError, onRefused: OnRefused): void {
  onRefused?.(error, peerOf(connection));
  connection.handler = IGNORE;
  connection.reset();
}

/** Bounds the time an accepted peer has for its handshake. */
export class PendingHandshake implements ConnectionHandler {
  readonly #timer: Timer;

  constructor(
    connection: SocketConnection,
    clock: Clock,
    options: { onRefused: OnRefused; timeoutMs?: number },
  ) {
    const { onRefused, timeoutMs = TLS_HANDSHAKE_TIMEOUT_MS } = options;
    this.#timer = clock.after(timeoutMs, () =>
      // Its end will be reported as a failed handshake, which was just said.
      turnAway(connection, handshakeTimedOut(peerOf(connection), timeoutMs), onRefused),
    );
  }

  finished(): void {
    this.#timer.cancel();
  }

  onData(): void {
    return;
  }

  onDrain(): void {
    return;
  }

  onEnd(): void {
    return;
  }

  onClose(): void {
    this.finished();
  }
}

function handshakeTimedOut({ address, port }: SocketAddress, timeoutMs: number): MeshError {
  const what = `no handshake in ${timeoutMs} ms`;
  return new MeshError('NET_TLS_FAILED', `TLS with ${formatHostPort(address, port)}: ${what}`, {
    side: 'downstream',
    hint: NET_ERRORS.NET_TLS_FAILED,
  });
}

/** Bun's `handshake` callback of a server socket whose handler is a `PendingHandshake`. */
export function shaken(
  socket: BunSocket,
  result: { success: boolean; error: unknown },
  client: ClientRequirement,
  accept: Accept<SocketConnection>,
): void {
  const connection = socket.data;
  if (!(connection?.handler instanceof PendingHandshake)) return;
  connection.handler.finished();
  const { success } = result;
  const { clientCertificate: asked } = client;
  const lenient = asked === 'any' || (asked !== 'require' && !hasCertificate(socket));
  const refused = finishHandshake(
    socket,
    connection,
    { success, error: lenient && success ? undefined : result.error },
    {
      role: 'server',
      alpn: client.alpn,
      versions: client.versions,
      verifyName: false,
      expectedUris: undefined,
      peer: formatHostPort(connection.remoteAddress, connection.remotePort),
      judgePeer: lenient ? undefined : client.judgePeer,
    },
  );
  if (refused === undefined) {
    admit(connection, accept);
    return;
  }
  client.onRefused?.(refused, peerOf(connection));
  connection.reset();
}

function hasCertificate(socket: HandshakeSocket): boolean {
  const certificate = socket.getPeerCertificate();
  return typeof certificate === 'object' && certificate !== null && 'raw' in certificate;
}
