/**
 * The life of one request, phase by phase. This file is the list; the work of a phase sits beside it.
 *
 *   identify   who calls (once per tunnel, source.ts)         ─┐
 *   route      which rule takes it (model/route)               │ 404 NR
 *   authorize  L7 policy, when the engine has one              │ 403
 *   pick       destination by weight, endpoint by balancer     │ 503 NC, UH ── reroute
 *   dispatch   connection, head, body (upstream-try.ts)        │ 503 UF, UC, UO ── retry, reroute
 *   respond    answer to the downstream                        │ 504 UT
 *   record     metrics and the access log line                ◀┘ always, exactly once
 */

import type { Timer } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import type {
  ClientExchange,
  HttpClientConnection,
  RequestHandler,
  ServerExchange,
} from '#http/dispatch/dispatch.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { CompiledDestination, RouteEntry } from '#model/route/compile.ts';
import { matchRoute, pickDestination, pickOtherDestination } from '#model/route/match.ts';
import { redirectLocation } from '#model/route/transform.ts';
import { overflow } from '#upstream/pool/endpoint-pool.ts';
import { retryDelayMs } from '#upstream/retry/backoff.ts';
import type { RetryBudget } from '#upstream/retry/budget.ts';
import { describeFailure, retryDecision, type TryFailure } from '#upstream/retry/decision.ts';
import type { ServiceConfig, Snapshot } from '../config/snapshot.ts';
import { Deadline } from '../deadlines.ts';
import type { Engine, HttpEndpoint } from '../engine.ts';
import { REPLAY_BYTES_MAX, STALE_CONNECTION_RETRIES_MAX } from '../limits.ts';
import { type Fault, faultOfExchange, replyFor, replyHead } from '../respond.ts';
import type { Tunnel } from '../tunnel.ts';
import { headForTry, isGrpc, isIdempotent, prepareRequest, prepareResponse } from './headers.ts';
import { ReplayBuffer } from './replay-buffer.ts';
import { UpstreamTry } from './upstream-try.ts';

const NO_ENDPOINTS: readonly HttpEndpoint[] = [];
const NO_DESTINATIONS: readonly CompiledDestination[] = [];
const encoder = new TextEncoder();

export class RequestRun extends Deadline implements RequestHandler {
  readonly engine: Engine;
  readonly tunnel: Tunnel;
  readonly exchange: ServerExchange;
  readonly request: MessageHead;
  readonly startedAt: number;
  /** Path and authority as they came; rewrites change the head. */
  readonly originalPath: string;
  service: ServiceConfig | undefined = undefined;
  entry: RouteEntry | undefined = undefined;
  destination: CompiledDestination | undefined = undefined;
  /** The try under way, or the last one. */
  current: UpstreamTry | undefined = undefined;
  attempt = 0;
  status = 0;
  flags = '-';
  details = 'via_upstream';
  /** What the log line adds: where it went instead, which resource is at fault. */
  note = '';
  transportFailure = '';
  grpcStatus = '';
  requestBytes = 0;
  responseBytes = 0;
  upstreamMs = -1;
  readonly isGrpc: boolean;
  #snapshot: Snapshot<HttpClientConnection> | undefined = undefined;
  #replay: ReplayBuffer | undefined = undefined;
  #requestEnded: boolean;
  #requestTrailers: MessageHead | undefined = undefined;
  #tried: readonly HttpEndpoint[] = NO_ENDPOINTS;
  #excluded: readonly CompiledDestination[] = NO_DESTINATIONS;
  #staleRetries = 0;
  /** Held while a retry of this request is under way. */
  #budget: RetryBudget | undefined = undefined;
  #backoff: Timer | undefined = undefined;
  #responded = false;
  #over = false;

