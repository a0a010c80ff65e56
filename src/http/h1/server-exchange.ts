/** One request and its response on an H1ServerConnection: framing of the response (RFC 9112 §6). */
import type { MeshError } from '#base/errors.ts';
import type { RequestHandler, ServerExchange } from '../dispatch/dispatch.ts';
import { IGNORE_REQUEST } from '../dispatch/ignore.ts';
import { isTunnel, type MessageHead } from '../dispatch/message-head.ts';
import { httpFault } from '../fault.ts';
import { BODY_HIGH_BYTES, OUTPUT_HIGH_BYTES } from '../limits.ts';
import { answerKey } from '../websocket.ts';
import {
  type BodyWriter,
  WRITE_CHUNKED,
  WRITE_LENGTH,
  WRITE_NOTHING,
  WRITE_RAW,
} from './body-writer.ts';
import * as writer from './head-writer.ts';
import type { H1ServerConnection } from './server.ts';

export class H1ServerExchange implements ServerExchange {
  readonly request: MessageHead;
  readonly requestEnded: boolean;
  handler: RequestHandler = IGNORE_REQUEST;
  headSent = false;
  responseDone = false;
  private readonly connection: H1ServerConnection;
  private readonly minor: number;
  private persistent: boolean;
  private readonly body: BodyWriter;
  private raw = false;
  private rawPeerEnded = false;
  /** The client waits for 100 Continue, which nobody has sent. */
  private awaitsContinue: boolean;
  private over = false;
  private wantsDrain = false;

  constructor(
    connection: H1ServerConnection,
    request: MessageHead,
    requestEnded: boolean,
    http: { minor: number; persistent: boolean; awaitsContinue: boolean },
  ) {
    this.connection = connection;
    this.request = request;
    this.requestEnded = requestEnded;
    this.minor = http.minor;
    this.persistent = http.persistent;
    this.awaitsContinue = http.awaitsContinue;
    this.body = connection.bodyWriter;
  }

  sendHead(head: MessageHead, end: boolean): void {
    if (this.over || this.headSent) return;
    const { output } = this.connection;
    if (head.status < 200 && head.status !== 101) {
      // RFC 9110 §15.2: HTTP/1.0 knows no informational responses.
      if (head.status === 100) this.awaitsContinue = false;
      // A client that does not read may miss some: they are only hints.
      if (this.minor === 1 && output.pending < OUTPUT_HIGH_BYTES) {
        writer.writeResponseHead(head, output, writer.FRAME_AS_IS, writer.CONNECTION_SILENT);
      }
      return;
    }
    this.headSent = true;
    const { request } = this;
    if (opensTunnel(request, head)) {
      if (head.status === 101) answerKey(request, head);
      // RFC 9110 §9.3.6: neither frames anything behind the answer to CONNECT.
      else head.remove('content-length');
      writer.writeResponseHead(head, output, writer.FRAME_AS_IS, writer.CONNECTION_SILENT);
      this.raw = true;
      this.body.start(WRITE_RAW, 0);
      this.connection.switchToRaw();
      if (end) this.sendEnd();
      return;
    }
    const framing = this.frame(head, end);
    writer.writeResponseHead(head, output, framing, this.connectionField());
    if (isTunnel(request)) this.handler.onEnd(undefined);
    if (end) this.sendEnd();
  }

  sendBody(bytes: Uint8Array): boolean {
    if (this.over || !this.headSent || this.responseDone) return true;
    if (!this.body.write(bytes)) this.tooLong();
    if (this.connection.output.roomBelow(BODY_HIGH_BYTES)) return true;
    this.wantsDrain = true;
    return false;
  }

  sendEnd(trailers?: MessageHead): void {
    if (this.over || !this.headSent || this.responseDone) return;
    if (this.raw) {
      this.responseDone = true;
      this.connection.rawFinished();
      return;
    }
    if (this.body.end(trailers)) this.finish();
    else this.tooShort();
  }

  abort(): void {
    if (this.over || (this.responseDone && !this.raw)) return;
    this.over = true;
    this.connection.break(
      httpFault('HTTP_CLOSED_BY_US', 'the exchange was aborted', { side: 'self' }),
    );
  }

  pauseRequest(): void {
    if (!this.over) this.connection.pauseRequest();
  }

  resumeRequest(): void {
    if (!this.over) this.connection.resumeRequest();
  }

  // ── for the connection ──

  /** Bytes behind the head that opened a tunnel. */
  rawBytes(bytes: Uint8Array): void {
    this.handler.onBody(bytes);
  }

  rawEnded(): void {
    this.rawPeerEnded = true;
    this.handler.onEnd(undefined);
  }

  drained(): void {
    if (!this.wantsDrain || this.over) return;
    this.wantsDrain = false;
    this.handler.onDrain();
  }

  aborted(error: MeshError, answered: number): void {
    if (this.over) return;
    this.over = true;
    const whole = this.responseDone && (!this.raw || this.rawPeerEnded);
    if (!whole) this.handler.onAbort(error, answered);
  }

  /** RFC 9112 §6.3 from the sending side. */
  private frame(head: MessageHead, end: boolean): number {
    const { status } = head;
    if (this.request.method === 'HEAD' || status === 204 || status === 304) {
      // RFC 9110 §8.6.
      if (status === 204) head.remove('content-length');
      this.body.start(WRITE_NOTHING, 0);
      return writer.FRAME_AS_IS;
    }
    const length = head.get('content-length');
    if (length !== undefined) {
      this.body.start(WRITE_LENGTH, Number(length));
      return writer.FRAME_AS_IS;
    }
    if (end) {
      this.body.start(WRITE_NOTHING, 0);
      return writer.FRAME_EMPTY;
    }
    if (this.minor === 1) {
      this.body.start(WRITE_CHUNKED, 0);
      return writer.FRAME_CHUNKED;
    }
    this.persistent = false;
    this.body.start(WRITE_RAW, 0);
    return writer.FRAME_AS_IS;
  }

  private connectionField(): number {
    // RFC 9110 §10.1.1: without 100 the body may come or not, so no next request can be told from it.
    if (!this.persistent || this.awaitsContinue || this.connection.draining) {
      this.persistent = false;
      return writer.CONNECTION_CLOSE;
    }
    return this.minor === 0 ? writer.CONNECTION_KEEP_ALIVE : writer.CONNECTION_SILENT;
  }

  private finish(): void {
    this.responseDone = true;
    this.connection.responseEnded(this.persistent);
  }

  private tooLong(): void {
    this.over = true;
    this.connection.break(
      httpFault('H1_BODY_LENGTH', 'the response body is longer than its Content-Length', {
        side: 'upstream',
      }),
    );
  }

  private tooShort(): void {
    this.over = true;
    this.connection.break(
      httpFault('H1_BODY_LENGTH', 'the response body is shorter than its Content-Length', {
        side: 'upstream',
      }),
    );
  }
}

/** Bytes flow both ways behind this answer: 101 to an upgrade, 2xx to CONNECT. */
function opensTunnel(request: MessageHead, head: MessageHead): boolean {
  if (head.status === 101) return true;
  return request.method === 'CONNECT' && head.status < 300;
}
