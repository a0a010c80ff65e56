/**
 * One try of a request at one endpoint: get a connection, send head and body, hand the answer to the request. It counts itself
 * at the endpoint while it runs and tells the outlier detection how it went, exactly once.
 */
import type { MeshError } from '#base/errors.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  ResponseHandler,
} from '#http/dispatch/dispatch.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { CompiledDestination } from '#model/route/compile.ts';
import type { Waiter } from '#upstream/pool/endpoint-pool.ts';
import { Deadline } from '../deadlines.ts';
import type { HttpEndpoint, HttpGroup } from '../engine.ts';
import type { RequestRun } from './request-run.ts';

export class UpstreamTry extends Deadline implements Waiter<HttpClientConnection>, ResponseHandler {
  readonly run: RequestRun;
  readonly destination: CompiledDestination;
  readonly group: HttpGroup;
  readonly endpoint: HttpEndpoint;
  /** Undefined until a connection took it. */
  exchange: ClientExchange | undefined = undefined;
  isReused = false;
  protocol: 'h1' | 'h2' | undefined = undefined;
  startedAt = 0;
  /** The final head came. */
  answered = false;
  #over = false;

  constructor(
    run: RequestRun,
    options: { destination: CompiledDestination; group: HttpGroup; endpoint: HttpEndpoint },
  ) {
    super();
    this.run = run;
    this.destination = options.destination;
    this.group = options.group;
    this.endpoint = options.endpoint;
  }

  start(perTryTimeoutMs: number | undefined): void {
    const { run, group, endpoint } = this;
    this.startedAt = run.engine.clock.now();
    group.active += 1;
    endpoint.active += 1;
    if (perTryTimeoutMs !== undefined) run.engine.deadlines.set(this, perTryTimeoutMs);
    endpoint.pool.acquire(this);
  }

  onConnection(connection: HttpClientConnection, isReused: boolean): void {
    this.isReused = isReused;
    this.protocol = connection.protocol;
    this.endpoint.requestsTotal += 1;
    const { run } = this;
    const head = run.headFor(this);
    if (run.hasNoBody) this.exchange = connection.dispatch(head, true, this);
    else {
      this.exchange = connection.dispatch(head, false, this);
      // A dispatch that failed at once has told us already.
      if (!this.#over) run.sendBodyTo(this.exchange);
    }
  }

  /** No connection: nothing was sent. */
  onFail(error: MeshError): void {
    if (this.#over) return;
    if (error.code !== 'UPSTREAM_OVERFLOW' && error.code !== 'UPSTREAM_ENDPOINT_GONE') {
      this.group.reportFailure(this.endpoint, 'connect');
    }
    this.end();
    this.run.tryNotSent(this, error);
  }

  onHead(head: MessageHead, end: boolean): void {
    if (this.#over) return;
    if (head.status < 200 && head.status !== 101) {
      this.run.informational(head);
      return;
    }
    this.answered = true;
    this.run.engine.deadlines.cancel(this);
    this.group.reportStatus(this.endpoint, head.status);
    this.run.tryAnswered(this, head, end);
  }

  onBody(bytes: Uint8Array): void {
    if (!this.#over) this.run.responseBody(bytes);
  }

  onEnd(trailers: MessageHead | undefined): void {
    if (!this.#over) this.run.responseEnd(trailers);
  }

  onError(error: MeshError): void {
    if (this.#over) return;
    const { answered } = this;
    if (!this.isStaleConnection(error)) this.group.reportFailure(this.endpoint, 'reset');
    this.end();
    if (answered) this.run.responseBroken(error);
    else this.run.tryBroken(this, error);
  }

  onDrain(): void {
    if (!this.#over) this.run.upstreamDrained();
  }

  /** The per-try timeout. */
  override onDeadline(): void {
    if (this.#over) return;
    this.group.reportFailure(this.endpoint, 'timeout');
    this.abandon();
    this.run.tryTimedOut(this);
  }

  /** An idle connection that was found closed says nothing about the endpoint's health. */
  isStaleConnection(error: MeshError): boolean {
    return this.isReused && error.retry === 'reused-connection-only';
  }

  /** Breaks the try off; nothing more is heard of it. */
  abandon(): void {
    if (this.#over) return;
    const { exchange } = this;
    this.end();
    if (exchange === undefined) this.endpoint.pool.cancel(this);
    else exchange.abort();
  }

  /** The counters go back; idempotent. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.exchange = undefined;
    this.run.engine.deadlines.cancel(this);
    this.group.active -= 1;
    this.endpoint.active -= 1;
  }
}