  constructor(engine: Engine, tunnel: Tunnel, exchange: ServerExchange) {
    super();
    this.engine = engine;
    this.tunnel = tunnel;
    this.exchange = exchange;
    this.request = exchange.request;
    this.originalPath = exchange.request.path;
    this.startedAt = engine.clock.now();
    this.isGrpc = isGrpc(exchange.request);
    this.#requestEnded = exchange.requestEnded;
    exchange.handler = this;
  }

  get protocol(): string {
    return this.tunnel.isH2 ? 'HTTP/2' : 'HTTP/1.1';
  }

  get hasNoBody(): boolean {
    return this.exchange.requestEnded;
  }

  // === route ===

  start(): void {
    if (!this.#requestEnded) this.#replay = new ReplayBuffer(REPLAY_BYTES_MAX);
    const { tunnel, engine } = this;
    const { snapshot } = engine;
    this.#snapshot = snapshot;
    const service = snapshot?.serviceAt(tunnel.host);
    if (service === undefined) {
      this.#fail(
        'no-service',
        `no service is bound to this waypoint at ${tunnel.host}:${tunnel.port}`,
      );
      return;
    }
    this.service = service;
    const { denied } = service.compiled.table;
    if (denied !== undefined) {
      this.#fail('denied', denied.reason);
      return;
    }
    const decision = matchRoute(service.compiled, tunnel.port, this.request);
    if (decision.route === undefined) {
      this.#fail('no-route', decision.reason);
      return;
    }
    this.entry = decision;
    const verdict = engine.authorize?.(tunnel, this.request);
    if (verdict !== undefined && !verdict.allow) {
      this.#fail('denied', verdict.reason);
      return;
    }
    const { route } = decision.route;
    if (route.action.kind !== 'forward') {
      this.#answerDirectly(decision);
      return;
    }
    prepareRequest(this.request, { entry: decision, tunnel, random: engine.random });
    if (route.timeoutMs !== undefined && route.timeoutMs > 0) {
      engine.deadlines.set(this, route.timeoutMs);
    }
    const destination = pickDestination(decision.route, engine.random);
    if (destination === undefined) {
      const { kind, namespace, name } = route.provenance;
      const where = `${kind} ${namespace}/${name}, route ${route.name}`;
      this.#fail('no-destination', `the weights of ${where} sum to 0`);
      return;
    }
    this.#tryNext(destination, false);
    // A pooled connection takes the body as it comes; else it waits at the client.
    if (!this.#requestEnded && !this.#over && this.current?.exchange === undefined) {
      this.exchange.pauseRequest();
    }
  }

