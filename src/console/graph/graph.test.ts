import { describe, expect, test } from 'bun:test';
import { peer, service, UNKNOWN } from '#test/support/flows.ts';
import { EPOCH, http, LIVE, MESH, tcp, World, workload } from '#test/support/graph-world.ts';
import { edgesOf } from '#test/support/table-edges.ts';
import type { DeltaTable, GraphDelta, GraphForm } from '../api/graph.ts';
import type { GraphRequest } from '../console-data.ts';

const waypoint = peer('waypoint', { kind: 'waypoint' });

describe('buildGraph', () => {
  test('makes client → service → workload of what a waypoint reports, with rates, codes, latency and mutual TLS', () => {
    const world = new World()
      .run(60, http('cart-v1', 9, { latency: [[3, 9]] }), http('cart-v2', 1, { codes: [[503, 1]] }))
      .settle();
    expect(world.edges()).toEqual([
      'service/shop/cart workload/shop/cart-v1 http 9',
      'service/shop/cart workload/shop/cart-v2 http 1',
      'workload/shop/web service/shop/cart http 10',
    ]);
    const graph = world.graph();
    const [v2] = graph.edges.filter(({ target }) => target === 'workload/shop/cart-v2');
    expect(v2).toMatchObject({
      errorRate: 1,
      responseCodes: { '503': 60 },
      mtls: 1,
      via: 'waypoint/shop/waypoint',
      health: { status: 'failing', samples: 60 },
    });
    const [web] = graph.nodes.filter(({ id }) => id === 'workload/shop/web');
    expect(web.health).toEqual({
      status: 'idle',
      reason: 'Nothing called it in the window; what it calls is judged there.',
      samples: 0,
    });
    const [front] = graph.edges.filter(({ source }) => source === 'workload/shop/web');
    expect(front).toMatchObject({ errorRate: 0.1, responseCodes: { '200': 540, '503': 60 } });
    const [cart] = graph.nodes.filter(({ id }) => id === 'service/shop/cart');
    expect(cart.inbound.classes).toEqual({ '2xx': 540, '3xx': 0, '4xx': 0, '5xx': 60, none: 0 });
    expect(front.p50Ms).toBeCloseTo(7.3, 0);
    expect(graph).toMatchObject({
      isLive: true,
      windowSeconds: 60,
      ageSeconds: 2,
      diagnosis: undefined,
    });
  });

  test('counts nothing twice: hops of a waypoint are shown only where waypoints are asked for', () => {
    const world = new World()
      .run(
        60,
        http('cart-v1', 5),
        ['shop/node-a', { ...tcp, reporter: 'source', destination: waypoint }, { opened: 5 }],
        ['shop/node-b', { ...tcp, reporter: 'destination', source: waypoint }, { opened: 5 }],
      )
      .settle();
    expect(world.edges()).toHaveLength(2);
    expect(world.edges({ waypoints: true })).toEqual([
      'service/shop/cart workload/shop/cart-v1 http 5',
      'waypoint/shop/waypoint workload/shop/cart-v1 tcp 5',
      'workload/shop/web service/shop/cart http 5',
      'workload/shop/web waypoint/shop/waypoint tcp 5',
    ]);
  });

  test('what the destination reports counts where no source does: strangers, and clients without a proxy', () => {
    const destination = { ...tcp, reporter: 'destination' } as const;
    const world = new World()
      .run(
        60,
        ['shop/node-a', { ...tcp, reporter: 'source' }, { opened: 2 }],
        ['shop/node-b', destination, { opened: 2 }],
        ['shop/node-b', { ...destination, source: UNKNOWN, isMutualTls: false }, { opened: 1 }],
        ['shop/node-b', { ...destination, source: peer('old') }, { opened: 3 }],
      )
      .settle();
    expect(world.edges()).toEqual([
      'unknown workload/shop/cart-v1 tcp 1',
      'workload/shop/old workload/shop/cart-v1 tcp 3',
      'workload/shop/web workload/shop/cart-v1 tcp 2',
    ]);
    const [stranger] = world.graph().edges.filter(({ source }) => source === 'unknown');
    expect(stranger.mtls).toBe(0);
  });

  test('connections that reached no workload end at the service that was asked for', () => {
    const refused = {
      ...tcp,
      reporter: 'source',
      service: service('cart'),
      destination: peer(service('cart').host, { kind: 'external', namespace: '' }),
    } as const;
    const world = new World().run(60, ['shop/node-a', refused, { failed: 2 }]).settle();
    expect(world.graph().edges.map(({ id }) => id)).toEqual([
      'workload/shop/web service/shop/cart tcp',
    ]);
  });

  describe('connections that are refused', () => {
    const refused = {
      ...tcp,
      reporter: 'source',
      service: service('cart'),
      destination: peer(service('cart').host, { kind: 'external', namespace: '' }),
    } as const;
    const few: Parameters<World['run']>[1] = ['shop/node-a', refused, { failed: 2 }];
    const healthOf = (world: World) => {
      const graph = JSON.parse(new TextDecoder().decode(world.engine.graphJson(LIVE)));
      expect(graph).toEqual(JSON.parse(JSON.stringify(world.graph())));
      const cart = graph.nodes.find(({ id }: { id: string }) => id === 'service/shop/cart');
      const edge = graph.edges.find(({ protocol }: { protocol: string }) => protocol === 'tcp');
      return [cart.health, edge?.health].map((health) => health && [health.status, health.reason]);
    };

    test('before their destination first answered are a note, and no judgement', () => {
      const world = new World().run(3, few).run(30, http('cart-v1', 9)).settle();
      expect(healthOf(world)).toEqual([
        ['healthy', '270 requests, none failed. 6 failed before it first answered.'],
        ['unknown', '6 failed before it first answered: too few to judge.'],
      ]);
      expect(new Map(world.engine.traffic(60)).get('service/shop/cart')?.health.status).toBe(
        'healthy',
      );
      expect(new Map(world.engine.traffic(60)).get('namespace/shop')?.health.status).not.toBe(
        'failing',
      );
    });

    test('while nothing answers are what they are', () => {
      expect(healthOf(new World().run(10, few).settle())[0]).toEqual([
        'failing',
        '100 % of 20 connections failed (limit 10 %).',
      ]);
    });

    test('of one that answered before are judged among all that came', () => {
      const world = new World().run(30, http('cart-v1', 9)).run(3, few).settle();
      expect(healthOf(world)[0]).toEqual([
        'degraded',
        '2.2 % of 276 requests and connections found nobody who took them (more than none).',
      ]);
      expect(healthOf(world.run(40, few).settle())[0]?.[0]).toBe('failing');
    });

    test('and answers of 503 are the same', () => {
      const early = http('cart-v1', 9, { codes: [[503, 9]] });
      const world = new World().run(5, early).run(30, http('cart-v1', 9)).settle();
      expect(healthOf(world)[0]).toEqual([
        'healthy',
        '270 requests, none failed. 45 failed before it first answered.',
      ]);
      world.run(1, http('cart-v1', 9, { codes: [[503, 1]] })).settle();
      expect(healthOf(world)[0]?.[0]).toBe('failing');
    });
  });

  test('other types are sums of the same: apps, versions of apps, services', () => {
    const world = new World().run(60, http('cart-v1', 9), http('cart-v2', 1)).settle();
    expect(world.edges({ type: 'app' })).toEqual([
      'app/shop/web service/shop/cart http 10',
      'service/shop/cart app/shop/cart http 10',
    ]);
    expect(world.edges({ type: 'versionedApp' })).toEqual([
      'app/shop/web/v1 service/shop/cart http 10',
      'service/shop/cart app/shop/cart/v1 http 9',
      'service/shop/cart app/shop/cart/v2 http 1',
    ]);
    expect(world.edges({ type: 'service' })).toEqual([
      'workload/shop/web service/shop/cart http 10',
    ]);
  });

  test('a weighted route shows what it should and what it does', () => {
    const world = new World();
    world.engine.updateMesh({
      ...MESH,
      moment: {
        splits: [
          {
            route: 'HTTPRoute shop/cart',
            service: 'shop/cart.shop.svc.cluster.local',
            parts: [
              { percent: 90, workloads: ['shop/cart-v1'] },
              { percent: 10, workloads: ['shop/cart-v2'] },
            ],
          },
        ],
      },
    });
    const graph = world.run(60, http('cart-v1', 88), http('cart-v2', 12)).settle().graph();
    const split = (to: string) =>
      graph.edges.find(({ target }) => target === `workload/shop/${to}`)?.split;
    expect(split('cart-v1')).toEqual({ intended: 90, seen: 88, route: 'HTTPRoute shop/cart' });
    expect(split('cart-v2')).toEqual({ intended: 10, seen: 12, route: 'HTTPRoute shop/cart' });
    const service = graph.nodes.find(({ id }) => id === 'service/shop/cart');
    expect(service?.badges).toEqual(['traffic-shifting']);
  });

  test('ejections, replicas and expiring certificates make nodes worse, each with its reason', () => {
    const world = new World();
    const ejected = {
      address: '10.0.0.1:80',
      workload: 'shop/cart-v1',
      service: '',
      reason: '5xx',
      by: 'shop/waypoint',
    };
    const certificate = {
      principal: workload('cart-v2').identity,
      proxy: '',
      notAfter: '2026-01-02',
      state: 'expiring' as const,
    };
    world.engine.updateMesh({
      ...MESH,
      workloads: [workload('web', { replicas: { ready: 0, desired: 2 } })],
      moment: { ejected: [ejected], certificates: [certificate] },
    });
    const { nodes } = world.run(60, http('cart-v1', 9), http('cart-v2', 9)).settle().graph();
    const health = (id: string) => nodes.find((node) => node.id === `workload/shop/${id}`)?.health;
    expect(health('web')).toMatchObject({ status: 'failing', reason: '0 of 2 replicas ready.' });
    expect(health('cart-v1')).toMatchObject({
      status: 'failing',
      reason: '1 of 1 endpoints ejected.',
    });
    expect(health('cart-v2')).toMatchObject({ status: 'degraded' });
  });

  test('a reader of one namespace sees others as one node without a name', () => {
    const other = peer('billing', { namespace: 'finance' });
    const third = peer('audit', { namespace: 'secret' });
    const node = 'shop/node-a';
    const source = { ...tcp, reporter: 'source' } as const;
    const world = new World()
      .run(
        60,
        [
          node,
          { ...source, destination: other, service: service('billing', 'finance') },
          { opened: 2 },
        ],
        [node, { ...source, source: other, destination: third }, { opened: 2 }],
        [
          node,
          {
            ...source,
            source: other,
            destination: peer('api.example.com', { kind: 'external', namespace: '' }),
          },
          { opened: 2 },
        ],
        [node, source, { opened: 1 }],
      )
      .settle();
    expect(world.edges({ visible: ['shop'] })).toEqual([
      'workload/shop/web elsewhere tcp 2',
      'workload/shop/web workload/shop/cart-v1 tcp 1',
    ]);
    expect(JSON.stringify(world.graph({ visible: ['shop'], idle: true }))).not.toMatch(
      /finance|secret|billing|example/,
    );
    expect(world.graph({ visible: [] })).toMatchObject({ nodes: [], edges: [] });
  });

  test('namespaces and focus narrow it; idle adds what is configured', () => {
    const world = new World()
      .run(60, http('cart-v1', 9), [
        'shop/n',
        {
          ...tcp,
          reporter: 'source',
          source: peer('batch', { namespace: 'jobs' }),
          destination: peer('db', { namespace: 'jobs' }),
        },
        { opened: 1 },
      ])
      .settle();
    expect(world.edges({ namespaces: ['jobs'] })).toEqual([
      'workload/jobs/batch workload/jobs/db tcp 1',
    ]);
    const focused = world.graph({ focus: 'workload/shop/cart-v1' });
    expect(focused.nodes.map(({ id }) => id).sort()).toEqual([
      'service/shop/cart',
      'workload/shop/cart-v1',
      'workload/shop/web',
    ]);
    expect(world.graph({ focus: 'workload/jobs/db' }).edges).toHaveLength(1);
    const idle = world.graph({ idle: true, namespaces: ['shop'] });
    expect(idle.edges.find(({ target }) => target === 'workload/shop/cart-v2')).toMatchObject({
      requestsPerSecond: 0,
      health: { status: 'idle' },
    });
    expect(idle.nodes.map(({ id }) => id)).toContain('workload/shop/cart-v2');
  });

  test('shows any second of the past, and the configuration that was in force', () => {
    const world = new World().run(120, http('cart-v1', 5));
    world.engine.store.history.add([
      {
        atMs: EPOCH + 100_000,
        kind: 'config',
        resource: 'HTTPRoute shop/cart',
        change: 'changed',
        summary: 'weights',
        before: '',
        after: 'a',
      },
    ]);
    world.run(120, http('cart-v2', 2)).settle();
    const then = world.graph({ atMs: EPOCH + 110_000, windowSeconds: 30 });
    expect(then).toMatchObject({
      isLive: false,
      windowSeconds: 30,
      configuration: { resource: 'HTTPRoute shop/cart', change: 'weights' },
    });
    expect(then.edges.map(({ target }) => target).sort()).toEqual([
      'service/shop/cart',
      'workload/shop/cart-v1',
    ]);
    expect(world.graph({ atMs: EPOCH + 200_000 }).edges.map(({ target }) => target)).toContain(
      'workload/shop/cart-v2',
    );
    expect(world.graph({ atMs: EPOCH + 90_000 }).configuration).toBeUndefined();
  });
});

