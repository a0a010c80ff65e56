/**
 * Serves HTTP/1.1 on a `Connection`, one exchange after the other (RFC 9112 §9.3). Return it as the handler of
 * the socket. Bytes that a client sends ahead wait, with the socket paused.
 *
 *   HEAD → BODY → WAIT (request read, response running) → HEAD …      101, or 2xx to CONNECT → RAW      error → CLOSED
 */
import { asBuffer } from '#base/bytes.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { BODY_NONE, requestBody } from '#wire/h1/body.ts';
import * as reason from '#wire/h1/reasons.ts';
import type { OnExchange } from '../dispatch/dispatch.ts';
import { isTunnel, MessageHead } from '../dispatch/message-head.ts';
import { httpFault } from '../fault.ts';
import * as limits from '../limits.ts';
import { Output } from '../output.ts';
import { type Sweepable, type Sweeper, sweeperOf } from '../sweeper.ts';
import { BodyReader, END, PIECE } from './body-reader.ts';
import { BodyWriter } from './body-writer.ts';
import { buildRequest } from './head-builder.ts';
import { HeadReader } from './head-reader.ts';
import { CONNECTION_CLOSE, FRAME_EMPTY, writeResponseHead } from './head-writer.ts';
import { H1ServerExchange } from './server-exchange.ts';

export interface H1ServerOptions {
  /** `scheme` of the requests. */
  scheme?: 'http' | 'https';
  /** A head must be whole this long after its first byte. */
  headTimeoutMs?: number;
  /** Between two requests. */
  idleTimeoutMs?: number;
  /** Between two pieces of a request body that has no answer yet. */
  bodyIdleTimeoutMs?: number;
  /** Bytes that never became a request were answered so. */
  onRefused?: (status: number, error: MeshError) => void;
  /** Once, when the connection is gone. Undefined after an orderly end. */
  onClose?: (error: MeshError | undefined) => void;
}

const DOWNSTREAM = { side: 'downstream' } as const;
const HEAD = 0;
const BODY = 1;
const WAIT = 2;
const RAW = 3;
const CLOSED = 4;

export class H1ServerConnection implements ConnectionHandler, Sweepable {
  readonly output: Output;
  /** Of the running exchange: there is one at a time. */
  readonly bodyWriter: BodyWriter;
  draining = false;
  private state = HEAD;
  private readonly connection: Connection;
  private readonly options: H1ServerOptions;
  private readonly onExchange: OnExchange;
  private readonly clock: Clock;
  private readonly sweeper: Sweeper;
  private readonly head = new HeadReader();
  private readonly body = new BodyReader();
  private exchange: H1ServerExchange | undefined;
  /** Bytes that came while nothing could be done with them. */
  private ahead: Buffer | undefined;
  private requestPaused = false;
  private processing = false;
  private discarded = 0;
  private quietSince: number;
  private closeTold = false;
  private socketPaused = false;
  private linger: Timer | undefined;

  constructor(
    connection: Connection,
    deps: { clock: Clock },
    options: H1ServerOptions,
    onExchange: OnExchange,
  ) {
    this.connection = connection;
    this.clock = deps.clock;
    this.options = options;
    this.onExchange = onExchange;
    this.output = new Output(connection, limits.H1_OUTPUT_BYTES);
    this.bodyWriter = new BodyWriter(this.output);
    this.sweeper = sweeperOf(deps.clock);
    this.sweeper.enroll(this);
    this.quietSince = this.sweeper.now;
    this.head.start('request');
  }

  get active(): number {
    return this.exchange === undefined ? 0 : 1;
  }

  get closed(): boolean {
    return this.state === CLOSED;
  }

  /** The running or the next exchange ends with `Connection: close`: a client that is about to send finds nobody gone. */
  retire(): void {
    this.draining = true;
  }

  /** Finishes the running exchange with `Connection: close`, then closes; an idle connection closes now. */
  drain(): void {
    this.draining = true;
    if (this.exchange === undefined && !this.head.begun) this.shut(undefined);
  }

