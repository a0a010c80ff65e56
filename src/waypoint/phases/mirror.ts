/**
 * Copies of requests for other destinations (VirtualService `mirrors`, Gateway API's RequestMirror). The request that is copied never
 * waits for a copy and never fails with it: what a copy cannot send at once waits in a bounded buffer, what outgrows that, or the
 * number of copies in flight, is dropped and counted. The answer is thrown away.
 */
import type { MeshError } from '#base/errors.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  ResponseHandler,
} from '#http/dispatch/dispatch.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { Mirror } from '#model/route/route-table.ts';
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
import type { Waiter } from '#upstream/pool/endpoint-pool.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Deadline } from '../deadlines.ts';
import type { Engine, HttpEndpoint, HttpGroup } from '../engine.ts';
import { MIRROR_BODY_BYTES_MAX, MIRROR_TIMEOUT_MS, MIRRORS_IN_FLIGHT_MAX } from '../limits.ts';
import type { MirrorOutcome } from '../record/waypoint-metrics.ts';
import { drawn } from './fault.ts';

/** Copies in flight in the whole process. */
export interface MirrorCount {
  active: number;
}

export interface MirrorOptions {
  readonly snapshot: Snapshot<HttpClientConnection> | undefined;
  /** Of the request as it goes on: rewritten, with the route's header operations. */
  readonly head: MessageHead;
  readonly hasBody: boolean;
  /** 0 = the default for copies. */
  readonly timeoutMs: number;
  /** Of the request that is copied. */
  readonly trace: RequestTrace | undefined;
}

/** Begins the copies that the draw asks for; those that wait for a body are handed back. */
export function startMirrors(
  engine: Engine,
  mirrors: readonly Mirror[],
  options: MirrorOptions,
): readonly RequestCopy[] {
  const copies: RequestCopy[] = [];
  for (const mirror of mirrors) {
    if (!drawn(mirror.percent, engine.random)) continue;
    const copy = startCopy(engine, mirror, options);
    if (copy === undefined) engine.recorder.metrics.mirrored(mirror.host, 'dropped');
    else if (options.hasBody) copies.push(copy);
  }
  return copies;
}

function startCopy(
  engine: Engine,
  mirror: Mirror,
  options: MirrorOptions,
): RequestCopy | undefined {
  if (engine.mirrors.active >= MIRRORS_IN_FLIGHT_MAX) return undefined;
  const group = options.snapshot?.target(mirror)?.group;
  const requestsMax = group?.config.policy.connectionPool.maxRequests;
  if (group === undefined || group.active >= (requestsMax ?? Number.POSITIVE_INFINITY)) {
    return undefined;
  }
  const endpoint = group.pick();
  if (endpoint === undefined) return undefined;
  // The original goes its way while the copy still waits for a connection.
  const head = options.head.clone().retain();
  head.authority = shadowHost(head.authority);
  head.set('x-envoy-attempt-count', '1');
  const { hasBody, trace } = options;
  const copy = new RequestCopy(engine, { head, group, endpoint, hasBody, trace });
  copy.start(options.timeoutMs || MIRROR_TIMEOUT_MS);
  return copy;
}

/** As Envoy's: `host-shadow`, before the port. */
export function shadowHost(authority: string): string {
  const port = /:\d+$/.exec(authority)?.[0] ?? '';
  return `${authority.slice(0, authority.length - port.length)}-shadow${port}`;
}

