/** One call that is being served on an HTTP/2 stream: messages in and out, and the status that ends it. */
import type { RequestHandler, ServerExchange } from '../dispatch/dispatch.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { SERVER_RECEIVE_BYTES_MAX } from './limits.ts';
import { frameMessage, MessageReader } from './message-reader.ts';
import { GRPC_STATUS, type GrpcStatus, putStatus } from './status.ts';

export interface CallContext {
  /** `ip:port` of the client. */
  readonly peer: string;
  /** URIs of the certificate that the client proved, where the server asks for one. */
  readonly principals: readonly string[];
  /** First value of a request header, lower-case name. */
  header(name: string): string | undefined;
}

export interface ServerStream extends CallContext {
  send(bytes: Uint8Array): void;
  /** Ends the call; later messages of the client are dropped. */
  close(status: GrpcStatus): void;
}

export interface ServerStreamHandler {
  onMessage(bytes: Uint8Array): void;
  /** The client sends nothing more. Left out: the call ends in good order. */
  onEnd?(): void;
  /** Exactly once: the client left, the connection broke, or `close` was called. */
  onClose(): void;
}

const CONTENT_TYPE = 'application/grpc';

export class ServerCall implements ServerStream, RequestHandler {
  readonly peer: string;
  readonly principals: readonly string[];
  readonly #exchange: ServerExchange;
  readonly #reader: MessageReader;
  #handler: ServerStreamHandler | undefined = undefined;
  #headSent = false;
  #over = false;

  constructor(exchange: ServerExchange, client: Pick<CallContext, 'peer' | 'principals'>) {
    this.peer = client.peer;
    this.principals = client.principals;
    this.#exchange = exchange;
    this.#reader = new MessageReader(SERVER_RECEIVE_BYTES_MAX, (bytes) =>
      this.#handler?.onMessage(bytes),
    );
    exchange.handler = this;
  }

  /** What ended before it was set has told nobody yet. */
  set handler(handler: ServerStreamHandler) {
    this.#handler = handler;
    if (this.#over) handler.onClose();
    else if (this.#exchange.requestEnded) this.onEnd();
  }

  header(name: string): string | undefined {
    return this.#exchange.request.get(name);
  }

  send(bytes: Uint8Array): void {
    if (this.#over) return;
    if (!this.#headSent) this.#exchange.sendHead(responseHead(), false);
    this.#headSent = true;
    this.#exchange.sendBody(frameMessage(bytes));
  }

  close(status: GrpcStatus): void {
    if (this.#over) return;
    if (this.#headSent) {
      const trailers = new MessageHead();
      putStatus(trailers, status);
      this.#exchange.sendEnd(trailers);
    } else {
      const head = responseHead();
      putStatus(head, status);
      this.#exchange.sendHead(head, true);
    }
    this.#finish();
  }

  onBody(bytes: Uint8Array): void {
    const refusal = this.#reader.feed(bytes);
    if (refusal !== undefined) this.close({ code: GRPC_STATUS.internal, details: refusal });
  }

  onEnd(): void {
    if (this.#over) return;
    const handler = this.#handler;
    if (this.#reader.partial) {
      this.close({ code: GRPC_STATUS.internal, details: 'the request ended inside a message' });
    } else if (handler?.onEnd === undefined) this.close({ code: GRPC_STATUS.ok, details: '' });
    else handler.onEnd();
  }

  onAbort(): void {
    this.#finish();
  }

  onDrain(): void {
    // `sendBody` takes all; the push server waits for ACKs before it sends more.
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#reader.stop();
    this.#handler?.onClose();
  }
}

function responseHead(): MessageHead {
  const head = MessageHead.response(200);
  head.add('content-type', CONTENT_TYPE);
  return head;
}
