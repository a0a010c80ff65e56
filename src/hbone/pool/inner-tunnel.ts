/**
 * A tunnel within a tunnel, to a workload of another network: the outer one ends at that network's gateway, which passes
 * the bytes of a second mutual TLS on to who ends the inner one. Never pooled: an inner connection is one tunnel.
 */
import { MeshError } from '#base/errors.ts';
import { H2Connection } from '#http/h2/connection.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { HBONE_ERRORS } from '../errors.ts';
import * as limits from '../limits.ts';
import type { TunnelConnection } from '../tunnel-connection.ts';
import { startTunnel } from './start-tunnel.ts';
import type { PoolDeps, TunnelRequest } from './tunnel-request.ts';

/** Who ends the inner tunnel: nobody else tells, its workload is not known here. */
export interface InnerPeer {
  readonly uris: readonly string[];
  readonly baggage: string | undefined;
}

export interface InnerHandler {
  onOpen(tunnel: TunnelConnection, peer: InnerPeer): ConnectionHandler;
  onFail(error: MeshError): void;
}

/** Returns the handler of the outer tunnel. `request.expected` are the identities of who ends the inner one. */
export function openInnerTunnel(
  outer: Connection,
  request: TunnelRequest,
  deps: PoolDeps,
  handler: InnerHandler,
): ConnectionHandler {
  const identity = deps.identities.get(request.source);
  if (identity === undefined) {
    queueMicrotask(() => {
      outer.reset();
      handler.onFail(failure('HBONE_NO_IDENTITY', `no certificate for ${request.source}`));
    });
    return IGNORE;
  }
  return deps.network.connectTlsOver(
    outer,
    {
      ...request.destination,
      connectTimeoutMs: limits.TUNNEL_CONNECT_TIMEOUT_MS,
      identity,
      alpn: [limits.HBONE_ALPN],
      expectedUris: request.expected,
      judgePeer: deps.judgePeer,
    },
    {
      onOpen(connection) {
        const h2 = openH2(connection, deps);
        // The connection's handler is set first, then the tunnel may write.
        queueMicrotask(() => {
          const { peerUris: uris } = connection;
          const started = startTunnel(h2, request, deps.clock, {
            onOpen: (tunnel, answer) =>
              handler.onOpen(tunnel, { uris, baggage: answer.getAll('baggage') }),
            onFail: (error) => handler.onFail(error),
          });
          if (started) h2.drain();
          else handler.onFail(failure('HBONE_CONNECTION_LOST', 'the inner connection broke'));
        });
        return h2;
      },
      onFail: (error) => handler.onFail(error),
    },
  );
}

function openH2(connection: Connection, { clock }: PoolDeps): H2Connection {
  return new H2Connection(
    connection,
    { clock },
    {
      role: 'client',
      streamWindowBytes: limits.STREAM_WINDOW_BYTES,
      connectionWindowBytes: limits.CONNECTION_WINDOW_BYTES,
      frameBytesMax: limits.FRAME_BYTES_MAX,
      concurrentStreamsMax: 1,
      headerListBytesMax: limits.CLIENT_HEADER_LIST_BYTES_MAX,
      keepAlive: {
        intervalMs: limits.KEEPALIVE_INTERVAL_MS,
        timeoutMs: limits.KEEPALIVE_TIMEOUT_MS,
      },
    },
    {
      onStream: (stream) => stream.reset(REFUSED_STREAM),
      onChange: () => undefined,
      onClose: () => undefined,
    },
  );
}

function failure(code: keyof typeof HBONE_ERRORS, message: string): MeshError {
  return new MeshError(code, message, {
    side: 'upstream',
    hint: HBONE_ERRORS[code],
    retry: 'safe',
  });
}

/** RFC 9113 §7: a server must not open streams to us (push is off). */
const REFUSED_STREAM = 0x7;

const IGNORE: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};
