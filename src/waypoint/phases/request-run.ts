/**
 * The life of one request, phase by phase. This file is the list; the work of a phase sits beside it.
 *
 *   identify   who calls (once per tunnel, source.ts)            ─┐
 *   authorize  tokens and policies, where any are (authorize.ts)  │ 401, 403
 *   route      which rule takes it (find-route.ts)                │ 404 NR
 *   admit      load shedding (admission.ts)                       │ 503 OM
 *   limit      rates (admission.ts)                               │ 429 RL
 *   fault      delays and aborts made on purpose (fault.ts)       │ FI
 *   cors       preflights (cors.ts)                               │ 200
 *   answer     redirects, fixed responses (answer.ts)             │
 *   pick       destination by weight, endpoint by balancer        │ 503 NC, UH ── reroute (retries.ts)
 *   dispatch   connection, head, body (upstream-try.ts)           │ 503 UF, UC, UO ── retry, reroute
 *   respond    answer to the downstream                           │ 504 UT
 *   record     metrics and the access log line                   ◀┘ always, exactly once
 */

import type { Timer } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import type { ClientExchange, RequestHandler, ServerExchange } from '#http/dispatch/dispatch.ts';
import { isTunnel, type MessageHead } from '#http/dispatch/message-head.ts';
import type { RouteEntry } from '#model/route/compile.ts';
import { normalizePath } from '#model/route/normalize-path.ts';
import type { RequestView } from '#model/route/request-view.ts';
import type { LoadShedding, RateLimit } from '#model/route/traffic-limits.ts';
import type { CompiledHttpPolicies } from '#policy/l7/compile-policies.ts';
import { Admission } from '#policy/load-shedding/load-shedder.ts';
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
import type { ActiveRequest } from '../active-requests.ts';
import type { ServiceConfig } from '../config/snapshot.ts';
import type { Engine } from '../engine.ts';
import { REPLAY_BYTES_MAX } from '../limits.ts';
import { GrpcMessages } from '../record/grpc-messages.ts';
import {
  abortedRequest,
  brokenAnswer,
  type Fault,
  grpcStatusOf,
  type Reply,
  replyFor,
  withFlag,
} from '../respond.ts';
import { LifeLimit } from '../tcp/idle-watch.ts';
import type { Tunnel } from '../tunnel.ts';
import { admit, rateLimited } from './admission.ts';
import { type Answer, answerOfFault, answerOfRule, answerWithHttps } from './answer.ts';
import { authorize, policiesAt, refusalOf } from './authorize.ts';
import { corsDecision, decorateAnswer } from './cors.ts';
import { prepareAtEdge } from './edge.ts';
import { answerOfAbort, drawFault } from './fault.ts';
import { findRoute, normalizationAt } from './find-route.ts';
import { Forwarding } from './forwarding.ts';
import { isGrpc, prepareResponse, tellAttempts } from './headers.ts';
import { RequestBody } from './request-body.ts';
import type { UpstreamTry } from './upstream-try.ts';

export class RequestRun implements RequestHandler, ActiveRequest {
  readonly engine: Engine;
  readonly tunnel: Tunnel;
  readonly exchange: ServerExchange;
  readonly request: MessageHead;
  readonly startedAt: number;
  /** Path as it came, normalized; rewrites change the head. */
  originalPath: string;
  readonly originalAuthority: string;
  readonly isGrpc: boolean;
  /** Undefined when the request has none. */
  readonly body: RequestBody | undefined;
  service: ServiceConfig | undefined = undefined;
  entry: RouteEntry | undefined = undefined;
  /** What let it in, and the head that was judged. */
  judged: { readonly policies: CompiledHttpPolicies; readonly head: MessageHead } | undefined =
    undefined;
  /** The upstream side, once the request gets there. */
  forwarding: Forwarding | undefined = undefined;
  status = 0;
  flags = '-';
  details = 'via_upstream';
  /** What the log line adds: where it went instead, which resource is at fault. */
  note = '';
  /** `Kind namespace/name` of the policy that refused it. */
  policy = '';
  /** Set once its head is as it may be believed. */
  trace: RequestTrace | undefined = undefined;
  transportFailure = '';
  grpcStatus = '';
  requestBytes = 0;
  responseBytes = 0;
  responseHeadBytes = 0;
  /** As it came; of the upstream's answer alone. */
  response: MessageHead | undefined = undefined;
  responseTrailers: MessageHead | undefined = undefined;
  readonly requestMessages: GrpcMessages | undefined;
  readonly responseMessages: GrpcMessages | undefined;
  upstreamMs = -1;
  /** The final head was sent. */
  responded = false;
  over = false;
  older: ActiveRequest | undefined = undefined;
  newer: ActiveRequest | undefined = undefined;
  seenActivity = 0;
  seenAt: number;
  /** Of a cross-origin request that is answered for its origin. */
  #corsOrigin: string | undefined = undefined;
  #faultDelay: Timer | undefined = undefined;
  #admission: Admission | undefined = undefined;
  #life: LifeLimit | undefined = undefined;

