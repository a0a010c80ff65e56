/** The questions to Prometheus, its answers, and what is done when there is none: against a server that says whatever it is told to. */
import { afterEach, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { EPOCH, http, LIVE, World } from '#test/support/graph-world.ts';
import type { GraphAnswer } from '../api/graph.ts';
import type { GraphRequest, SeriesRequest } from '../console-data.ts';
import { readAnswer } from './answers.ts';
import { PrometheusClient } from './client.ts';
import { PrometheusHistory } from './history.ts';
import { AWAY_MS, QUESTIONS_AT_ONCE, RANGE_SECONDS_MIN } from './limits.ts';
import {
  edgeQueries,
  scrapedQuery,
  selectionsOfEdge,
  selectionsOfNamespaces,
  selectionsOfNode,
} from './queries.ts';

const SECOND = EPOCH / 1000;
const HOUR_AGO = { ...LIVE, atMs: EPOCH - 3_600_000 };

describe('edgeQueries', () => {
  test('sums increases by what tells edges apart, of this mesh alone', () => {
    const queries = edgeQueries(['destination_app="cart"'], {
      rangeSeconds: 300,
      match: 'cluster="eu"',
    });
    const [{ promql }] = queries;
    expect(promql).toStartWith('sum by (reporter,request_protocol,connection_security_policy,');
    expect(promql).toEndWith(
      'response_flags) (increase(istio_requests_total{destination_app="cart",cluster="eu"}[300s])) > 0',
    );
    expect(queries.map(({ measure }) => measure)).toEqual([
      'requests',
      'latency',
      'requestBytes',
      'responseBytes',
      'opened',
      'failed',
      'sent',
      'received',
    ]);
    expect(scrapedQuery('').promql).toBe('count(istio_build{})');
  });

  test('several selections are one question', () => {
    const [{ promql }] = edgeQueries(selectionsOfNamespaces(['shop', 'a.b']), {
      rangeSeconds: 60,
      match: '',
    });
    expect(promql.split(' or ')).toHaveLength(3);
    expect(promql).toContain('{source_workload_namespace=~"shop|a\\\\.b"}[60s]');
    expect(selectionsOfNamespaces(undefined)).toEqual(['']);
    expect(selectionsOfNamespaces([])).toEqual([]);
  });

  test('texts of readers cannot leave their quotes', () => {
    const [selection] = selectionsOfNode('workload/shop/a"} or up{b="\n', 'inbound', {
      workloads: [],
    }) as string[];
    expect(selection).toBe(
      'destination_workload_namespace="shop",destination_workload="a\\"} or up{b=\\"\\n"',
    );
  });
});

describe('selectionsOfNode', () => {
  const rows: [id: string, direction: 'inbound' | 'outbound', want: string[] | undefined][] = [
    ['workload/shop/cart', 'outbound', ['source_workload_namespace="shop",source_workload="cart"']],
    [
      'waypoint/shop/w',
      'inbound',
      ['destination_workload_namespace="shop",destination_workload="w"'],
    ],
    [
      'app/shop/cart/v1',
      'inbound',
      [
        'destination_workload_namespace="shop",destination_app="cart"',
        'destination_workload_namespace="shop",destination_workload=~"m1|m2"',
      ],
    ],
    [
      'service/shop/cart',
      'inbound',
      [
        'destination_service_name="cart"',
        'destination_service=~"cart\\\\.shop\\\\..+"',
        'destination_workload_namespace="shop",destination_workload=~"m1|m2"',
      ],
    ],
    [
      'external/api.example.com',
      'inbound',
      ['destination_service="api.example.com"', 'destination_workload="api.example.com"'],
    ],
    ['unknown', 'outbound', undefined],
    ['elsewhere', 'inbound', undefined],
  ];
  test.each(rows)('of %s, %s', (id, direction, want) => {
    expect(selectionsOfNode(id, direction, { workloads: ['m1', 'm2'] })).toEqual(want);
  });

  test('an edge is asked for by the end that has a name', () => {
    const of = (id: string) => selectionsOfEdge(id, () => ({ workloads: [] }))?.[0];
    expect(of('workload/shop/web service/shop/cart http')).toBe('destination_service_name="cart"');
    expect(of('service/shop/cart workload/shop/cart-v1 http')).toBe(
      'destination_service_name="cart"',
    );
    expect(of('workload/shop/web unknown tcp')).toStartWith('source_workload_namespace="shop"');
    expect(of('unknown elsewhere tcp')).toBeUndefined();
  });
});

describe('readAnswer', () => {
  const good = { metric: { a: 'b' }, value: [5, '2.5'] };
  const of = (resultType: string, ...result: unknown[]) =>
    JSON.stringify({ status: 'success', data: { resultType, result } });
  test('reads vectors and matrices; what is no number is left out', () => {
    expect(readAnswer(of('vector', good))).toEqual([{ labels: { a: 'b' }, values: [[5, 2.5]] }]);
    const matrix = {
      metric: {},
      values: [
        [1, '1'],
        [2, 'NaN'],
        [3, '+Inf'],
        [4, '4'],
      ],
    };
    expect(readAnswer(of('matrix', matrix))).toEqual([
      {
        labels: {},
        values: [
          [1, 1],
          [4, 4],
        ],
      },
    ]);
  });
  test.each([
    ['<html>', 'its answer is no JSON'],
    ['[]', 'its answer is no object'],
    ['{"status":"error","error":"parse error"}', 'parse error'],
    ['{"status":"error"}', 'it says no success'],
    ['{"status":"success"}', 'its answer has no result'],
    [of('string', 1), 'its result is a string'],
    [of('vector', { metric: { a: 1 }, value: [1, '1'] }), 'its result has rows that are none'],
    [of('vector', { metric: {}, value: ['1', '1'] }), 'its result has rows that are none'],
    [of('vector', null), 'its result has rows that are none'],
  ])('says what is wrong with %s', (text, want) => {
    expect(readAnswer(text)).toBe(want);
  });
});

type Answer = (query: URLSearchParams, path: string) => Response | Promise<Response>;
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

function serve(answer: Answer): string {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) =>
      answer(new URLSearchParams(await request.text()), new URL(request.url).pathname),
  });
  ends.push(() => void server.stop(true));
  return `http://127.0.0.1:${server.port}/base/`;
}

