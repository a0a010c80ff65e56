import { describe, expect, test } from 'bun:test';
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { TracingSettings } from '#model/telemetry/settings.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import { parseTraceparent } from '#telemetry/tracing/trace-context.ts';
import { tracingTelemetry } from '#test/support/tracing.ts';
import {
  HOST,
  RETRIES,
  route,
  ScriptedExchange,
  to,
  WaypointRig,
} from '#test/support/waypoint-rig.ts';
import { hasFailed } from './request-tracing.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const SAMPLED = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'a=1' };
const UNSAMPLED = { traceparent: `00-${TRACE}-${SPAN}-00` };

function rig(settings: Partial<TracingSettings> = {}): WaypointRig {
  const mesh = new WaypointRig();
  mesh.telemetry = tracingTelemetry({ samplingPercent: 0, ...settings });
  mesh.configure([route('r', [to('canary')])]);
  return mesh;
}

const told = (mesh: WaypointRig, index = 0) =>
  parseTraceparent(mesh.seen[index].request.get('traceparent') ?? '');

describe('RequestTracing', () => {
  test('a sampled request has a span for the hop and one below it for the try, which the upstream is told', async () => {
    const mesh = rig();
    await mesh.get('/cart?id=7', { ...SAMPLED, 'user-agent': 'curl' });
    const [server, client, ...rest] = mesh.traced.spans;
    expect(rest).toEqual([]);
    expect([server.traceId, server.parentSpanId, server.kind]).toEqual([TRACE, SPAN, 'server']);
    expect([client.traceId, client.parentSpanId, client.kind]).toEqual([
      ...[TRACE, server.spanId, 'client'],
    ]);
    expect(told(mesh)).toEqual({ traceId: TRACE, spanId: client.spanId, sampled: true });
    expect([server.traceState, server.status, server.name]).toEqual([
      'a=1',
      'unset',
      `GET ${HOST} r`,
    ]);
    expect(server.attributes).toMatchObject({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'http.url': 'http://product-service/cart?id=7',
      'url.path': '/cart',
      'url.query': 'id=7',
      'user_agent.original': 'curl',
      'guid:x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'istio.canonical_service': 'waypoint',
      'istio.mesh_id': 'unknown',
      'istio.namespace': 'shop',
      'istio.cluster_id': 'Kubernetes',
      'istio.source_principal': 'spiffe://cluster.local/ns/shop/sa/web',
      'istio.destination_workload': 'p-v2',
      'istio.destination_namespace': 'shop',
      'tulle.route': 'VirtualService shop/p r',
      'tulle.attempts': 1,
      response_flags: '-',
    });
    expect(client.attributes).toMatchObject({
      'server.address': HOST,
      'http.response.status_code': 200,
      'tulle.attempt': 1,
      'tulle.subset': 'canary',
      'istio.destination_canonical_revision': 'v2',
    });
    expect([server.service, server.proxy]).toEqual(['waypoint.shop', 'shop/waypoint-1']);
  });

  test('spans nest in time', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', () => 'hang');
    const run = mesh.begin('GET', '/', SAMPLED, true);
    await mesh.settle();
    mesh.clock.advance(25);
    mesh.engine.endAll('over');
    expect(run.status).toBe(503);
    const [server, client] = mesh.traced.spans;
    expect(server.endNanos - server.startNanos).toBe(25_000_000n);
    expect(client.startNanos >= server.startNanos && client.endNanos <= server.endNanos).toBe(true);
  });

  test('an unsampled request makes no span and goes on byte for byte', async () => {
    const mesh = rig({ samplingPercent: 100 });
    await mesh.get('/', UNSAMPLED);
    expect(mesh.traced.spans).toEqual([]);
    expect(mesh.seen[0].request.get('traceparent')).toBe(UNSAMPLED.traceparent);
  });

  test('a request without a trace begins one: upstreams know the decision', async () => {
    const mesh = rig();
    await mesh.get();
    expect([told(mesh)?.sampled, mesh.traced.spans.length]).toEqual([false, 0]);
    const all = rig({ samplingPercent: 100 });
    await all.get();
    const [server] = all.traced.spans;
    expect([server.parentSpanId, told(all)?.traceId]).toEqual(['', server.traceId]);
    expect(all.seen[0].request.get('x-request-id')?.[14]).toBe('9');
  });

  test('a request that failed has its spans though it was not sampled', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', () => ({ answer: 500 }));
    await mesh.get('/', UNSAMPLED);
    const [server, client] = mesh.traced.spans;
    expect([server.traceId, server.parentSpanId, server.status]).toEqual([TRACE, SPAN, 'error']);
    expect([client.parentSpanId, client.attributes['error.type']]).toEqual([server.spanId, '500']);
    expect(server.attributes).toMatchObject({ error: true, 'http.status_code': 500 });
  });

  test('each try is a span; those that failed say why', async () => {
    const mesh = rig();
    const retries = { ...RETRIES, on: ['5xx'] } as typeof RETRIES;
    mesh.configure([route('r', [to('stable')], { retries })]);
    const script = () => ({ answer: mesh.seen.length === 1 ? 503 : 200 });
    for (const name of ['s1', 's2']) mesh.scripts.set(name, script);
    await mesh.get('/', SAMPLED);
    mesh.clock.advance(1000);
    await mesh.settle();
    const tries = mesh.traced.spans.filter(({ kind }) => kind === 'client');
    const endpoints = mesh.seen.map(({ endpoint }) => endpoint);
    expect(tries.map(({ attributes }) => attributes['tulle.endpoint'])).toEqual(endpoints);
    expect(new Set(endpoints).size).toBe(2);
    expect(tries.map(({ attributes }) => attributes['tulle.attempt'])).toEqual([1, 2]);
    expect(tries[1].attributes['http.request.resend_count']).toBe(1);
    expect(tries.map(({ status }) => status)).toEqual(['error', 'unset']);
    expect(tries[0].statusMessage).toStartWith('retried: ');
    expect(told(mesh, 0)?.spanId).toBe(tries[0].spanId);
    expect(new Set(tries.map(({ spanId }) => spanId)).size).toBe(2);
    expect(told(mesh, 1)?.spanId).toBe(tries[1].spanId);
  });

  test('a request that no endpoint saw has the hop’s span alone', async () => {
    const mesh = rig();
    mesh.configure([]);
    await mesh.get('/', UNSAMPLED);
    expect(mesh.traced.spans.map(({ kind }) => kind)).toEqual(['server']);
    expect(mesh.traced.spans[0].attributes).toMatchObject({ response_flags: 'NR' });
  });

  test('a mirrored request is a span of its own', async () => {
    const mesh = rig();
    const mirrors = [
      { upstream: `shop/${HOST}`, host: 'p', port: 80, subset: 'stable', percent: 100 },
    ];
    mesh.configure([route('r', [to('canary')], { mirrors } as never)]);
    await mesh.get('/', SAMPLED);
    await mesh.settle();
    const copy = mesh.traced.spans.find(({ attributes }) => 'tulle.mirror' in attributes);
    const server = mesh.traced.spans.find(({ kind }) => kind === 'server');
    expect(copy?.attributes).toMatchObject({
      'tulle.mirror': 'answered',
      'tulle.subset': 'stable',
    });
    expect([copy?.traceId, copy?.parentSpanId]).toEqual([TRACE, server?.spanId]);
    const ids = mesh.seen.map((_, index) => told(mesh, index)?.spanId);
    expect(new Set(ids).size).toBe(2);
    expect(ids).toContain(copy?.spanId);
  });

  test('the first request of a traced tunnel belongs to its trace; the next links to it', async () => {
    const mesh = rig({ samplingPercent: 100 });
    const trace = { traceId: TRACE, spanId: SPAN, sampled: true };
    const tunnel = mesh.tunnel({ trace, hadRequest: false });
    for (let index = 0; index < 2; index += 1) {
      const head = MessageHead.request('GET', 'p', '/');
      mesh.engine.serve(tunnel, new ScriptedExchange(head, true));
      await mesh.settle();
    }
    const servers = mesh.traced.spans.filter(({ kind }) => kind === 'server');
    expect(servers.length).toBe(2);
    expect([servers[0].traceId, servers[0].parentSpanId]).toEqual([TRACE, SPAN]);
    expect([servers[0].links, servers[1].links]).toEqual([[], [{ traceId: TRACE, spanId: SPAN }]]);
    expect(servers[1].traceId).not.toBe(TRACE);
  });

  test('a request with a trace of its own links to the tunnel that brought it', async () => {
    const mesh = rig();
    const trace = { traceId: TRACE.replace('4', '7'), spanId: SPAN, sampled: false };
    mesh.beginFrom({ trace, hadRequest: true }, 'GET', '/', SAMPLED);
    await mesh.settle();
    const [server] = mesh.traced.spans;
    expect(server.links).toEqual([{ traceId: trace.traceId, spanId: SPAN }]);
  });

  test('custom tags: literals, the environment, headers', async () => {
    const mesh = rig({
      customTags: [
        { name: 'team', kind: 'literal', value: 'payments' },
        { name: 'region', kind: 'environment', variable: 'REGION', defaultValue: 'none' },
        { name: 'zone', kind: 'environment', variable: 'ZONE', defaultValue: 'none' },
        { name: 'tenant', kind: 'header', header: 'X-Tenant', defaultValue: 'nobody' },
        { name: 'other', kind: 'header', header: 'x-other', defaultValue: 'nobody' },
        { name: 'agent', kind: 'formatter', template: '%REQ(user-agent)%!' },
      ],
      istioTags: false,
    });
    await mesh.get('/', { ...SAMPLED, 'x-tenant': 'acme', 'user-agent': 'curl' });
    const { attributes } = mesh.traced.spans[0];
    expect(attributes).toMatchObject({
      ...{ team: 'payments', region: 'north', zone: 'none', tenant: 'acme', other: 'nobody' },
      agent: 'curl!',
    });
    expect(Object.keys(attributes).filter((name) => name.startsWith('istio.'))).toEqual([]);
  });

  test('what strangers send is bounded: values are cut, methods are few', async () => {
    const mesh = rig();
    const exchange = mesh.begin('EVIL', `/${'x'.repeat(60_000)}`, SAMPLED, true);
    await mesh.settle();
    expect(exchange.status).toBe(200);
    const [{ name, attributes }] = mesh.traced.spans;
    expect(name).toStartWith('_OTHER ');
    for (const value of Object.values(attributes)) {
      expect(String(value).length).toBeLessThanOrEqual(256);
    }
  });

  test('no spans where tracing is disabled, not even of failures', async () => {
    const mesh = rig({ disabled: true, samplingPercent: 100 });
    mesh.scripts.set('c1', () => ({ answer: 500 }));
    await mesh.get('/', SAMPLED);
    expect(mesh.traced.spans).toEqual([]);
    expect(mesh.seen[0].request.get('traceparent')).toBe(SAMPLED.traceparent);
  });

  test('in an outage failures have no more spans a second than the bound', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', () => ({ answer: 503 }));
    for (let index = 0; index < 150; index += 1) await mesh.get('/', UNSAMPLED);
    const count = (spans: readonly Span[]) => spans.filter(({ kind }) => kind === 'server').length;
    expect(count(mesh.traced.spans)).toBe(100);
    expect(mesh.engine.tracing.failures.refusedTotal).toBe(50);
    mesh.clock.advance(1000);
    await mesh.get('/', UNSAMPLED);
    expect(count(mesh.traced.spans)).toBe(101);
  });
});

describe('hasFailed', () => {
  const fine = { status: 200, flags: '-', policy: '', isGrpc: false, grpcStatus: '' };
  const rows: [string, Partial<typeof fine>, boolean][] = [
    ['200', {}, false],
    ['404 of the application', { status: 404 }, false],
    ['500', { status: 500 }, true],
    ['no answer', { status: 0 }, true],
    ['denied', { status: 403, policy: 'AuthorizationPolicy shop/p' }, true],
    ['403 of the application', { status: 403 }, false],
    ['a delay on purpose', { flags: 'DI' }, false],
    ['rate limited', { status: 429, flags: 'RL' }, true],
    ['gRPC OK', { isGrpc: true, grpcStatus: '0' }, false],
    ['gRPC NOT_FOUND', { isGrpc: true, grpcStatus: '5' }, false],
    ['gRPC UNAVAILABLE', { isGrpc: true, grpcStatus: '14' }, true],
  ];
  test.each(rows)('%s', (_title, part, want) => {
    expect(hasFailed({ ...fine, ...part })).toBe(want);
  });
});
