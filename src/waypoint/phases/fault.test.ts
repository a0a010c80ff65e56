import { describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { seededRandom } from '#base/random.ts';
import type { Fault } from '#model/route/route-table.ts';
import { route, to, WaypointRig } from '#test/support/waypoint-rig.ts';
import { drawFault } from './fault.ts';

function rig(fault: Fault): WaypointRig {
  const mesh = new WaypointRig();
  mesh.configure([route('r', [to('canary')], { fault })]);
  return mesh;
}

describe('drawFault', () => {
  test('delay and abort are drawn apart, to a millionth', () => {
    const random = seededRandom(7);
    const fault: Fault = {
      delay: { ms: 5, percent: 50 },
      abort: { percent: 20, httpStatus: 500 },
    };
    const counts = { delayed: 0, aborted: 0, both: 0 };
    for (let count = 0; count < 20_000; count += 1) {
      const draw = drawFault(fault, random);
      if (draw === undefined) continue;
      if (draw.delayMs > 0) counts.delayed += 1;
      if (draw.abort !== undefined) counts.aborted += 1;
      if (draw.delayMs > 0 && draw.abort !== undefined) counts.both += 1;
    }
    expect(Math.abs(counts.delayed / 20_000 - 0.5)).toBeLessThan(0.02);
    expect(Math.abs(counts.aborted / 20_000 - 0.2)).toBeLessThan(0.02);
    expect(Math.abs(counts.both / 20_000 - 0.1)).toBeLessThan(0.02);
  });

  test.each([
    [0, 0, false],
    [1e-6, 0.999e-8, true],
    [1e-6, 1.001e-8, false],
    [100, 0.999_999_999, true],
  ])('%d percent at a draw of %d: %p', (percent, fraction, want) => {
    const random = { ...seededRandom(1), fraction: () => fraction };
    const draw = drawFault({ abort: { percent, httpStatus: 500 } }, random);
    expect(draw !== undefined).toBe(want);
  });
});

describe('a route with faults', () => {
  test('an abort answers without the application: FI', async () => {
    const mesh = rig({ abort: { percent: 100, httpStatus: 418 } });
    const { status, body } = await mesh.get();
    expect([status, body, mesh.seen.length]).toEqual([418, 'fault filter abort', 0]);
    expect(mesh.log).toContain('418 FI fault_filter_abort');
  });

  test('a delay holds the request back, then it goes on: DI', async () => {
    const mesh = rig({ delay: { ms: 2000, percent: 100 } });
    const exchange = await mesh.get();
    mesh.clock.advance(1999);
    expect(mesh.seen.length).toBe(0);
    mesh.clock.advance(1);
    await mesh.settle();
    expect([exchange.status, exchange.body]).toEqual([200, 'c1']);
    expect(mesh.log).toContain('200 DI via_upstream');
  });

  test('both: the delay first, then the abort', async () => {
    const mesh = rig({
      delay: { ms: 100, percent: 100 },
      abort: { percent: 100, httpStatus: 503 },
    });
    const exchange = await mesh.get();
    expect(exchange.status).toBe(0);
    mesh.clock.advance(100);
    expect(exchange.status).toBe(503);
    expect(mesh.log).toContain('503 DI,FI fault_filter_abort');
  });

  test('the route timeout does not run during the delay', async () => {
    const mesh = new WaypointRig();
    const fault = { delay: { ms: 2000, percent: 100 } };
    mesh.configure([route('r', [to('canary')], { fault, timeoutMs: 500 })]);
    const exchange = await mesh.get();
    mesh.clock.advance(2000);
    await mesh.settle();
    expect(exchange.status).toBe(200);
  });

  test('a client that leaves during the delay ends it, and the application is not asked', async () => {
    const mesh = rig({ delay: { ms: 2000, percent: 100 } });
    const exchange = await mesh.get();
    exchange.handler.onAbort(new MeshError('X', 'gone', { side: 'downstream', hint: 'h' }), 0);
    mesh.clock.advance(2000);
    await mesh.settle();
    expect([mesh.seen.length, mesh.engine.active]).toEqual([0, 0]);
    expect(mesh.log).toContain('" 0 DI,DC downstream_remote_disconnect');
  });

  test('a gRPC status is told in the head', async () => {
    const mesh = rig({ abort: { percent: 100, grpcStatus: 14 } });
    const { status, head } = await mesh.get('/', { 'content-type': 'application/grpc' });
    expect([status, head?.get('grpc-status')]).toEqual([200, '14']);
    expect(mesh.registry.expose()).toContain('grpc_response_status="14"');
  });

  test('an HTTP status is mapped for a gRPC caller', async () => {
    const mesh = rig({ abort: { percent: 100, httpStatus: 503 } });
    const { status, head } = await mesh.get('/', { 'content-type': 'application/grpc+proto' });
    expect([status, head?.get('grpc-status')]).toEqual([200, '14']);
  });

  test('a caller cannot ask for faults', async () => {
    const mesh = rig({ abort: { percent: 0, httpStatus: 503 } });
    const headers = { 'x-envoy-fault-abort-request': '503', 'x-envoy-fault-delay-request': '1000' };
    expect((await mesh.get('/', headers)).status).toBe(200);
  });
});
