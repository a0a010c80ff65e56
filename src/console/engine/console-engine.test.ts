import { describe, expect, test } from 'bun:test';
import { peer, UNKNOWN } from '#test/support/flows.ts';
import { EPOCH, http, LIVE, MESH, tcp, World } from '#test/support/graph-world.ts';

describe('ConsoleEngine', () => {
  test('a window that reaches back before the first report is as long as what was seen of it', () => {
    const world = new World().run(32, http('cart-v1', 9));
    const { windowSeconds, edges } = world.graph();
    // The last two seconds are still open.
    expect([windowSeconds, edges[0].requestsPerSecond]).toEqual([30, 9]);
    expect(new Map(world.engine.traffic(60)).get('service/shop/cart')?.inbound).toMatchObject({
      requestsPerSecond: 9,
    });
    const early = world.graph({ atMs: EPOCH + 10_000 });
    expect([early.windowSeconds, early.edges[0].requestsPerSecond]).toEqual([10, 9]);
    expect(world.graph({ windowSeconds: 20 }).windowSeconds).toBe(20);
    // Seconds are forgotten after 16 minutes; the minute that they were in still says when it began.
    world.run(18 * 60, http('cart-v1', 9));
    const hour = world.graph({ windowSeconds: 3600 });
    expect([hour.windowSeconds, hour.edges[0].requestsPerSecond]).toEqual([18 * 60 + 30, 9]);
    expect(world.graph().windowSeconds).toBe(60);
  });

  test('what is asked each second is ready before it is asked, and says how things are then', () => {
    const world = new World().run(62, http('cart-v1', 9));
    const rate = () => {
      const graph = JSON.parse(new TextDecoder().decode(world.engine.graphJson(LIVE)));
      return graph.edges[0].requestsPerSecond;
    };
    const prepared = () => {
      let pieces = 0;
      while (world.engine.prepare()) pieces++;
      return pieces;
    };
    expect(prepared()).toBe(0);
    rate();
    // Sums, edges and nodes for two seconds; then nobody has asked for long enough.
    for (const pieces of [3, 3, 0]) {
      world.run(1, http('cart-v1', 9));
      expect(prepared()).toBe(pieces);
    }
    rate();
    world.run(10, http('cart-v1', 0));
    rate();
    world.run(1, http('cart-v1', 0));
    rate();
    world.run(1, http('cart-v1', 0));
    // And the answer, of what is asked again and again.
    expect(prepared()).toBe(4);
    expect(rate()).toBe(world.graph().edges[0].requestsPerSecond);
    expect(rate()).toBeLessThan(9);
  });

  test('while a second is made ready who asks is told the one before, whole; who asks for something else is told how things are', () => {
    const world = new World().run(62, http('cart-v1', 9));
    const graph = (request = LIVE) =>
      JSON.parse(new TextDecoder().decode(world.engine.graphJson(request)));
    const told = (request = LIVE) => {
      const { edges, at } = graph(request);
      return [edges[0].requestsPerSecond, Date.parse(at) - EPOCH];
    };
    const before = told();
    world.run(4, http('cart-v1', 90)).settle();
    world.engine.graphJson(LIVE);
    const next = () => {
      world.run(1, http('cart-v1', 90));
      world.engine.beginPreparing();
    };
    const last = told();
    expect(last[0]).toBeGreaterThan(before[0]);
    next();
    expect(told()).toEqual(last);
    expect(told({ ...LIVE, namespaces: ['shop'] })).toEqual(last);
    const shorter = told({ ...LIVE, windowSeconds: 30 });
    expect(shorter[1]).toBe(last[1] + 1000);
    next();
    told();
    while (world.engine.prepare());
    const now = told();
    expect(now[1]).toBe(last[1] + 2000);
    // Nobody prepares, as when the thread's second hand was late: nothing older than that is told.
    next();
    world.run(1, http('cart-v1', 90));
    world.engine.beginPreparing();
    expect(told()[1]).toBe(now[1] + 2000);
  });

  test('timeline and charts say what was, and null where nothing was reported', () => {
    const world = new World().run(
      40,
      http('cart-v1', 9, {
        codes: [[500, 1]],
        latency: [
          [3, 8],
          [9, 1],
        ],
      }),
    );
    world.clock.advance(20_000);
    world.run(10, http('cart-v1', 9)).settle();
    const range = { fromMs: EPOCH, toMs: EPOCH + 70_000, visible: undefined };
    const timeline = world.engine.timeline(range);
    expect(timeline.stepSeconds).toBe(1);
    expect([
      timeline.requests[10],
      timeline.errors[10],
      timeline.requests[50],
      timeline.requests[65],
    ]).toEqual([9, 1, null, 9]);
    const of = { node: 'workload/shop/cart-v1', direction: 'inbound' } as const;
    const series = world.engine.series({ ...range, type: 'workload', of });
    expect([series.requestsPerSecond[10], series.requestsPerSecond[50]]).toEqual([9, null]);
    expect(series.errorRate[10]).toBeCloseTo(0.111, 2);
    expect(series.heat[10][9]).toBe(1);
    expect(series.responseCodes).toEqual({ '200': 410, '500': 40 });
    const edges = world.engine.series({
      ...range,
      type: 'app',
      of: { edge: 'app/shop/web service/shop/cart http' },
    });
    expect(edges.requestsPerSecond[10]).toBe(9);
    expect(world.engine.timeline({ ...range, visible: ['finance'] }).requests[10]).toBe(0);
  });

  test('a step that began before the first report, and one that is not over, have the rate of what is known of them', () => {
    const world = new World();
    world.clock.advance(50_000);
    world.run(80, http('cart-v1', 9)).settle();
    const series = world.engine.series({
      fromMs: EPOCH - 15 * 60_000,
      toMs: EPOCH + 130_000,
      visible: undefined,
      type: 'workload',
      of: { node: 'workload/shop/cart-v1', direction: 'inbound' },
    });
    expect(series.stepSeconds).toBe(60);
    expect(series.requestsPerSecond.filter((value) => value !== null)).toEqual([9, 9, 9]);
    const timeline = world.engine.timeline({
      fromMs: EPOCH - 15 * 60_000,
      toMs: EPOCH + 130_000,
      visible: undefined,
    });
    expect(timeline).toMatchObject({
      stepSeconds: 60,
      observedFrom: new Date(EPOCH + 50_000).toISOString(),
      observedTo: new Date(EPOCH + 130_000).toISOString(),
    });
    expect(timeline.requests.slice(-3)).toEqual([90, 540, 90]);
  });

  test('traffic of workloads, services, apps and namespaces, and who talks to whom how', () => {
    const world = new World()
      .run(60, http('cart-v1', 9), [
        'shop/n',
        { ...tcp, reporter: 'destination', source: UNKNOWN, isMutualTls: false },
        { opened: 1 },
      ])
      .settle();
    const traffic = new Map(world.engine.traffic(60));
    expect(traffic.get('service/shop/cart')?.inbound.requestsPerSecond).toBe(9);
    expect(traffic.get('app/shop/cart')).toMatchObject({
      inbound: { requestsPerSecond: 9, connectionsPerSecond: 1 },
      mtls: 0.9,
    });
    expect(traffic.get('namespace/shop')?.inbound.requestsPerSecond).toBe(9);
    expect(traffic.get('workload/shop/cart-v2')?.health).toMatchObject({ status: 'idle' });
    expect(
      traffic.get('workload/shop/cart-v1')?.spark.filter((value) => value !== null).length,
    ).toBeGreaterThan(4);
    const cells = world.engine.mtlsCells({ windowSeconds: 60, by: 'workload', visible: undefined });
    expect(cells).toContainEqual({
      source: 'unknown',
      target: 'workload/shop/cart-v1',
      mtls: 0,
      plaintext: 60,
      denied: 0,
    });
    expect(
      world.engine.mtlsCells({ windowSeconds: 60, by: 'namespace', visible: undefined })[0],
    ).toMatchObject({ source: 'shop', target: 'shop', mtls: 540 });
  });

  test('a waypoint stands with what passes it, of which its services are judged; namespaces do not count it again', () => {
    const world = new World()
      .run(60, http('cart-v1', 9, { codes: [[500, 3]] }), http('cart-v2', 1), [
        'shop/node-a',
        { ...tcp, reporter: 'source', destination: peer('waypoint', { kind: 'waypoint' }) },
        { opened: 5 },
      ])
      .settle();
    const traffic = new Map(world.engine.traffic(60));
    expect(traffic.get('waypoint/shop/waypoint')).toMatchObject({
      health: {
        status: 'healthy',
        reason: '600 requests reached it; how they ended is judged at their services.',
      },
      inbound: { requestsPerSecond: 10, errorRate: 0.3, connectionsPerSecond: 0 },
      outbound: { requestsPerSecond: 10 },
      p95Ms: expect.any(Number),
      mtls: 1,
    });
    expect(traffic.get('namespace/shop')?.inbound.requestsPerSecond).toBe(10);
    const graph = { waypoints: 'passed', focus: 'waypoint/shop/waypoint', idle: true } as const;
    expect(world.edges(graph)).toEqual([
      'waypoint/shop/waypoint workload/shop/cart-v1 http 9',
      'waypoint/shop/waypoint workload/shop/cart-v2 http 1',
      'workload/shop/web waypoint/shop/waypoint http 10',
    ]);
    const series = world.engine.series({
      fromMs: EPOCH,
      toMs: EPOCH + 60_000,
      visible: undefined,
      type: 'workload',
      of: { node: 'waypoint/shop/waypoint', direction: 'inbound' },
    });
    expect(series.requestsPerSecond[10]).toBe(10);
    expect(series.responseCodes).toEqual({ '200': 420, '500': 180 });
  });

  test('what stopped at a waypoint reached it and went nowhere', () => {
    const world = new World()
      .run(60, [
        'shop/waypoint-abc-12345',
        { destination: peer('cart.shop.svc.cluster.local', { kind: 'external', namespace: '' }) },
        { requests: 2, codes: [[503, 2]] },
      ])
      .settle();
    const traffic = new Map(world.engine.traffic(60));
    expect(traffic.get('waypoint/shop/waypoint')).toMatchObject({
      inbound: { requestsPerSecond: 2, errorRate: 1 },
      outbound: { requestsPerSecond: 0 },
    });
  });

  test('a waypoint that nothing reached is idle, and one without a replica fails', () => {
    const world = new World({
      ...MESH,
      workloads: MESH.workloads.map((each) =>
        each.role === 'waypoint' ? { ...each, replicas: { ready: 0, desired: 1 } } : each,
      ),
    });
    expect(new Map(world.engine.traffic(60)).has('waypoint/shop/waypoint')).toBe(false);
    world.run(60, http('cart-v1', 9)).settle();
    expect(new Map(world.engine.traffic(60)).get('waypoint/shop/waypoint')?.health).toMatchObject({
      status: 'failing',
      reason: '0 of 1 replicas ready.',
    });
  });
});
