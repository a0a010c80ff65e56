import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import type { GraphAnswer, StatusAnswer } from './api.ts';
import type { ScrapeTarget } from './collector.ts';
import { Collector } from './collector.ts';
import { ProxyCounters } from './counters.ts';
import { EdgeStore, quantile } from './edge-store.ts';
import { readExposition } from './exposition.ts';
import { buildGraph } from './graph.ts';
import { consoleHandler, serveHttp } from './server.ts';
import { buildStatus } from './status.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'observe-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const HTTP = {
  reporter: 'waypoint',
  source_workload: 'web',
  source_workload_namespace: 'shop',
  destination_service: 'product-service.shop.svc.cluster.local',
  destination_workload: 'product-v1',
  destination_workload_namespace: 'shop',
  connection_security_policy: 'mutual_tls',
  response_code: '200',
};
const SERVICE = 'service/shop/product-service.shop.svc.cluster.local';

function line(name: string, labels: Record<string, string>, value: number): string {
  const text = Object.entries(labels).map(([key, each]) => `${key}="${each}"`);
  return `${name}{${text.join(',')}} ${value}\n`;
}

function read(counters: ProxyCounters, text: string, store: EdgeStore, second: number) {
  counters.read(text, { store, second, isWaypoint: (key) => key === 'shop/waypoint' });
}

function graphOf(
  store: EdgeStore,
  more: { second?: number; windowSeconds?: number; namespace?: string } = {},
) {
  return buildGraph(store, {
    second: 10,
    windowSeconds: 10,
    namespace: undefined,
    generatedAt: '',
    ejections: [],
    versions: new Map([['shop/product-v1', 'v1']]),
    ...more,
  });
}

describe('readExposition', () => {
  test('reads names, labels, escapes and values', () => {
    const got: unknown[] = [];
    const text =
      '# HELP a b\na{x="1,2",y="q\\"\\n\\\\"} 3\nb 4.5\nc{le="+Inf"} 1 1700000\nbroken{x=1} 2\nd{} NaN\nskip 1\n';
    readExposition(
      text,
      (name) => name !== 'skip',
      (sample) => got.push(sample),
    );
    expect(got).toEqual([
      { name: 'a', labels: { x: '1,2', y: 'q"\n\\' }, value: 3 },
      { name: 'b', labels: {}, value: 4.5 },
      { name: 'c', labels: { le: '+Inf' }, value: 1 },
    ]);
  });

  test('takes any text without a throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        readExposition(
          text,
          () => true,
          (sample) => expect(sample.name).not.toBe(''),
        );
      }),
    );
  });
});

