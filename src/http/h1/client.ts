/**
 * Speaks HTTP/1.1 to an upstream on a `Connection`: one exchange at a time, the connection kept for the next.
 * Return it as the handler of the socket.
 *
 *   IDLE → HEAD → BODY → IDLE …      101, or 2xx to CONNECT → RAW      anything unexpected → CLOSED
 */
import { asBuffer } from '#base/bytes.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { MeshError, RetrySafety } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { BODY_NONE, BODY_UNTIL_CLOSE, responseBody } from '#wire/h1/body.ts';
import { H1_REASON } from '#wire/h1/reasons.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  ResponseHandler,
} from '../dispatch/dispatch.ts';
import { isTunnel, type MessageHead } from '../dispatch/message-head.ts';
import { refused } from '../dispatch/refused.ts';
import type { HttpErrorCode } from '../errors.ts';
import { httpFault } from '../fault.ts';
import * as limits from '../limits.ts';
import { Output } from '../output.ts';
import { giveKey } from '../websocket.ts';
import { BodyReader, END, PIECE } from './body-reader.ts';
import {
  BodyWriter,
  WRITE_CHUNKED,
  WRITE_LENGTH,
  WRITE_NOTHING,
  WRITE_RAW,
} from './body-writer.ts';
import { buildResponse } from './head-builder.ts';
import { HeadReader } from './head-reader.ts';
import * as writer from './head-writer.ts';

const IDLE = 0;
const HEAD = 1;
const BODY = 2;
const RAW = 3;
const CLOSED = 4;

export class H1ClientConnection implements HttpClientConnection, ConnectionHandler {
  readonly protocol = 'h1';
  onChange: () => void = () => undefined;
  readonly output: Output;
  /** Of the running exchange: there is one at a time. */
  readonly bodyWriter: BodyWriter;
  private state = IDLE;
  private readonly connection: Connection;
  private readonly clock: Clock;
  private readonly head = new HeadReader();
  private readonly body = new BodyReader();
  private exchange: H1ClientExchange | undefined;
  private ahead: Buffer | undefined;
  private paused = false;
  private socketPaused = false;
  private linger: Timer | undefined;
  private processing = false;
  private draining = false;
  private persistent = true;
  private exchanges = 0;
  /** Of the running exchange. */
  private informationals = 0;
  private responseBegun = false;
  /** It ended as a tunnel: what breaks off there is no response. */
  private tunnel = false;

  constructor(connection: Connection, deps: { clock: Clock }) {
    this.connection = connection;
    this.clock = deps.clock;
    this.output = new Output(connection, limits.H1_OUTPUT_BYTES);
    this.bodyWriter = new BodyWriter(this.output);
  }

  get capacity(): number {
    return this.state === IDLE && !this.draining && this.exchange === undefined ? 1 : 0;
  }

  get active(): number {
    return this.exchange === undefined ? 0 : 1;
  }

  get closed(): boolean {
    return this.state === CLOSED;
  }

  dispatch(head: MessageHead, end: boolean, handler: ResponseHandler): ClientExchange {
    if (this.capacity === 0) {
      const text = 'the HTTP/1.1 connection is busy or closed';
      return refused(handler, httpFault('HTTP_NO_CAPACITY', text, { side: 'self', retry: 'safe' }));
    }
    const exchange = new H1ClientExchange(this, head, handler);
    this.exchanges += 1;
    this.exchange = exchange;
    this.responseBegun = false;
    this.informationals = 0;
    this.state = HEAD;
    this.head.start('response');
    exchange.begin(end);
    return exchange;
  }

  drain(): void {
    if (this.draining) return;
    this.draining = true;
    if (this.state === IDLE) this.shut();
    else this.onChange();
  }

  /** Breaks off at once. */
  close(): void {
    this.fail('HTTP_CLOSED_BY_US', 'closed by this side', 'self');
  }

  onData(bytes: Uint8Array): void {
    if (this.state === CLOSED) return;
    const chunk = asBuffer(bytes);
    if (this.ahead !== undefined || this.processing) {
      this.setAside(chunk, 0);
      return;
    }
    this.process(chunk);
    this.goOn();
  }