describe('graphText', () => {
  test('says of every node and edge what buildGraph says', () => {
    const source = { ...tcp, reporter: 'source' } as const;
    const grpc = { protocol: 'grpc' } as const;
    const world = new World();
    world.engine.updateMesh({
      ...MESH,
      moment: {
        splits: [
          {
            route: 'HTTPRoute shop/cart',
            service: 'shop/cart.shop.svc.cluster.local',
            parts: [{ percent: 100, workloads: ['shop/cart-v1'] }],
          },
        ],
      },
    });
    world
      .run(
        60,
        http('cart-v1', 9, { codes: [[404, 1]], flags: [['UH', 1]] }),
        http('cart-v2', 2),
        ['shop/p', { ...grpc, source: peer('a"b') }, { requests: 3, grpcStatuses: [[14, 1]] }],
        ['shop/n', { ...source, source: UNKNOWN, isMutualTls: false }, { opened: 4, failed: 2 }],
      )
      .settle();
    for (const more of [
      {},
      { idle: true },
      { type: 'app' as const },
      { waypoints: true },
      { visible: ['shop'] },
      { visible: [] },
    ]) {
      const request = { ...LIVE, ...more };
      const told = (form: GraphForm) =>
        JSON.parse(new TextDecoder().decode(world.engine.graphJson({ ...request, form })));
      const want = JSON.parse(JSON.stringify(world.engine.graph(request)));
      expect(told('objects')).toEqual(want);
      const table = told('table');
      expect({ ...table, edges: edgesOf(table.edges) }).toEqual(want);
    }
  });
});