  /** Breaks off at once. */
  close(): void {
    this.break(httpFault('HTTP_CLOSED_BY_US', 'closed by this side', { side: 'self' }));
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
    if (this.state === RAW) {
      this.exchange?.rawEnded();
      return;
    }
    // As nginx and Envoy: a client that is gone does not wait for its answer.
    const text = 'the client closed the connection before its exchange was over';
    const within = this.exchange !== undefined || this.head.begun;
    this.shut(within ? httpFault('H1_UNEXPECTED_CLOSE', text, DOWNSTREAM) : undefined);
  }

  onClose(error: MeshError | undefined): void {
    this.linger?.cancel();
    this.tellClosed(error);
  }

  sweep(nowMs: number): void {
    const quiet = nowMs - this.quietSince;
    const headLate = quiet > (this.options.headTimeoutMs ?? limits.HEAD_TIMEOUT_MS);
    if (this.state === BODY) this.sweepBody(quiet, headLate);
    if (this.state !== HEAD || this.exchange !== undefined) return;
    if (!this.head.begun) {
      if (quiet > (this.options.idleTimeoutMs ?? limits.IDLE_TIMEOUT_MS)) this.shut(undefined);
      return;
    }
    if (!headLate) return;
    this.refuse(408, httpFault('H1_HEAD_TIMEOUT', 'no whole request head in time', DOWNSTREAM));
  }

  private sweepBody(quiet: number, headLate: boolean): void {
    const { exchange, options } = this;
    if (exchange?.responseDone) {
      if (headLate) this.shut(undefined);
      return;
    }
    if (exchange === undefined || exchange.headSent || this.requestPaused) return;
    if (quiet <= (options.bodyIdleTimeoutMs ?? limits.BODY_IDLE_TIMEOUT_MS)) return;
    const text = 'the request body did not go on in time';
    this.refuse(408, httpFault('HTTP_BODY_TIMEOUT', text, DOWNSTREAM));
  }

  // ── for the exchange ──

  pauseRequest(): void {
    this.requestPaused = true;
    this.pauseSocket();
  }

  resumeRequest(): void {
    if (!this.requestPaused) return;
    this.requestPaused = false;
    this.quietSince = this.sweeper.now;
    this.goOn();
  }

  /** A tunnel is open: both directions are raw bytes from here on. */
  switchToRaw(): void {
    this.state = RAW;
    this.goOn();
  }

  rawFinished(): void {
    this.output.finish();
    this.linger ??= this.clock.after(limits.TUNNEL_LINGER_MS, () => this.connection.reset());
  }

  /** The response is whole. `reusable` false: it was framed by the end of the connection. */
  responseEnded(reusable: boolean): void {
    this.output.flush();
    if (this.state === RAW) {
      this.rawFinished();
      return;
    }
    const tooMuch = this.state === BODY && this.body.remaining > limits.DISCARD_BYTES_MAX;
    if (!reusable || (tooMuch && Number.isFinite(this.body.remaining))) {
      this.exchange = undefined;
      this.shut(undefined);
    } else if (this.state === WAIT) this.nextRequest();
    else {
      // The rest of the request is read and dropped (see `deliver`), so that the connection can go on.
      this.discarded = 0;
      this.quietSince = this.sweeper.now;
      this.resumeRequest();
    }
  }

  /** The response is cut. Where its framing does not show that, a reset does: the client must not take it for a whole one. */
  break(error: MeshError): void {
    if (this.state === CLOSED) return;
    if (this.exchange?.headSent && this.bodyWriter.endsItself) {
      this.shut(error);
      return;
    }
    this.end(error);
    this.connection.reset();
    this.tellClosed(error);
  }

  // ── reading ──

