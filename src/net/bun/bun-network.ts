/**
 * `Network` on Bun: sockets are made by system call (netns/raw-socket.ts) in the wanted namespace and with the wanted marks. Plain
 * ones are served by an epoll instance of our own (net/epoll), those with TLS, or that may have it, by Bun.
 */
import type { Clock } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import { type Logger, silentLogger } from '#base/log.ts';
import type {
  Connection,
  ConnectionHandler,
  SocketAddress,
  TlsConnection,
  TlsIdentity,
} from '../connection.ts';
import { epollLoop } from '../epoll/epoll-loop.ts';
import { PlainConnection, type PlainDeps } from '../epoll/plain-connection.ts';
import { PlainListener } from '../epoll/plain-listener.ts';
import { SOCKET_CALLS } from '../epoll/socket-calls.ts';
import { NET_ERRORS } from '../errors.ts';
import { CARRIED_EARLY_BYTES_MAX, DEFER_ACCEPT_SECONDS, HANDSHAKE_COST_MS } from '../limits.ts';
import * as raw from '../netns/raw-socket.ts';
import { SpareSockets } from '../netns/spare-sockets.ts';
import type {
  Accept,
  ConnectHandler,
  ConnectOptions,
  FirstLook,
  Listener,
  ListenOptions,
  LookingListenOptions,
  Network,
  TlsConnectOptions,
  TlsListener,
  TlsListenOptions,
} from '../network.ts';
import { EarlyData } from '../pipe/early-data.ts';
import { Pipe } from '../pipe/pipe.ts';
import { encodeAlpn } from '../tls/alpn.ts';
import type { PeerRequirement } from '../tls/peer-check.ts';
import {
  type BunSocket,
  enter,
  NO_TICKET,
  PendingHandshake,
  shaken,
  TLS_VERSION,
  versionsBetween,
} from './accepted.ts';
import { Dial } from './dial.ts';
import { finishHandshake } from './handshake.ts';
import { type LookedSocket, lookAt } from './look.ts';
import { Newcomers } from './newcomers.ts';
import { STREAM_CALLBACKS } from './socket-callbacks.ts';
import { SocketConnection } from './socket-connection.ts';

interface BunListener {
  stop(closeActive?: boolean): void;
}

export class BunNetwork implements Network {
  readonly #clock: Clock;
  readonly #newcomers: Newcomers;
  readonly #spares: SpareSockets;

  constructor(deps: { clock: Clock; log?: Logger }) {
    this.#clock = deps.clock;
    this.#newcomers = new Newcomers({ log: silentLogger, ...deps });
    this.#spares = new SpareSockets(deps.clock);
  }