  constructor(engine: Engine, tunnel: Tunnel, exchange: ServerExchange) {
    this.engine = engine;
    this.tunnel = tunnel;
    this.exchange = exchange;
    this.request = exchange.request;
    this.originalPath = exchange.request.path;
    this.originalAuthority = exchange.request.authority;
    this.startedAt = engine.clock.now();
    this.seenAt = this.startedAt;
    this.isGrpc = isGrpc(exchange.request);
    this.requestMessages = this.isGrpc ? new GrpcMessages() : undefined;
    this.responseMessages = this.isGrpc ? new GrpcMessages() : undefined;
    this.body = exchange.requestEnded ? undefined : new RequestBody(REPLAY_BYTES_MAX);
    exchange.handler = this;
  }

  get protocol(): string {
    return this.tunnel.isH2 ? 'HTTP/2' : 'HTTP/1.1';
  }

  /** `Kind namespace/name` of what routed it, and the rule's own name; empty when nothing did. */
  get route(): string {
    const route = this.entry?.route.route;
    if (route === undefined) return '';
    const { kind, namespace, name } = route.provenance;
    return `${kind} ${namespace}/${name}${route.name === '' ? '' : ` ${route.name}`}`;
  }

  /** For metrics: what was asked for, as far as known. */
  get serviceHost(): string {
    return this.service?.compiled.table.hostname ?? this.tunnel.host;
  }

  /** The whole request is here. */
  get isWhole(): boolean {
    return this.body?.ended !== false;
  }

  /** The try under way, or the last one. */
  get current(): UpstreamTry | undefined {
    return this.forwarding?.current;
  }

  /** Tries so far. */
  get attempt(): number {
    return this.forwarding?.attempt ?? 0;
  }

  get activity(): number {
    return this.requestBytes + this.responseBytes + this.attempt + (this.responded ? 1 : 0);
  }

  // === authorize, route, fault ===

  start(): void {
    this.#begin();
    // A pooled connection takes the body as it comes; else it waits at the client.
    const isWaiting = !this.over && this.current?.exchange === undefined;
    if (isWaiting && this.body?.ended === false) this.exchange.pauseRequest();
  }

