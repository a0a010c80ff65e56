import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { silentLogger } from '#base/log.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { peer } from '#test/support/flows.ts';
import { workload } from '#test/support/graph-world.ts';
import type { RequestsRequest, TracesRequest } from '../console-data.ts';
import { MeshPicture } from '../graph/mesh-picture.ts';
import { StoreDatabase } from '../store/database.ts';
import { RequestStore } from './request-store.ts';
import { TraceStore } from './trace-store.ts';
import { waterfall } from './waterfall.ts';

const START = 1_700_000_000_000;
const ALL: RequestsRequest = {
  visible: undefined,
  namespaces: [],
  workloads: [],
  services: [],
  methods: [],
  pathPrefix: '',
  status: undefined,
  onlyFailed: false,
  node: undefined,
  edge: undefined,
  fromMs: undefined,
  toMs: undefined,
  limit: 100,
};
const OTHER_EDGE = 'gateway/shop/other service/shop/cart http';
const TRACES: TracesRequest = { ...ALL, sort: 'newest' };

function span(
  id: string,
  parent: string,
  fromMs: number,
  toMs: number,
  more: Partial<Span> = {},
): Span {
  return {
    traceId: 'a'.repeat(32),
    spanId: id.padStart(16, '0'),
    parentSpanId: parent === '' ? '' : parent.padStart(16, '0'),
    traceState: '',
    kind: 'server',
    name: `span ${id}`,
    startNanos: BigInt(START + fromMs) * 1_000_000n,
    endNanos: BigInt(START + toMs) * 1_000_000n,
    status: 'unset',
    statusMessage: '',
    attributes: {},
    links: [],
    service: 'cart.shop',
    proxy: 'shop/waypoint-1',
    ...more,
  };
}

function database() {
  return new StoreDatabase({
    clock: new FakeClock(START),
    log: silentLogger,
    directory: undefined,
  });
}

describe('waterfall', () => {
  test('puts each span under its parent, by time, with its depth and offset', () => {
    const rows = waterfall([
      span('3', '1', 5, 9),
      span('2', '1', 1, 4),
      span('1', '', 0, 10),
      span('4', '3', 6, 8),
    ]);
    expect(
      rows.map(({ name, depth, startOffsetMs, durationMs }) => [
        name,
        depth,
        startOffsetMs,
        durationMs,
      ]),
    ).toEqual([
      ['span 1', 0, 0, 10],
      ['span 2', 1, 1, 3],
      ['span 3', 1, 5, 4],
      ['span 4', 2, 6, 2],
    ]);
  });

  test('shows every span once, whatever parents they name', () => {
    const id = fc.integer({ min: 0, max: 9 }).map(String);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(id, id, fc.integer({ min: 0, max: 50 })), { maxLength: 30 }),
        (given) => {
          const rows = waterfall(given.map(([own, parent, at]) => span(own, parent, at, at + 1)));
          expect(rows.map(({ spanId }) => spanId).sort()).toEqual(
            [...new Set(given.map(([own]) => own.padStart(16, '0')))].sort(),
          );
        },
      ),
    );
  });
});

