/**
 * Opens sockets. `BunNetwork` (net/bun) is the real one; `SimNetwork` (test/sim) the seeded one. Every call
 * takes an optional network namespace: the socket is created there, the process stays where it is.
 */
import type { MeshError } from '#base/errors.ts';
import type {
  Connection,
  ConnectionHandler,
  SocketAddress,
  TlsConnection,
  TlsIdentity,
} from './connection.ts';

import type { LoopShare } from './fair/fair-loop.ts';

/** An open handle on a network namespace (a file descriptor on /proc/PID/ns/net or /run/netns/NAME). */
export interface NetworkNamespace {
  readonly fd: number;
  readonly inode: number;
  close(): void;
}

/** Counts the accepted connections of a listener, from before anything else is spent on them. */
export interface AcceptGate {
  /** False resets the new connection at once. */
  enter(): boolean;
  /** A connection that entered is closed. */
  leave(): void;
}

export interface ListenOptions extends SocketAddress {
  namespace?: NetworkNamespace;
  gate?: AcceptGate;
  /** The workload whose part of the loop the accepted connections use. */
  share?: LoopShare;
  reusePort?: boolean;
  /** Accept traffic for foreign addresses (IP_TRANSPARENT), where the privilege is there. */
  transparent?: boolean;
  /** SO_MARK, inherited by accepted sockets. */
  mark?: number;
  /** Only the same kernel connects: no network lies between, and nothing needs to be paced. */
  local?: boolean;
}

/**
 * Why a peer whose chain and name are good is refused all the same, or undefined. Gets the DER of its chain, leaf first.
 */
export type JudgePeer = (chain: readonly Uint8Array[]) => MeshError | undefined;

export interface TlsListenOptions extends ListenOptions {
  identity: TlsIdentity;
  /** Ask for a client certificate. `require` refuses those without one that chains to the trust bundle. */
  clientCertificate: 'require' | 'optional' | 'none';
  alpn: readonly string[];
  judgePeer?: JudgePeer;
  /** A peer whose handshake or certificate was not accepted, for the log. */
  onRefused?: (error: MeshError, peer: SocketAddress) => void;
}