  #answerDirectly(entry: RouteEntry): void {
    const { action } = entry.route.route;
    if (action.kind === 'respond') {
      const body = encoder.encode(action.body ?? '');
      this.details = 'direct_response';
      this.#sendReply(replyHead(action, body), body);
    } else if (action.kind === 'redirect') {
      const head = replyHead(action, new Uint8Array(0));
      head.remove('content-type');
      head.set('location', redirectLocation(action, this.request));
      this.details = 'direct_response';
      this.#sendReply(head, new Uint8Array(0));
    }
  }

  // === pick ===

  /** `isRetry`: the attempt counts against the policy's retries and avoids what was tried. */
  #tryNext(destination: CompiledDestination, isRetry: boolean): void {
    this.destination = destination;
    const target = this.#snapshot?.target(destination);
    if (target === undefined || target.broken !== undefined) {
      const broken = target?.broken;
      const reason = broken?.reason ?? 'the destination is not configured';
      this.#fail(broken?.status === 403 ? 'denied' : 'broken-destination', reason, broken);
      return;
    }
    const { group } = target;
    const requestsMax = group.config.policy.connectionPool.maxRequests;
    if (requestsMax !== undefined && group.active >= requestsMax) {
      const what = `${group.active} requests run at ${group.description} (limit ${requestsMax})`;
      this.#fail('overflow', overflow(what).message);
      return;
    }
    const endpoint = group.pick(isRetry ? this.#tried : undefined);
    if (endpoint === undefined) {
      const reason = group.unavailableReason();
      if (!this.#reroute(destination, reason)) this.#fail('no-healthy-upstream', reason);
      return;
    }
    this.attempt += 1;
    const attempt = new UpstreamTry(this, { destination, group, endpoint });
    this.current = attempt;
    attempt.start(this.entry?.route.route.retries.perTryTimeoutMs);
  }

  /**
   * A request that was never sent may go to another destination of its rule when retries are on: the rule's author
   * wants it answered, and no application saw it yet.
   */
  #reroute(from: CompiledDestination, reason: string): boolean {
    const { entry } = this;
    if (entry === undefined || entry.route.route.retries.attempts === 0) return false;
    this.#excluded = [...this.#excluded, from];
    let next = pickOtherDestination(entry.route, this.engine.random, this.#excluded);
    while (next !== undefined && this.#snapshot?.target(next)?.group?.pick() === undefined) {
      this.#excluded = [...this.#excluded, next];
      next = pickOtherDestination(entry.route, this.engine.random, this.#excluded);
    }
    if (next === undefined) return false;
    const { destination } = next;
    const fromName = from.destination.subset ?? from.destination.host;
    this.note = `rerouted from ${fromName} to ${destination.subset ?? destination.host}: ${reason}`;
    this.#tried = NO_ENDPOINTS;
    this.#tryNext(next, false);
    return true;
  }

  // === dispatch: called by the try ===

  headFor(attempt: UpstreamTry): MessageHead {
    const operations = attempt.destination.destination.headers?.request;
    return headForTry(this.request, { attempt: this.attempt, operations });
  }

  sendBodyTo(upstream: ClientExchange): void {
    const replay = this.#replay;
    const hasRoom = replay === undefined || replay.replay((bytes) => upstream.sendBody(bytes));
    // Without retries nothing is kept: what is forwarded from here on is gone.
    if (replay !== undefined && this.entry?.route.route.retries.attempts === 0) replay.drop();
    if (this.#requestEnded) upstream.sendEnd(this.#requestTrailers);
    else if (hasRoom) this.exchange.resumeRequest();
  }

  informational(head: MessageHead): void {
    if (!this.#responded) this.exchange.sendHead(head, false);
  }

  upstreamDrained(): void {
    if (!this.#requestEnded) this.exchange.resumeRequest();
  }

  /** No connection came about. */
  tryNotSent(attempt: UpstreamTry, error: MeshError): void {
    this.transportFailure = error.message;
    if (error.code === 'UPSTREAM_OVERFLOW') {
      this.#retryOrFail(attempt, { kind: 'overflow' }, 'overflow', error.message);
    } else
      this.#retryOrFail(attempt, { kind: 'connect-failure' }, 'connect-failure', error.message);
  }

  /** The exchange broke before an answer. */
  tryBroken(attempt: UpstreamTry, error: MeshError): void {
    this.transportFailure = error.message;
    const fault = faultOfExchange(error);
    const canRepeat = this.#canRepeat && isIdempotent(this.request.method);
    if (
      attempt.isStaleConnection(error) &&
      canRepeat &&
      this.#staleRetries < STALE_CONNECTION_RETRIES_MAX
    ) {
      // RFC 9112 §9.3.1: an idle connection that closed under the request; not one of the policy's retries.
      this.#staleRetries += 1;
      this.attempt -= 1;
      this.exchange.pauseRequest();
      this.#tryNext(attempt.destination, false);
      return;
    }
    const failure: TryFailure =
      fault === 'upstream-refused' || error.retry === 'safe'
        ? { kind: 'refused-stream' }
        : { kind: 'reset', requestStarted: true };
    this.#retryOrFail(attempt, failure, fault, error.message);
  }

  tryTimedOut(attempt: UpstreamTry): void {
    const limit = this.entry?.route.route.retries.perTryTimeoutMs;
    const reason = `no answer from ${attempt.endpoint.endpoint.name} within perTryTimeout ${limit} ms`;
    this.#retryOrFail(attempt, { kind: 'per-try-timeout' }, 'per-try-timeout', reason);
  }

  tryAnswered(attempt: UpstreamTry, head: MessageHead, end: boolean): void {
    const grpcText = this.isGrpc ? head.get('grpc-status') : undefined;
    const isError = head.status >= 400 || (grpcText !== undefined && grpcText !== '0');
    if (isError && this.#canRepeat) {
      const failure: TryFailure = {
        kind: 'status',
        status: head.status,
        grpcStatus: grpcText === undefined ? undefined : Number(grpcText),
        rateLimited: head.has('x-envoy-ratelimited'),
      };
      if (this.#mayRetry(failure)) {
        attempt.abandon();
        this.#scheduleRetry(attempt, describeFailure(failure));
        return;
      }
    }
    this.#respond(attempt, head, end);
  }

  /** Whether the request can be sent once more: its body is all here. */
  get #canRepeat(): boolean {
    return !this.#responded && (this.#replay === undefined || this.#replay.complete);
  }

  #retryOrFail(attempt: UpstreamTry, failure: TryFailure, fault: Fault, reason: string): void {
    const neverSent = failure.kind === 'connect-failure' || failure.kind === 'refused-stream';
    this.exchange.pauseRequest();
    if (this.#canRepeat) {
      const tried = [...this.#tried, attempt.endpoint];
      const other = attempt.group.pick(tried);
      const isExhausted = other === undefined || tried.includes(other);
      if (
        neverSent &&
        isExhausted &&
        this.#reroute(attempt.destination, describeFailure(failure))
      ) {
        return;
      }
      if (this.#mayRetry(failure)) {
        this.#scheduleRetry(attempt, reason);
        return;
      }
    }
    this.#fail(fault, reason);
  }

  /** Policy and budget. Requests that were never sent add no load, so they need no budget. */
  #mayRetry(failure: TryFailure): boolean {
    const { entry, current } = this;
    if (entry === undefined || current === undefined) return false;
    const decision = retryDecision(failure, entry.route.route.retries, this.attempt);
    if (!decision.retry) return false;
    if (failure.kind === 'connect-failure' || failure.kind === 'refused-stream') return true;
    if (this.#budget !== undefined) return true;
    const { group } = current;
    if (!group.retries.acquire(group.active + 1)) {
      this.note = 'not retried: the retry budget is used up';
      return false;
    }
    this.#budget = group.retries;
    return true;
  }

  #scheduleRetry(attempt: UpstreamTry, reason: string): void {
    this.note = `retried: ${reason}`;
    this.exchange.pauseRequest();
    this.#tried = [...this.#tried, attempt.endpoint];
    const { random, clock } = this.engine;
    const baseMs = this.entry?.route.route.retries.backoffBaseMs ?? 0;
    const delayMs = retryDelayMs(baseMs, this.attempt, random);
    this.#backoff = clock.after(delayMs, () => {
      this.#backoff = undefined;
      this.#tryNext(attempt.destination, true);
    });
  }

  // === respond ===

  #respond(attempt: UpstreamTry, head: MessageHead, end: boolean): void {
    const { entry, engine } = this;
    this.upstreamMs = engine.clock.now() - attempt.startedAt;
    if (entry !== undefined) {
      const operations = attempt.destination.destination.headers?.response;
      prepareResponse(head, { entry, operations, upstreamMs: this.upstreamMs });
    }
    this.status = head.status;
    this.#responded = true;
    this.#replay?.drop();
    if (this.isGrpc) this.grpcStatus = head.get('grpc-status') ?? '';
    // Recorded first: with the end sent, the driver may reuse the request's head for the next one.
    if (end) this.#finish();
    this.exchange.sendHead(head, end);
  }

  responseBody(bytes: Uint8Array): void {
    this.responseBytes += bytes.length;
    if (!this.exchange.sendBody(bytes)) this.current?.exchange?.pauseResponse();
  }

  responseEnd(trailers: MessageHead | undefined): void {
    if (this.isGrpc) this.grpcStatus = trailers?.get('grpc-status') ?? this.grpcStatus;
    this.#finish();
    this.exchange.sendEnd(trailers);
  }

  /** The upstream broke off in the middle of its answer: the downstream must not take it for whole. */
  responseBroken(error: MeshError): void {
    this.flags = 'UC';
    this.details = 'upstream_reset_after_response_started{connection_termination}';
    this.transportFailure = error.message;
    this.#finish();
    this.exchange.abort();
  }

  #fail(fault: Fault, reason: string, as?: { status: number; flag: string }): void {
    if (this.#over) return;
    const reply = replyFor(fault);
    this.flags = as?.flag ?? reply.flag;
    this.details = reply.details;
    this.note = this.note === '' ? reason : `${this.note}; ${reason}`;
    const text = `${reply.text}: ${reason}\n`;
    const status = as?.status ?? reply.status;
    const body = this.isGrpc ? new Uint8Array(0) : encoder.encode(text);
    this.#sendReply(replyHead({ status }, body, this.isGrpc ? text.trimEnd() : undefined), body);
  }

  #sendReply(head: MessageHead, body: Uint8Array): void {
    this.status = head.status;
    if (this.isGrpc) this.grpcStatus = head.get('grpc-status') ?? '';
    this.#responded = true;
    this.responseBytes += body.length;
    const isBodyless = body.length === 0 || this.request.method === 'HEAD';
    this.#finish();
    this.exchange.sendHead(head, isBodyless);
    if (isBodyless) return;
    this.exchange.sendBody(body);
    this.exchange.sendEnd();
  }

  // === the downstream side ===

  onBody(bytes: Uint8Array): void {
    this.requestBytes += bytes.length;
    if (this.#over) return;
    const upstream = this.current?.exchange;
    const replay = this.#replay;
    replay?.push(bytes);
    if (upstream === undefined) {
      if (replay?.complete === false) {
        this.#fail(
          'overflow',
          `over ${REPLAY_BYTES_MAX} body bytes came before a connection was there`,
        );
      }
    } else if (!upstream.sendBody(bytes)) this.exchange.pauseRequest();
  }

  onEnd(trailers: MessageHead | undefined): void {
    this.#requestEnded = true;
    this.#requestTrailers = trailers?.retain();
    if (!this.#over) this.current?.exchange?.sendEnd(trailers);
  }

  onAbort(error: MeshError): void {
    if (this.#over) return;
    this.flags = 'DC';
    this.details = 'downstream_remote_disconnect';
    this.note = error.message;
    this.#finish();
  }

  onDrain(): void {
    if (!this.#over) this.current?.exchange?.resumeResponse();
  }

  /** The route's timeout: it covers all tries. */
  override onDeadline(): void {
    if (this.#over) return;
    const { current } = this;
    if (current !== undefined && !current.answered)
      current.group.reportFailure(current.endpoint, 'timeout');
    const reason = `no complete answer within timeout ${this.entry?.route.route.timeoutMs} ms`;
    if (!this.#responded) {
      this.#fail('request-timeout', reason);
      return;
    }
    this.flags = 'UT';
    this.details = 'response_timeout';
    this.note = reason;
    this.#finish();
    this.exchange.abort();
  }

  // === record ===

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    const { engine, current } = this;
    engine.deadlines.cancel(this);
    this.#backoff?.cancel();
    this.#budget?.release();
    // An answer that came before the request was all sent leaves the upstream exchange open: break it off.
    if (current !== undefined) {
      if (this.#requestEnded && current.answered && this.flags === '-') current.end();
      else current.abandon();
    }
    engine.recorder.request(this);
    engine.finished();
  }
}
