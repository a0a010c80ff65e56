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
import type { PickContext } from '#upstream/group/endpoint-group.ts';
import type { EndpointPool, Waiter } from '#upstream/pool/endpoint-pool.ts';
import { Deadline } from '../deadlines.ts';
import type { HttpEndpoint, HttpGroup } from '../engine.ts';
import type { Forwarding } from './forwarding.ts';
import type { RequestRun } from './request-run.ts';

export class UpstreamTry extends Deadline implements Waiter<HttpClientConnection>, ResponseHandler {
  readonly forwarding: Forwarding;
  readonly run: RequestRun;
  readonly destination: CompiledDestination;
  readonly group: HttpGroup;
  readonly endpoint: HttpEndpoint;
  /** What it was picked by. */
  readonly context: PickContext | undefined;
  /** Undefined until a connection took it. */
  exchange: ClientExchange | undefined = undefined;
  isReused = false;
  protocol: 'h1' | 'h2' | undefined = undefined;
  startedAt = 0;
  /** Of the final head. */
  status = 0;
  /** Of its span, told to the upstream; '' when the request is not traced. */
  readonly spanId: string;
  /** `traceparent` of the tunnel that carried it, where the request is traced. */
  carrier = '';
  /** The final head came. */
  answered = false;
  #over = false;
  #pool: EndpointPool<HttpClientConnection> | undefined = undefined;

  constructor(
    forwarding: Forwarding,
    options: {
      destination: CompiledDestination;
      group: HttpGroup;
      endpoint: HttpEndpoint;
      context: PickContext | undefined;
    },
  ) {
    super();
    this.forwarding = forwarding;
    this.run = forwarding.run;
    this.destination = options.destination;
    this.group = options.group;
    this.endpoint = options.endpoint;
    this.context = options.context;
    this.spanId = this.run.trace?.childId() ?? '';
  }

  start(): void {
    const { run, group, endpoint } = this;
    this.startedAt = run.engine.clock.now();
    if (group.retries.countsRequests) group.retries.request(this.startedAt);
    group.active += 1;
    endpoint.active += 1;
    if (this.forwarding.armed) this.arm();
    this.#pool = endpoint.poolFor(run.tunnel);
    if (this.spanId === '') {
      this.#pool.acquire(this);
      return;
    }
    const { dialTrace } = run.engine;
    dialTrace.begin(run.trace, this.spanId);
    this.#pool.acquire(this);
    dialTrace.end();
  }

  /** The whole request is here: the per-try timeout runs, the time for a connection included. */
  arm(): void {
    const { perTryTimeoutMs } = this.forwarding;
    if (perTryTimeoutMs === 0 || this.answered || this.#over) return;
    this.run.engine.deadlines.set(this, perTryTimeoutMs);
  }

  onConnection(connection: HttpClientConnection, isReused: boolean): void {
    this.isReused = isReused;
    this.protocol = connection.protocol;
    this.endpoint.requestsTotal += 1;
    const { run, forwarding } = this;
    if (this.spanId !== '') this.carrier = run.engine.dialTrace.carrierOf(connection);
    const head = forwarding.headFor(this);
    if (run.body === undefined) this.exchange = connection.dispatch(head, true, this);
    else {
      this.exchange = connection.dispatch(head, false, this);
      // A dispatch that failed at once has told us already.
      if (!this.#over) forwarding.sendBodyTo(this.exchange);
    }
  }

  /** No connection: nothing was sent. */
  onFail(error: MeshError): void {
    if (this.#over) return;
    if (error.code !== 'UPSTREAM_OVERFLOW' && error.code !== 'UPSTREAM_ENDPOINT_GONE') {
      this.group.reportFailure(this.endpoint, 'connect');
    }
    this.end();
    this.forwarding.tryNotSent(this, error);
  }

  onHead(head: MessageHead, end: boolean): void {
    if (this.#over) return;
    if (head.status < 200 && head.status !== 101) {
      this.run.informational(head);
      return;
    }
    this.answered = true;
    this.status = head.status;
    this.run.engine.deadlines.cancel(this);
    this.group.reportStatus(this.endpoint, head.status);
    this.forwarding.tryAnswered(this, head, end);
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
    if (!this.isStaleConnection(error) && !this.isExcluded(error))
      this.group.reportFailure(this.endpoint, 'reset');
    this.end();
    if (answered) this.run.responseBroken(error);
    else this.forwarding.tryBroken(this, error);
  }

  onDrain(): void {
    if (!this.#over) this.run.upstreamDrained();
  }

  /** The per-try timeout. */
  override onDeadline(): void {
    if (this.#over) return;
    this.group.reportFailure(this.endpoint, 'timeout');
    this.abandon();
    this.forwarding.tryTimedOut(this);
  }

  /** RFC 9113 §6.8: beyond the last stream of a GOAWAY; the peer did not and will not process it. */
  isExcluded(error: MeshError): boolean {
    return error.code === 'H2_GOING_AWAY';
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
    if (exchange === undefined) this.#pool?.cancel(this);
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
