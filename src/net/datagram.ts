/**
 * UDP sockets. `BunDatagrams` (net/bun) is the real implementation. As with `Network`, a socket may live in another
 * network namespace while the process stays where it is.
 */
import type { MeshError } from '#base/errors.ts';
import type { SocketAddress } from './connection.ts';
import type { NetworkNamespace } from './network.ts';

export interface DatagramOptions extends SocketAddress {
  namespace?: NetworkNamespace;
  /** SO_MARK; capture rules let 0x539 pass. */
  mark?: number;
  /** SO_REUSEPORT, for a successor that binds while its predecessor still answers. */
  reusePort?: boolean;
}

export interface DatagramHandler {
  /** `bytes` belongs to the socket: copy what must outlive the call. */
  onDatagram(bytes: Uint8Array, from: SocketAddress): void;
  /** The network refused what was sent (ICMP), or the socket cannot be used. */
  onError(error: MeshError): void;
}

export interface BoundDatagrams {
  readonly address: string;
  readonly port: number;
  /** False when the kernel did not take it: no room, no route. Datagrams may be lost anyway. */
  send(bytes: Uint8Array, to: SocketAddress): boolean;
  /** Takes nothing new: that goes to others on the port. What the kernel holds already still comes, and is answered. */
  detach(): void;
  close(): void;
}

/** Has one peer: what others send never arrives. The local port is the kernel's random choice. */
export interface ConnectedDatagrams {
  send(bytes: Uint8Array): boolean;
  close(): void;
}

export interface Datagrams {
  /** Receives from the moment it returns; throws when it cannot. */
  bind(options: DatagramOptions, handler: DatagramHandler): BoundDatagrams;
  /** Throws when there is no route or the privilege is missing. */
  connect(options: DatagramOptions, handler: DatagramHandler): ConnectedDatagrams;
}
