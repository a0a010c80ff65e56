/** Tracing parts for engines of tests: spans are kept, chance is apart from the engine's own. */
import type { Clock } from '#base/clock.ts';
import { seededRandom } from '#base/random.ts';
import { DEFAULT_SCOPED } from '#model/telemetry/scopes.ts';
import type { TracingSettings } from '#model/telemetry/settings.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import { ProxyTelemetry } from '#waypoint/config/telemetry.ts';
import { DialTrace } from '#waypoint/tracing/dial-trace.ts';
import { type ProxySelf, selfNamed } from '#waypoint/tracing/proxy-self.ts';
import { RequestTracing } from '#waypoint/tracing/request-tracing.ts';

export const TEST_SELF: ProxySelf = selfNamed('shop/waypoint-1', {
  name: 'waypoint',
  namespace: 'shop',
  cluster: 'Kubernetes',
});

export interface TestTracing {
  readonly spans: Span[];
  readonly tracing: RequestTracing;
  readonly dialTrace: DialTrace;
}

export function testTracing(clock: Clock, environment: Record<string, string> = {}): TestTracing {
  const spans: Span[] = [];
  const tracing = new RequestTracing({
    clock,
    random: seededRandom(99),
    environment,
    outlet: { offerSpan: (span) => void spans.push(span) },
    self: () => TEST_SELF,
  });
  return { spans, tracing, dialTrace: new DialTrace() };
}

/** The defaults but for what is given, on both sides. */
export function tracingTelemetry(part: Partial<TracingSettings>): ProxyTelemetry {
  const { server } = DEFAULT_SCOPED;
  const settings = { ...server, tracing: { ...server.tracing, ...part } };
  return new ProxyTelemetry({ ...DEFAULT_SCOPED, server: settings, client: settings }, 'server');
}
