/**
 * The upstream side of one request: its timeouts, which destination and endpoint it is sent to, and what follows when that brings no
 * answer. It hands the answer, or the reason why there is none, to the request.
 */
import type { Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import type { MeshError } from '#base/errors.ts';
import type { ClientExchange, HttpClientConnection } from '#http/dispatch/dispatch.ts';
import { isTunnel, type MessageHead } from '#http/dispatch/message-head.ts';
import type { CompiledDestination, RouteEntry } from '#model/route/compile.ts';
import { pickDestination } from '#model/route/match.ts';
import type { Mirror, RetryPolicy } from '#model/route/route-table.ts';
import type { PickContext } from '#upstream/group/endpoint-group.ts';
import { requestHash } from '#upstream/hash/request-hash.ts';
import { overflow } from '#upstream/pool/endpoint-pool.ts';
import { describeFailure, type TryFailure } from '#upstream/retry/decision.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Deadline } from '../deadlines.ts';
import type { HttpGroup } from '../engine.ts';
import { type Fault, faultOfExchange, withFlag } from '../respond.ts';
import { redirectAnswer } from './answer.ts';
import { attemptsBefore, isTrusted, takeWishes, WISHES_PREFIX } from './caller-wishes.ts';
import { headForTry, isIdempotent, prepareRequest } from './headers.ts';
import { type RequestCopy, startMirrors } from './mirror.ts';
import type { RequestRun } from './request-run.ts';
import { type NextStep, Retries } from './retries.ts';
import { perTryTimeoutMs, requestTimeoutMs } from './timeouts.ts';
import { UpstreamTry } from './upstream-try.ts';

/** A try that another one followed. */
export interface EarlierTry {
  readonly attempt: UpstreamTry;
  readonly endedAt: number;
  readonly reason: string;
}

export class Forwarding extends Deadline {
  readonly run: RequestRun;
  readonly entry: RouteEntry;
  /** The try under way, or the last one. */
  current: UpstreamTry | undefined = undefined;
  /** Tries so far. */
  attempt = 0;
  /** How often proxies before us sent the request, this time included. */
  attemptsBefore = 1;
  /** In force for this request; 0 = no bound. */
  timeoutMs = 0;
  perTryTimeoutMs = 0;
  policy: RetryPolicy;
  /** Timeouts run. */
  armed = false;
  /** For the answer: the client is handed a cookie to be hashed by. */
  setCookie: string | undefined = undefined;
  /** Tries before the current one, where there were any. */
  earlier: EarlierTry[] | undefined = undefined;
  /** Copies that wait for the body. */
  copies: readonly RequestCopy[] | undefined = undefined;
  readonly #snapshot: Snapshot<HttpClientConnection> | undefined;
  #started = false;
  /** When timeouts began to run; -1 = not, or there are none. */
  #wholeAt = -1;
  #retries: Retries | undefined = undefined;
  #backoff: Timer | undefined = undefined;
  /** For the first answer about a destination's name; once a request. */
  #waiting: Disposer | undefined = undefined;
  #hasWaited = false;

  constructor(
    run: RequestRun,
    entry: RouteEntry,
    snapshot: Snapshot<HttpClientConnection> | undefined,
  ) {
    super();
    this.run = run;
    this.entry = entry;
    this.policy = entry.route.route.retries;
    this.#snapshot = snapshot;
  }

  /** The head is as its route wants it. */
  get isPrepared(): boolean {
    return this.#started;
  }

  /** Since the whole request was here. */
  get waitedMs(): number {
    return this.#wholeAt === -1 ? 0 : this.run.engine.clock.now() - this.#wholeAt;
  }

  start(): void {
    const { run, entry } = this;
    const { request: head, isGrpc } = run;
    const { route } = entry.route;
    const trusted = isTrusted(run.tunnel);
    // Most requests have none of Envoy's fields.
    if (head.hasPrefix(WISHES_PREFIX)) {
      this.attemptsBefore = attemptsBefore(head, trusted);
      const wishes = takeWishes(head, route.retries, trusted);
      this.policy = wishes?.retries ?? route.retries;
      this.timeoutMs = requestTimeoutMs(route, { head, isGrpc }, wishes);
      this.perTryTimeoutMs = perTryTimeoutMs(route, this.timeoutMs, wishes);
    } else {
      this.timeoutMs = requestTimeoutMs(route, { head, isGrpc }, undefined);
      this.perTryTimeoutMs = perTryTimeoutMs(route, this.timeoutMs, undefined);
    }
    prepareRequest(run, entry);
    this.#started = true;
    if (route.mirrors !== undefined) this.#mirror(route.mirrors);
    // The body of a tunnel is what it carries: its answer comes before the end of that.
    if (run.isWhole || isTunnel(head)) this.#arm();
    const destination = pickDestination(entry.route, run.engine.random);
    if (destination === undefined) {
      const { kind, namespace, name } = route.provenance;
      const where = `${kind} ${namespace}/${name}, route ${route.name}`;
      run.fail('no-destination', `the weights of ${where} sum to 0`);
      return;
    }
    const { mirrors } = destination.destination;
    if (mirrors !== undefined) this.#mirror(mirrors);
    this.#tryNext(destination);
  }

  /** What came of the body so far goes to the copies, too. */
  #mirror(mirrors: readonly Mirror[]): void {
    const { run, timeoutMs } = this;
    const { body, request: head, engine } = run;
    const hasBody = body !== undefined;
    // A copy of a WebSocket would have nobody to talk to.
    if (isTunnel(head)) return;
    const copies = startMirrors(engine, mirrors, {
      snapshot: this.#snapshot,
      head,
      hasBody,
      timeoutMs,
      trace: run.trace,
    });
    for (const copy of copies) body?.sendTo(copy);
    if (copies.length > 0) this.copies = [...(this.copies ?? []), ...copies];
  }

  /** The whole request is here. */
  requestEnded(trailers: MessageHead | undefined): void {
    if (!this.#started) return;
    if (this.copies !== undefined) for (const copy of this.copies) copy.sendEnd(trailers);
    this.#arm();
  }

  /** Timeouts run from now on. */
  #arm(): void {
    if (this.armed) return;
    this.armed = true;
    const { deadlines, clock } = this.run.engine;
    if (this.timeoutMs > 0) deadlines.set(this, this.timeoutMs);
    if (this.timeoutMs > 0 || this.perTryTimeoutMs > 0) this.#wholeAt = clock.now();
    this.current?.arm();
  }

  /** The request's timeout: it covers all tries. */
  override onDeadline(): void {
    const { current } = this;
    if (current !== undefined && !current.answered)
      current.group.reportFailure(current.endpoint, 'timeout');
    this.run.cut('request-timeout', `no complete answer within timeout ${this.timeoutMs} ms`);
  }

  finish(isSound: boolean): void {
    const { run, current } = this;
    run.engine.deadlines.cancel(this);
    this.#backoff?.cancel();
    this.#waiting?.();
    this.#retries?.release();
    if (this.copies !== undefined && !run.isWhole) for (const copy of this.copies) copy.abandon();
    if (current === undefined) return;
    // An answer that came before the request was all sent leaves the upstream exchange open: break it off.
    if (run.isWhole && isSound) current.end();
    else current.abandon();
  }

  // === pick ===

  #tryNext(destination: CompiledDestination): void {
    const { run } = this;
    const { redirect } = destination.destination;
    if (redirect !== undefined) {
      run.answer(redirectAnswer(redirect, run));
      return;
    }
    const target = this.#snapshot?.target(destination);
    if (target === undefined || target.broken !== undefined) {
      const broken = target?.broken;
      const reason = broken?.reason ?? 'the destination is not configured';
      run.fail(broken?.status === 403 ? 'denied' : 'broken-destination', reason, broken);
      return;
    }
    const { group } = target;
    const requestsMax = group.config.policy.connectionPool.maxRequests;
    if (requestsMax !== undefined && group.active >= requestsMax) {
      const what = `${group.active} requests run at ${group.description} (limit ${requestsMax})`;
      run.fail('overflow', overflow(what).message);
      return;
    }
    const elsewhereThan = this.#retries?.elsewhereThan;
    const usual = this.#contextFor(group);
    const context = elsewhereThan === undefined ? usual : { ...usual, elsewhereThan };
    const endpoint = group.pick(this.#retries?.tried, context);
    if (endpoint === undefined) {
      if (!this.#hasWaited && group.isResolving(context)) {
        this.#hasWaited = true;
        this.#waiting = group.whenResolved(context, () => this.#tryNext(destination));
        return;
      }
      const reason = group.unavailableReason(context);
      const elsewhere = this.#retriesOf().reroute(destination, reason);
      if (elsewhere === undefined) run.fail('no-healthy-upstream', reason);
      else this.#take(elsewhere, destination);
      return;
    }
    this.attempt += 1;
    const attempt = new UpstreamTry(this, { destination, group, endpoint, context });
    this.current = attempt;
    attempt.start();
  }

  /** What the pick depends on besides health and load; most policies ask for nothing. */
  #contextFor(group: HttpGroup): PickContext | undefined {
    const { policy, upstream } = group.config;
    const isPlain = policy.hash === undefined && policy.loadBalancer !== 'passthrough';
    if (isPlain && upstream.resolution === undefined) return undefined;
    const { request, tunnel } = this.run;
    const { host, port } = tunnel;
    // A gateway's own address is nobody's destination.
    const dialled = tunnel.gateway === undefined ? { host, port } : undefined;
    const place = { dialled, authority: request.authority };
    if (policy.hash === undefined) return place;
    const { hash, setCookie } = requestHash(policy.hash, request, {
      address: tunnel.source.address,
      connection: `${tunnel.remote} ${tunnel.local}`,
    });
    this.setCookie = setCookie;
    return { ...place, hash };
  }

  // === dispatch: called by the try ===

  headFor(attempt: UpstreamTry): MessageHead {
    return headForTry(this, attempt);
  }

  sendBodyTo(upstream: ClientExchange): void {
    this.run.sendBodyTo(upstream, this.policy.attempts > 0);
  }

  /** No connection came about. */
  tryNotSent(attempt: UpstreamTry, error: MeshError): void {
    this.run.transportFailure = error.message;
    const kind = error.code === 'UPSTREAM_OVERFLOW' ? 'overflow' : 'connect-failure';
    this.#retryOrFail(attempt, { kind }, kind, error.message);
  }

  /** The exchange broke before an answer. */
  tryBroken(attempt: UpstreamTry, error: MeshError): void {
    const { run } = this;
    run.transportFailure = error.message;
    // Whatever the method: nobody processed a request that a GOAWAY excluded.
    const isUnseen =
      attempt.isExcluded(error) ||
      (attempt.isStaleConnection(error) && isIdempotent(run.request.method));
    if (isUnseen && this.#canRepeat && this.#retriesOf().mayReplaceStale()) {
      this.attempt -= 1;
      run.exchange.pauseRequest();
      this.#tryNext(attempt.destination);
      return;
    }
    const fault = faultOfExchange(error);
    const failure: TryFailure =
      fault === 'upstream-refused' || error.retry === 'safe'
        ? { kind: 'refused-stream' }
        : { kind: 'reset', requestStarted: true };
    this.#retryOrFail(attempt, failure, fault, error.message);
  }

  tryTimedOut(attempt: UpstreamTry): void {
    const { name } = attempt.endpoint.endpoint;
    const reason = `no answer from ${name} within perTryTimeout ${this.perTryTimeoutMs} ms`;
    this.#retryOrFail(attempt, { kind: 'per-try-timeout' }, 'per-try-timeout', reason);
  }

  tryAnswered(attempt: UpstreamTry, head: MessageHead, end: boolean): void {
    const failure = this.#failureOf(head);
    if (failure !== undefined && this.#canRepeat) {
      const step = this.#nextStep(attempt, failure, describeFailure(failure));
      if (step !== undefined) {
        attempt.abandon();
        this.#take(step, attempt.destination);
        return;
      }
    }
    // What a tunnel carries afterwards may take as long as it likes.
    if (isTunnel(this.run.request) && head.status < 300) this.run.engine.deadlines.cancel(this);
    this.run.respond(attempt, head, end);
  }

  /** Undefined when the answer is a success. */
  #failureOf(head: MessageHead): TryFailure | undefined {
    const grpcText = this.run.isGrpc ? head.get('grpc-status') : undefined;
    const { retriableHeaders } = this.policy;
    const isError = head.status >= 400 || (grpcText !== undefined && grpcText !== '0');
    if (!isError && retriableHeaders === undefined) return undefined;
    return {
      kind: 'status',
      status: head.status,
      grpcStatus: grpcText === undefined ? undefined : Number(grpcText),
      rateLimited: head.has('x-envoy-ratelimited'),
      overloaded: head.has('x-envoy-overloaded'),
      header: retriableHeaders?.find((name) => head.has(name)),
      attempts: Number(head.get('x-envoy-attempt-count') ?? 1),
    };
  }

  // === retry, reroute ===

  /** Whether the request can be sent once more: its body is all here. */
  get #canRepeat(): boolean {
    return !this.run.responded && this.run.body?.complete !== false;
  }

  #retriesOf(): Retries {
    const { engine } = this.run;
    const { entry, policy, attemptsBefore: before } = this;
    const snapshot = this.#snapshot;
    this.#retries ??= new Retries({ engine, entry, snapshot, policy, attemptsBefore: before });
    return this.#retries;
  }

  #retryOrFail(attempt: UpstreamTry, failure: TryFailure, fault: Fault, reason: string): void {
    this.run.exchange.pauseRequest();
    const step = this.#canRepeat ? this.#nextStep(attempt, failure, reason) : undefined;
    if (step === undefined) this.run.fail(fault, reason);
    else this.#take(step, attempt.destination);
  }

  /** Undefined when that was the last try. */
  #nextStep(attempt: UpstreamTry, failure: TryFailure, reason: string): NextStep | undefined {
    const { run, attempt: attempts } = this;
    const step = this.#retriesOf().afterFailure(attempt, failure, { attempts, reason });
    if (step.kind !== 'give-up') return step;
    if (step.note !== '') run.note = step.note;
    if (step.flag !== '') run.flags = withFlag(run.flags, step.flag);
    return undefined;
  }

  #take(step: NextStep, destination: CompiledDestination): void {
    const { run } = this;
    run.note = step.note;
    this.#keepTry(step);
    run.exchange.pauseRequest();
    if (step.kind === 'reroute') this.#tryNext(step.destination);
    else if (step.kind === 'retry') {
      this.#backoff = run.engine.clock.after(step.delayMs, () => {
        this.#backoff = undefined;
        this.#tryNext(destination);
      });
    }
  }

  /** The one that failed; none where no endpoint was there to be tried. */
  #keepTry({ note: reason }: NextStep): void {
    const { current: attempt, earlier = [], run } = this;
    if (attempt === undefined || earlier.at(-1)?.attempt === attempt) return;
    this.earlier = [...earlier, { attempt, endedAt: run.engine.clock.now(), reason }];
  }
}
