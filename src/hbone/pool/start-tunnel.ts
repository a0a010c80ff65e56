/** Opens one CONNECT stream on a connection and waits for the peer's answer. */
import type { Clock } from '#base/clock.ts';
import { deadlinesOf, type Expiring } from '#base/deadlines.ts';
import { MeshError } from '#base/errors.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { H2Connection } from '#http/h2/connection.ts';
import type { ConnectionHandler } from '#net/connection.ts';
import { HBONE_ERRORS } from '../errors.ts';
import { TUNNEL_ANSWER_TIMEOUT_MS } from '../limits.ts';
import { type AnswerHandler, TunnelConnection } from '../tunnel-connection.ts';
import { connectHead } from '../tunnel-head.ts';
import type { TunnelRequest } from './tunnel-request.ts';

/** A `ConnectHandler` that may also look at the peer's answer. */
export interface TunnelHandler {
  onOpen(tunnel: TunnelConnection, answer: MessageHead): ConnectionHandler;
  onFail(error: MeshError): void;
}

/** False when the connection could not take a stream after all. */
export function startTunnel(
  h2: H2Connection,
  request: TunnelRequest,
  clock: Clock,
  handler: TunnelHandler,
): boolean {
  const names = { remote: request.destination, local: request.client };
  const tunnel = new TunnelConnection('upstream', names);
  const stream = h2.openStream(connectHead(request.head), false, tunnel);
  if (stream === undefined) return false;
  tunnel.attach(stream);
  const opening = new Opening(tunnel, handler, { request, h2 });
  tunnel.handler = opening;
  tunnel.answered = opening;
  opening.timer = deadlinesOf(clock, TUNNEL_ANSWER_TIMEOUT_MS).start(opening);
  return true;
}

/** The tunnel's handler until it is open or has failed. */
class Opening implements ConnectionHandler, AnswerHandler, Expiring {
  timer: { cancel(): void } | undefined = undefined;
  readonly #tunnel: TunnelConnection;
  readonly #handler: TunnelHandler;
  readonly #request: TunnelRequest;
  readonly #h2: H2Connection;
  #settled = false;

  constructor(
    tunnel: TunnelConnection,
    handler: TunnelHandler,
    way: { request: TunnelRequest; h2: H2Connection },
  ) {
    this.#tunnel = tunnel;
    this.#handler = handler;
    this.#request = way.request;
    this.#h2 = way.h2;
  }

  onAnswer(head: MessageHead): void {
    if (head.status < 200 || !this.#settle()) return;
    if (head.status === 200) {
      this.#tunnel.handler = this.#handler.onOpen(this.#tunnel, head);
      return;
    }
    this.#tunnel.reset();
    this.#handler.onFail(
      new MeshError('HBONE_REFUSED', `http status: ${head.status}`, {
        side: 'upstream',
        hint: HBONE_ERRORS.HBONE_REFUSED,
        retry: 'never',
        cause: { status: head.status, authority: this.#request.head.authority },
      }),
    );
  }

  timedOut(): void {
    if (!this.#settle()) return;
    this.#tunnel.reset();
    const message = `no answer to CONNECT in ${TUNNEL_ANSWER_TIMEOUT_MS} ms`;
    const hint = HBONE_ERRORS.HBONE_NO_ANSWER;
    this.#handler.onFail(
      new MeshError('HBONE_NO_ANSWER', message, { side: 'upstream', hint, retry: 'never' }),
    );
  }

  onData(): void {
    return;
  }

  onDrain(): void {
    return;
  }

  onEnd(): void {
    return;
  }

  onClose(error: MeshError | undefined): void {
    if (!this.#settle()) return;
    if (error !== undefined && !this.#h2.established) {
      this.#handler.onFail(handshakeFailed(error));
      return;
    }
    const hint = HBONE_ERRORS.HBONE_TUNNEL_RESET;
    const message = 'the peer ended the tunnel without an answer';
    this.#handler.onFail(
      error ?? new MeshError('HBONE_TUNNEL_RESET', message, { side: 'upstream', hint }),
    );
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.timer?.cancel();
    return true;
  }
}

function handshakeFailed(cause: MeshError): MeshError {
  return new MeshError('HBONE_HANDSHAKE_FAILED', `no HTTP/2 after TLS: ${cause.message}`, {
    side: 'upstream',
    hint: HBONE_ERRORS.HBONE_HANDSHAKE_FAILED,
    retry: cause.retry,
    cause,
  });
}
