import { describe, expect, test } from 'bun:test';
import {
  HOST,
  POLICY,
  RETRIES,
  route,
  to,
  upstream,
  WaypointRig,
} from '#test/support/waypoint-rig.ts';

/** The VirtualService of the canary example. */
const CANARY_ROUTES = [
  route('canary-header', [to('canary')], {
    matches: [
      {
        headers: [{ name: 'x-canary', match: { kind: 'exact', value: 'true' } }],
        withoutHeaders: [],
        queryParams: [],
      },
    ],
  }),
  route('weighted', [to('stable', 90), to('canary', 10)], {
    timeoutMs: 10_000,
    retries: { ...RETRIES, attempts: 3, perTryTimeoutMs: 2000 },
  }),
];

function rig(routes = CANARY_ROUTES, seed = 1): WaypointRig {
  const made = new WaypointRig(seed);
  made.configure(routes);
  return made;
}
const always = (status: number) => () => ({ answer: status });

describe('routing', () => {
  test('the canary header always goes to v2, with its answer and heads passed on', async () => {
    const mesh = rig();
    for (let count = 0; count < 20; count += 1) {
      const { body, status, ended } = await mesh.get('/', { 'x-canary': 'true' });
      expect([body, status, ended]).toEqual(['c1', 200, true]);
    }
    const [first] = mesh.seen;
    expect(first.request.get('x-forwarded-for')).toBe('198.18.1.5');
    expect(first.request.get('x-forwarded-proto')).toBe('http');
    expect(first.request.get('x-envoy-attempt-count')).toBe('1');
    expect(first.request.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(first.request.authority).toBe('product-service');
  });

  test('1,000 requests split 90/10 within three points', async () => {
    const mesh = rig();
    for (let count = 0; count < 1000; count += 1) await mesh.get();
    const canary = mesh.seen.filter((seen) => seen.endpoint === 'c1').length;
    expect(Math.abs(canary / 1000 - 0.1)).toBeLessThan(0.03);
  });

  test('no route is 404 NR, an unknown service too, and the line says what was asked for', async () => {
    const mesh = rig([CANARY_ROUTES[0]]);
    const missed = await mesh.get('/x');
    expect(missed.status).toBe(404);
    expect(missed.body).toContain(`none of the 1 match entries for ${HOST}:80 takes GET /x`);
    expect(mesh.log).toContain('404 NR route_not_found');
  });

  test('a missing subset is 503 NC and names the DestinationRule, in body and log', async () => {
    const mesh = rig([route('r', [to('nope')])]);
    const { status, body } = await mesh.get();
    expect(status).toBe(503);
    const reason = 'subset nope of p is not defined in DestinationRule shop/p';
    expect(body).toContain(reason);
    expect(mesh.log).toContain('503 NC cluster_not_found');
    expect(mesh.log).toContain(reason);
  });

  test('weights that sum to 0 are 503 and name the VirtualService', async () => {
    const mesh = rig([route('r', [to('stable', 0), to('canary', 0)])]);
    const { status, body } = await mesh.get();
    expect(status).toBe(503);
    expect(body).toContain('the weights of VirtualService shop/p, route r sum to 0');
  });

  test('a policy that cannot be judged here is 403 and named, at the service and at the destination', async () => {
    const denied = {
      policy: 'AuthorizationPolicy shop/only',
      reason: 'shop/only cannot be judged',
    };
    const mesh = rig();
    mesh.configure(CANARY_ROUTES, [upstream({ denied })]);
    const behind = await mesh.get();
    mesh.configure(CANARY_ROUTES, [upstream()], { denied });
    const before = await mesh.get();
    for (const { status, body } of [behind, before])
      expect([status, body]).toEqual([403, 'RBAC: access denied: shop/only cannot be judged\n']);
    expect(mesh.seen.length).toBe(0);
    expect(mesh.log).toContain('403 - rbac_access_denied_matched_policy');
  });

  test('redirect and direct response are answered here', async () => {
    const mesh = rig([
      route('r', [], { action: { kind: 'redirect', status: 302, authority: 'other' } }),
    ]);
    const redirect = await mesh.get('/a?b');
    expect([redirect.status, redirect.head?.get('location')]).toEqual([302, 'http://other/a?b']);
    mesh.configure([route('r', [], { action: { kind: 'respond', status: 418, body: 'tea' } })]);
    const direct = await mesh.get();
    expect([direct.status, direct.body, mesh.seen.length]).toEqual([418, 'tea', 0]);
  });
});

describe('outlier detection and rerouting', () => {
  test('three 500s eject the canary; the fourth goes to stable and the log line says so', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', always(500));
    const statuses: number[] = [];
    for (let count = 0; count < 300; count += 1) statuses.push((await mesh.get()).status);
    expect(statuses.filter((status) => status !== 200)).toEqual([500, 500, 500]);
    expect(mesh.log).toContain(
      '"rerouted from canary to stable: all 1 endpoints of subset canary are ejected (3 consecutive 5xx errors (last: answered 500))"',
    );
  });

  test('a rule with the canary alone gets 503 UH while it is ejected', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', always(500));
    const headers = { 'x-canary': 'true' };
    for (let count = 0; count < 3; count += 1) await mesh.get('/', headers);
    const { status, body } = await mesh.get('/', headers);
    expect(status).toBe(503);
    expect(body).toContain('no healthy upstream: all 1 endpoints of subset canary are ejected');
    expect(mesh.log).toContain('503 UH no_healthy_upstream');
  });

  test('it comes back after the ejection time and proves itself', async () => {
    const mesh = rig();
    let broken = true;
    mesh.scripts.set('c1', () => ({ answer: broken ? 500 : 200 }));
    const headers = { 'x-canary': 'true' };
    for (let count = 0; count < 3; count += 1) await mesh.get('/', headers);
    broken = false;
    mesh.clock.advance(59_000);
    expect((await mesh.get('/', headers)).status).toBe(503);
    mesh.clock.advance(1_000);
    const health = () =>
      [...mesh.engine.upstreams.groups]
        .flatMap((group) => group.states)
        .find((state) => state.endpoint.name === 'c1' && state.health.ejectionsTotal > 0)?.health;
    expect(health()?.state).toBe('probing');
    expect((await mesh.get('/', headers)).status).toBe(200);
    expect(health()?.state).toBe('admitting');
  });

  test('with retries off a request is not rerouted', async () => {
    const off = { ...RETRIES, attempts: 0 };
    const mesh = rig([
      CANARY_ROUTES[0],
      route('weighted', [to('stable', 1), to('canary', 1_000_000)], { retries: off }),
    ]);
    mesh.scripts.set('c1', always(500));
    for (let count = 0; count < 3; count += 1) await mesh.get();
    expect((await mesh.get()).status).toBe(503);
  });

  test('a configuration push resets no ejection', async () => {
    const mesh = rig();
    mesh.scripts.set('c1', always(500));
    const headers = { 'x-canary': 'true' };
    for (let count = 0; count < 3; count += 1) await mesh.get('/', headers);
    mesh.configure(CANARY_ROUTES, [upstream()]);
    expect((await mesh.get('/', headers)).status).toBe(503);
  });
});

