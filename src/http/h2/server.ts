/** Gives each request stream of an H2Connection in server role as a `ServerExchange`, and watches over idle peers. */
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import * as code from '#wire/h2/codes.ts';
import type { OnExchange, RequestHandler, ServerExchange } from '../dispatch/dispatch.ts';
import { IGNORE_REQUEST } from '../dispatch/ignore.ts';
import { isTunnel, MessageHead } from '../dispatch/message-head.ts';
import { httpFault } from '../fault.ts';
import * as limits from '../limits.ts';
import { type Sweepable, type Sweeper, sweeperOf } from '../sweeper.ts';
import { withoutKey } from '../websocket.ts';
import { BodySender } from './body-sender.ts';
import { H2Connection, type H2Deps, type H2Options } from './connection.ts';
import type { H2Stream, H2StreamHandler } from './stream.ts';

export interface H2ServerOptions extends Partial<H2Options> {
  onClose?: (error: MeshError | undefined) => void;
  /** A request that never became an exchange was answered so; 0: its stream was reset. */
  onRefused?: (status: number, error: MeshError) => void;
  /** A head must be whole this long after its first byte. */
  headTimeoutMs?: number;
  /** Without any request. */
  idleTimeoutMs?: number;
  /** Between two pieces of a body whose length was announced and that has no answer yet. */
  bodyIdleTimeoutMs?: number;
}

const DOWNSTREAM = { side: 'downstream' } as const;

export class H2ServerConnection implements ConnectionHandler, Sweepable {
  private readonly h2: H2Connection;
  private readonly options: H2ServerOptions;
  private readonly sweeper: Sweeper;
  private quietSince: number;
  /** The head that was unfinished at the last sweep, 0 for none, and since when. */
  private unfinishedHead = 0;
  private headSince = 0;

  constructor(
    connection: Connection,
    deps: H2Deps,
    options: H2ServerOptions,
    onExchange: OnExchange,
  ) {
    this.options = options;
    this.sweeper = sweeperOf(deps.clock);
    this.sweeper.enroll(this);
    this.quietSince = this.sweeper.now;
    this.h2 = new H2Connection(
      connection,
      deps,
      { connectProtocol: true, ...options, role: 'server' },
      {
        onStream: (stream, head, end) => {
          const exchange = new H2ServerExchange(stream, { head, end, sweeper: this.sweeper });
          stream.handler = exchange;
          onExchange(exchange);
        },
        onBadRequest: (reason, answered) =>
          options.onRefused?.(answered, httpFault('H2_PROTOCOL', reason, DOWNSTREAM)),
        onChange: () => undefined,
        onClose: (error) => {
          this.sweeper.dismiss(this);
          options.onClose?.(error);
        },
      },
    );
  }

  sweep(nowMs: number): void {
    const { h2, options } = this;
    if (h2.active > 0) {
      this.quietSince = nowMs;
      const bodyIdleMs = options.bodyIdleTimeoutMs ?? limits.BODY_IDLE_TIMEOUT_MS;
      for (const { handler } of h2.streams.all()) {
        if (handler instanceof H2ServerExchange) handler.sweep(nowMs - bodyIdleMs);
      }
    }
    this.sweepHead(nowMs);
    if (h2.closed) return;
    const headMs = options.headTimeoutMs ?? limits.HEAD_TIMEOUT_MS;
    const idleMs = options.idleTimeoutMs ?? limits.IDLE_TIMEOUT_MS;
    const quietMs = nowMs - this.quietSince;
    if (!h2.established && quietMs > headMs) h2.close();
    else if (quietMs > idleMs && h2.active === 0) h2.drain();
  }

  /** A slow-loris head: the same one is unfinished from sweep to sweep. */
  private sweepHead(nowMs: number): void {
    const { unfinishedHead } = this.h2;
    if (unfinishedHead !== this.unfinishedHead) {
      this.unfinishedHead = unfinishedHead;
      this.headSince = nowMs;
      return;
    }
    const headMs = this.options.headTimeoutMs ?? limits.HEAD_TIMEOUT_MS;
    if (unfinishedHead === 0 || nowMs - this.headSince <= headMs) return;
    this.h2.fail(code.ENHANCE_YOUR_CALM, 'no whole head in time');
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
  private readonly sweeper: Sweeper;
  private quietSince: number;
  private paused = false;

  constructor(stream: H2Stream, options: { head: MessageHead; end: boolean; sweeper: Sweeper }) {
    this.stream = stream;
    this.request = options.head;
    this.requestEnded = options.end;
    this.sender = new BodySender(stream);
    this.sweeper = options.sweeper;
    this.quietSince = options.sweeper.now;
  }

  sendHead(head: MessageHead, end: boolean): void {
    if (isTunnel(this.request)) this.answerTunnel(head, end);
    else this.stream.respond(head, end);
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
    this.paused = true;
    this.stream.pause();
  }

  resumeRequest(): void {
    this.paused = false;
    this.quietSince = this.sweeper.now;
    this.stream.resume();
  }

  onHead(): void {
    // Client role only.
  }

  onData(bytes: Uint8Array): void {
    this.quietSince = this.sweeper.now;
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
    this.handler.onAbort(error, 0);
  }

  /** An announced body that stopped coming before `quietSinceMs`, and that has no answer yet. */
  sweep(quietSinceMs: number): void {
    const { stream } = this;
    if (stream.expectedBytes <= 0 || stream.headSent || this.paused) return;
    if (this.quietSince > quietSinceMs) return;
    stream.respond(MessageHead.response(408), true);
    stream.reset(code.NO_ERROR);
    const text = 'the request body did not go on in time';
    this.handler.onAbort(httpFault('HTTP_BODY_TIMEOUT', text, DOWNSTREAM), 408);
  }

  /** RFC 8441 §5: 200 agrees to an upgrade. RFC 9110 §9.3.6: the answer to CONNECT has no length. */
  private answerTunnel(head: MessageHead, end: boolean): void {
    if (head.status === 101) {
      const agreed = withoutKey(head);
      agreed.status = 200;
      agreed.upgrade = '';
      this.stream.respond(agreed, end);
      return;
    }
    if (head.status >= 200 && head.status < 300) head.remove('content-length');
    this.stream.respond(head, end);
  }

  /** RFC 9113 §8.1: the response is whole, so the client may stop sending its request. */
  private stopReading(): void {
    if (!this.stream.localOpen && !this.stream.closed) this.stream.reset(code.NO_ERROR);
  }
}
