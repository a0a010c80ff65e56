/**
 * Which trace a tunnel belongs to that is opened now: that of the request that could not do without it. The pool dials while a traced try
 * asks it for a connection; a tunnel that is there already keeps the trace of its first request, and spans link to it.
 */
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
import { formatTraceparent } from '#telemetry/tracing/trace-context.ts';

export class DialTrace {
  #traceparent: string | undefined = undefined;
  readonly #carriers = new WeakMap<object, string>();

  begin(trace: RequestTrace | undefined, spanId: string): void {
    if (trace === undefined) return;
    this.#traceparent = formatTraceparent({ traceId: trace.traceId, spanId, sampled: true });
  }

  end(): void {
    this.#traceparent = undefined;
  }

  /** For a tunnel that is opened in this moment; undefined: it has a trace of its own. */
  get traceparent(): string | undefined {
    return this.#traceparent;
  }

  /** The HTTP connection runs in a tunnel of that trace. */
  carried(connection: object, traceparent: string): void {
    this.#carriers.set(connection, traceparent);
  }

  carrierOf(connection: object): string {
    return this.#carriers.get(connection) ?? '';
  }
}
