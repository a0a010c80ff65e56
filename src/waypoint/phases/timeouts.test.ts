import { describe, expect, test } from 'bun:test';
import type { Route } from '#model/route/route-table.ts';
import { RETRIES, route, to, WaypointRig } from '#test/support/waypoint-rig.ts';
import { grpcTimeoutMs } from './timeouts.ts';

function rig(part: Partial<Route>): WaypointRig {
  const mesh = new WaypointRig();
  mesh.configure([route('r', [to('canary')], part)]);
  mesh.scripts.set('c1', () => 'hang');
  return mesh;
}
const GRPC = { 'content-type': 'application/grpc' };
const UPSTREAM_TIMEOUT = 'x-envoy-upstream-rq-timeout-ms';

test.each([
  ['1H', 3_600_000],
  ['2M', 120_000],
  ['3S', 3_000],
  ['40m', 40],
  ['1500u', 2],
  ['1n', 1],
  ['123456789S', undefined],
  ['S', undefined],
  ['1.5S', undefined],
  ['-1S', undefined],
  [undefined, undefined],
])('grpc-timeout %p is %p ms', (text, want) => {
  expect(grpcTimeoutMs(text)).toBe(want as number);
});

describe('when a request times out', () => {
  /** [title, route timeout, headers, expected ms] */
  const rows: [string, number | undefined, Record<string, string>, number][] = [
    ['the route’s timeout', 500, {}, 500],
    ['a shorter wish', 500, { [UPSTREAM_TIMEOUT]: '100' }, 100],
    ['a longer wish', 500, { [UPSTREAM_TIMEOUT]: '900' }, 900],
    ['a wish without a route timeout', undefined, { [UPSTREAM_TIMEOUT]: '300' }, 300],
    ['a wish that is no number', 500, { [UPSTREAM_TIMEOUT]: '1e2' }, 500],
    ['a gRPC deadline', undefined, { ...GRPC, 'grpc-timeout': '200m' }, 200],
    ['a gRPC deadline beyond the route’s', 500, { ...GRPC, 'grpc-timeout': '2S' }, 500],
    ['a gRPC call without deadline', 500, GRPC, 500],
    ['grpc-timeout of a call that is not gRPC', 500, { 'grpc-timeout': '100m' }, 500],
  ];
  test.each(rows)('%s', async (_title, timeoutMs, headers, want) => {
    const mesh = rig({ timeoutMs });
    const exchange = await mesh.get('/', headers);
    expect(mesh.seen[0].request.get('x-envoy-expected-rq-timeout-ms')).toBe(String(want));
    expect(mesh.seen[0].request.has(UPSTREAM_TIMEOUT)).toBe(false);
    mesh.clock.advance(want - 20);
    expect(exchange.ended).toBe(false);
    mesh.clock.advance(40);
    expect(exchange.ended).toBe(true);
    expect(mesh.log).toContain(' UT response_timeout');
    expect(mesh.engine.deadlines.pending).toBe(0);
  });

  test('callers from outside the mesh ask for nothing, and their fields go no further', async () => {
    const mesh = rig({ timeoutMs: 500 });
    const headers = { [UPSTREAM_TIMEOUT]: '5', 'x-envoy-attempt-count': '9' };
    const exchange = mesh.beginFrom({ security: 'none' }, 'GET', '/', headers);
    await mesh.settle();
    mesh.clock.advance(400);
    expect(exchange.ended).toBe(false);
    expect(mesh.seen[0].request.has(UPSTREAM_TIMEOUT)).toBe(false);
    expect(mesh.seen[0].request.getAll('x-envoy-attempt-count')).toBe('1');
  });

  test('it runs from the end of the request: a slow upload is not cut off', async () => {
    const mesh = rig({ timeoutMs: 500 });
    const exchange = mesh.begin('POST', '/', {}, false);
    await mesh.settle();
    mesh.clock.advance(5_000);
    exchange.handler.onBody(Buffer.from('x'));
    exchange.handler.onEnd(undefined);
    mesh.clock.advance(480);
    expect(exchange.status).toBe(0);
    mesh.clock.advance(40);
    expect(exchange.status).toBe(504);
  });

  test('a gRPC deadline goes on with what is left of it', async () => {
    const mesh = rig({
      timeoutMs: 1000,
      retries: { ...RETRIES, on: ['5xx'], perTryTimeoutMs: 400 },
    });
    await mesh.get('/', { ...GRPC, 'grpc-timeout': '5S' });
    mesh.clock.advance(420);
    await mesh.settle();
    mesh.clock.advance(30);
    await mesh.settle();
    const deadlines = mesh.seen.map((seen) => seen.request.getAll('grpc-timeout'));
    expect(deadlines[0]).toBe('1000m');
    expect(Number.parseInt(deadlines[1] ?? '', 10)).toBeLessThanOrEqual(600);
  });

  test('a per-try timeout that the whole timeout precedes has no meaning', async () => {
    const mesh = rig({
      timeoutMs: 300,
      retries: { ...RETRIES, on: ['5xx'], perTryTimeoutMs: 300 },
    });
    await mesh.get();
    mesh.clock.advance(330);
    expect(mesh.log).toContain('504 UT response_timeout');
  });
});

describe('streams on which nothing moves', () => {
  test('without an answer: 504 SI after five minutes', async () => {
    const mesh = rig({});
    const exchange = await mesh.get();
    mesh.clock.advance(290_000);
    expect(exchange.status).toBe(0);
    mesh.clock.advance(45_000);
    expect(exchange.status).toBe(504);
    expect(mesh.log).toContain('504 SI stream_idle_timeout');
    expect([mesh.engine.active, mesh.seen[0].aborted]).toEqual([0, true]);
  });

  test('a client that stops in its upload: 408 SI', async () => {
    const mesh = rig({});
    const exchange = mesh.begin('POST', '/', {}, false);
    await mesh.settle();
    mesh.clock.advance(340_000);
    expect(exchange.status).toBe(408);
  });

  test('a byte now and then keeps a stream alive, then it is broken off', async () => {
    const mesh = rig({});
    const { MessageHead } = await import('#http/dispatch/message-head.ts');
    const exchange = await mesh.get();
    mesh.seen[0].handler.onHead(MessageHead.response(200), false);
    for (let turn = 0; turn < 5; turn += 1) {
      mesh.clock.advance(200_000);
      mesh.seen[0].handler.onBody(Buffer.from('x'));
    }
    expect(exchange.aborted).toBe(false);
    mesh.clock.advance(340_000);
    expect(exchange.aborted).toBe(true);
    expect(mesh.log).toContain('200 SI stream_idle_timeout');
  });
});