  listen(options: ListenOptions, accept: Accept<Connection>): Listener {
    const deps = { ...plain(), clock: this.#clock, newcomers: this.#newcomers };
    return new PlainListener(deps, options, accept);
  }

  listenTls(options: TlsListenOptions, accept: Accept<TlsConnection>): TlsListener {
    // Bun owns a duplicate: the original keeps the accept queue alive while certificates change.
    const fd = raw.openListener(options);
    const bound = raw.localName(fd) ?? options;
    const start = (identity: TlsIdentity) =>
      adoptListener(this.#tlsListenOptions(raw.duplicate(fd), { ...options, identity }, accept));
    let listener = start(options.identity);
    let stopped = false;
    return {
      address: bound.address,
      port: bound.port,
      get alive() {
        return !stopped && raw.isListening(fd);
      },
      replaceIdentity(identity) {
        if (stopped) return;
        const previous = listener;
        listener = start(identity);
        previous.stop();
      },
      stop() {
        if (stopped) return;
        stopped = true;
        listener.stop();
        raw.closeDescriptor(fd);
      },
    };
  }

  listenLooking(
    options: LookingListenOptions,
    look: (bytes: Uint8Array, peer: SocketAddress) => FirstLook,
  ): Listener {
    const newcomers = this.#newcomers;
    const clock = this.#clock;
    const fd = raw.openListener(options);
    raw.deferAccept(fd, DEFER_ACCEPT_SECONDS);
    const bound = raw.localName(fd) ?? options;
    const listener = adoptListener({
      fd,
      allowHalfOpen: true,
      socket: {
        ...STREAM_CALLBACKS,
        open(socket: LookedSocket) {
          const connection = enter(socket, newcomers, options, false);
          if (connection !== undefined) lookAt(socket, connection, { clock, options, look });
        },
      },
    });
    return running(fd, bound, listener);
  }

  connect(options: ConnectOptions, handler: ConnectHandler<Connection>): void {
    const dial = new Dial<PlainConnection>(options, handler, { clock: this.#clock, tls: false });
    try {
      const deps = plain();
      const fd = raw.openConnection(options, this.#spares);
      raw.setNoDelay(fd);
      adoptPlain(fd, { deps, options, dial });
    } catch (error) {
      failSoon(dial, error);
    }
  }

  connectTls(options: TlsConnectOptions, handler: ConnectHandler<TlsConnection>): void {
    const dial = new Dial<SocketConnection>(options, handler, { clock: this.#clock, tls: true });
    try {
      adoptTls(raw.openConnection(options, this.#spares), options, dial);
    } catch (error) {
      failSoon(dial, error);
    }
  }

  /** Through a pair of sockets in the kernel: Bun's TLS runs on descriptors only. */
  connectTlsOver(
    carrier: Connection,
    options: TlsConnectOptions,
    handler: ConnectHandler<TlsConnection>,
  ): ConnectionHandler {
    const [near, far] = raw.openPair();
    const clock = this.#clock;
    const early = new EarlyData(carrier, {
      bytesMax: CARRIED_EARLY_BYTES_MAX,
      onGone: (error) => joined.fail(error ?? carrierEnded(options)),
    });
    const joining: ConnectHandler<Connection> = {
      onOpen(connection) {
        const counters = { receivedBytes: 0, sentBytes: 0 };
        const pipe = new Pipe(carrier, connection, { counters, onFinished: () => undefined });
        early.replay(pipe.downstream);
        return pipe.upstream;
      },
      onFail: () => carrier.reset(),
    };
    const joined = new Dial<PlainConnection>(options, joining, { clock, tls: false });
    adoptPlain(near, { deps: plain(), options, dial: joined });
    const guarded: ConnectHandler<TlsConnection> = {
      onOpen: (connection) => handler.onOpen(connection),
      onFail(error) {
        // Closing our end of the pair would end the carrier in order, and perhaps never.
        carrier.reset();
        handler.onFail(error);
      },
    };
    adoptTls(far, options, new Dial<SocketConnection>(options, guarded, { clock, tls: true }));
    return early;
  }

  originalDestination(connection: Connection): SocketAddress {
    const known =
      connection instanceof PlainConnection || connection instanceof SocketConnection
        ? raw.originalDestination(connection.fd)
        : undefined;
    return known ?? { address: connection.localAddress, port: connection.localPort };
  }

  #tlsListenOptions(fd: number, options: TlsListenOptions, accept: Accept<TlsConnection>) {
    const clock = this.#clock;
    const newcomers = this.#newcomers;
    const { alpn, clientCertificate, judgePeer, onRefused } = options;
    const requirement = { alpn, clientCertificate, judgePeer, onRefused };
    return {
      fd,
      allowHalfOpen: true,
      tls: {
        cert: options.identity.certificateChain,
        key: options.identity.privateKey,
        ca: options.identity.trustBundle,
        requestCert: options.clientCertificate !== 'none',
        rejectUnauthorized: options.clientCertificate === 'require',
        minVersion: TLS_VERSION['TLSv1.3'],
        secureOptions: NO_TICKET,
        ALPNProtocols: encodeAlpn(options.alpn),
      },
      socket: {
        ...STREAM_CALLBACKS,
        open(socket: BunSocket) {
          const connection = enter(socket, newcomers, options, true);
          if (connection === undefined) return;
          connection.handler = new PendingHandshake(connection, clock, { onRefused });
          options.share?.admits(connection, HANDSHAKE_COST_MS);
        },
        handshake: (socket: BunSocket, success: boolean, error: unknown) =>
          shaken(socket, { success, error }, requirement, accept),
      },
    };
  }
}

/** Bun owns the descriptor. */
function running(fd: number, { address, port }: SocketAddress, listener: BunListener): Listener {
  let stopped = false;
  return {
    address,
    port,
    get alive() {
      return !stopped && raw.isListening(fd);
    },
    stop() {
      stopped = true;
      listener.stop();
    },
  };
}

function carrierEnded({ address, port }: SocketAddress): MeshError {
  const message = `TLS with ${formatHostPort(address, port)}: the connection that carried it ended`;
  return new MeshError('NET_TLS_FAILED', message, {
    side: 'upstream',
    hint: NET_ERRORS.NET_TLS_FAILED,
  });
}

function adoptTls(fd: number, options: TlsConnectOptions, dial: Dial<SocketConnection>): void {
  const requirement: PeerRequirement = {
    role: 'client',
    alpn: options.alpnOptional ? [] : options.alpn,
    versions: options.versions && versionsBetween(options.versions),
    verifyName:
      options.serverName !== undefined &&
      options.expectedUris === undefined &&
      options.verify === undefined,
    unverified: options.verify === 'none',
    expectedUris: options.expectedUris,
    peer: formatHostPort(options.address, options.port),
    judgePeer: options.judgePeer,
  };
  const socket = {
    ...STREAM_CALLBACKS,
    open(opened: BunSocket) {
      const { share } = options;
      const origin = { role: 'dialled', tls: true, remote: options, share } as const;
      const connection = new SocketConnection(opened, origin);
      opened.data = connection;
      dial.adopted(connection);
    },
    handshake(shaken: BunSocket, success: boolean, error: unknown) {
      const connection = shaken.data;
      if (connection === undefined || dial.settled) return;
      const refused = finishHandshake(shaken, connection, { success, error }, requirement);
      if (refused === undefined) dial.opened();
      else dial.fail(refused);
    },
  };
  adoptConnection({ fd, allowHalfOpen: true, tls: clientTls(options), socket }, dial);
}

let plainDeps: PlainDeps | undefined;

/** Of all networks of this thread. */
function plain(): PlainDeps {
  plainDeps ??= { loop: epollLoop(), calls: SOCKET_CALLS };
  return plainDeps;
}

function adoptPlain(
  fd: number,
  {
    deps,
    options,
    dial,
  }: { deps: PlainDeps; options: ConnectOptions; dial: Dial<PlainConnection> },
): void {
  const { share } = options;
  dial.adopted(new PlainConnection(fd, deps, { role: 'dialled', remote: options, share }));
}

/** Callers never see `onFail` before `connect` has returned. */
function failSoon(dial: { fail(error: MeshError): void }, error: unknown): void {
  if (!(error instanceof MeshError)) throw error;
  queueMicrotask(() => dial.fail(error));
}

function clientTls(options: TlsConnectOptions): object {
  const { identity } = options;
  return {
    cert: identity?.certificateChain,
    key: identity?.privateKey,
    ca: identity?.trustBundle ?? options.trustBundle,
    // Bun would judge by host name; `checkPeer` judges by URI SAN, chain first.
    rejectUnauthorized: false,
    serverName: options.serverName,
    minVersion: TLS_VERSION[options.versions?.min ?? 'TLSv1.3'],
    maxVersion: options.versions && TLS_VERSION[options.versions.max],
    ALPNProtocols: options.alpn.length === 0 ? undefined : encodeAlpn(options.alpn),
  };
}

// Bun's types do not know `fd` for listen, nor callbacks narrowed to our view of its socket.
function adoptListener(options: object): BunListener {
  return Bun.listen(options as unknown as Bun.TCPSocketListenOptions<undefined>);
}

function adoptConnection(options: object, dial: Dial<SocketConnection>): void {
  Bun.connect(options as unknown as Bun.TCPSocketConnectOptions<undefined>).catch(
    (error: unknown) => {
      dial.fail(
        new MeshError('NET_CONNECT_FAILED', `connect: ${messageOf(error)}`, {
          side: 'self',
          hint: NET_ERRORS.NET_CONNECT_FAILED,
          retry: 'safe',
          cause: error,
        }),
      );
    },
  );
}
