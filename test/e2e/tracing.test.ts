/**
 * One trace from the client through the waypoint to the application, in the demo as a user runs it, at OpenTelemetry's own collector: that
 * is a pod of the lab, found by its name, as any service.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProductService } from '#test/scenarios/product-service.ts';
import { eventually, missingFor, startLab, type TestLab } from '#test/support/lab.ts';
import {
  missingCollector,
  prepareCollector,
  readCollector,
  type Taken,
  type TakenSpan,
} from '#test/support/otel-collector.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'kubectl', 'curl'];
const missing = missingFor({ programs: PROGRAMS, root: true }) ?? missingCollector();
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const SERVER = 2;
const CLIENT = 3;

const collectorPod = (command: readonly string[]) => `
apiVersion: v1
kind: Namespace
metadata: { name: observability }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: collector, namespace: observability }
spec:
  selector: { matchLabels: { app: collector } }
  template:
    metadata: { labels: { app: collector } }
    spec:
      containers:
        - { name: collector, image: host, command: ${JSON.stringify(command)} }
---
apiVersion: v1
kind: Service
metadata: { name: collector, namespace: observability }
spec:
  selector: { app: collector }
  ports: [{ name: grpc, port: 4317 }]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: traces, namespace: istio-system }
spec:
  tracing: [{ providers: [{ name: otel }], randomSamplingPercentage: 100 }]
`;

const PROVIDERS = `
extensionProviders:
- name: otel
  opentelemetry: { service: collector.observability.svc.cluster.local, port: 4317 }
`;

describe.skipIf(missing !== undefined)('traces of the demo', () => {
  let lab: TestLab;
  let folder: string;
  let taken: Taken;
  const shop = new ProductService(() => ({ ...lab, nodes: ['node1', 'node2'] }));

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tulle-traces-'));
    lab = await startLab(['--demo']);
    taken = readCollector(folder);
    const listen = { address: '0.0.0.0', grpcPort: 4317, httpPort: 4318 };
    const applied = await lab.apply(collectorPod(prepareCollector(folder, listen)));
    expect(applied).toMatchObject({ status: 0 });
    const mesh = ['-n', 'istio-system', 'get', 'configmap', 'istio', '-o', 'jsonpath={.data.mesh}'];
    const { stdout } = await lab.kubectl(...mesh);
    const data = JSON.stringify({ data: { mesh: `${stdout.trimEnd()}\n${PROVIDERS}` } });
    const patch = (kind: string, name: string, namespace: string, what: string) =>
      lab.kubectl('patch', kind, name, '-n', namespace, '--type', 'merge', '-p', what);
    expect((await patch('configmap', 'istio', 'istio-system', data)).status).toBe(0);
    // The application's side of a connection is told when it ends: here with its request.
    const http = { http: { maxRequestsPerConnection: 1 } };
    const rule = { spec: { trafficPolicy: { connectionPool: http } } };
    const { stdout: name } = await lab.kubectl(
      ...['get', 'destinationrule', '-n', 'shop', '-o', 'jsonpath={.items[0].metadata.name}'],
    );
    expect((await patch('destinationrule', name, 'shop', JSON.stringify(rule))).status).toBe(0);
  }, 90_000);

  afterAll(async () => {
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  const curl = (...words: string[]) =>
    shop.inWeb('curl', '-s', ...words, 'http://product-service/');

  /** Spans from the root downwards, if each has one child. */
  function chain(spans: readonly TakenSpan[]): TakenSpan[] {
    const ordered: TakenSpan[] = [];
    let next = spans.find(({ parentSpanId }) => !parentSpanId);
    while (next !== undefined) {
      ordered.push(next);
      const { spanId } = next;
      next = spans.find(({ parentSpanId }) => parentSpanId === spanId);
    }
    return ordered;
  }

  test('a request without a trace is one trace: client’s node, waypoint, its try, application’s node', async () => {
    const whole = await eventually('a whole trace', async () => {
      await curl();
      const spans = taken.spans();
      const roots = spans.filter(
        ({ parentSpanId, service }) => !parentSpanId && service.startsWith('web.'),
      );
      const chains = roots.map(({ traceId }) =>
        chain(spans.filter((each) => each.traceId === traceId)),
      );
      return chains.find(({ length }) => length === 4);
    });
    const seen = whole.map(({ service, kind }) => `${service} ${kind}`);
    expect(seen.slice(0, 3)).toEqual([
      `web.shop ${CLIENT}`,
      `waypoint.shop ${SERVER}`,
      `waypoint.shop ${CLIENT}`,
    ]);
    expect(seen[3]).toMatch(new RegExp(`^product-service\\S*\\.shop ${SERVER}$`));
    expect(whole[1].attributes).toMatchObject({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'istio.namespace': 'shop',
      'istio.source_workload': 'web',
      response_flags: '-',
    });
    expect(String(whole[1].attributes['tulle.route'])).toStartWith('VirtualService shop/');
  }, 60_000);

  test('a request of a trace goes on with it', async () => {
    const head = ['-H', `traceparent: 00-${TRACE}-${SPAN}-01`];
    await curl(...head);
    await taken.until(
      ({ spans }) => spans().filter(({ traceId }) => traceId === TRACE).length >= 3,
    );
    const spans = taken.spans().filter(({ traceId }) => traceId === TRACE);
    const server = spans.find(
      ({ service, kind }) => service === 'waypoint.shop' && kind === SERVER,
    );
    expect(server?.parentSpanId).toBe(SPAN);
    // The connection that brought it has a trace of its own.
    expect(server?.links.length).toBe(1);
  }, 120_000);
});