  private process(chunk: Buffer): void {
    this.processing = true;
    let at = 0;
    while (at >= 0 && at < chunk.length && this.state !== CLOSED) {
      if (this.state === WAIT || this.requestPaused) {
        this.setAside(chunk, at);
        break;
      }
      if (this.state === HEAD) at = this.readHead(chunk, at);
      else if (this.state === BODY) at = this.readBody(chunk, at);
      else {
        this.exchange?.rawBytes(at === 0 ? chunk : chunk.subarray(at));
        break;
      }
    }
    this.processing = false;
  }

  private readHead(chunk: Buffer, at: number): number {
    if (!this.head.begun) this.quietSince = this.sweeper.now;
    const after = this.head.read(chunk, at, chunk.length);
    if (after === reason.BAD_VERSION && !isHttp(this.head.seen(chunk, at))) {
      this.shutForeign();
      return -1;
    }
    if (after < 0) {
      this.refuse(
        statusOf(after),
        httpFault('H1_BAD_MESSAGE', reason.H1_REASON[after], DOWNSTREAM),
      );
      return -1;
    }
    if (after === 0) return chunk.length;
    this.beginExchange();
    return after;
  }

  private beginExchange(): void {
    const { framing } = this.head.parser;
    const request = buildRequest(this.head, this.options.scheme ?? 'http');
    if (typeof request === 'string') {
      this.refuse(400, httpFault('H1_BAD_MESSAGE', request, DOWNSTREAM));
      return;
    }
    if (framing.unknownExpectation) {
      const text = 'it expects what nobody knows';
      this.refuse(417, httpFault('HTTP_EXPECTATION', text, DOWNSTREAM));
      return;
    }
    const kind = requestBody(framing);
    if (request.method === 'CONNECT' && (kind !== BODY_NONE || framing.contentLength === 0)) {
      // RFC 9110 §9.3.6: there is no body, and what frames one would hide where the tunnel begins.
      this.refuse(400, httpFault('H1_BAD_MESSAGE', 'CONNECT has a body', DOWNSTREAM));
      return;
    }
    // An upgrade is for requests without a body; with one it is ignored (RFC 9110 §7.8 lets us).
    if (kind !== BODY_NONE || framing.minor === 0) request.upgrade = '';
    const ended = kind === BODY_NONE && !isTunnel(request);
    this.body.start(kind, framing.contentLength);
    this.state = kind === BODY_NONE ? WAIT : BODY;
    const awaitsContinue = framing.continue && framing.minor === 1 && kind !== BODY_NONE;
    const { minor, persistent } = framing;
    const http = { minor, persistent, awaitsContinue };
    const exchange = new H1ServerExchange(this, request, ended, http);
    this.exchange = exchange;
    this.onExchange(exchange);
  }

  private readBody(chunk: Buffer, at: number): number {
    const { body } = this;
    this.quietSince = this.sweeper.now;
    const result = body.next(chunk, at, chunk.length);
    if (result === PIECE) {
      const whole = body.pieceStart === 0 && body.at === chunk.length;
      this.deliver(whole ? chunk : chunk.subarray(body.pieceStart, body.at));
      // A length-framed body ends with its last byte: no further byte will come to say so.
      if (body.remaining === 0 && this.state === BODY) this.requestEnded();
      return body.at;
    }
    if (result === END) {
      this.requestEnded();
      return body.at;
    }
    if (result < 0) {
      const error = httpFault('H1_BAD_MESSAGE', reason.H1_REASON[result], DOWNSTREAM);
      if (this.exchange?.headSent) this.break(error);
      else this.refuse(400, error);
      return -1;
    }
    return chunk.length;
  }

  private deliver(bytes: Buffer): void {
    const { exchange } = this;
    if (exchange === undefined) return;
    if (!exchange.responseDone) {
      exchange.handler.onBody(bytes);
      return;
    }
    this.discarded += bytes.length;
    if (this.discarded <= limits.DISCARD_BYTES_MAX) return;
    this.exchange = undefined;
    this.shut(undefined);
  }

  private requestEnded(): void {
    const { exchange } = this;
    this.state = WAIT;
    if (exchange === undefined) return;
    if (exchange.responseDone) this.nextRequest();
    else exchange.handler.onEnd(this.body.trailers);
  }