describe('TraceStore', () => {
  const about = {
    'istio.source_namespace': 'shop',
    'istio.source_workload': 'web',
    'istio.destination_namespace': 'shop',
    'istio.destination_workload': 'cart-v1',
    'server.address': 'cart.shop.svc.cluster.local',
    'http.request.method': 'GET',
    'url.path': '/cart/7',
    'http.response.status_code': 200,
  };

  test('puts spans of several proxies together, also of one that comes later', () => {
    const store = new TraceStore({ database: database(), mesh: new MeshPicture() });
    store.add([span('1', '', 0, 10, { attributes: about })], START);
    store.add([span('2', '1', 2, 8)], START + 100);
    store.flush(START + 3000);
    store.add([span('3', '2', 3, 20, { status: 'error' }), span('2', '1', 2, 8)], START + 5000);
    expect(store.get('a'.repeat(32), undefined)?.spanRows).toHaveLength(3);
    store.flush(START + 9000);
    const { traces, oldest } = store.find(TRACES);
    expect(traces).toEqual([
      {
        traceId: 'a'.repeat(32),
        at: new Date(START).toISOString(),
        durationMs: 20,
        name: 'span 1',
        spans: 3,
        services: ['cart.shop'],
        status: 'error',
        statusCode: 200,
      },
    ]);
    expect(oldest).toBe(new Date(START).toISOString());
    expect(store.get('b'.repeat(32), undefined)).toBeUndefined();
  });

  const filters: [string, Partial<TracesRequest>, boolean][] = [
    ['an edge of the graph', { edge: 'workload/shop/web service/shop/cart http' }, true],
    ['the way back', { edge: 'service/shop/cart workload/shop/web http' }, true],
    ['another edge', { edge: 'workload/shop/web service/shop/other http' }, false],
    ['a node', { node: 'workload/shop/cart-v1' }, true],
    ['another node', { node: 'workload/shop/cart-v2' }, false],
    ['a service', { services: ['cart.shop.svc.cluster.local'] }, true],
    ['a method', { methods: ['POST'] }, false],
    ['a path', { pathPrefix: '/cart' }, true],
    ['a status', { status: { from: 200, to: 299 } }, true],
    ['failures', { onlyFailed: true }, false],
    ['an earlier time', { toMs: START - 1 }, false],
    ['a reader of its namespace', { visible: ['shop'] }, true],
    ['a reader of another', { visible: ['other'] }, false],
  ];
  for (const [title, filter, isFound] of filters)
    test(`is asked for ${title}: ${isFound ? 'found' : 'not found'}`, () => {
      const store = new TraceStore({ database: database(), mesh: new MeshPicture() });
      store.add([span('1', '', 0, 10, { attributes: about })], START);
      store.flush(START, true);
      expect(store.find({ ...TRACES, ...filter }).traces).toHaveLength(isFound ? 1 : 0);
    });

  const mesh = new MeshPicture();
  mesh.apply({
    workloads: [
      workload('wp', { role: 'waypoint', pods: ['wp-5d8f'] }),
      workload('edge', { role: 'gateway', pods: ['edge-77'] }),
    ],
    goneWorkloads: [],
    services: [],
    goneServices: [],
  });
  const byWaypoint = span('2', '1', 1, 9, {
    proxy: 'shop/wp-5d8f',
    attributes: {
      ...about,
      'istio.source_workload': 'edge',
      node_id: 'waypoint~::1~wp-5d8f.shop~',
    },
  });
  const byGateway = span('1', '', 0, 10, {
    proxy: 'shop/edge-77',
    attributes: { 'server.address': 'shop.example', node_id: 'router~::1~edge-77.shop~' },
  });
  const byGone = span('1', '', 0, 10, {
    proxy: 'shop/old-6b7c8d9f5-x2x4z',
    attributes: { ...about, node_id: 'waypoint~::1~old-6b7c8d9f5-x2x4z.shop~' },
  });
  const byNode = span('1', '', 0, 10, { proxy: 'istio-system/tulle-node-a', attributes: about });
  const nodes: [string, Span[], Partial<TracesRequest>, number][] = [
    ['the waypoint that it passed', [byWaypoint], { node: 'waypoint/shop/wp' }, 1],
    ['another waypoint', [byWaypoint], { node: 'waypoint/shop/wp-2' }, 0],
    ['a waypoint that is gone', [byGone], { node: 'waypoint/shop/old' }, 1],
    ['the gateway that it came through', [byGateway], { node: 'gateway/shop/edge' }, 1],
    ['the gateway that the waypoint names', [byWaypoint], { node: 'gateway/shop/edge' }, 1],
    ['another gateway', [byGateway], { node: 'gateway/shop/other' }, 0],
    ['a waypoint, where only node proxies told', [byNode], { node: 'waypoint/shop/wp' }, 0],
    [
      'the edge from the waypoint',
      [byWaypoint],
      { edge: 'waypoint/shop/wp workload/shop/cart-v1 http' },
      1,
    ],
    [
      'the edge from the gateway',
      [byGateway, byWaypoint],
      { edge: 'gateway/shop/edge service/shop/cart http' },
      1,
    ],
    ['an edge from another gateway', [byGateway, byWaypoint], { edge: OTHER_EDGE }, 0],
  ];
  for (const [title, spans, filter, count] of nodes)
    test(`is asked for ${title}: ${count === 1 ? 'found' : 'not found'}`, () => {
      const store = new TraceStore({ database: database(), mesh });
      store.add(spans, START);
      store.flush(START, true);
      expect(store.find({ ...TRACES, ...filter }).traces).toHaveLength(count);
    });

  test('slowest first where it is asked so; bytes and hostile spans are bounded', () => {
    const store = new TraceStore({ database: database(), mesh: new MeshPicture() }, 400_000);
    const id = (n: number) => n.toString(16).padStart(32, '0');
    for (let n = 1; n <= 500; n++)
      store.add(
        [span('1', '', n * 10, n * 10 + (n % 50), { traceId: id(n), name: 'x'.repeat(9999) })],
        START + n,
      );
    store.add([span('1', '', 0, 1, { traceId: 'no id' })], START);
    store.flush(START, true);
    store.evict(START + 1000);
    const { traces } = store.find({ ...TRACES, sort: 'slowest' });
    expect(traces[0].durationMs).toBe(49);
    expect(traces.length).toBeLessThan(500);
    expect(traces[0].name.length).toBe(2048);
    expect(store.dropped).toBe(1);
    for (let n = 0; n < 700; n++) store.add([span(n.toString(16), '', 0, 1)], START);
    expect(store.dropped).toBe(201);
  });
});

