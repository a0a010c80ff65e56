import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { RecordingSink } from '#test/support/recording-sink.ts';
import type { StatusAnswer } from './api.ts';
import type { ScrapeTarget } from './collector.ts';
import { Collector } from './collector.ts';
import { ProxyCounters } from './counters.ts';
import { readExposition } from './exposition.ts';
import { SCRAPE_WITHOUT_STREAM_MS, SCRAPED_EDGES_MAX } from './limits.ts';
import { refined } from './proxy-roles.ts';
import { serveHttp } from './server.ts';
import { buildStatus, seenStatus } from './status.ts';

const HTTP = {
  reporter: 'waypoint',
  request_protocol: 'http',
  source_workload: 'web',
  source_workload_namespace: 'shop',
  destination_service: 'product-service.shop.svc.cluster.local',
  destination_workload: 'product-v1',
  destination_workload_namespace: 'shop',
  connection_security_policy: 'mutual_tls',
  response_code: '200',
};

function line(name: string, labels: Record<string, string>, value: number): string {
  const text = Object.entries(labels).map(([key, each]) => `${key}="${each}"`);
  return `${name}{${text.join(',')}} ${value}\n`;
}

/** As the collector does, on a mesh with one waypoint. */
function read(counters: ProxyCounters, text: string, store: RecordingSink, second: number) {
  const { edges, samples } = counters.read(text);
  const roleOf = (key: string) => (key === 'shop/waypoint' ? 'waypoint' : undefined);
  for (const edge of edges) store.edge('shop/p', refined(edge, roleOf));
  store.frame('shop/p', { second, samples }, { second, receivedMs: 0 });
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
  const flowsOf = (...texts: string[]) => {
    const sink = new RecordingSink();
    const counters = new ProxyCounters({ isGateway: false });
    for (const [at, text] of texts.entries()) read(counters, text, sink, at + 1);
    return sink;
  };

  test('tells differences from scrape to scrape; the first one is where they start', () => {
    const before = line('istio_requests_total', HTTP, 1000);
    const failed = { ...HTTP, response_code: '503' };
    const bucket = (le: string, value: number) =>
      line('istio_request_duration_milliseconds_bucket', { ...HTTP, le }, value);
    const after =
      line('istio_requests_total', HTTP, 1030) +
      line('istio_requests_total', failed, 10) +
      bucket('1', 20) +
      bucket('5', 40) +
      bucket('+Inf', 40);
    expect(flowsOf(before).booked).toEqual([]);
    const sink = flowsOf(before, after);
    expect(sink.requests).toBe(40);
    expect(sink.booked[0].edge).toMatchObject({
      reporter: 'waypoint',
      protocol: 'http',
      isMutualTls: true,
      source: { kind: 'workload', namespace: 'shop', workload: 'web' },
      destination: { namespace: 'shop', workload: 'product-v1' },
      service: { host: 'product-service.shop.svc.cluster.local' },
    });
    const codes = sink.booked.flatMap(({ sample }) => sample.codes);
    expect(Object.fromEntries(codes)).toEqual({ 200: 30, 503: 10 });
    const latency = sink.booked.flatMap(({ sample }) => sample.latency);
    expect(latency.reduce((sum, [, count]) => sum + count, 0)).toBe(40);
  });

  test('takes a counter that fell as a restart', () => {
    const at = (value: number) => line('istio_requests_total', HTTP, value);
    expect(flowsOf(at(100), at(7)).requests).toBe(7);
  });

  test('takes no more edges than a proxy may have', () => {
    const counters = new ProxyCounters({ isGateway: false });
    counters.read('');
    const lines = Array.from({ length: SCRAPED_EDGES_MAX + 5 }, (_, index) =>
      line('istio_requests_total', { ...HTTP, destination_workload: `w${index}` }, 1),
    );
    const { edges, samples } = counters.read(lines.join(''));
    expect([edges.length, samples.length]).toEqual([SCRAPED_EDGES_MAX, SCRAPED_EDGES_MAX]);
  });

  test('knows waypoints among the peers, and bytes of connections', () => {
    const labels = {
      reporter: 'destination',
      source_workload: 'waypoint',
      source_workload_namespace: 'shop',
      destination_workload: 'db',
      destination_workload_namespace: 'data',
      connection_security_policy: 'mutual_tls',
    };
    const text =
      line('istio_tcp_connections_opened_total', labels, 4) +
      line('istio_tcp_sent_bytes_total', labels, 100);
    const [{ edge, sample }] = flowsOf('', text).booked;
    expect(edge).toMatchObject({ protocol: 'tcp', source: { kind: 'waypoint' } });
    expect(sample.opened).toBe(4);
    expect(sample.sentBytes + sample.receivedBytes).toBe(100);
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
    const store = new RecordingSink();
    const streaming = new Set<string>();
    let rounds = 0;
    let targets = [TARGET];
    const asked: string[] = [];
    let answer: (path: string) => Response = () => new Response('', { status: 500 });
    const collector = new Collector({
      clock,
      fetch: async (url) => {
        asked.push(new URL(url).pathname);
        return answer(new URL(url).pathname);
      },
      targets: () => targets,
      sink: store,
      refine: (edge) => edge,
      hasStreamed: (proxy) => streaming.has(proxy),
      onRound: () => rounds++,
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
    // It may still open a stream, which tells of these seconds itself.
    expect(store.requests).toBe(0);
    clock.advance(SCRAPE_WITHOUT_STREAM_MS);
    requests = 9;
    await collector.scrapeAll();
    expect(store.requests).toBe(4);
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
    asked.length = 0;
    streaming.add(TARGET.key);
    requests = 20;
    await collector.scrapeAll();
    await collector.scrapeAll();
    expect(asked).toEqual(['/status', '/status']);
    expect(store.requests).toBe(4);
    targets = [];
    await collector.scrapeAll();
    expect(rounds).toBe(7);
    expect(collector.state(TARGET.key)).toBeUndefined();
    expect(clock.pending).toBe(0);
  });
});

test('serveHttp answers, and says what is wrong with a port that is taken', async () => {
  const end = serveHttp({ hostname: '127.0.0.1', port: 0 }, () => new Response('here'));
  expect(await (await fetch(`http://127.0.0.1:${end.port}/`)).text()).toBe('here');
  expect(() =>
    serveHttp({ hostname: '127.0.0.1', port: end.port ?? 0 }, () => new Response('')),
  ).toThrow('cannot listen');
  await end.stop();
});

test('seenStatus leaves out what is of other namespaces', () => {
  const proxy = (namespace: string) => ({ namespace, name: 'p' });
  const finding = (resource: string) => ({ resource });
  const status = {
    proxies: [proxy('shop'), proxy('bank')],
    waypoints: [proxy('bank')],
    findings: [finding('HTTPRoute shop/a'), finding('HTTPRoute bank/b'), finding('GatewayClass x')],
  } as unknown as StatusAnswer;
  const seen = seenStatus(status, (namespace) => namespace === 'shop' || namespace === '');
  expect(seen.proxies.length).toBe(1);
  expect(seen.waypoints).toEqual([]);
  expect(seen.findings.map(({ resource }) => resource)).toEqual([
    'HTTPRoute shop/a',
    'GatewayClass x',
  ]);
});
