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
import { withoutKey } from '../websocket.ts';
import { BodySender } from './body-sender.ts';
import { H2Connection, type H2Deps, type H2Options } from './connection.ts';
import type { H2Stream, H2StreamHandler } from './stream.ts';

export class H2ClientConnection implements HttpClientConnection, ConnectionHandler {
  readonly protocol = 'h2';
  onChange: () => void = () => undefined;
  /** Why the connection is gone; undefined while it lives and after an orderly end. */
  closeError: MeshError | undefined;
  private readonly h2: H2Connection;
  /** Upgrades that wait for the peer's SETTINGS, which say whether it takes them. */
  private upgrades: (() => void)[] = [];

  constructor(connection: Connection, deps: H2Deps, options: Partial<H2Options> = {}) {
    this.h2 = new H2Connection(
      connection,
      deps,
      { ...options, role: 'client' },
      {
        onStream: (stream) => stream.reset(code.PROTOCOL_ERROR),
        onChange: () => {
          if (this.upgrades.length > 0 && this.h2.established) this.startUpgrades();
          this.onChange();
        },
        onClose: (error) => {
          this.closeError = error;
          this.startUpgrades();
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
    if (head.upgrade !== '') return this.upgrade(head, end, handler);
    const exchange = new H2ClientExchange(handler, '');
    const stream = this.h2.openStream(head, end, exchange);
    if (stream === undefined) return refused(handler, noCapacity());
    exchange.start(stream);
    return exchange;
  }

  /** RFC 8441 §3: not before SETTINGS said so. */
  private upgrade(head: MessageHead, end: boolean, handler: ResponseHandler): ClientExchange {
    const { h2 } = this;
    if (this.capacity === 0) return refused(handler, noCapacity());
    // HTTP/1.1 may offer several protocols, HTTP/2 asks for one.
    const protocol = head.upgrade.split(',')[0].trim();
    const request = withoutKey(head);
    request.upgrade = protocol;
    const exchange = new H2ClientExchange(handler, protocol);
    const start = () => {
      if (exchange.given) return;
      if (!h2.connectProtocol && !h2.closed) {
        const text = `the peer takes no upgrade to ${protocol} over HTTP/2`;
        exchange.refuse(httpFault('HTTP_UPGRADE_UNSUPPORTED', text, { side: 'upstream' }));
        return;
      }
      const stream = h2.openStream(request, end, exchange);
      if (stream === undefined) exchange.refuse(noCapacity());
      else exchange.start(stream);
    };
    if (!h2.established) this.upgrades.push(start);
    else if (h2.connectProtocol) start();
    else queueMicrotask(start);
    return exchange;
  }

  private startUpgrades(): void {
    const { upgrades } = this;
    this.upgrades = [];
    for (const start of upgrades) start();
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

function noCapacity(): MeshError {
  const text = 'the HTTP/2 connection is draining or has no free stream';
  return httpFault('HTTP_NO_CAPACITY', text, { side: 'self', retry: 'safe' });
}

class H2ClientExchange implements ClientExchange, H2StreamHandler {
  private stream: H2Stream | undefined;
  private sender: BodySender | undefined;
  /** The caller gave up before there was a stream. */
  given = false;
  private readonly handler: ResponseHandler;
  private readonly upgrade: string;

  constructor(handler: ResponseHandler, upgrade: string) {
    this.handler = handler;
    this.upgrade = upgrade;
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

  /** Before there was a stream. */
  refuse(error: MeshError): void {
    if (!this.given) this.handler.onError(error);
  }

  abort(): void {
    this.given = true;
    this.stream?.reset(code.CANCEL);
  }

  pauseResponse(): void {
    this.stream?.pause();
  }

  resumeResponse(): void {
    this.stream?.resume();
  }

  onHead(head: MessageHead, end: boolean): void {
    if (this.upgrade !== '' && head.status >= 200 && head.status < 300) {
      head.status = 101;
      head.upgrade = this.upgrade;
    }
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