export class RequestCopy extends Deadline implements Waiter<HttpClientConnection>, ResponseHandler {
  readonly group: HttpGroup;
  readonly endpoint: HttpEndpoint;
  readonly head: MessageHead;
  readonly trace: RequestTrace | undefined;
  /** '' when the request is not traced. */
  readonly spanId: string;
  startedAt = 0;
  status = 0;
  readonly #engine: Engine;
  #exchange: ClientExchange | undefined = undefined;
  /** What waits for a connection or for room, then the end. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #hasRoom = false;
  #ended: boolean;
  #trailers: MessageHead | undefined = undefined;
  #over = false;

  constructor(
    engine: Engine,
    options: {
      head: MessageHead;
      group: HttpGroup;
      endpoint: HttpEndpoint;
      hasBody: boolean;
      trace: RequestTrace | undefined;
    },
  ) {
    super();
    this.#engine = engine;
    this.head = options.head;
    this.group = options.group;
    this.endpoint = options.endpoint;
    this.trace = options.trace;
    this.spanId = this.trace?.childId() ?? '';
    this.trace?.tell(this.head, this.spanId);
    this.#ended = !options.hasBody;
  }

  start(timeoutMs: number): void {
    this.startedAt = this.#engine.clock.now();
    this.#engine.mirrors.active += 1;
    this.group.active += 1;
    this.endpoint.active += 1;
    this.#engine.deadlines.set(this, timeoutMs);
    this.endpoint.pool.acquire(this);
  }

  // === the request that is copied ===

  sendBody(bytes: Uint8Array): boolean {
    if (this.#over) return true;
    if (this.#exchange !== undefined && this.#hasRoom) {
      this.#hasRoom = this.#exchange.sendBody(bytes);
      return true;
    }
    this.#waitingBytes += bytes.length;
    // Copied: the bytes belong to the connection.
    if (this.#waitingBytes > MIRROR_BODY_BYTES_MAX) this.#finish('dropped');
    else this.#waiting.push(new Uint8Array(bytes));
    return true;
  }

  sendEnd(trailers?: MessageHead): void {
    this.#ended = true;
    this.#trailers = trailers?.retain();
    this.#flush();
  }

  /** The request broke off: a copy of half of it says nothing. */
  abandon(): void {
    if (!this.#ended) this.#finish('dropped');
  }

  // === the upstream ===

  onConnection(connection: HttpClientConnection): void {
    this.endpoint.requestsTotal += 1;
    const isWhole = this.#ended && this.#waiting.length === 0 && this.#trailers === undefined;
    this.#exchange = connection.dispatch(this.head, isWhole, this);
    if (isWhole || this.#over) return;
    this.#hasRoom = true;
    this.#flush();
  }

  onFail(_error: MeshError): void {
    if (this.#over) return;
    this.group.reportFailure(this.endpoint, 'connect');
    this.#finish('failed');
  }

  onHead(head: MessageHead, end: boolean): void {
    if (this.#over || head.status < 200) return;
    this.status = head.status;
    this.group.reportStatus(this.endpoint, head.status);
    if (end) this.#finish('answered');
  }

  onBody(_bytes: Uint8Array): void {
    // Nobody wants it; reading it keeps the connection fit for use.
  }

  onEnd(_trailers: MessageHead | undefined): void {
    this.#finish('answered');
  }

  onError(error: MeshError): void {
    if (this.#over) return;
    if (error.retry !== 'reused-connection-only') {
      this.group.reportFailure(this.endpoint, 'reset');
    }
    this.#finish('failed');
  }

  onDrain(): void {
    this.#hasRoom = true;
    this.#flush();
  }

  override onDeadline(): void {
    this.group.reportFailure(this.endpoint, 'timeout');
    this.#finish('failed');
  }

  #flush(): void {
    const exchange = this.#exchange;
    if (this.#over || exchange === undefined) return;
    while (this.#hasRoom && this.#waiting.length > 0) {
      const bytes = this.#waiting.shift();
      if (bytes === undefined) break;
      this.#waitingBytes -= bytes.length;
      this.#hasRoom = exchange.sendBody(bytes);
    }
    if (this.#ended && this.#waiting.length === 0) exchange.sendEnd(this.#trailers);
  }

  #finish(outcome: MirrorOutcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = [];
    const engine = this.#engine;
    engine.deadlines.cancel(this);
    engine.mirrors.active -= 1;
    this.group.active -= 1;
    this.endpoint.active -= 1;
    if (this.spanId !== '') engine.tracing.copied(this, outcome);
    engine.recorder.metrics.mirrored(this.group.config.upstream.hostname, outcome);
    if (outcome === 'answered' && this.#ended) return;
    if (this.#exchange === undefined) this.endpoint.pool.cancel(this);
    else this.#exchange.abort();
  }
}