  onDrain(): void {
    if (this.output.drained()) this.exchange?.drained();
  }

  onEnd(): void {
    if (this.state === RAW) this.exchange?.responseEnded(undefined);
    else this.ended(undefined);
  }

  onClose(error: MeshError | undefined): void {
    this.linger?.cancel();
    if (this.state !== RAW || error !== undefined) {
      this.ended(error);
      return;
    }
    this.state = CLOSED;
    this.exchange = undefined;
    this.onChange();
  }

  // ── for the exchange ──

  pauseResponse(): void {
    this.paused = true;
    this.socketPaused = true;
    this.connection.pause();
  }

  resumeResponse(): void {
    this.paused = false;
    this.goOn();
  }

  /** The caller gave up: an unread response makes the connection useless. */
  abandon(): void {
    this.exchange = undefined;
    if (this.state === CLOSED) return;
    this.state = CLOSED;
    this.connection.reset();
    this.onChange();
  }

  broken(code: HttpErrorCode, text: string): void {
    this.fail(code, text, 'downstream');
  }

  // ── reading ──

  private process(chunk: Buffer): void {
    this.processing = true;
    let at = 0;
    while (at < chunk.length && this.state !== CLOSED) {
      if (this.paused) {
        this.setAside(chunk, at);
        break;
      }
      if (this.state === HEAD) at = this.readHead(chunk, at);
      else if (this.state === BODY) at = this.readBody(chunk, at);
      else if (this.state === RAW) {
        this.exchange?.handler.onBody(at === 0 ? chunk : chunk.subarray(at));
        break;
      } else {
        this.fail('H1_BAD_MESSAGE', 'bytes came behind the response', 'upstream');
        break;
      }
    }
    this.processing = false;
    if (this.state === IDLE && this.exchange !== undefined) this.exchange.responseOver();
  }

  /** Works on what was set aside, then lets the socket run again. */
  private goOn(): void {
    if (this.processing) return;
    while (this.ahead !== undefined && !this.paused && this.state !== CLOSED) {
      const chunk = this.ahead;
      this.ahead = undefined;
      this.process(chunk);
    }
    if (!this.socketPaused || this.paused || this.state === CLOSED) return;
    this.socketPaused = false;
    this.connection.resume();
  }

  private readHead(chunk: Buffer, at: number): number {
    this.responseBegun = true;
    const after = this.head.read(chunk, at, chunk.length);
    if (after < 0) {
      this.fail('H1_BAD_MESSAGE', H1_REASON[after], 'upstream');
      return chunk.length;
    }
    if (after === 0) return chunk.length;
    const { exchange } = this;
    if (exchange === undefined) return chunk.length;
    const { framing } = this.head.parser;
    const head = buildResponse(this.head);
    if (head.status < 200 && head.status !== 101) {
      this.informational(head, exchange);
      return after;
    }
    if (head.status === 101 || (exchange.wantsConnect && head.status < 300)) {
      return this.switchToRaw(head, exchange, after);
    }
    const kind = responseBody(framing, head.status, exchange.toHead);
    this.persistent = framing.persistent && kind !== BODY_UNTIL_CLOSE;
    this.body.start(kind, framing.contentLength);
    this.state = BODY;
    exchange.handler.onHead(head, kind === BODY_NONE);
    if (kind === BODY_NONE && this.exchange === exchange) this.responseEnded(undefined, false);
    return after;
  }

  /** RFC 9110 §15.2: a proxy passes them on, 100 too: it answers an Expect of the client's. */
  private informational(head: MessageHead, exchange: H1ClientExchange): void {
    this.informationals += 1;
    if (this.informationals > limits.INFORMATIONALS_MAX) {
      this.fail('H1_BAD_MESSAGE', 'it sent too many informational responses', 'upstream');
      return;
    }
    exchange.handler.onHead(head, false);
    if (this.state === HEAD) this.head.start('response');
  }

