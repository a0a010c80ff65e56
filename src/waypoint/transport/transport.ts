/**
 * How bytes reach an endpoint: an HBONE tunnel with the waypoint's own certificate, or plain TCP for endpoints outside the mesh.
 * Never the one in place of the other: an endpoint that is said to speak HBONE gets mTLS or nothing.
 */
import { formatHostPort } from '#base/ip.ts';
import type { Random } from '#base/random.ts';
import type { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import { forwardedOf, newTraceparent } from '#hbone/tunnel-head.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { Connection } from '#net/connection.ts';
import type { ConnectHandler, Network } from '#net/network.ts';

export const HBONE_PORT = 15008;

export interface TransportTarget {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'hbone' | 'none';
  /** Expected SPIFFE URI when `protocol` is hbone. */
  readonly principal: string;
  /** For the `forwarded` field. */
  readonly serviceHost: string;
  readonly connectTimeoutMs: number;
}

export interface Transport {
  open(target: TransportTarget, handler: ConnectHandler<Connection>): void;
}

/** Plain TCP for everything: static mode. */
export function plainTransport(network: Network): Transport {
  return {
    open({ address, port, connectTimeoutMs }, handler) {
      network.connect({ address, port, connectTimeoutMs }, handler);
    },
  };
}

export interface MeshTransportOptions {
  readonly principal: Principal;
  /** Address of this waypoint's pod. */
  readonly address: string;
  /** `baggage` of this waypoint; empty until discovery told who we are. */
  readonly baggage: () => string;
}

export function meshTransport(
  deps: { network: Network; tunnels: TunnelPool; random: Random },
  options: MeshTransportOptions,
): Transport {
  const plain = plainTransport(deps.network);
  const client = { address: options.address, port: 0 };
  return {
    open(target, handler) {
      if (target.protocol === 'none') {
        plain.open(target, handler);
        return;
      }
      const { address, port } = target;
      deps.tunnels.open(
        {
          source: options.principal,
          expected: [target.principal],
          destination: { address, port: HBONE_PORT },
          sourceAddress: options.address,
          namespace: undefined,
          client,
          head: {
            authority: formatHostPort(address, port),
            baggage: options.baggage(),
            forwarded: forwardedOf(client, target.serviceHost),
            traceparent: newTraceparent(deps.random),
          },
        },
        handler,
      );
    },
  };
}
