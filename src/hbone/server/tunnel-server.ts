/**
 * The receiving end of HBONE: an HTTP/2 server connection whose only requests are CONNECT. What to do with
 * each tunnel is decided by `onTunnel`, which accepts or refuses it, now or later.
 */
import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import { H2Connection, type H2Options, type H2Stream } from '#http/h2/connection.ts';
import type { TlsConnection } from '#net/connection.ts';
import { HBONE_ERRORS } from '../errors.ts';
import * as limits from '../limits.ts';
import { TunnelConnection } from '../tunnel-connection.ts';

export interface IncomingTunnel {
  /** The peer's CONNECT; `head.authority` is where it wants to go. */
  readonly head: MessageHead;
  /** Usable at once for reading; writing makes sense after `accept`. */
  readonly connection: TunnelConnection;
  /** 200. Extra fields go into `answer`. */
  accept(answer?: MessageHead): void;
  /** The final status; the tunnel is over. */
  refuse(status: number): void;
}

export interface TunnelServerHandler {
  /** Set `tunnel.connection.handler` before returning. */
  onTunnel(tunnel: IncomingTunnel): void;
  /** The first request of the connection that is no tunnel; the peer got its answer. */
  onBadRequest?(error: MeshError): void;
  onClose(error: MeshError | undefined): void;
}

/** How HBONE's receiving end speaks HTTP/2, as ztunnel (src/proxy/h2/server.rs). */
export const TUNNEL_SERVER_OPTIONS: H2Options = {
  role: 'server',
  streamWindowBytes: limits.STREAM_WINDOW_BYTES,
  connectionWindowBytes: limits.CONNECTION_WINDOW_BYTES,
  frameBytesMax: limits.FRAME_BYTES_MAX,
  concurrentStreamsMax: limits.STREAMS_ACCEPTED_MAX,
  headerListBytesMax: limits.SERVER_HEADER_LIST_BYTES_MAX,
  keepAlive: { intervalMs: limits.KEEPALIVE_INTERVAL_MS, timeoutMs: limits.KEEPALIVE_TIMEOUT_MS },
};

/** Return it as the handler of the accepted TLS connection. */
export function serveTunnels(
  connection: TlsConnection,
  deps: { clock: Clock },
  handler: TunnelServerHandler,
  chosen: Pick<H2Options, 'concurrentStreamsMax' | 'account'> = {},
): H2Connection {
  const names = {
    remote: { address: connection.remoteAddress, port: connection.remotePort },
    local: { address: connection.localAddress, port: connection.localPort },
  };
  let complained = false;
  const complain = (reason: string) => {
    if (complained) return;
    complained = true;
    handler.onBadRequest?.(badRequest(reason));
  };
  return new H2Connection(
    connection,
    deps,
    { ...TUNNEL_SERVER_OPTIONS, ...chosen },
    {
      onStream(stream, head, end) {
        const tunnel = new TunnelConnection('downstream', names);
        tunnel.attach(stream);
        stream.handler = tunnel;
        // Plain HTTP on the HBONE port: as ztunnel answers (src/proxy/inbound.rs).
        if (head.method !== 'CONNECT') {
          refuse(stream, 400);
          complain(`${head.method} instead of CONNECT`);
          return;
        }
        handler.onTunnel(new Incoming(stream, head, tunnel));
        if (end) tunnel.onEnd();
      },
      onBadRequest: complain,
      onChange: () => undefined,
      onClose: (error) => handler.onClose(error),
    },
  );
}

function badRequest(reason: string): MeshError {
  return new MeshError('HBONE_BAD_REQUEST', `no tunnel: ${reason}`, {
    side: 'downstream',
    hint: HBONE_ERRORS.HBONE_BAD_REQUEST,
  });
}

class Incoming implements IncomingTunnel {
  readonly head: MessageHead;
  readonly connection: TunnelConnection;
  readonly #stream: H2Stream;

  constructor(stream: H2Stream, head: MessageHead, connection: TunnelConnection) {
    this.#stream = stream;
    this.head = head;
    this.connection = connection;
  }

  accept(answer = MessageHead.response(200)): void {
    if (!this.#stream.closed) this.#stream.respond(answer, false);
  }

  refuse(status: number): void {
    refuse(this.#stream, status);
  }
}

/** RFC 9113 §8.1: a whole response, then NO_ERROR tells the client to stop sending. */
function refuse(stream: H2Stream, status: number): void {
  if (stream.closed) return;
  stream.respond(MessageHead.response(status), true);
  if (!stream.closed) stream.reset(0);
}
