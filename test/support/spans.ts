/** A span to be changed by tests. */
import type { Span } from '#telemetry/tracing/span.ts';

export const SPAN: Span = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  parentSpanId: '1122334455667788',
  traceState: 'a=1',
  kind: 'server',
  name: 'GET p r',
  startNanos: 1_767_323_045_007_000_123n,
  endNanos: 1_767_323_045_019_000_456n,
  status: 'error',
  statusMessage: 'broken',
  attributes: { 'http.url': 'http://p/ä"\n', 'http.status_code': 503, error: true, share: 0.5 },
  links: [{ traceId: '1bf92f3577b34da6a3ce929d0e0e4736', spanId: 'aaaaaaaaaaaaaaaa' }],
  service: 'waypoint.shop',
  proxy: 'shop/waypoint-1',
};
