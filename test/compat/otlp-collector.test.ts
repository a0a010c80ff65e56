/** Spans and log records as OpenTelemetry's own collector takes them, over each way that a provider may ask for. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type { TracingProvider } from '#model/telemetry/settings.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import { anyValue, idBytes, keyValues } from '#otlp/encode.ts';
import { OtlpExporters } from '#otlp/exporters.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { type Collector, missingCollector, startCollector } from '#test/support/otel-collector.ts';
import { SPAN } from '#test/support/spans.ts';

const missing = missingCollector();

describe.skipIf(missing !== undefined)('OpenTelemetry’s collector', () => {
  let collector: Collector;
  let exporters: OtlpExporters;
  const registry = new MetricRegistry();

  beforeAll(async () => {
    collector = await startCollector();
    exporters = new OtlpExporters({
      clock: systemClock,
      random: seededRandom(1),
      network: new BunNetwork({ clock: systemClock }),
      log: silentLogger,
      registry,
      environment: { OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test,team=a%20b' },
    });
  });

  afterAll(async () => {
    await exporters?.close();
    await collector?.[Symbol.asyncDispose]();
  });

  const provider = (part: Partial<TracingProvider>): TracingProvider => ({
    name: 'otel',
    protocol: 'otlp-http',
    collector: { host: '127.0.0.1', port: 0 },
    path: '/v1/traces',
    headers: [],
    readsEnvironment: true,
    semanticServiceName: false,
    ...part,
  });

  const ways: { title: string; make: () => TracingProvider }[] = [
    {
      title: 'http, protobuf',
      make: () =>
        provider({ name: 'a', collector: { host: '127.0.0.1', port: collector.httpPort } }),
    },
    {
      title: 'http, JSON',
      make: () =>
        provider({
          name: 'b',
          collector: { host: 'localhost', port: collector.httpPort },
          headers: [{ name: 'Content-Type', value: 'application/json' }],
        }),
    },
    {
      title: 'gRPC',
      make: () =>
        provider({
          name: 'c',
          protocol: 'otlp-grpc',
          collector: { host: 'localhost', port: collector.grpcPort },
          headers: [{ name: 'X-Tenant', value: 'acme' }],
        }),
    },
  ];
  for (const [index, { title, make }] of ways.entries()) {
    test(`takes spans by ${title}, whole`, async () => {
      const way = make();
      const first = `${index}0000000000000a1`;
      const spans = Array.from({ length: 700 }, (_, each) => ({
        ...SPAN,
        spanId: each === 0 ? first : `${index}${String(each).padStart(15, '0')}`,
        proxy: each % 2 === 0 ? 'shop/waypoint-1' : 'shop/waypoint-2',
      }));
      for (const span of spans) exporters.span(way, span);
      const ids = new Set(spans.map(({ spanId }) => spanId));
      await collector.until(
        (taken) => taken.spans().filter(({ spanId }) => ids.has(spanId)).length === 700,
      );
      const found = collector.spans().find(({ spanId }) => spanId === first);
      expect(found).toMatchObject({
        service: 'waypoint.shop',
        traceId: SPAN.traceId,
        parentSpanId: SPAN.parentSpanId,
        traceState: 'a=1',
        name: 'GET p r',
        kind: 2,
        startTimeUnixNano: '1767323045007000123',
        endTimeUnixNano: '1767323045019000456',
        attributes: SPAN.attributes,
        status: { code: 2, message: 'broken' },
      });
      expect(found?.links).toMatchObject(SPAN.links as never);
      expect(registry.expose()).toContain(
        `tulle_otlp_records_total{signal="traces",provider="${way.name}",outcome="exported"} 700`,
      );
    });
  }

  test('knows who made them', () => {
    expect(collector.resources()).toContainEqual({
      'deployment.environment': 'test',
      team: 'a b',
      'service.name': 'waypoint.shop',
      'service.instance.id': 'shop/waypoint-2',
      'k8s.namespace.name': 'shop',
      'k8s.pod.name': 'waypoint-2',
      'telemetry.sdk.name': 'tulle',
      'telemetry.sdk.language': 'nodejs',
    });
  });

  test('takes log records', async () => {
    const to = { name: 'logs', collector: { host: '127.0.0.1', port: collector.grpcPort } };
    exporters.log(
      to,
      { service: 'waypoint.shop', proxy: 'shop/waypoint-1' },
      {
        timeUnixNano: SPAN.startNanos,
        observedTimeUnixNano: SPAN.endNanos,
        severityNumber: 9,
        severityText: 'INFO',
        body: anyValue('GET / 200'),
        attributes: keyValues({ log_name: 'mesh', code: 200 }),
        traceId: idBytes(SPAN.traceId),
        spanId: idBytes(SPAN.spanId),
      },
    );
    await collector.until(({ logs }) => logs().length === 1);
    expect(collector.logs()[0]).toEqual({
      service: 'waypoint.shop',
      body: 'GET / 200',
      traceId: SPAN.traceId,
      spanId: SPAN.spanId,
      attributes: { log_name: 'mesh', code: 200 },
    });
  });

  test('refuses what is sent to the wrong path: given up at once, and counted', async () => {
    const { httpPort: port } = collector;
    const wrong = provider({
      name: 'wrong',
      path: '/nowhere',
      collector: { host: '127.0.0.1', port },
    });
    exporters.span(wrong, SPAN);
    const line = 'tulle_otlp_records_total{signal="traces",provider="wrong",outcome="failed"} 1';
    await collector.until(() => registry.expose().includes(line));
  });
});