describe('retries', () => {
  const stable = (part: Partial<typeof RETRIES>) => [
    route('r', [to('stable')], { retries: { ...RETRIES, ...part } }),
  ];

  test('connect refused is tried at another endpoint after a back-off', async () => {
    const mesh = rig(stable({}));
    mesh.scripts.set('s1', () => 'refuse');
    const exchange = await mesh.get();
    expect(exchange.ended).toBe(false);
    mesh.clock.advance(25);
    await mesh.settle();
    expect([exchange.status, exchange.body]).toEqual([200, 's2']);
    expect(mesh.seen[0].request.get('x-envoy-attempt-count')).toBe('2');
  });

  test('connect refused by the only endpoint goes to the other destination of the rule', async () => {
    const mesh = rig([route('r', [to('stable', 1), to('canary', 1_000_000)])]);
    mesh.scripts.set('c1', () => 'refuse');
    const { status, body } = await mesh.get();
    expect(status).toBe(200);
    expect(body).toStartWith('s');
    expect(mesh.log).toContain('rerouted from canary to stable: connect failure');
  });

  test('connect refused everywhere ends in 503 URX,UF after all retries', async () => {
    const mesh = rig([route('r', [to('canary')])]);
    mesh.scripts.set('c1', () => 'refuse');
    const exchange = await mesh.get();
    for (let turn = 0; turn < 5; turn += 1) {
      mesh.clock.advance(300);
      await mesh.settle();
    }
    expect([exchange.status, mesh.dials.length]).toEqual([503, 3]);
    expect(mesh.log).toContain('503 URX,UF');
  });

  test('500 is not retried by default and is retried on 5xx', async () => {
    const mesh = rig(stable({}));
    mesh.scripts.set('s1', always(500));
    expect((await mesh.get()).status).toBe(500);
    mesh.configure(stable({ on: ['5xx'] }));
    const statuses = [];
    for (let count = 0; count < 2; count += 1) {
      const exchange = await mesh.get();
      mesh.clock.advance(25);
      await mesh.settle();
      statuses.push(exchange.status);
    }
    expect(statuses).toEqual([200, 200]);
  });

  test('a stale idle connection is replaced at once for GET, not for POST', async () => {
    const mesh = rig([route('r', [to('canary')], { retries: { ...RETRIES, on: [] } })]);
    mesh.scripts.set('c1', (_request, count) =>
      count === 2 || count === 4 ? 'stale' : { answer: 200 },
    );
    await mesh.get();
    expect((await mesh.get()).status).toBe(200);
    const post = mesh.begin('POST', '/', {}, true);
    await mesh.settle();
    expect(post.status).toBe(503);
    expect(mesh.log).toContain('503 UC');
  });

  test('a body is replayed to the second try', async () => {
    const mesh = rig(stable({ on: ['5xx'] }));
    mesh.scripts.set('s1', always(503));
    const exchange = mesh.begin('POST', '/', {}, false);
    exchange.handler.onBody(Buffer.from('hello '));
    exchange.handler.onBody(Buffer.from('world'));
    exchange.handler.onEnd(undefined);
    await mesh.settle();
    mesh.clock.advance(25);
    await mesh.settle();
    expect(exchange.status).toBe(200);
    expect(mesh.seen.map((seen) => seen.body)).toEqual(['hello world', 'hello world']);
  });

  test('a per-try timeout counts against the endpoint, is retried when asked for, else is 504 UT', async () => {
    const mesh = rig(stable({ on: ['5xx'], perTryTimeoutMs: 2000 }));
    mesh.scripts.set('s1', () => 'hang');
    const exchange = await mesh.get();
    mesh.clock.advance(2020);
    await mesh.settle();
    mesh.clock.advance(25);
    await mesh.settle();
    expect([exchange.status, exchange.body]).toEqual([200, 's2']);
    expect(mesh.seen[0].aborted).toBe(true);
    mesh.configure([
      route('r', [to('canary')], { retries: { ...RETRIES, perTryTimeoutMs: 2000 } }),
    ]);
    mesh.scripts.set('c1', () => 'hang');
    const timedOut = await mesh.get();
    mesh.clock.advance(2020);
    expect(timedOut.status).toBe(504);
    expect(timedOut.body).toContain('no answer from c1 within perTryTimeout 2000 ms');
  });
});