  private nextRequest(): void {
    this.exchange = undefined;
    if (this.draining) {
      this.shut(undefined);
      return;
    }
    this.state = HEAD;
    this.requestPaused = false;
    this.quietSince = this.sweeper.now;
    this.head.start('request');
    this.goOn();
  }

  private setAside(chunk: Buffer, at: number): void {
    const rest = chunk.subarray(at);
    this.ahead = this.ahead === undefined ? Buffer.from(rest) : Buffer.concat([this.ahead, rest]);
    this.pauseSocket();
  }

  private pauseSocket(): void {
    this.socketPaused = true;
    this.connection.pause();
  }

  private resumeSocket(): void {
    if (!this.socketPaused) return;
    this.socketPaused = false;
    this.connection.resume();
  }

  /** Works on what was set aside, then lets the socket run again. */
  private goOn(): void {
    if (this.processing) return;
    while (this.ahead !== undefined && this.state !== WAIT && !this.requestPaused) {
      const chunk = this.ahead;
      this.ahead = undefined;
      this.process(chunk);
      if (this.state === CLOSED) return;
    }
    if (this.ahead === undefined && !this.requestPaused) this.resumeSocket();
  }

  // ── ending ──

  /** An answer of our own to bytes that are no request, then the end. */
  private refuse(status: number, error: MeshError): void {
    const head = MessageHead.response(status);
    writeResponseHead(head, this.output, FRAME_EMPTY, CONNECTION_CLOSE);
    if (this.exchange === undefined) this.options.onRefused?.(status, error);
    this.shut(error, status);
  }

  /** Another protocol's client can do nothing with an answer; HTTP/2's takes the end for one (RFC 9113 §3.4). */
  private shutForeign(): void {
    const error = httpFault('H1_BAD_MESSAGE', 'the bytes are no HTTP', DOWNSTREAM);
    this.options.onRefused?.(0, error);
    this.shut(error);
  }

  /** FIN behind what was written. */
  private shut(error: MeshError | undefined, answered = 0): void {
    if (this.state === CLOSED) return;
    this.end(error, answered);
    this.linger = this.clock.after(limits.CLOSE_LINGER_MS, () => this.connection.reset());
    this.output.finish();
    this.resumeSocket();
    this.tellClosed(error);
  }

  private end(error: MeshError | undefined, answered = 0): void {
    this.state = CLOSED;
    this.sweeper.dismiss(this);
    const { exchange } = this;
    this.exchange = undefined;
    if (exchange === undefined) return;
    const text = 'the connection was closed by this side';
    exchange.aborted(error ?? httpFault('HTTP_CLOSED_BY_US', text, { side: 'self' }), answered);
  }

  private tellClosed(error: MeshError | undefined): void {
    if (this.state !== CLOSED) {
      const text = 'the client closed the connection before its exchange was over';
      const within = this.exchange !== undefined;
      const fault = within
        ? httpFault('H1_UNEXPECTED_CLOSE', text, { side: 'downstream', cause: error })
        : error;
      this.end(fault);
    }
    if (this.closeTold) return;
    this.closeTold = true;
    this.options.onClose?.(error);
  }
}

/** Whether the first line at least names the protocol, or has a target. */
function isHttp(head: Buffer): boolean {
  const end = head.indexOf('\r\n', 2);
  return /http\/| [/*]|:\/\//i.test(head.toString('latin1', 0, end === -1 ? head.length : end));
}

/** What a request head is answered that the parser refused. */
function statusOf(parserReason: number): number {
  switch (parserReason) {
    case reason.HEAD_TOO_LARGE:
    case reason.TOO_MANY_FIELDS:
      return 431;
    case reason.TARGET_TOO_LONG:
      return 414;
    case reason.BAD_TRANSFER_CODING:
      // RFC 9112 §6.1: a coding that is not understood.
      return 501;
    default:
      return 400;
  }
}
