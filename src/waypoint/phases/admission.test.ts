import { describe, expect, test } from 'bun:test';
import type { LoadShedding, RateLimit } from '#model/route/traffic-limits.ts';
import { POLICY, route, to, upstream, WaypointRig } from '#test/support/waypoint-rig.ts';

const LIMIT: RateLimit = {
  id: 'shop/l/0',
  provenance: { kind: 'LocalRateLimit', namespace: 'shop', name: 'l' },
  key: { kind: 'source-identity' },
  requests: 2,
  unitMs: 60_000,
  burst: 2,
};
const SHEDDING: LoadShedding = {
  id: 'shop/s',
  provenance: { kind: 'LoadShedding', namespace: 'shop', name: 's' },
  maxRequests: 1,
  retryAfterSeconds: 3,
};
const ROUTES = [route('r', [to('canary')])];

describe('rate limits', () => {
  test('of the service: 429 RL, and when to come back', async () => {
    const mesh = new WaypointRig();
    mesh.configure(ROUTES, undefined, { rateLimits: [LIMIT] });
    const statuses = [];
    for (let count = 0; count < 3; count += 1) statuses.push((await mesh.get()).status);
    expect(statuses).toEqual([200, 200, 429]);
    const { head, body } = await mesh.get();
    expect(body).toBe(
      'local_rate_limited: LocalRateLimit shop/l allows 2 requests in 60 s for spiffe://cluster.local/ns/shop/sa/web\n',
    );
    const names = [
      'retry-after',
      'x-ratelimit-limit',
      'x-ratelimit-remaining',
      'x-ratelimit-reset',
    ];
    expect(names.map((name) => head?.get(name))).toEqual(['30', '2', '0', '60']);
    expect(mesh.log).toContain('429 RL local_rate_limited');
    expect(mesh.registry.expose()).toContain('tulle_rate_limited_requests_total');
    expect(mesh.seen.length).toBe(2);
  });

  test('of one route: others pass', async () => {
    const mesh = new WaypointRig();
    const matches = [
      { path: { kind: 'prefix', value: '/a' }, headers: [], withoutHeaders: [], queryParams: [] },
    ] as const;
    mesh.configure([route('limited', [to('canary')], { matches, rateLimits: [LIMIT] }), ...ROUTES]);
    const statuses = [];
    for (const path of ['/a', '/a', '/a', '/b']) statuses.push((await mesh.get(path)).status);
    expect(statuses).toEqual([200, 200, 429, 200]);
  });

  test('what was used stays used across a configuration push', async () => {
    const mesh = new WaypointRig();
    mesh.configure(ROUTES, undefined, { rateLimits: [LIMIT] });
    await mesh.get();
    await mesh.get();
    mesh.configure(ROUTES, undefined, { rateLimits: [{ ...LIMIT }] });
    expect((await mesh.get()).status).toBe(429);
    mesh.configure(ROUTES);
    expect((await mesh.get()).status).toBe(200);
  });

  test('gRPC callers get a status', async () => {
    const mesh = new WaypointRig();
    mesh.configure(ROUTES, undefined, { rateLimits: [{ ...LIMIT, burst: 1 }] });
    const headers = { 'content-type': 'application/grpc' };
    await mesh.get('/', headers);
    const { status, head } = await mesh.get('/', headers);
    expect([status, head?.get('grpc-status'), head?.has('retry-after')]).toEqual([200, '14', true]);
  });
});

describe('load shedding', () => {
  test('what is over the bound is 503 OM, and let in again when there is room', async () => {
    const mesh = new WaypointRig();
    mesh.configure(ROUTES, undefined, { shedding: [SHEDDING] });
    let answer = false;
    mesh.scripts.set('c1', () => (answer ? { answer: 200 } : 'hang'));
    const first = await mesh.get();
    const { status, head } = await mesh.get();
    expect([status, head?.get('retry-after'), head?.get('x-envoy-overloaded')]).toEqual([
      503,
      '3',
      'true',
    ]);
    expect(mesh.log).toContain('503 OM overload');
    expect(mesh.registry.expose()).toContain('tulle_shed_requests_total');
    const { MeshError } = await import('#base/errors.ts');
    first.handler.onAbort(new MeshError('X', 'gone', { side: 'downstream', hint: 'h' }), 0);
    answer = true;
    expect((await mesh.get()).status).toBe(200);
    expect((await mesh.get()).status).toBe(200);
  });

  test('every way out of a request makes room', async () => {
    const mesh = new WaypointRig();
    const { outlier: _outlier, ...policy } = POLICY;
    const subsets = [{ name: 'canary', labels: { version: 'v2' }, policy }];
    mesh.configure(ROUTES, [upstream({ subsets })], { shedding: [SHEDDING] });
    for (const what of ['break', 'refuse', 'half'] as const) {
      mesh.scripts.set('c1', () => what);
      await mesh.get();
      mesh.clock.advance(1000);
      await mesh.settle();
      mesh.clock.advance(1000);
      await mesh.settle();
      mesh.clock.advance(1000);
      await mesh.settle();
    }
    mesh.scripts.delete('c1');
    const { status, body } = await mesh.get();
    expect([status, body]).toEqual([200, 'c1']);
  });
});
