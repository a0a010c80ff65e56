/** What a tunnel needs, and what the pool is made of. */
import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { SocketAddress, TlsIdentity } from '#net/connection.ts';
import type { LoopShare } from '#net/fair/fair-loop.ts';
import type { JudgePeer, Network, NetworkNamespace } from '#net/network.ts';
import { HBONE_ERRORS } from '../errors.ts';
import type { TunnelHead } from '../tunnel-head.ts';

export interface TunnelTarget {
  /** Whose certificate we show. */
  readonly source: Principal;
  /** The peer must prove one of these. */
  readonly expected: readonly string[];
  /** Where the peer's HBONE listener is. */
  readonly destination: SocketAddress;
  /** The pod's address; part of the key, not bound to. */
  readonly sourceAddress: string;
  readonly namespace: NetworkNamespace | undefined;
  /** The workload whose part of the loop the connection uses. */
  readonly share?: LoopShare;
}

export interface TunnelRequest extends TunnelTarget {
  readonly head: TunnelHead;
  /** Who the client of the tunnel is, for `Connection.localAddress`. */
  readonly client: SocketAddress;
}

export interface IdentitySource {
  get(principal: Principal): TlsIdentity | undefined;
}

export interface PoolDeps {
  network: Network;
  clock: Clock;
  identities: IdentitySource;
  judgePeer?: JudgePeer;
}

export interface PoolOptions {
  /** SO_MARK of the dialled sockets. */
  mark?: number;
}

export interface PoolStatus {
  readonly destination: string;
  readonly source: string;
  readonly connections: number;
  readonly streams: number;
  readonly waiting: number;
}

export function poolClosed(): MeshError {
  return new MeshError('HBONE_POOL_CLOSED', 'the proxy takes no new tunnels', {
    side: 'self',
    hint: HBONE_ERRORS.HBONE_POOL_CLOSED,
    retry: 'safe',
  });
}