const result = (resultType: 'vector' | 'matrix', rows: readonly object[]) =>
  Response.json({ status: 'success', data: { resultType, result: rows } });
const nothing = () => result('vector', []);

describe('PrometheusClient', () => {
  const clientOf = (answer: Answer, limits = {}, clock = systemClock) =>
    new PrometheusClient({ clock, fetch }, { url: serve(answer) }, limits);
  const failed = (asked: Promise<unknown>) => asked.then(String, (error: unknown) => error);

  test('asks at a moment or over a range, and keeps the order of its questions', async () => {
    const seen: string[] = [];
    const client = clientOf(async (query, path) => {
      seen.push(`${path} ${query}`);
      if (query.get('query') === 'a') await Bun.sleep(20);
      return result('vector', [{ metric: { q: query.get('query') }, value: [1, '1'] }]);
    });
    const answers = await client.ask(['a', 'b'], { at: 7 });
    expect(answers.map(([{ labels }]) => labels.q)).toEqual(['a', 'b']);
    await client.ask(['c'], { from: 1, to: 9, stepSeconds: 2 });
    expect(seen).toEqual([
      '/base/api/v1/query query=a&time=7',
      '/base/api/v1/query query=b&time=7',
      '/base/api/v1/query_range query=c&start=1&end=9&step=2',
    ]);
  });

  test('does not wait longer than it may, and then leaves who is silent alone for a while', async () => {
    let asked = 0;
    const clock = new FakeClock();
    const waiting = Promise.withResolvers<void>();
    const client = clientOf(
      async () => {
        asked++;
        waiting.resolve();
        await new Promise(() => undefined);
        return nothing();
      },
      { timeoutMs: 500 },
      clock,
    );
    const first = failed(client.ask(['a'], { at: 1 }));
    await waiting.promise;
    clock.advance(500);
    expect(await first).toMatchObject({
      code: 'CONSOLE_PROMETHEUS_AWAY',
      message: 'it did not answer within 500 ms',
    });
    expect(await failed(client.ask(['a'], { at: 1 }))).toMatchObject({
      code: 'CONSOLE_PROMETHEUS_AWAY',
    });
    expect(asked).toBe(1);
    clock.advance(AWAY_MS);
    const again = failed(client.ask(['a'], { at: 1 }));
    while (asked < 2) await Bun.sleep(1);
    clock.advance(500);
    await again;
  });

  test('takes no answer that is larger than it may be', async () => {
    const large = () => new Response(`{"status":"success","x":"${'x'.repeat(100_000)}"}`);
    const client = clientOf(large, { answerBytesMax: 10_000 });
    expect(await failed(client.ask(['a'], { at: 1 }))).toMatchObject({
      code: 'CONSOLE_PROMETHEUS_TOO_MUCH',
      message: 'its answer has more than 10000 bytes',
    });
  });

  test('says what Prometheus refuses, and what is no Prometheus', async () => {
    const error = { status: 'error', errorType: 'bad_data', error: 'parse error' };
    const refusing = clientOf(() => Response.json(error, { status: 400 }));
    expect(await failed(refusing.ask(['a{'], { at: 1 }))).toMatchObject({
      code: 'CONSOLE_PROMETHEUS_REFUSED',
      message: 'it refuses: parse error',
    });
    const proxy = clientOf(() => new Response('bad gateway', { status: 502 }));
    expect(await failed(proxy.ask(['a'], { at: 1 }))).toMatchObject({
      code: 'CONSOLE_PROMETHEUS_AWAY',
      message: 'status 502: its answer is no JSON',
    });
    const elsewhere = clientOf(() => Response.redirect('http://127.0.0.1:1/'));
    expect(await failed(elsewhere.ask(['a'], { at: 1 }))).toMatchObject({
      code: 'CONSOLE_PROMETHEUS_AWAY',
    });
  });

  test('runs few questions at once', async () => {
    const gate = Promise.withResolvers<void>();
    const client = clientOf(() => gate.promise.then(nothing));
    const running = Array.from({ length: QUESTIONS_AT_ONCE }, () => client.ask(['a'], { at: 1 }));
    expect(await failed(client.ask(['a'], { at: 1 }))).toMatchObject({
      code: 'CONSOLE_PROMETHEUS_TOO_MUCH',
    });
    gate.resolve();
    await Promise.all(running);
    expect(await client.ask(['a'], { at: 1 })).toEqual([[]]);
  });
});

