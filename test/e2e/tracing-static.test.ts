/** A waypoint process that traces: from the client's context to the application's, and to a collector, whatever that one does. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import type { AccessLogOutput, TracingProvider } from '#model/telemetry/settings.ts';
import { freePort } from '#test/support/guarded-process.ts';
import { type Collector, missingCollector, startCollector } from '#test/support/otel-collector.ts';
import { type StaticWaypoint, staticWaypoint } from '#test/support/static-waypoint.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const missing = missingCollector();

/** Answers with the trace headers that it got. */
function echo() {
  return Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const status = Number(request.headers.get('x-status') ?? 200);
      const names = ['traceparent', 'tracestate', 'b3', 'x-request-id'];
      const got = Object.fromEntries(names.map((name) => [name, request.headers.get(name)]));
      return Response.json(got, { status });
    },
  });
}

const providerAt = (port: number, protocol: TracingProvider['protocol']): TracingProvider => ({
  name: 'otel',
  protocol,
  collector: { host: '127.0.0.1', port },
  path: '/v1/traces',
  headers: [],
  readsEnvironment: false,
  semanticServiceName: false,
});

describe.skipIf(missing !== undefined)('a waypoint with a collector', () => {
  let collector: Collector;
  let waypoint: StaticWaypoint;
  let folder: string;
  const upstream = echo();

  beforeAll(async () => {
    collector = await startCollector();
    const provider = providerAt(collector.grpcPort, 'otlp-grpc');
    const tracing = { provider, samplingPercent: 0 };
    folder = mkdtempSync(join(tmpdir(), 'tulle-access-log-'));
    const outputs: AccessLogOutput[] = [
      {
        provider: 'file',
        sink: { kind: 'file', path: join(folder, 'access.log') },
        format: { kind: 'json', fields: { trace: '%TRACE_ID%', code: '%RESPONSE_CODE%' } },
      },
      {
        provider: 'als',
        sink: {
          kind: 'otlp',
          collector: { host: '127.0.0.1', port: collector.grpcPort },
          logName: 'mesh',
        },
        format: {
          kind: 'otlp',
          body: '%REQ(:METHOD)% %RESPONSE_CODE%',
          attributes: { route: '%ROUTE_NAME%' },
        },
      },
    ];
    waypoint = await staticWaypoint(
      { upstreamPort: upstream.port ?? 0, retries: true },
      { telemetry: { tracing, accessLog: { outputs } }, accessLog: 'text' },
    );
  });

  afterAll(async () => {
    await waypoint?.[Symbol.asyncDispose]();
    await collector?.[Symbol.asyncDispose]();
    await upstream.stop(true);
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const ask = async (headers: Record<string, string>) => {
    const response = await fetch(`http://127.0.0.1:${waypoint.port}/cart?id=7`, {
      headers: { ...headers, connection: 'close' },
    });
    return (await response.json()) as Record<string, string | null>;
  };

  test('a traced request arrives whole: client, hop, try and application in one trace', async () => {
    const got = await ask({ traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'vendor=1' });
    await collector.until(({ spans }) => spans().length >= 2);
    const server = collector.spans().find(({ kind }) => kind === 2);
    const client = collector.spans().find(({ kind }) => kind === 3);
    expect(collector.spans().map(({ traceId }) => traceId)).toEqual([TRACE, TRACE]);
    expect([server?.parentSpanId, client?.parentSpanId]).toEqual([SPAN, server?.spanId]);
    expect(got.traceparent).toBe(`00-${TRACE}-${client?.spanId}-01`);
    expect(got.tracestate).toBe('vendor=1');
    expect(server?.attributes).toMatchObject({
      'guid:x-request-id': String(got['x-request-id']),
      'http.response.status_code': 200,
      'url.path': '/cart',
    });
    const nanos = [server?.startTimeUnixNano, client?.startTimeUnixNano].map((text) =>
      BigInt(text ?? 0),
    );
    expect(nanos[0] <= nanos[1]).toBe(true);
    const ageMs = systemClock.wallTime() - Number(nanos[0] / 1_000_000n);
    expect(Math.abs(ageMs)).toBeLessThan(60_000);
  });

  test('the access log has the same trace: in a file that is rotated, and as OTLP', async () => {
    const path = join(folder, 'access.log');
    const last = (at: string) =>
      JSON.parse(readFileSync(at, 'utf8').trimEnd().split('\n').at(-1) ?? '');
    const other = TRACE.replaceAll('4', '8');
    await ask({ traceparent: `00-${other}-${SPAN}-00` });
    await collector.until(() => existsSync(path) && last(path).trace === other);
    expect(last(path)).toEqual({ trace: other, code: 200 });
    renameSync(path, `${path}.1`);
    process.kill(waypoint.pid, 'SIGUSR1');
    await collector.until(() => {
      void ask({});
      return existsSync(path);
    });
    await collector.until(({ logs }) => logs().some(({ traceId }) => traceId === other));
    expect(collector.logs().find(({ traceId }) => traceId === other)).toMatchObject({
      service: 'waypoint.static',
      body: 'GET 200',
      attributes: { log_name: 'mesh', route: 'all' },
    });
  });

  test('an unsampled request leaves no span, a failed one does', async () => {
    const other = TRACE.replaceAll('4', '5');
    await ask({ traceparent: `00-${other}-${SPAN}-00` });
    const failed = TRACE.replaceAll('4', '6');
    await ask({ traceparent: `00-${failed}-${SPAN}-00`, 'x-status': '500' });
    await collector.until(({ spans }) => spans().some(({ traceId }) => traceId === failed));
    expect(collector.spans().filter(({ traceId }) => traceId === other)).toEqual([]);
    const [server] = collector
      .spans()
      .filter(({ traceId, kind }) => traceId === failed && kind === 2);
    expect([server.status.code, server.parentSpanId]).toEqual([2, SPAN]);
  });

  test('a broken context is replaced, B3 is kept', async () => {
    const broken = await ask({ traceparent: 'broken', tracestate: 'a=1' });
    expect(broken.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(broken.tracestate).toBeNull();
    const b3 = await ask({ b3: `${TRACE}-${SPAN}-0` });
    expect([b3.b3, b3.traceparent]).toEqual([`${TRACE}-${SPAN}-0`, null]);
  });
});

test('a collector that is down costs spans, not requests', async () => {
  const upstream = echo();
  const provider = providerAt(await freePort(), 'otlp-http');
  const metricsPort = await freePort();
  const tracing = { provider, samplingPercent: 100 };
  await using waypoint = await staticWaypoint(
    { upstreamPort: upstream.port ?? 0 },
    { telemetry: { tracing }, metricsPort },
  );
  const url = `http://127.0.0.1:${waypoint.port}/`;
  const load = async () => {
    for (let index = 0; index < 300; index += 1)
      expect((await fetch(url, { keepalive: false })).status).toBe(200);
  };
  await Promise.all(Array.from({ length: 8 }, load));
  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const countOf = (name: string, outcome: string) => {
    const pattern = new RegExp(`^${name}\\{[^}]*${outcome}[^}]*\\} (\\d+)`, 'm');
    return Number(pattern.exec(metrics)?.[1] ?? 0);
  };
  const waiting = countOf('tulle_otlp_queue_records', 'traces');
  const dropped = countOf('tulle_otlp_records_total', 'dropped');
  // Two spans a request: what does not fit is counted.
  expect(waiting + dropped).toBe(2 * 2400);
  expect(dropped).toBeGreaterThan(0);
  await upstream.stop(true);
}, 120_000);
