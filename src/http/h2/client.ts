/** `HttpClientConnection` over an H2Connection in client role. Return it as the handler of the socket. */
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import * as code from '#wire/h2/codes.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  ResponseHandler,
} from '../dispatch/dispatch.ts';
import type { MessageHead } from '../dispatch/message-head.ts';
import { refused } from '../dispatch/refused.ts';
import { httpFault } from '../fault.ts';
import { BodySender } from './body-sender.ts';
import { H2Connection, type H2Deps, type H2Options } from './connection.ts';
import type { H2Stream, H2StreamHandler } from './stream.ts';

export class H2ClientConnection implements HttpClientConnection, ConnectionHandler {
  readonly protocol = 'h2';
  onChange: () => void = () => undefined;
  /** Why the connection is gone; undefined while it lives and after an orderly end. */
  closeError: MeshError | undefined;
  private readonly h2: H2Connection;

  constructor(connection: Connection, deps: H2Deps, options: Partial<H2Options> = {}) {
    this.h2 = new H2Connection(
      connection,
      deps,
      { ...options, role: 'client' },
      {
        onStream: (stream) => stream.reset(code.PROTOCOL_ERROR),
        onChange: () => this.onChange(),
        onClose: (error) => {
          this.closeError = error;
          this.onChange();
        },
      },
    );
  }

  get capacity(): number {
    return this.h2.capacity;
  }

  get active(): number {
    return this.h2.active;
  }

  get closed(): boolean {
    return this.h2.closed;
  }

  /** The peer's SETTINGS have come: it does speak HTTP/2. */
  get established(): boolean {
    return this.h2.established;
  }

  dispatch(head: MessageHead, end: boolean, handler: ResponseHandler): ClientExchange {
    if (head.upgrade !== '') {
      const text = `upgrade to ${head.upgrade} was asked for on an HTTP/2 connection`;
      return refused(handler, httpFault('HTTP_UPGRADE_UNSUPPORTED', text, { side: 'config' }));
    }
    const exchange = new H2ClientExchange(handler);
    const stream = this.h2.openStream(head, end, exchange);
    if (stream === undefined) {
      const text = 'the HTTP/2 connection is draining or has no free stream';
      return refused(handler, httpFault('HTTP_NO_CAPACITY', text, { side: 'self', retry: 'safe' }));
    }
    exchange.start(stream);
    return exchange;
  }

  drain(): void {
    this.h2.drain();
  }

  close(): void {
    this.h2.close();
  }

  onData(bytes: Uint8Array): void {
    this.h2.onData(bytes);
  }

  onDrain(): void {
    this.h2.onDrain();
  }

  onEnd(): void {
    this.h2.onEnd();
  }

  onClose(error: MeshError | undefined): void {
    this.h2.onClose(error);
  }
}

class H2ClientExchange implements ClientExchange, H2StreamHandler {
  private stream: H2Stream | undefined;
  private sender: BodySender | undefined;
  private readonly handler: ResponseHandler;

  constructor(handler: ResponseHandler) {
    this.handler = handler;
  }

  start(stream: H2Stream): void {
    this.stream = stream;
    this.sender = new BodySender(stream);
  }

  sendBody(bytes: Uint8Array): boolean {
    return this.sender?.send(bytes) ?? true;
  }

  sendEnd(trailers?: MessageHead): void {
    this.sender?.end(trailers);
  }

  abort(): void {
    this.stream?.reset(code.CANCEL);
  }

  pauseResponse(): void {
    this.stream?.pause();
  }

  resumeResponse(): void {
    this.stream?.resume();
  }

  onHead(head: MessageHead, end: boolean): void {
    this.handler.onHead(head, end);
    if (end) this.stopSending();
  }

  onData(bytes: Uint8Array): void {
    this.handler.onBody(bytes);
  }

  onEnd(trailers: MessageHead | undefined): void {
    this.handler.onEnd(trailers);
    this.stopSending();
  }

  onDrain(): void {
    if (this.sender?.drained() && !this.sender.ending) this.handler.onDrain();
  }

  onReset(error: MeshError): void {
    this.handler.onError(error);
  }

  /** The response is whole: the rest of the request serves nobody. */
  private stopSending(): void {
    const { stream } = this;
    if (stream?.localOpen) stream.reset(code.NO_ERROR);
  }
}
