/**
 * Traces at a waypoint or gateway: begins the trace of each request, and makes its spans when it is over and they are wanted: the request
 * is sampled, or it failed. What is ordinary costs the reading of its head and a comparison.
 */
import type { Clock } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { ServiceKey } from '#model/service/service.ts';
import type { TracingSettings } from '#model/telemetry/settings.ts';
import {
  beginConnectionTrace,
  beginTrace,
  type RequestTrace,
} from '#telemetry/tracing/request-trace.ts';
import { SpanBudget } from '#telemetry/tracing/span-budget.ts';
import type { SpanOutlet } from '#telemetry/tracing/span-outlet.ts';
import {
  type CompiledTracing,
  type Environment,
  tracingRules,
} from '#telemetry/tracing/tracing-rules.ts';
import { WallOffset } from '#telemetry/tracing/wall-offset.ts';
import { DEFAULT_PROXY_TELEMETRY, type ProxyTelemetry } from '../config/telemetry.ts';
import type { RequestCopy } from '../phases/mirror.ts';
import type { RequestRun } from '../phases/request-run.ts';
import type { MirrorOutcome } from '../record/waypoint-metrics.ts';
import type { TcpRun } from '../tcp/tcp-run.ts';
import type { Tunnel } from '../tunnel.ts';
import { connectionSpan } from './connection-span.ts';
import type { ProxySelf } from './proxy-self.ts';
import { copySpan, type SpanContext, spansOf } from './request-spans.ts';

export interface TracingDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly outlet: Pick<SpanOutlet, 'offerSpan'>;
  readonly environment: Environment;
  /** Known better once discovery has told. */
  readonly self: () => ProxySelf;
}

/** gRPC statuses that say that a server failed (OpenTelemetry's conventions for RPC spans). */
const GRPC_FAILURES = new Set(['2', '4', '12', '13', '14', '15']);

export class RequestTracing {
  /** Requests and connections that failed beyond what a second may have. */
  readonly failures: SpanBudget;
  readonly #deps: TracingDeps;
  readonly #wall: WallOffset;
  /** Of the last request: most that follow have the same. */
  #settings: TracingSettings | undefined = undefined;
  #compiled: CompiledTracing | undefined = undefined;

  constructor(deps: TracingDeps) {
    this.#deps = deps;
    this.#wall = new WallOffset(deps.clock);
    this.failures = new SpanBudget(deps.clock);
  }

  /** The first request of a tunnel may belong to the tunnel's own trace. */
  begin(
    { request: head, tunnel, engine }: RequestRun,
    requestId: string,
  ): RequestTrace | undefined {
    const connection = tunnel.hadRequest === false ? tunnel.trace : undefined;
    if (tunnel.hadRequest === false) tunnel.hadRequest = true;
    const { snapshot } = engine;
    const rules = this.#rules(snapshot?.telemetry, snapshot?.serviceAt(tunnel.host)?.key);
    return beginTrace({ head, rules, random: this.#deps.random, connection, requestId });
  }

  finished(run: RequestRun): void {
    const { trace } = run;
    if (trace === undefined) return;
    if (!trace.records && !(hasFailed(run) && this.#mayReport(trace))) return;
    const { outlet } = this.#deps;
    for (const span of spansOf(run, trace, this.#context()))
      outlet.offerSpan(span, trace.rules.provider);
  }

  /** A copy of a traced request is over. */
  copied(copy: RequestCopy, outcome: MirrorOutcome): void {
    const { trace } = copy;
    if (trace === undefined) return;
    const span = copySpan(copy, trace, { ...this.#context(), outcome });
    this.#deps.outlet.offerSpan(span, trace.rules.provider);
  }

  beginConnection(
    { trace: parent }: Tunnel,
    telemetry: ProxyTelemetry | undefined,
    service: ServiceKey | undefined,
  ): RequestTrace {
    const rules = this.#rules(telemetry, service);
    return beginConnectionTrace({ parent, rules, random: this.#deps.random });
  }

  connectionClosed(run: TcpRun): void {
    const { trace } = run;
    if (!trace.records && !(run.flags !== '-' && this.#mayReport(trace))) return;
    const span = connectionSpan(run, trace, this.#context());
    this.#deps.outlet.offerSpan(span, trace.rules.provider);
  }

  /** Whether a failure that was not sampled has its span. */
  #mayReport({ rules }: RequestTrace): boolean {
    return rules.reports && this.failures.take();
  }

  #context(): SpanContext {
    const { clock, self, random } = this.#deps;
    return { wall: this.#wall.refresh(), now: clock.now(), self: self(), random };
  }

  #rules(telemetry: ProxyTelemetry | undefined, service: ServiceKey | undefined): CompiledTracing {
    const { tracing } = (telemetry ?? DEFAULT_PROXY_TELEMETRY).of(service);
    if (this.#compiled === undefined || tracing !== this.#settings) {
      this.#compiled = tracingRules(tracing, this.#deps.environment);
      this.#settings = tracing;
    }
    return this.#compiled;
  }
}

/** It is recorded whether it is sampled or not: broken off, answered 5xx, refused by a policy. */
export function hasFailed(
  run: Pick<RequestRun, 'status' | 'flags' | 'policy' | 'isGrpc' | 'grpcStatus'>,
): boolean {
  const { status } = run;
  if (status === 0 || status >= 500 || run.policy !== '') return true;
  // A delay that was asked for is no failure.
  if (run.flags !== '-' && run.flags !== 'DI') return true;
  return run.isGrpc && GRPC_FAILURES.has(run.grpcStatus);
}