describe('diagnose', () => {
  const steps = (world: World, more: Partial<GraphRequest> = {}) =>
    world.graph(more).diagnosis?.steps.filter(({ state }) => state === 'no') ?? [];

  test('names the first broken link and the command that mends it', () => {
    const bare = new World({
      ...MESH,
      namespaces: [{ name: 'shop', isEnrolled: false, waypoint: '' }],
    });
    expect(steps(bare, { namespaces: ['shop'] })[0]).toMatchObject({
      question: 'Is a namespace enrolled?',
      command: 'tulle enroll shop',
    });
    for (const notCaptured of [
      'its pods use the network of their node',
      '1 of 2 pods are captured',
    ]) {
      const workloads = [workload('web', { isCaptured: false, notCaptured })];
      expect(steps(new World({ ...MESH, workloads }))[0]).toMatchObject({
        detail: `No workload is captured as a whole. shop/web: ${notCaptured}.`,
      });
    }
    const silent = new World();
    expect(steps(silent)[0]).toMatchObject({
      question: 'Do proxies report?',
      command: 'tulle proxy list',
    });
    const idle = new World().run(5, http('cart-v1', 0));
    expect(idle.graph().diagnosis?.summary).toBe('No request and no connection in these 3 s.');
  });
});

describe('LiveGraph', () => {
  test.each<GraphForm>(['objects', 'table'])(
    'deltas put on the first graph give the graph of now, as %s',
    (form) => {
      const world = new World().run(30, http('cart-v1', 9));
      const nodes = new Map<string, object>();
      const edges = new Map<string, object>();
      let whole = 0;
      const follow = (event: 'graph' | 'delta', json: Uint8Array) => {
        const news = JSON.parse(new TextDecoder().decode(json)) as GraphDelta | DeltaTable;
        if (event === 'graph') {
          whole++;
          nodes.clear();
          edges.clear();
        }
        for (const node of news.nodes) nodes.set(node.id, node);
        const told = 'rows' in news.edges ? edgesOf(news.edges) : news.edges;
        for (const each of told) edges.set(each.id, each);
        for (const id of news.goneNodes ?? []) nodes.delete(id);
        for (const id of news.goneEdges ?? []) edges.delete(id);
      };
      world.engine.follow(1, { ...LIVE, form }, follow);
      world.run(20, http('cart-v1', 9), http('cart-v2', 5, { codes: [[500, 2]] })).settle();
      world.run(75, http('cart-v2', 5));
      const now = world.graph();
      expect([...edges.keys()].sort()).toEqual(now.edges.map(({ id }) => id).sort());
      expect([...nodes.keys()].sort()).toEqual(now.nodes.map(({ id }) => id).sort());
      expect(edges.has('service/shop/cart workload/shop/cart-v1 http')).toBe(false);
      for (const each of now.edges) {
        const told = edges.get(each.id) as typeof each;
        expect(Math.abs(told.requestsPerSecond - each.requestsPerSecond)).toBeLessThanOrEqual(
          each.requestsPerSecond * 0.06,
        );
        expect(told.health.status).toBe(each.health.status);
      }
      expect(whole).toBe(1);
    },
  );

  test('what stopped while the window still grows falls as it grows', () => {
    const world = new World().run(12, http('cart-v1', 50));
    const rates: number[] = [];
    world.engine.follow(1, LIVE, (_event, json) => {
      const { edges } = JSON.parse(new TextDecoder().decode(json)) as GraphDelta;
      for (const { target, requestsPerSecond } of edges)
        if (target === 'workload/shop/cart-v1') rates.push(requestsPerSecond);
    });
    expect(rates).toEqual([50]);
    world.run(40, http('cart-v1', 0));
    const [now] = world.graph().edges;
    expect(now.requestsPerSecond).toBe(12);
    expect(Math.abs((rates.at(-1) ?? 0) - now.requestsPerSecond)).toBeLessThan(2);
  });

  test('says nothing while nothing changes, and at once when errors begin', () => {
    const world = new World().run(70, http('cart-v1', 50));
    const events: string[] = [];
    world.engine.follow(1, LIVE, (event) => events.push(event));
    world.run(8, http('cart-v1', 50));
    expect(events).toEqual(['graph']);
    world.run(4, http('cart-v1', 50, { codes: [[500, 25]] }));
    expect(events.length).toBeGreaterThan(1);
  });
});