  #begin(): void {
    const { tunnel, engine } = this;
    if (engine.streamLifeMs > 0) this.#limitLife(engine.streamLifeMs);
    const { gateway } = tunnel;
    if (gateway !== undefined) {
      const trustedProxies = engine.snapshot?.gateways.places.get(gateway.place)?.trustedProxies;
      const { address } = tunnel.source;
      prepareAtEdge(this.request, { gateway, address, trustedProxies: trustedProxies ?? 0 });
    }
    this.trace = engine.tracing.begin(this, this.#requestId());
    const path = normalizePath(this.request.path, normalizationAt(engine.snapshot, tunnel));
    if (path === undefined) {
      this.fail('bad-path', 'the path has an escaped NUL');
      return;
    }
    this.request.path = path;
    this.originalPath = path;
    const policies = policiesAt(engine.snapshot, tunnel);
    const view = policies === undefined ? this.request : this.#authorize(policies);
    if (view === undefined) return;
    const found = findRoute(engine.snapshot, tunnel, view);
    this.service = found.service;
    if (found.entry === undefined) {
      if (found.fault === 'https-redirect') this.answer(answerWithHttps(this.request));
      else this.fail(found.fault, found.reason);
      return;
    }
    const { entry } = found;
    this.entry = entry;
    const { limits } = found;
    if (limits.shedding !== undefined && !this.#admit(limits.shedding)) return;
    const { rateLimits } = entry.route.route;
    if (limits.rateLimits !== undefined && !this.#passes(limits.rateLimits)) return;
    if (rateLimits !== undefined && !this.#passes(rateLimits)) return;
    // Retries and rewrites go by the configuration that the request came under.
    this.forwarding = new Forwarding(this, entry, engine.snapshot);
    const { fault } = entry.route.route;
    const draw = fault && drawFault(fault, engine.random);
    if (draw === undefined) {
      this.#handle(entry);
      return;
    }
    const act = () => {
      this.#faultDelay = undefined;
      if (draw.abort === undefined) this.#handle(entry);
      else this.answer(answerOfAbort(draw.abort, this));
    };
    if (draw.delayMs === 0) act();
    else {
      this.flags = withFlag(this.flags, 'DI');
      this.#faultDelay = engine.clock.after(draw.delayMs, act);
    }
  }

  /** The one that came, or a new one that the head has from now on. */
  #requestId(): string {
    const { request, engine } = this;
    const came = request.get('x-request-id');
    if (came !== undefined) return came;
    const made = engine.random.uuid();
    request.addPlain('x-request-id', made);
    return made;
  }

  /** The request as routes see it; undefined: it was refused and answered. */
  #authorize(policies: CompiledHttpPolicies): RequestView | undefined {
    const { tunnel, request, isGrpc } = this;
    this.judged = { policies, head: request.clone() };
    const asked = { ...this.#judgedAs(), tunnel, request, isGrpc };
    const { answer, note, policy, view } = authorize(policies, asked);
    this.note = note;
    this.policy = policy;
    if (answer === undefined) return view;
    if (tunnel.gateway === undefined) this.service = this.engine.snapshot?.serviceAt(tunnel.host);
    this.answer(answer);
    return undefined;
  }

  /** Ends it when the policies that are in force now would not let it in. */
  judgeAgain(): void {
    const policies = policiesAt(this.engine.snapshot, this.tunnel);
    if (policies === undefined || policies === this.judged?.policies) return;
    const reason = refusalOf(policies, this, this.#judgedAs());
    if (reason !== undefined) this.cut('denied', `policy change: ${reason}`);
  }

  /** A token that was valid when the request came stays so. */
  #judgedAs(): { trustedProxies: number; nowSeconds: number } {
    const { engine, tunnel } = this;
    const { snapshot, clock } = engine;
    const place = tunnel.gateway && snapshot?.gateways.places.get(tunnel.gateway.place);
    const ageMs = clock.now() - this.startedAt;
    return {
      trustedProxies: place?.trustedProxies ?? 0,
      nowSeconds: (clock.wallTime() - ageMs) / 1000,
    };
  }

  #limitLife(lifeMs: number): void {
    const end = () => this.cut('stream-too-long', `it lasted ${lifeMs} ms (--max-stream-duration)`);
    this.#life = new LifeLimit(this.engine.deadlines, lifeMs, end);
  }

  #admit(policies: readonly LoadShedding[]): boolean {
    const admission = admit(this, policies);
    if (admission instanceof Admission) this.#admission = admission;
    else this.answer(admission);
    return admission instanceof Admission;
  }