describe('RequestStore', () => {
  const record = (more: Partial<RequestRecord> = {}): RequestRecord => ({
    startMs: START,
    durationMs: 3,
    proxy: 'shop/waypoint-1',
    reporter: 'waypoint',
    protocol: 'http',
    source: peer('web'),
    sourceAddress: '10.0.0.1:1',
    destination: peer('cart-v1'),
    destinationAddress: '10.0.0.2:80',
    service: 'cart.shop.svc.cluster.local',
    isMutualTls: true,
    method: 'GET',
    authority: 'cart',
    path: '/cart/7',
    status: 200,
    grpcStatus: '',
    flags: '-',
    reason: '',
    route: '',
    policy: '',
    requestBytes: 0,
    responseBytes: 0,
    attempts: 1,
    requestId: '',
    userAgent: '',
    traceId: '',
    spanId: '',
    ...more,
  });
  const filled = (...records: RequestRecord[]) => {
    const store = new RequestStore({ database: database(), mesh: new MeshPicture() });
    store.add(records);
    store.flush();
    return store;
  };
  const denied = record({
    status: 403,
    policy: 'AuthorizationPolicy shop/deny',
    startMs: START + 5,
  });

  const filters: [string, Partial<RequestsRequest>, number][] = [
    ['all', {}, 3],
    ['failed ones and denied ones', { onlyFailed: true }, 2],
    ['an edge', { edge: 'workload/shop/web service/shop/cart http' }, 3],
    ['an edge of apps', { edge: 'service/shop/cart app/shop/cart http' }, 3],
    ['an edge of other protocol', { edge: 'workload/shop/web service/shop/cart tcp' }, 0],
    ['a node', { node: 'service/shop/cart' }, 3],
    ['the waypoint that they passed', { node: 'waypoint/shop/waypoint-1' }, 3],
    ['another waypoint', { node: 'waypoint/shop/waypoint-2' }, 0],
    ['an edge to the waypoint', { edge: 'workload/shop/web waypoint/shop/waypoint-1 http' }, 3],
    ['an edge from it', { edge: 'waypoint/shop/waypoint-1 workload/shop/cart-v1 http' }, 3],
    ['a status', { status: { from: 500, to: 599 } }, 1],
    ['a path', { pathPrefix: '/other' }, 0],
    ['a workload', { workloads: ['shop/web'] }, 3],
    ['a namespace', { namespaces: ['other'] }, 0],
    ['a reader of another namespace', { visible: ['other'] }, 0],
    ['a later time', { fromMs: START + 5 }, 1],
  ];
  for (const [title, filter, count] of filters)
    test(`finds ${count} for ${title}`, () => {
      const store = filled(record(), record({ status: 503 }), denied);
      expect(store.find({ ...ALL, ...filter })).toHaveLength(count);
    });

  test('hides the other end from who may not see it, and counts what policies denied', () => {
    const store = filled(
      record({ destination: peer('billing', { namespace: 'finance' }) }),
      denied,
      denied,
    );
    const rows = store.find({ ...ALL, visible: ['shop'] });
    expect(rows[2]).toMatchObject({
      source: 'workload/shop/web',
      destination: 'elsewhere',
      destinationAddress: '',
    });
    expect(store.policyHits(START)).toEqual([
      {
        resource: 'AuthorizationPolicy shop/deny',
        action: 'deny',
        denied: 2,
        lastDeniedAt: new Date(START + 5).toISOString(),
      },
    ]);
  });

  test('keeps a sample of what went well, and all that failed up to a bound', () => {
    const store = filled(
      ...Array.from({ length: 100 }, () => record()),
      ...Array.from({ length: 600 }, () => record({ status: 500, path: 'x'.repeat(9000) })),
    );
    expect(store.find({ ...ALL, limit: 1000, status: { from: 200, to: 200 } })).toHaveLength(20);
    const failed = store.find({ ...ALL, limit: 1000, onlyFailed: true });
    expect(failed).toHaveLength(480);
    expect(failed[0].path.length).toBe(1024);
    expect(store.dropped).toBe(120);
  });

  test('of connections on the way to and from waypoints only what failed is kept', () => {
    const waypoint = peer('waypoint', { kind: 'waypoint' });
    const hop = { protocol: 'tcp', status: 0, destination: waypoint } as const;
    const store = filled(
      record({ ...hop, reporter: 'source' }),
      record({ ...hop, reporter: 'source', flags: 'CONNECT', reason: 'refused' }),
      record({ ...hop, destination: peer('cart-v1'), reporter: 'source' }),
    );
    expect(store.find(ALL).map(({ destination, flags }) => [destination, flags])).toEqual([
      ['workload/shop/cart-v1', '-'],
      ['waypoint/shop/waypoint', 'CONNECT'],
    ]);
  });

  test('a sample that never ends does not drive out what failed', () => {
    const bytesMax = { good: 40_000, failed: 40_000 };
    const deps = { database: database(), mesh: new MeshPicture() };
    const store = new RequestStore(deps, bytesMax);
    store.add([record({ status: 500 })]);
    const add = (to: RequestStore, count: number) => {
      for (let second = 1; second <= count; second++) {
        to.add([record({ startMs: START + 1000 * second })]);
        to.flush();
      }
      to.evict(START);
    };
    add(store, 700);
    expect(store.find({ ...ALL, limit: 1000 }).length).toBeLessThan(100);
    // Another process goes on counting where this one was.
    const next = new RequestStore(deps, bytesMax);
    add(next, 700);
    expect(next.find({ ...ALL, limit: 1000 }).length).toBeLessThan(100);
    expect(next.find({ ...ALL, onlyFailed: true })).toHaveLength(1);
  });
});