  private switchToRaw(head: MessageHead, exchange: H1ClientExchange, after: number): number {
    if (head.status === 101 && !exchange.wantsUpgrade) {
      this.fail('H1_BAD_MESSAGE', 'it switched protocols unasked', 'upstream');
      return after;
    }
    this.state = RAW;
    exchange.switchToRaw();
    exchange.handler.onHead(head, false);
    return after;
  }

  private readBody(chunk: Buffer, at: number): number {
    const { body, exchange } = this;
    if (exchange === undefined) return chunk.length;
    const result = body.next(chunk, at, chunk.length);
    if (result === PIECE) {
      const whole = body.pieceStart === 0 && body.at === chunk.length;
      exchange.handler.onBody(whole ? chunk : chunk.subarray(body.pieceStart, body.at));
      if (body.remaining === 0 && this.exchange === exchange) this.responseEnded(undefined, true);
      return body.at;
    }
    if (result === END) {
      this.responseEnded(body.trailers, true);
      return body.at;
    }
    if (result < 0) this.fail('H1_BAD_MESSAGE', H1_REASON[result], 'upstream');
    return chunk.length;
  }

  private responseEnded(trailers: MessageHead | undefined, tell: boolean): void {
    this.state = IDLE;
    if (tell) this.exchange?.handler.onEnd(trailers);
    if (!this.processing) this.exchange?.responseOver();
  }

  private setAside(chunk: Buffer, at: number): void {
    const rest = chunk.subarray(at);
    this.ahead = this.ahead === undefined ? Buffer.from(rest) : Buffer.concat([this.ahead, rest]);
  }

  // ── ending ──

  /** Response and request are both over. */
  free(): void {
    this.exchange = undefined;
    // A reader that paused in the last piece cannot resume any more.
    this.resumeResponse();
    if (this.state === CLOSED) return;
    if (!this.persistent || this.draining) this.shut();
    else this.onChange();
  }

  /** FIN, and the socket given up. */
  private shut(): void {
    if (this.state === CLOSED) return;
    this.state = CLOSED;
    this.linger = this.clock.after(limits.CLOSE_LINGER_MS, () => this.connection.reset());
    this.output.finish();
    this.onChange();
  }

  private fail(code: HttpErrorCode, text: string, side: 'upstream' | 'self' | 'downstream'): void {
    if (this.state === CLOSED) return;
    const answered = this.state === IDLE;
    this.state = CLOSED;
    const { exchange } = this;
    this.exchange = undefined;
    this.connection.reset();
    if (answered) exchange?.forget();
    else exchange?.fail(httpFault(code, text, { side }));
    this.onChange();
  }

  /** The peer closed. */
  private ended(cause: MeshError | undefined): void {
    const { exchange, state } = this;
    if (state === CLOSED) {
      this.exchange = undefined;
      return;
    }
    if (state === BODY && this.body.untilClose && cause === undefined) {
      this.persistent = false;
      this.responseEnded(undefined, true);
      this.shut();
      return;
    }
    this.tunnel = state === RAW;
    this.state = CLOSED;
    this.exchange = undefined;
    if (cause === undefined) this.output.finish();
    exchange?.fail(this.lost(cause, exchange));
    this.onChange();
  }

  /** RFC 9110 §9.2.2: a reused connection that closes unanswered most likely never saw the request. */
  private lost(cause: MeshError | undefined, exchange: H1ClientExchange): MeshError {
    const reused = this.exchanges > 1 && !this.responseBegun;
    let retry: RetrySafety = reused ? 'reused-connection-only' : 'never';
    if (!exchange.anyByteLeft) retry = 'safe';
    let code: HttpErrorCode = reused ? 'H1_REUSED_CONNECTION_CLOSED' : 'H1_UNEXPECTED_CLOSE';
    if (this.responseBegun && !this.tunnel) code = 'H1_RESPONSE_CUT';
    const text = `the upstream closed the connection ${this.responseBegun ? 'inside' : 'before'} its response`;
    return httpFault(code, text, { side: 'upstream', retry, cause });
  }
}