  #passes(limits: readonly RateLimit[]): boolean {
    const refusal = rateLimited(this, limits);
    if (refusal !== undefined) this.answer(refusal);
    return refusal === undefined;
  }

  // === cors, answer ===

  #handle(entry: RouteEntry): void {
    const { cors } = entry.route.route;
    if (cors !== undefined) {
      const decision = corsDecision(cors, this.request);
      if (decision.kind === 'preflight') {
        const { head } = decision;
        this.answer({ head, body: new Uint8Array(0), flags: '-', details: 'cors_response' });
        return;
      }
      if (decision.kind === 'actual') this.#corsOrigin = decision.origin;
    }
    const answer = answerOfRule(this, entry);
    if (answer !== undefined) this.answer(answer);
    else this.forwarding?.start();
  }

  // === respond ===

  informational(head: MessageHead): void {
    if (!this.responded) this.exchange.sendHead(head, false);
  }

  respond(attempt: UpstreamTry, head: MessageHead, end: boolean): void {
    this.upstreamMs = this.engine.clock.now() - attempt.startedAt;
    this.responseHeadBytes = head.wireBytes;
    this.response = head;
    prepareResponse(head, this, attempt);
    this.#decorate(head);
    this.status = head.status;
    this.responded = true;
    this.body?.drop();
    if (this.isGrpc) this.grpcStatus = head.get('grpc-status') ?? '';
    // Recorded first: with the end sent, the driver may reuse the request's head for the next one.
    if (end) {
      this.#noteGrpcStatus(undefined);
      this.#finish(true);
    }
    this.exchange.sendHead(head, end);
  }

  responseBody(bytes: Uint8Array): void {
    this.responseBytes += bytes.length;
    this.responseMessages?.push(bytes);
    if (!this.exchange.sendBody(bytes)) this.current?.exchange?.pauseResponse();
  }

  responseEnd(trailers: MessageHead | undefined): void {
    this.responseTrailers = trailers;
    this.#noteGrpcStatus(trailers);
    this.#finish(true);
    this.exchange.sendEnd(trailers);
  }

  /** The upstream broke off in the middle of its answer: the downstream must not take it for whole. */
  responseBroken(error: MeshError): void {
    const { flag, details } = brokenAnswer(error);
    this.flags = withFlag(this.flags, flag);
    this.details = details;
    this.transportFailure = error.message;
    this.#finish(false);
    this.exchange.abort();
  }

  /** Of an answer that is no gRPC, by its HTTP status, as its client takes it. */
  #noteGrpcStatus(trailers: MessageHead | undefined): void {
    if (!this.isGrpc) return;
    this.grpcStatus = trailers?.get('grpc-status') ?? this.grpcStatus;
    if (this.grpcStatus === '') this.grpcStatus = String(grpcStatusOf(this.status));
  }

  fail(fault: Fault, reason: string, as?: Partial<Reply>): void {
    if (this.over) return;
    this.note = this.note === '' ? reason : `${this.note}; ${reason}`;
    this.answer(answerOfFault(fault, { reason, isGrpc: this.isGrpc, as }));
  }

  answer({ head, body, flags, details }: Answer): void {
    this.flags = withFlag(this.flags, flags);
    this.details = details;
    this.status = head.status;
    tellAttempts(head, this);
    this.#decorate(head);
    if (this.isGrpc) this.grpcStatus = head.get('grpc-status') ?? '';
    this.responded = true;
    this.responseBytes += body.length;
    this.responseHeadBytes = head.wireBytes;
    const isBodyless = body.length === 0 || this.request.method === 'HEAD';
    this.#finish(false);
    this.exchange.sendHead(head, isBodyless);
    if (isBodyless) return;
    this.exchange.sendBody(body);
    this.exchange.sendEnd();
  }

  #decorate(head: MessageHead): void {
    const cors = this.entry?.route.route.cors;
    if (this.#corsOrigin !== undefined && cors) decorateAnswer(head, cors, this.#corsOrigin);
  }

  // === the downstream side ===

  onBody(bytes: Uint8Array): void {
    this.requestBytes += bytes.length;
    this.requestMessages?.push(bytes);
    if (this.over) return;
    const upstream = this.current?.exchange;
    const { body, forwarding } = this;
    body?.push(bytes);
    if (forwarding?.copies !== undefined)
      for (const copy of forwarding.copies) copy.sendBody(bytes);
    if (upstream === undefined) {
      if (body?.complete === false) {
        const what = `over ${REPLAY_BYTES_MAX} body bytes came before a connection was there`;
        this.fail('request-too-large', what);
      }
    } else if (!upstream.sendBody(bytes)) this.exchange.pauseRequest();
  }

  onEnd(trailers: MessageHead | undefined): void {
    this.body?.end(trailers);
    if (this.over) return;
    this.current?.exchange?.sendEnd(trailers);
    this.forwarding?.requestEnded(trailers);
  }

  onAbort(error: MeshError, answered: number): void {
    if (this.over) return;
    const { status, flag, details } = abortedRequest(error, answered);
    if (status !== 0) this.status = status;
    this.flags = withFlag(this.flags, flag);
    this.details = details;
    this.note = error.message;
    this.#finish(false);
  }

  onDrain(): void {
    if (!this.over) this.current?.exchange?.resumeResponse();
  }

  sendBodyTo(upstream: ClientExchange, keep: boolean): void {
    const { body } = this;
    if (body === undefined) return;
    const hasRoom = body.sendTo(upstream);
    // Without retries nothing is kept: what is forwarded from here on is gone.
    if (!keep) body.drop();
    if (hasRoom && !body.ended) this.exchange.resumeRequest();
  }

  upstreamDrained(): void {
    if (this.body?.ended === false) this.exchange.resumeRequest();
  }

  // === ended by us ===

  onIdle(idleMs: number): void {
    const fault = this.isWhole ? 'stream-idle' : 'stream-idle-uploading';
    this.cut(fault, `nothing moved for ${idleMs} ms`);
  }

  /** Ends it with an answer if there was none yet, else by breaking it off. */
  cut(fault: Fault, reason: string): void {
    if (this.over) return;
    if (!this.responded) {
      this.fail(fault, reason);
      return;
    }
    const { flag, details } = replyFor(fault);
    this.flags = withFlag(this.flags, flag === '-' ? 'LR' : flag);
    this.details = details;
    this.note = reason;
    this.#finish(false);
    this.exchange.abort();
  }

  // === record ===

  /** `isSound`: the upstream's answer ended as it should. */
  #finish(isSound: boolean): void {
    if (this.over) return;
    this.over = true;
    const { engine } = this;
    this.#faultDelay?.cancel();
    if (this.#life !== undefined) this.engine.deadlines.cancel(this.#life);
    // A long stream says nothing about how fast the application answers.
    this.#admission?.release(isSound && !isTunnel(this.request));
    this.forwarding?.finish(isSound);
    engine.recorder.request(this);
    engine.tracing.finished(this);
    engine.finished(this);
  }
}
