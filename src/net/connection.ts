/**
 * The byte-stream interface that every proxy loop is written against: a TCP socket, a TLS socket and an
 * HBONE tunnel stream are all a `Connection`. Implementations: net/bun (real), hbone (tunnels), test/sim.
 *
 * Back-pressure contract: `write` takes what it can and returns the count; the caller keeps the rest (use
 * net/pipe/outbox.ts) and continues in `onDrain`. `pause` stops `onData` until `resume`.
 */
import type { MeshError } from '#base/errors.ts';

/** One object per connection, called by the connection; set at open time and replaceable (`handler`). */
export interface ConnectionHandler {
  /** `bytes` belongs to the connection: copy what must outlive the call. */
  onData(bytes: Uint8Array): void;
  /** Room again after a short `write`. */
  onDrain(): void;
  /** The peer sent FIN (or END_STREAM); our side may still write. */
  onEnd(): void;
  /** Exactly once, last. Undefined after an orderly close of both sides; else who reset it and why. */
  onClose(error: MeshError | undefined): void;
}

export interface Connection {
  handler: ConnectionHandler;
  /** Takes up to `bytes.length` bytes, returns how many (never negative; 0 after close). */
  write(bytes: Uint8Array): number;
  /** FIN after everything taken so far. Reading goes on. */
  end(): void;
  /** Abortive close (RST, RST_STREAM): both directions, at once. `onClose` still follows. */
  reset(): void;
  pause(): void;
  resume(): void;
  /**
   * Set by whoever keeps the connection for later use: what it runs over is about to end in order, so it is to be let go
   * when it is next idle. Only tunnels say so.
   */
  onRetiring?: (() => void) | undefined;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** A TLS connection adds what the handshake proved. */
export interface TlsConnection extends Connection {
  /** DER of the peer's chain, leaf first; empty unless the dial or listener has a `judgePeer` that needs it. */
  readonly peerChain: readonly Uint8Array[];
  /** URI SANs of the peer's leaf, in order. */
  readonly peerUris: readonly string[];
  readonly alpn: string | undefined;
}

export interface SocketAddress {
  address: string;
  port: number;
}

export interface TlsIdentity {
  /** PEM: leaf, then intermediates. */
  certificateChain: string;
  /** PEM, PKCS#8. Never logged. */
  privateKey: string;
  /** PEM roots that peers are verified against. */
  trustBundle: string;
}