/** How one accepted connection is to be served TLS. PEM throughout. */
export interface ServerTlsSetup {
  readonly certificateChain: string;
  /** Never logged. */
  readonly privateKey: string;
  /** Client certificates chain to one of these; needed for `require` and `optional`. */
  readonly clientRoots?: string;
  /** `any`: asked for, and whatever comes is taken, also nothing. It proves nothing. */
  readonly clientCertificate: 'require' | 'optional' | 'any' | 'none';
  /** In order of preference; a client that offers none of them, or nothing, goes on without. */
  readonly alpn: readonly string[];
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL's names, TLS 1.2 only; undefined = the library's. */
  readonly cipherSuites?: readonly string[];
  readonly judgePeer?: JudgePeer;
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** What to do with a connection whose first bytes are known. `skip`: leading bytes that are not for its handler. */
export type FirstLook =
  /** Not enough to decide. */
  | { readonly kind: 'more' }
  | { readonly kind: 'refuse'; readonly error: MeshError }
  | ({ readonly kind: 'plain'; readonly accept: Accept<Connection> } & Introduction)
  | ({
      readonly kind: 'tls';
      readonly setup: ServerTlsSetup;
      readonly accept: Accept<TlsConnection>;
    } & Introduction);

export interface Introduction {
  readonly skip: number;
  /** Who the client is, where a proxy in front of us says so. */
  readonly remote?: SocketAddress;
}

export interface LookingListenOptions extends ListenOptions {
  /** For the first bytes and the TLS handshake together. */
  readonly handshakeTimeoutMs: number;
  /** Who was refused and why: bad first bytes, a failed handshake, a certificate that was not accepted. */
  readonly onRefused?: (error: MeshError, peer: SocketAddress) => void;
}

/** When the kernel looks whether a silent peer is still there (tcp(7)); what is left out stays net/limits.ts's. */
export interface KeepaliveTimes {
  readonly timeMs?: number;
  readonly intervalMs?: number;
  readonly probes?: number;
}

export interface ConnectOptions extends SocketAddress {
  namespace?: NetworkNamespace;
  /** Bind to this source address (IP_TRANSPARENT) so that the peer sees it. Port is not kept. */
  sourceAddress?: string;
  /** A peer of the same kernel, which cannot vanish without a word and needs no probes; and as when listening. */
  local?: boolean;
  /** When other peers are probed, instead of what net/limits.ts says. */
  keepalive?: KeepaliveTimes;
  /** SO_MARK for the socket; capture rules let 0x539 pass. */
  mark?: number;
  share?: LoopShare;
  connectTimeoutMs: number;
}

export interface TlsConnectOptions extends ConnectOptions {
  identity: TlsIdentity | undefined;
  /** Roots when there is no identity of our own. */
  trustBundle?: string;
  alpn: readonly string[];
  /** Sent as SNI when set; HBONE sends none. */
  serverName?: string;
  /** Instead of TLS 1.3 alone: servers outside the mesh. */
  versions?: { readonly min: TlsVersion; readonly max: TlsVersion };
  /** The peer may choose no protocol, or one that was not offered. */
  alpnOptional?: boolean;
  /** `chain`: without its name, which `judgePeer` judges; `none`: whoever it is. Undefined: chain and `serverName`. */
  verify?: 'chain' | 'none';
  /** Accept the peer when one of its URI SANs equals one of these. Chain verification always happens first. */
  expectedUris?: readonly string[];
  judgePeer?: JudgePeer;
}

export interface TlsListener extends Listener {
  /** New handshakes use `identity`; not one connection attempt is lost, open connections live on. */
  replaceIdentity(identity: TlsIdentity): void;
}

/** Returns the handler for an accepted connection, or undefined to refuse it with a reset. */
export type Accept<C extends Connection> = (connection: C) => ConnectionHandler | undefined;

export interface Listener {
  readonly address: string;
  readonly port: number;
  /** False when somebody took the socket from us (`ss -K`), and after `stop`. */
  readonly alive: boolean;
  /** Stops accepting; open connections live on. */
  stop(): void;
}

export interface ConnectHandler<C extends Connection> {
  /** Connected (TLS: handshake done, peer accepted). Return the handler for what follows. */
  onOpen(connection: C): ConnectionHandler;
  /** Instead of `onOpen`. Codes: NET_CONNECT_*, NET_TLS_*, NET_CERTIFICATE_*, NET_PEER_IDENTITY. */
  onFail(error: MeshError): void;
}

export interface Network {
  listen(options: ListenOptions, accept: Accept<Connection>): Listener;
  listenTls(options: TlsListenOptions, accept: Accept<TlsConnection>): TlsListener;
  /**
   * Each connection is served as its first bytes say: `look` is asked, with more bytes each time, until it decides. It must
   * decide at the latest with LOOK_BYTES_MAX.
   */
  listenLooking(
    options: LookingListenOptions,
    look: (bytes: Uint8Array, peer: SocketAddress) => FirstLook,
  ): Listener;
  connect(options: ConnectOptions, handler: ConnectHandler<Connection>): void;
  connectTls(options: TlsConnectOptions, handler: ConnectHandler<TlsConnection>): void;
  /** TLS inside a connection that is open already: a tunnel within a tunnel. Returns the carrier's handler. */
  connectTlsOver(
    carrier: Connection,
    options: TlsConnectOptions,
    handler: ConnectHandler<TlsConnection>,
  ): ConnectionHandler;
  /** The address a captured connection was going to (SO_ORIGINAL_DST), else its local address. */
  originalDestination(connection: Connection): SocketAddress;
}