describe('timeouts and breaks', () => {
  test('the route timeout covers all tries: 504 UT, and nothing is left behind', async () => {
    const mesh = rig([route('r', [to('stable')], { timeoutMs: 500 })]);
    mesh.scripts.set('s1', () => 'hang');
    const exchange = await mesh.get();
    mesh.clock.advance(520);
    expect(exchange.status).toBe(504);
    expect(mesh.log).toContain('504 UT response_timeout');
    expect(mesh.seen[0].aborted).toBe(true);
    expect([mesh.engine.active, mesh.engine.deadlines.pending]).toEqual([0, 0]);
  });

  test('an upstream that dies in its answer breaks the downstream off', async () => {
    const mesh = rig([route('r', [to('stable')])]);
    mesh.scripts.set('s1', () => 'half');
    const exchange = await mesh.get();
    expect([exchange.body, exchange.ended, exchange.aborted]).toEqual(['half', false, true]);
    expect(mesh.log).toContain('200 UC upstream_reset_after_response_started');
  });

  test('a client that goes away ends the try and is logged as DC', async () => {
    const mesh = rig([route('r', [to('stable')])]);
    mesh.scripts.set('s1', () => 'hang');
    const exchange = await mesh.get();
    const { MeshError } = await import('#base/errors.ts');
    exchange.handler.onAbort(new MeshError('X', 'gone', { side: 'downstream', hint: 'h' }), 0);
    expect(mesh.seen[0].aborted).toBe(true);
    expect(mesh.log).toContain('" 0 DC downstream_remote_disconnect');
    expect(mesh.engine.active).toBe(0);
  });

  test('circuit breaking: above maxRequests the answer is 503 UO', async () => {
    const mesh = new WaypointRig();
    const policy = { ...POLICY, connectionPool: { ...POLICY.connectionPool, maxRequests: 1 } };
    const subsets = [{ name: 'stable', labels: { version: 'v1' }, policy }];
    mesh.configure([route('r', [to('stable')])], [upstream({ subsets })]);
    mesh.scripts.set('s1', () => 'hang');
    await mesh.get();
    expect((await mesh.get()).status).toBe(503);
    expect(mesh.log).toContain('503 UO');
  });
});

