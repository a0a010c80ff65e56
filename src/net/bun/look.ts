/**
 * Serves a connection as its first bytes say, without taking them: they stay in the kernel's buffer (MSG_PEEK) until it is known who
 * reads them. Bun can turn an accepted socket into a TLS server only while nothing was read from it, with the certificate of the
 * name that the client asks for: so each handshake uses the certificates of its moment, and nothing is restarted when they change.
 *
 *   accepted, reading paused ─► look ──'more'──► wait, look again … ─► refuse (deadline, end of the peer)
 *                                 ├─ plain ─► handler
 *                                 └─ tls ─► upgrade ─► handshake ─► handler
 */
import type { Clock, Timer } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import { admit, IGNORE } from '../admit.ts';
import type { ConnectionHandler, SocketAddress } from '../connection.ts';
import { NET_ERRORS } from '../errors.ts';
import { LOOK_AGAIN_MAX_MS, LOOK_AGAIN_MS, LOOK_BYTES_MAX } from '../limits.ts';
import * as raw from '../netns/raw-socket.ts';
import type { FirstLook, LookingListenOptions, ServerTlsSetup } from '../network.ts';
import { encodeAlpn } from '../tls/alpn.ts';
import {
  type BunSocket,
  NO_TICKET,
  PendingHandshake,
  peerOf,
  shaken,
  TLS_VERSION,
  turnAway,
  versionsBetween,
} from './accepted.ts';
import { STREAM_CALLBACKS } from './socket-callbacks.ts';
import { SocketConnection } from './socket-connection.ts';

/** Bun's socket before it is decided what runs on it. */
export interface LookedSocket extends BunSocket {
  upgradeTLS(options: object): [raw: unknown, tls: BunSocket];
}

export interface LookContext {
  readonly clock: Clock;
  readonly options: LookingListenOptions;
  readonly look: (bytes: Uint8Array, peer: SocketAddress) => FirstLook;
}

/** Used within one call at a time. */
const seen = new Uint8Array(LOOK_BYTES_MAX);

export function lookAt(
  socket: LookedSocket,
  connection: SocketConnection,
  context: LookContext,
): void {
  connection.pause();
  new Look(socket, connection, context).again();
}

class Look implements ConnectionHandler {
  readonly #socket: LookedSocket;
  readonly #connection: SocketConnection;
  readonly #context: LookContext;
  readonly #startedAt: number;
  #timer: Timer | undefined = undefined;

  constructor(socket: LookedSocket, connection: SocketConnection, context: LookContext) {
    this.#socket = socket;
    this.#connection = connection;
    this.#context = context;
    this.#startedAt = context.clock.now();
    connection.handler = this;
  }

  again(): void {
    const { clock, options, look } = this.#context;
    const connection = this.#connection;
    const count = raw.peek(connection.fd, seen);
    const peer = peerOf(connection);
    if (count === 0) {
      // A port scanner or a health check of a load balancer: nobody to answer, nothing worth a line.
      connection.handler = IGNORE;
      connection.reset();
      return;
    }
    const found: FirstLook = count < 0 ? { kind: 'more' } : look(seen.subarray(0, count), peer);
    const waitedMs = clock.now() - this.#startedAt;
    if (found.kind !== 'more')
      this.#decided(found, Math.ceil(options.handshakeTimeoutMs - waitedMs));
    else if (waitedMs >= options.handshakeTimeoutMs) {
      this.#refuse(`no complete first message in ${options.handshakeTimeoutMs} ms`);
    } else if (count >= LOOK_BYTES_MAX) {
      this.#refuse(`undecided after ${LOOK_BYTES_MAX} bytes`);
    } else {
      const delayMs = Math.min(Math.max(waitedMs, LOOK_AGAIN_MS), LOOK_AGAIN_MAX_MS);
      this.#timer = clock.after(delayMs, () => this.again());
    }
  }

  // Reading is paused: nothing but the end comes.

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
    this.#timer?.cancel();
  }

  #decided(found: Exclude<FirstLook, { kind: 'more' }>, leftMs: number): void {
    if (found.kind === 'refuse') {
      turnAway(this.#connection, found.error, this.#context.options.onRefused);
      return;
    }
    if (found.skip > 0) raw.discard(this.#connection.fd, seen, found.skip);
    if (found.kind === 'tls') this.#upgrade(found, leftMs);
    else {
      const connection = this.#successor(this.#socket, found.remote, false);
      this.#socket.data = connection;
      connection.resume();
      admit(connection, found.accept);
    }
  }

  #upgrade(found: Extract<FirstLook, { kind: 'tls' }>, leftMs: number): void {
    const { clock, options } = this.#context;
    const { onRefused } = options;
    const { setup, accept } = found;
    const client = {
      alpn: [],
      versions: versionsBetween({ min: setup.minVersion, max: setup.maxVersion }),
      clientCertificate: setup.clientCertificate,
      judgePeer: setup.judgePeer,
      onRefused,
    };
    const socket = {
      ...STREAM_CALLBACKS,
      handshake: (secure: BunSocket, success: boolean, error: unknown) =>
        shaken(secure, { success, error }, client, accept),
    };
    // The raw socket goes on telling of every byte: nobody is there to hear it.
    this.#socket.data = undefined;
    let secure: BunSocket;
    try {
      [, secure] = this.#socket.upgradeTLS({ isServer: true, tls: serverTls(setup), socket });
    } catch (error) {
      this.#socket.data = this.#connection;
      this.#refuse(`the certificate or its key cannot be used: ${messageOf(error)}`);
      return;
    }
    const connection = this.#successor(secure, found.remote, true);
    secure.data = connection;
    connection.handler = new PendingHandshake(connection, clock, { onRefused, timeoutMs: leftMs });
    this.#socket.resume();
  }

  /** Takes the place of the connection that was looked at, its part of the gate included. */
  #successor(socket: BunSocket, remote: SocketAddress | undefined, tls: boolean): SocketConnection {
    const { gate, share } = this.#context.options;
    return new SocketConnection(socket, {
      role: 'accepted',
      tls,
      gate,
      share,
      remote: remote ?? peerOf(this.#connection),
    });
  }

  #refuse(why: string): void {
    const { address, port } = peerOf(this.#connection);
    const message = `connection from ${formatHostPort(address, port)}: ${why}`;
    const error = new MeshError('NET_TLS_FAILED', message, {
      side: 'downstream',
      hint: NET_ERRORS.NET_TLS_FAILED,
    });
    turnAway(this.#connection, error, this.#context.options.onRefused);
  }
}

function serverTls(setup: ServerTlsSetup): object {
  const { clientCertificate, cipherSuites } = setup;
  return {
    cert: setup.certificateChain,
    key: setup.privateKey,
    ca: setup.clientRoots,
    requestCert: clientCertificate !== 'none',
    rejectUnauthorized: clientCertificate === 'require',
    minVersion: TLS_VERSION[setup.minVersion],
    maxVersion: TLS_VERSION[setup.maxVersion],
    ciphers: cipherSuites?.join(':'),
    secureOptions: NO_TICKET,
    ALPNProtocols: setup.alpn.length === 0 ? undefined : encodeAlpn(setup.alpn),
  };
}