describe('ProxyCounters', () => {
  test('books differences on client → service and service → workload', () => {
    const store = new EdgeStore();
    const counters = new ProxyCounters();
    read(counters, line('istio_requests_total', HTTP, 1000), store, 1);
    expect(graphOf(store).edges).toEqual([]);
    const failed = { ...HTTP, response_code: '503' };
    const bucket = (le: string, value: number) =>
      line('istio_request_duration_milliseconds_bucket', { ...HTTP, le }, value);
    const text =
      line('istio_requests_total', HTTP, 1030) +
      line('istio_requests_total', failed, 10) +
      bucket('1', 20) +
      bucket('5', 40) +
      bucket('+Inf', 40);
    read(counters, text, store, 2);
    const { edges, nodes } = graphOf(store);
    expect(edges.map(({ source, destination }) => [source, destination])).toEqual([
      [SERVICE, 'workload/shop/product-v1'],
      ['workload/shop/web', SERVICE],
    ]);
    expect(edges[1]).toMatchObject({
      requestsPerSecond: 4,
      errorRate: 0.25,
      mtls: 1,
      codes: { 200: 30, 503: 10 },
      p50Ms: 1,
    });
    expect(nodes.find(({ id }) => id === 'workload/shop/product-v1')?.version).toBe('v1');
  });

  test('takes a counter that fell as a restart', () => {
    const store = new EdgeStore();
    const counters = new ProxyCounters();
    for (const [second, value] of [
      [1, 100],
      [2, 7],
    ])
      read(counters, line('istio_requests_total', HTTP, value), store, second);
    expect(graphOf(store).edges[0].codes).toEqual({ 200: 7 });
  });

  const TCP = {
    source_workload: 'web',
    source_workload_namespace: 'shop',
    destination_workload: 'db',
    destination_workload_namespace: 'data',
    connection_security_policy: 'mutual_tls',
  };
  const ROWS: [string, Record<string, string>, string[] | undefined][] = [
    [
      'as the source reports it, to the workload',
      { reporter: 'source' },
      ['workload/shop/web', 'workload/data/db'],
    ],
    [
      'to the service where one was meant',
      { reporter: 'source', destination_service: 'db.data.svc.cluster.local' },
      ['workload/shop/web', 'service/data/db.data.svc.cluster.local'],
    ],
    ['not a second time from the destination', { reporter: 'destination' }, undefined],
    [
      'from outside the mesh',
      {
        reporter: 'destination',
        source_workload: 'unknown',
        connection_security_policy: 'unknown',
      },
      ['unknown', 'workload/data/db'],
    ],
    [
      'from a waypoint',
      { reporter: 'destination', source_workload: 'waypoint' },
      ['waypoint/shop/waypoint', 'workload/data/db'],
    ],
  ];
  test.each(ROWS)('books TCP %s', (_title, labels, want) => {
    const store = new EdgeStore();
    const counters = new ProxyCounters();
    read(counters, '', store, 1);
    const all = { ...TCP, ...labels };
    read(
      counters,
      line('istio_tcp_connections_opened_total', all, 4) +
        line('istio_tcp_sent_bytes_total', all, 100),
      store,
      2,
    );
    const { edges } = graphOf(store);
    expect(edges.map(({ source, destination }) => [source, destination])).toEqual(
      want === undefined ? [] : [want as [string, string]],
    );
    if (want !== undefined)
      expect(edges[0]).toMatchObject({
        bytesSentPerSecond: 10,
        connectionsPerSecond: 0.4,
        mtls: want[0] === 'unknown' ? 0 : 1,
      });
  });
});

describe('EdgeStore', () => {
  const KEY = { source: 'a', destination: 'b', protocol: 'http' as const };

  test('sums the seconds of the window and forgets idle edges', () => {
    const store = new EdgeStore();
    for (let second = 1; second <= 20; second++) store.sample(KEY, second).requests += 1;
    const [{ total }] = [...store.totals(15)];
    expect(total.requests).toBe(5);
    store.prune(320);
    expect(store.size).toBe(0);
  });

  test.each<[Record<string, number>, number, number | undefined]>([
    [{}, 0.5, undefined],
    [{ 10: 100, '+Inf': 100 }, 0.5, 5],
    [{ 10: 0, 20: 100, '+Inf': 100 }, 0.99, 19.9],
    [{ 10: 0, '+Inf': 100 }, 0.5, 10],
  ])('quantile of %p at %p is %p', (latency, share, want) => {
    const got = quantile(latency, share);
    if (want === undefined) expect(got).toBeUndefined();
    else expect(got).toBeCloseTo(want, 6);
  });
});

describe('buildGraph', () => {
  test('keeps only edges that touch the namespace', () => {
    const store = new EdgeStore();
    store.sample(
      { source: 'workload/a/x', destination: 'workload/b/y', protocol: 'tcp' },
      5,
    ).opened = 1;
    store.sample(
      { source: 'workload/c/x', destination: 'workload/c/y', protocol: 'tcp' },
      5,
    ).opened = 1;
    expect(graphOf(store, { namespace: 'b' }).edges).toHaveLength(1);
    expect(graphOf(store).edges).toHaveLength(2);
  });

  test('leaves out edges on which nothing flowed', () => {
    const store = new EdgeStore();
    const key = { source: 'workload/a/x', destination: 'workload/b/y', protocol: 'tcp' } as const;
    store.sample(key, 5);
    expect(graphOf(store)).toMatchObject({ edges: [], nodes: [] });
    store.sample(key, 5).sent = 1;
    expect(graphOf(store).edges).toHaveLength(1);
  });
});