describe('back-pressure', () => {
  test('a slow client pauses the upstream, a slow upstream pauses the client', async () => {
    const mesh = rig([route('r', [to('stable')])]);
    mesh.scripts.set('s1', () => 'hang');
    const exchange = mesh.begin('POST', '/', {}, false);
    const [seen] = mesh.seen;
    expect(exchange.paused).toBe(false);
    seen.paused = true;
    exchange.handler.onBody(Buffer.from('x'));
    expect(exchange.paused).toBe(true);
    seen.handler.onDrain();
    expect(exchange.paused).toBe(false);
    seen.paused = false;
    exchange.hasRoom = false;
    const { MessageHead } = await import('#http/dispatch/message-head.ts');
    seen.handler.onHead(MessageHead.response(200), false);
    seen.handler.onBody(Buffer.from('y'));
    expect(seen.paused).toBe(true);
    exchange.handler.onDrain();
    expect(seen.paused).toBe(false);
  });
});

describe('configuration swap', () => {
  test('a request under way keeps its snapshot: its retry goes by the old rule', async () => {
    const mesh = rig([route('old', [to('stable')], { retries: { ...RETRIES, on: ['5xx'] } })]);
    mesh.scripts.set('s1', always(503));
    const exchange = await mesh.get();
    mesh.configure([route('new', [to('stable', 1), to('canary', 1_000_000)])]);
    mesh.clock.advance(25);
    await mesh.settle();
    expect([exchange.status, exchange.body]).toEqual([200, 's2']);
    expect((await mesh.get()).body).toBe('c1');
    expect(mesh.log).toContain(' old "retried: status 503"');
  });

  test('a changed weight takes effect with the next request, and no request under load fails', async () => {
    const mesh = rig([route('r', [to('stable', 100), to('canary', 0)])]);
    for (let count = 0; count < 50; count += 1) {
      if (count === 25) mesh.configure([route('r', [to('stable', 0), to('canary', 100)])]);
      const { status, body } = await mesh.get();
      expect(status).toBe(200);
      expect(body.startsWith('c')).toBe(count >= 25);
    }
  });
});

describe('telemetry', () => {
  test('who observes gets one record of each request, until it stops', async () => {
    const mesh = rig();
    const seen: string[] = [];
    const stop = mesh.engine.recorder.observe(({ status, flags, attempt, current, entry }) =>
      seen.push(
        [status, flags, attempt, current?.endpoint.endpoint.name, entry?.route.route.name].join(
          ' ',
        ),
      ),
    );
    await mesh.get('/', { 'x-canary': 'true' });
    stop();
    await mesh.get('/', { 'x-canary': 'true' });
    expect(seen).toEqual(['200 - 1 c1 canary-header']);
  });

  test('requests are counted with Istio’s labels, failures with their flag', async () => {
    const mesh = rig();
    await mesh.get('/', { 'x-canary': 'true' });
    mesh.scripts.set('c1', () => 'break');
    await mesh.get('/', { 'x-canary': 'true' });
    const lines = mesh.registry
      .expose()
      .split('\n')
      .filter((line) => line.startsWith('istio_requests_total{'));
    expect(lines.length).toBe(2);
    expect(lines[0]).toContain('reporter="waypoint"');
    expect(lines[0]).toContain('source_principal="spiffe://cluster.local/ns/shop/sa/web"');
    expect(lines[0]).toContain('source_workload_namespace="shop"');
    expect(lines[0]).toContain(`destination_service="${HOST}"`);
    expect(lines[0]).toContain('destination_service_name="p"');
    expect(lines[0]).toContain('destination_workload="p-v2"');
    expect(lines[0]).toContain('destination_workload_namespace="shop"');
    expect(lines[0]).toContain('response_code="200"');
    expect(lines[0]).toContain('connection_security_policy="mutual_tls"');
    expect(lines[1]).toContain('response_code="503"');
    expect(lines[1]).toContain('response_flags="UC"');
  });

  test('gRPC callers get a trailers-only answer with a mapped status', async () => {
    const mesh = rig([route('r', [to('nope')])]);
    const exchange = await mesh.get('/', { 'content-type': 'application/grpc' });
    expect(exchange.status).toBe(200);
    expect(exchange.head?.get('grpc-status')).toBe('14');
    expect(exchange.head?.get('grpc-message')).toContain('subset nope');
    expect(mesh.registry.expose()).toContain('grpc_response_status="14"');
  });
});