class H1ClientExchange implements ClientExchange {
  readonly handler: ResponseHandler;
  readonly toHead: boolean;
  readonly wantsUpgrade: boolean;
  readonly wantsConnect: boolean;
  private readonly connection: H1ClientConnection;
  private readonly request: MessageHead;
  private readonly body: BodyWriter;
  private requestDone = false;
  private over = false;
  private wantsDrain = false;
  private takenBefore = 0;
  private raw = false;

  constructor(connection: H1ClientConnection, request: MessageHead, handler: ResponseHandler) {
    this.connection = connection;
    this.request = request;
    this.handler = handler;
    this.toHead = request.method === 'HEAD';
    this.wantsUpgrade = request.upgrade !== '';
    this.wantsConnect = request.method === 'CONNECT';
    this.body = connection.bodyWriter;
  }

  /** Whether the socket took a byte of this request. */
  get anyByteLeft(): boolean {
    return this.connection.output.taken > this.takenBefore;
  }

  begin(end: boolean): void {
    const { request } = this;
    const { output } = this.connection;
    this.takenBefore = output.taken;
    const framing = this.frame(end);
    writer.writeRequestHead(giveKey(request), output, framing, writer.CONNECTION_SILENT);
    const tunnel = isTunnel(request);
    if (end || tunnel) {
      this.requestDone = end && !tunnel;
      output.flush();
    }
  }

  sendBody(bytes: Uint8Array): boolean {
    if (this.over || this.requestDone) return true;
    if (!this.body.write(bytes)) {
      const text = 'the request body is longer than its Content-Length';
      this.connection.broken('H1_BODY_LENGTH', text);
      return true;
    }
    if (this.connection.output.roomBelow(limits.BODY_HIGH_BYTES)) return true;
    this.wantsDrain = true;
    return false;
  }

  sendEnd(trailers?: MessageHead): void {
    if (this.over || this.requestDone) return;
    if (!this.body.end(trailers)) {
      const text = 'the request body is shorter than its Content-Length';
      this.connection.broken('H1_BODY_LENGTH', text);
      return;
    }
    this.requestDone = true;
    if (this.raw) this.connection.output.finish();
    else this.connection.output.flush();
  }

  abort(): void {
    if (this.over) return;
    this.over = true;
    this.connection.abandon();
  }

  pauseResponse(): void {
    if (!this.over) this.connection.pauseResponse();
  }

  resumeResponse(): void {
    if (!this.over) this.connection.resumeResponse();
  }

  // ── for the connection ──

  switchToRaw(): void {
    this.raw = true;
    this.body.start(WRITE_RAW, 0);
  }

  responseEnded(trailers: MessageHead | undefined): void {
    if (!this.over) this.handler.onEnd(trailers);
  }

  /** The response is whole. An early one ends the exchange: the rest of the request would be for nobody. */
  responseOver(): void {
    if (this.over) return;
    this.over = true;
    if (this.requestDone) this.connection.free();
    else this.connection.abandon();
  }

  drained(): void {
    if (!this.wantsDrain || this.over) return;
    this.wantsDrain = false;
    this.handler.onDrain();
  }

  /** The response was whole; what broke the connection is not its business. */
  forget(): void {
    this.over = true;
  }

  fail(error: MeshError): void {
    if (this.over) return;
    this.over = true;
    this.handler.onError(error);
  }

  private frame(end: boolean): number {
    const { request } = this;
    if (isTunnel(request)) {
      this.body.start(WRITE_NOTHING, 0);
      return writer.FRAME_AS_IS;
    }
    const length = request.get('content-length');
    if (length !== undefined) {
      this.body.start(WRITE_LENGTH, Number(length));
      return writer.FRAME_AS_IS;
    }
    if (!end) {
      this.body.start(WRITE_CHUNKED, 0);
      return writer.FRAME_CHUNKED;
    }
    this.body.start(WRITE_NOTHING, 0);
    const { method } = request;
    // RFC 9110 §8.6: methods that may have a body say that there is none.
    const mayHaveBody = method === 'POST' || method === 'PUT' || method === 'PATCH';
    return mayHaveBody ? writer.FRAME_EMPTY : writer.FRAME_AS_IS;
  }
}