const TARGET: ScrapeTarget = {
  key: 'istio-system/ztunnel-1',
  kind: 'node',
  node: 'node1',
  ip: '198.18.255.11',
};

describe('Collector', () => {
  test('keeps reports and metrics, and says why a proxy is silent', async () => {
    const clock = new FakeClock();
    let requests = 0;
    let answer: (path: string) => Response = () => new Response('', { status: 500 });
    const collector = new Collector({
      clock,
      fetch: async (url) => answer(new URL(url).pathname),
      targets: () => [TARGET],
      isWaypoint: () => false,
    });
    await collector.scrapeAll();
    expect(collector.state(TARGET.key)?.error).toContain('answered 500');
    answer = (path) =>
      path === '/metrics'
        ? new Response(line('istio_requests_total', HTTP, requests))
        : Response.json({
            ejections: [
              { upstream: 'x.shop.svc.cluster.local', endpoint: '1:2', reason: '3 x 5xx' },
            ],
          });
    await collector.scrapeAll();
    requests = 5;
    clock.advance(1_000);
    await collector.scrapeAll();
    expect(collector.state(TARGET.key)?.error).toBeUndefined();
    expect(graphOf(collector.store, { second: collector.second() }).edges).toHaveLength(2);
    const status = buildStatus({
      generatedAt: '',
      control: { ready: true, leader: true, pod: 'c', version: '0', startedAt: '' },
      targets: [TARGET, { ...TARGET, key: 'shop/waypoint-1', kind: 'waypoint' }],
      scrape: (key) => collector.state(key),
      streams: [],
      gateways: [],
      served: () => [],
      findings: [],
    });
    expect(status.proxies).toMatchObject([
      {
        name: 'ztunnel-1',
        sync: 'disconnected',
        ejections: [{ upstream: 'shop/x.shop.svc.cluster.local', by: TARGET.key }],
      },
      { name: 'waypoint-1', kind: 'waypoint', scrapedAt: undefined },
    ]);
    expect(clock.pending).toBe(0);
  });
});

describe('serveHttp', () => {
  const GRAPH: GraphAnswer = {
    generatedAt: '',
    windowSeconds: 30,
    nodes: [],
    edges: [],
    ejections: [],
  };
  const handler = consoleHandler({
    graph: ({ windowSeconds, namespace }) => ({
      ...GRAPH,
      windowSeconds,
      generatedAt: namespace ?? '',
    }),
    status: () => ({ findings: [] }) as unknown as StatusAnswer,
  });

  test('answers on TCP and on a unix socket, also over a stale one', async () => {
    const unix = join(directory, 'console.sock');
    const tcp = serveHttp({ hostname: '127.0.0.1', port: 0 }, handler);
    for (let round = 0; round < 2; round++) {
      const socket = serveHttp({ unix }, handler);
      const answer = await fetch('http://localhost/api/graph?namespace=shop&window=10', { unix });
      expect(await answer.json()).toMatchObject({ windowSeconds: 10, generatedAt: 'shop' });
      await socket.stop();
    }
    const page = await fetch(`http://127.0.0.1:${tcp.port}/`);
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(await page.text()).toContain('<title>Tulle</title>');
    expect(() => serveHttp({ hostname: '127.0.0.1', port: tcp.port ?? 0 }, handler)).toThrow(
      'cannot listen',
    );
    await tcp.stop();
  });

  test.each([
    ['GET', '/api/graph?window=0', 400],
    ['GET', '/api/graph?window=x', 400],
    ['GET', '/api/graph?window=301', 400],
    ['GET', '/api/graph?window=30s', 200],
    ['GET', '/api/status', 200],
    ['GET', '/nothing', 404],
    ['POST', '/api/status', 405],
  ])('%s %s is %p', (method, path, want) => {
    expect(handler(new Request(`http://x${path}`, { method })).status).toBe(want);
  });
});
