/** Where finished spans go: to everybody who wants them now. Nobody may make the request wait. */
import type { Disposer } from '#base/disposer.ts';
import type { TracingProvider } from '#model/telemetry/settings.ts';
import type { SpanSink } from '../report/telemetry-report.ts';
import type { Span } from './span.ts';

export class SpanOutlet {
  /** Sends a span to the collector of its settings. */
  exports: ((provider: TracingProvider, span: Span) => void) | undefined = undefined;
  readonly #sinks: SpanSink[] = [];

  add(sink: SpanSink): Disposer {
    this.#sinks.push(sink);
    return () => {
      const at = this.#sinks.indexOf(sink);
      if (at !== -1) this.#sinks.splice(at, 1);
    };
  }

  offerSpan(span: Span, provider: TracingProvider | undefined): void {
    for (const sink of this.#sinks) sink.offerSpan(span);
    if (provider !== undefined) this.exports?.(provider, span);
  }
}
