/** Gives each request stream of an H2Connection in server role as a `ServerExchange`. */
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import * as code from '#wire/h2/codes.ts';
import type { OnExchange, RequestHandler, ServerExchange } from '../dispatch/dispatch.ts';
import { IGNORE_REQUEST } from '../dispatch/ignore.ts';
import type { MessageHead } from '../dispatch/message-head.ts';
import { BodySender } from './body-sender.ts';
import { H2Connection, type H2Deps, type H2Options } from './connection.ts';
import type { H2Stream, H2StreamHandler } from './stream.ts';

export interface H2ServerOptions extends Partial<H2Options> {
  onClose?: (error: MeshError | undefined) => void;
}

export class H2ServerConnection implements ConnectionHandler {
  private readonly h2: H2Connection;

  constructor(
    connection: Connection,
    deps: H2Deps,
    options: H2ServerOptions,
    onExchange: OnExchange,
  ) {
    this.h2 = new H2Connection(
      connection,
      deps,
      { ...options, role: 'server' },
      {
        onStream: (stream, head, end) => {
          const exchange = new H2ServerExchange(stream, head, end);
          stream.handler = exchange;
          onExchange(exchange);
        },
        onChange: () => undefined,
        onClose: (error) => options.onClose?.(error),
      },
    );
  }

  get active(): number {
    return this.h2.active;
  }

  get closed(): boolean {
    return this.h2.closed;
  }

  /** As `drain`: GOAWAY says the same without a race. */
  retire(): void {
    this.h2.drain();
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

class H2ServerExchange implements ServerExchange, H2StreamHandler {
  readonly request: MessageHead;
  readonly requestEnded: boolean;
  handler: RequestHandler = IGNORE_REQUEST;
  private readonly stream: H2Stream;
  private readonly sender: BodySender;

  constructor(stream: H2Stream, request: MessageHead, requestEnded: boolean) {
    this.stream = stream;
    this.request = request;
    this.requestEnded = requestEnded;
    this.sender = new BodySender(stream);
  }

  sendHead(head: MessageHead, end: boolean): void {
    this.stream.respond(head, end);
    if (end) this.stopReading();
  }

  sendBody(bytes: Uint8Array): boolean {
    return this.sender.send(bytes);
  }

  sendEnd(trailers?: MessageHead): void {
    this.sender.end(trailers);
    this.stopReading();
  }

  abort(): void {
    this.stream.reset(code.INTERNAL_ERROR);
  }

  pauseRequest(): void {
    this.stream.pause();
  }

  resumeRequest(): void {
    this.stream.resume();
  }

  onHead(): void {
    // Client role only.
  }

  onData(bytes: Uint8Array): void {
    this.handler.onBody(bytes);
  }

  onEnd(trailers: MessageHead | undefined): void {
    this.handler.onEnd(trailers);
  }

  onDrain(): void {
    if (!this.sender.drained()) return;
    if (this.sender.ending) this.stopReading();
    else this.handler.onDrain();
  }

  onReset(error: MeshError): void {
    this.handler.onAbort(error);
  }

  /** RFC 9113 §8.1: the response is whole, so the client may stop sending its request. */
  private stopReading(): void {
    if (!this.stream.localOpen && !this.stream.closed) this.stream.reset(code.NO_ERROR);
  }
}
