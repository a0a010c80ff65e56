/**
 * How bytes reach an endpoint: an HBONE tunnel with the waypoint's own certificate, or plain TCP for endpoints outside the mesh.
 * Never the one in place of the other: an endpoint that is said to speak HBONE gets mTLS or nothing.
 */
import type { Clock } from '#base/clock.ts';
import { deadlinesOf } from '#base/deadlines.ts';
import { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Random } from '#base/random.ts';
import type { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import { forwardedOf, newTraceparent } from '#hbone/tunnel-head.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { Connection, ConnectionHandler, SocketAddress } from '#net/connection.ts';
import { NET_ERRORS } from '#net/errors.ts';
import type { ConnectHandler, KeepaliveTimes, Network } from '#net/network.ts';
import type { Materials } from '../config/materials.ts';
import { introduced, type Origination, originationOptions, secured } from './originate.ts';

export const HBONE_PORT = 15008;

export interface TransportTarget {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'hbone' | 'none';
  /** Expected SPIFFE URI when `protocol` is hbone. */
  readonly principal: string;
  /** Whom a waypoint at this address is to reach. */
  readonly via?: string;
  /** For the `forwarded` field. */
  readonly serviceHost: string;
  readonly connectTimeoutMs: number;
  /** Of a TCP connection to the endpoint itself; tunnels share theirs. */
  readonly keepalive?: KeepaliveTimes;
  /** TLS to the destination itself, in whatever carries it. */
  readonly origination?: Origination;
  /** A PROXY header goes first. */
  readonly proxyProtocol?: 'v1' | 'v2';
  /** Whom that header names; undefined = this process. */
  readonly client?: SocketAddress;
  /** Of the tunnel; undefined: it is a trace of its own, and nobody records it. */
  readonly traceparent?: string;
}

export interface Transport {
  open(target: TransportTarget, handler: ConnectHandler<Connection>): void;
}

/** Plain TCP for everything: static mode. */
export function plainTransport(network: Network): Transport {
  return {
    open({ address, port, connectTimeoutMs, keepalive }, handler) {
      network.connect({ address, port, connectTimeoutMs, keepalive }, handler);
    },
  };
}

/** Adds what destinations want inside their connection: a PROXY header, TLS. */
export function originatingTransport(
  carrier: Transport,
  deps: { network: Network; materials: Materials },
): Transport {
  return {
    open(target, handler) {
      const { address, port, connectTimeoutMs, keepalive, origination, proxyProtocol } = target;
      let inner = handler;
      if (origination !== undefined) {
        const options = originationOptions(
          origination,
          { address, port, connectTimeoutMs, keepalive },
          deps.materials,
        );
        if (options instanceof MeshError) {
          // Callers never see `onFail` before `open` has returned.
          queueMicrotask(() => handler.onFail(options));
          return;
        }
        if (target.protocol === 'none' && proxyProtocol === undefined) {
          deps.network.connectTls(options, handler);
          return;
        }
        inner = secured(deps.network, options, handler);
      }
      if (proxyProtocol !== undefined) {
        const destination = { address, port };
        const source = target.client ?? { address, port: 0 };
        inner = introduced(proxyProtocol, { source, destination }, inner);
      }
      carrier.open(target, inner);
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
  deps: { network: Network; tunnels: TunnelPool; random: Random; clock: Clock },
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
            authority: formatHostPort(target.via ?? address, port),
            baggage: options.baggage(),
            forwarded: forwardedOf(client, target.serviceHost),
            traceparent: target.traceparent ?? newTraceparent(deps.random),
          },
        },
        withinTime(target, handler, deps.clock),
      );
    },
  };
}

/** A tunnel has limits of its own; the destination's may be shorter. One that comes too late is let go. */
function withinTime(
  { address, port, connectTimeoutMs }: TransportTarget,
  handler: ConnectHandler<Connection>,
  clock: Clock,
): ConnectHandler<Connection> {
  let isOver = false;
  const timer = deadlinesOf(clock, connectTimeoutMs).start({
    timedOut() {
      isOver = true;
      const text = `no tunnel to ${formatHostPort(address, port)} within ${connectTimeoutMs} ms`;
      const hint = NET_ERRORS.NET_CONNECT_TIMEOUT;
      handler.onFail(
        new MeshError('NET_CONNECT_TIMEOUT', text, { side: 'upstream', hint, retry: 'safe' }),
      );
    },
  });
  return {
    onOpen(connection) {
      timer.cancel();
      if (!isOver) return handler.onOpen(connection);
      connection.reset();
      return LET_GO;
    },
    onFail(error) {
      timer.cancel();
      if (!isOver) handler.onFail(error);
    },
  };
}

const LET_GO: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};
