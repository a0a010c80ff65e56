/**
 * One call of a gRPC client on an HTTP/2 stream: messages out and in, and exactly one status at the end, whatever ended it.
 * It exists before its connection does; what is sent meanwhile waits.
 */
import { isMeshError, type MeshError } from '#base/errors.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  ResponseHandler,
} from '../dispatch/dispatch.ts';
import type { MessageHead } from '../dispatch/message-head.ts';
import type { ClientStream, ClientStreamHandler } from './channel.ts';
import { RECEIVE_BYTES_MAX } from './limits.ts';
import { frameMessage, MessageReader } from './message-reader.ts';
import {
  errorOfStatus,
  GRPC_STATUS,
  type GrpcStatus,
  statusOfFields,
  statusOfHttp,
} from './status.ts';

export class ClientCall implements ClientStream, ResponseHandler {
  readonly #head: MessageHead;
  readonly #handler: ClientStreamHandler;
  readonly #reader: MessageReader;
  #exchange: ClientExchange | undefined = undefined;
  /** Framed messages, until the connection is there. */
  #waiting: Uint8Array[] = [];
  #halfClosed = false;
  #over = false;

  constructor(head: MessageHead, handler: ClientStreamHandler) {
    this.#head = head;
    this.#handler = handler;
    this.#reader = new MessageReader(RECEIVE_BYTES_MAX, (bytes) => handler.onMessage(bytes));
  }

  get over(): boolean {
    return this.#over;
  }

  start(connection: HttpClientConnection): void {
    this.#exchange = connection.dispatch(this.#head, false, this);
    for (const bytes of this.#waiting) this.#exchange.sendBody(bytes);
    this.#waiting = [];
    if (this.#halfClosed) this.#exchange.sendEnd();
  }

  send(bytes: Uint8Array): void {
    if (this.#over || this.#halfClosed) return;
    const framed = frameMessage(bytes);
    if (this.#exchange === undefined) this.#waiting.push(framed);
    else this.#exchange.sendBody(framed);
  }

  /** No further message of ours. */
  end(): void {
    this.#halfClosed = true;
    this.#exchange?.sendEnd();
  }

  cancel(): void {
    this.stop({ code: GRPC_STATUS.cancelled, details: 'cancelled by this side' });
  }

  /** Ends it from our side: cancelled, too late, or not to be connected. */
  stop(status: GrpcStatus, cause?: unknown): void {
    if (this.#over) return;
    this.#exchange?.abort();
    this.#finish(errorOfStatus(status, cause));
  }

  onHead(head: MessageHead, end: boolean): void {
    if (head.status >= 100 && head.status < 200) return;
    const status = statusOfFields(head);
    if (head.status !== 200) this.stop(status ?? statusOfHttp(head.status));
    else if (end) this.#ended(status);
  }

  onBody(bytes: Uint8Array): void {
    if (this.#over) return;
    const refusal = this.#reader.feed(bytes);
    if (refusal !== undefined) this.stop({ code: GRPC_STATUS.internal, details: refusal });
  }

  onEnd(trailers: MessageHead | undefined): void {
    this.#ended(trailers === undefined ? undefined : statusOfFields(trailers));
  }

  onError(error: MeshError): void {
    const details = isMeshError(error.cause) ? error.cause.message : error.message;
    // The peer broke this stream alone off; everything else is the connection's end.
    const code = error.code === 'H2_STREAM_RESET' ? GRPC_STATUS.internal : GRPC_STATUS.unavailable;
    this.#finish(errorOfStatus({ code, details }, error));
  }

  onDrain(): void {
    // `sendBody` takes all; the control plane's clients send little.
  }

  #ended(status: GrpcStatus | undefined): void {
    const cut = this.#reader.partial ? 'inside a message' : 'without a status';
    const missing = { code: GRPC_STATUS.internal, details: `the answer ended ${cut}` };
    const whole = status !== undefined && !(status.code === 0 && this.#reader.partial);
    this.#finish(errorOfStatus(whole ? status : missing));
  }

  #finish(error: MeshError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = [];
    this.#reader.stop();
    this.#handler.onClose(error);
  }
}