/** A series as Prometheus sums it. */
function row(more: Record<string, string>, value: number) {
  return {
    metric: {
      reporter: 'waypoint',
      request_protocol: 'http',
      response_code: '200',
      response_flags: '-',
      connection_security_policy: 'mutual_tls',
      source_workload: 'web',
      source_workload_namespace: 'shop',
      source_cluster: 'Kubernetes',
      destination_workload: 'cart-v1',
      destination_workload_namespace: 'shop',
      destination_app: 'cart',
      destination_cluster: 'Kubernetes',
      destination_service: 'cart.shop.svc.cluster.local',
      destination_service_namespace: 'shop',
      destination_service_name: 'cart',
      namespace: 'shop',
      pod: 'waypoint-abc-12345',
      ...more,
    },
    value: [SECOND, String(value)],
  };
}

const VAULT = {
  source_workload: 'teller',
  source_workload_namespace: 'bank',
  destination_workload: 'vault',
  destination_workload_namespace: 'bank',
  destination_app: 'vault',
  destination_service: 'vault.bank.svc.cluster.local',
  destination_service_namespace: 'bank',
  destination_service_name: 'vault',
};

/** What stands in the parentheses of `increase` of the first selection. */
const metricOf = (query: URLSearchParams) => /increase\((\w+)/.exec(query.get('query') ?? '')?.[1];

function historyOf(world: World, answer: Answer) {
  const client = new PrometheusClient({ clock: systemClock, fetch }, { url: serve(answer) });
  const history = new PrometheusHistory({
    log: silentLogger,
    engine: world.engine,
    client,
    match: '',
    clusterId: 'Kubernetes',
  });
  return {
    history,
    async graph(request: GraphRequest) {
      return JSON.parse(new TextDecoder().decode(await history.graph(request))) as GraphAnswer;
    },
  };
}

const edgesOf = ({ edges }: GraphAnswer) =>
  edges.map(
    ({ id, requestsPerSecond, connectionsPerSecond }) =>
      `${id} ${requestsPerSecond || connectionsPerSecond}`,
  );

describe('PrometheusHistory', () => {
  test('a moment that the store does not hold is drawn of what Prometheus says, by the same rules', async () => {
    const { graph } = historyOf(new World(), (query) => {
      switch (metricOf(query)) {
        case 'istio_requests_total':
          return result('vector', [
            row({}, 1200.2),
            row({ pod: 'waypoint-abc-67890' }, 599.9),
            row({ response_code: '503', response_flags: 'UH' }, 600),
            row({ ...VAULT, namespace: 'bank', pod: 'gone-abc-12345' }, 60),
            row({ source_cluster: 'far', destination_cluster: 'far' }, 9999),
          ]);
        case 'istio_request_duration_milliseconds_bucket':
          return result('vector', [
            row({ le: '5.0' }, 1200),
            row({ le: '10' }, 2400),
            row({ le: '+Inf' }, 2400),
          ]);
        case 'istio_tcp_connections_opened_total': {
          const tcp = { request_protocol: 'tcp', destination_service: 'unknown', pod: '' };
          const hop = { ...tcp, reporter: 'source', destination_workload: 'waypoint' };
          return result('vector', [
            row(hop, 60),
            // Its waypoint is no more.
            row(
              { ...hop, destination_workload: 'gone', destination_workload_namespace: 'bank' },
              60,
            ),
            row({ ...tcp, reporter: 'source', destination_workload: 'cart-v2' }, 240),
            row({ ...tcp, reporter: 'destination', destination_workload: 'cart-v2' }, 241),
            row({ ...tcp, reporter: 'destination', source_workload: 'unknown' }, 120),
            row(
              {
                ...tcp,
                reporter: 'source',
                source_workload: 'other',
                source_workload_namespace: 'other',
              },
              120,
            ),
          ]);
        }
        default:
          return nothing();
      }
    });
    const request = { ...HOUR_AGO, windowSeconds: 600 };
    const all = await graph(request);
    expect(edgesOf(all).sort()).toEqual([
      'service/bank/vault workload/bank/vault http 0.1',
      'service/shop/cart workload/shop/cart-v1 http 4',
      'unknown workload/shop/cart-v1 tcp 0.4',
      'workload/bank/teller service/bank/vault http 0.1',
      'workload/shop/web service/shop/cart http 4',
      'workload/shop/web workload/shop/cart-v2 tcp 0.4',
    ]);
    expect(all).toMatchObject({
      source: 'prometheus',
      isLive: false,
      windowSeconds: 600,
      at: new Date(HOUR_AGO.atMs).toISOString(),
    });
    const cart = all.edges.find(({ target }) => target === 'service/shop/cart');
    expect(cart).toMatchObject({
      errorRate: 0.25,
      responseCodes: { '200': 1800, '503': 600 },
      flags: { UH: 600 },
      mtls: 1,
      via: 'waypoint/shop/waypoint',
      health: { status: 'failing' },
    });
    expect(cart?.p50Ms).toBeCloseTo(5, 1);
    const seen = await graph({ ...request, visible: ['shop'] });
    expect(JSON.stringify(seen)).not.toMatch(/bank|vault|teller/);
    expect(edgesOf(seen)).toContain('workload/shop/web service/shop/cart http 4');
    expect(edgesOf(await graph({ ...request, namespaces: ['bank'] }))).toHaveLength(2);
  });

  test('only what may be shown is asked for, and nothing for whom nothing may be', async () => {
    const asked: string[] = [];
    const { graph } = historyOf(new World(), (query) => {
      asked.push(query.get('query') ?? '');
      return nothing();
    });
    const none = await graph({ ...HOUR_AGO, visible: [] });
    expect([none.edges, none.source, asked.length]).toEqual([[], 'prometheus', 0]);
    await graph({ ...HOUR_AGO, visible: ['shop'], namespaces: ['shop', 'bank'] });
    expect(asked).toHaveLength(8);
    for (const query of asked) expect(query).not.toContain('bank');
    expect(asked[0]).toContain(`{destination_workload_namespace="shop"}[${RANGE_SECONDS_MIN}s]`);
  });

  test('what the store holds second by second it answers itself, and all else when nobody else can', async () => {
    const world = new World().run(300, http('cart-v1', 9)).settle();
    let asked = 0;
    const { graph } = historyOf(world, () => {
      asked++;
      return new Response('', { status: 500 });
    });
    const held = await graph({ ...LIVE, atMs: EPOCH + 200_000 });
    expect([held.source, held.notice, asked]).toEqual([undefined, undefined, 0]);
    expect(held.edges).toHaveLength(2);
    // It begins before the first report.
    const older = await graph({ ...LIVE, windowSeconds: 600, atMs: EPOCH + 200_000 });
    expect(asked).toBeGreaterThan(0);
    expect(older.edges).toHaveLength(2);
    expect(older.notice).toStartWith('Prometheus cannot be asked (status 500');
    expect(older.source).toBeUndefined();
  });

  test('a chart has the steps of Prometheus before those of the store', async () => {
    const world = new World().run(400, http('cart-v1', 9)).settle();
    const ranges: string[] = [];
    const { history } = historyOf(world, (query) => {
      ranges.push(`${query.get('start')} ${query.get('end')} ${query.get('step')}`);
      const steps = [SECOND - 360, SECOND - 120, SECOND];
      const values = (value: number) => steps.map((second) => [second, String(value)]);
      if (query.get('query') === 'count(istio_build{})')
        return result('matrix', [{ metric: {}, values: [...values(1), [SECOND - 240, '1']] }]);
      if (metricOf(query) !== 'istio_requests_total') return result('matrix', []);
      const hidden = { metric: row(VAULT, 0).metric, values: values(7777) };
      return result('matrix', [{ metric: row({}, 0).metric, values: values(240) }, hidden]);
    });
    const request: SeriesRequest = {
      fromMs: EPOCH - 600_000,
      toMs: EPOCH + 360_000,
      visible: ['shop'],
      type: 'workload',
      of: { node: 'service/shop/cart', direction: 'inbound' },
    };
    const answer = await history.series(request);
    // 11:50 to 12:06: nothing was scraped in the first step, nothing flowed in the third.
    expect(answer.stepSeconds).toBe(120);
    expect(answer.requestsPerSecond).toEqual([null, 2, 0, 2, 2, 9, 9, 9]);
    expect(answer.prometheusUntil).toBe(new Date(EPOCH).toISOString());
    expect(answer.responseCodes['200']).toBe(3 * 240 + 9 * 360);
    expect(new Set(ranges)).toEqual(new Set([`${SECOND - 480} ${SECOND} 120`]));
    const stranger = await history.series({ ...request, visible: ['bank'] });
    expect(stranger.responseCodes).toEqual({});
  });
});
