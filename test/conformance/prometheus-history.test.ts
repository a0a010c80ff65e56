/**
 * The console's past out of a real Prometheus: an hour of a mesh's metrics, with the labels that our proxies expose, is put into its store by promtool, and asked for.
 * Debian: apt-get install prometheus.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { silentLogger } from '#base/log.ts';
import type { GraphAnswer } from '#console/api/graph.ts';
import type { GraphRequest, SeriesRequest } from '#console/console-data.ts';
import { PrometheusClient } from '#console/prometheus/client.ts';
import { PrometheusHistory } from '#console/prometheus/history.ts';
import {
  DEFAULT_BOUNDS,
  type EdgeLabels,
  HTTP_LABELS,
  httpValues,
  type PeerLabels,
  TCP_LABELS,
  tcpValues,
  UNKNOWN_PEER,
} from '#telemetry/metrics/istio.ts';
import { EPOCH, LIVE, World } from '#test/support/graph-world.ts';

const missing = ['promtool', 'prometheus'].filter((program) => Bun.which(program) === null);
if (missing.length > 0 && process.env.CI === 'true')
  throw new Error(`missing programs: ${missing.join(', ')}; apt-get install prometheus`);
const reason = missing.length > 0 ? ` (skipped: no ${missing.join(', ')})` : '';

/** An hour, from two hours before "now", scraped every 15 s. */
const FROM = EPOCH / 1000 - 7200;
const TO = FROM + 3600;
const SCRAPE_SECONDS = 15;
/** From here on a tenth of the requests fail. */
const FAILING_FROM = FROM + 1800;

function peerLabels(namespace: string, workload: string): PeerLabels {
  return {
    workload,
    canonicalService: workload,
    canonicalRevision: 'v1',
    workloadNamespace: namespace,
    principal: `spiffe://cluster.local/ns/${namespace}/sa/${workload}`,
    app: workload.replace(/-v\d+$/, ''),
    version: /-(v\d+)$/.exec(workload)?.[1] ?? 'latest',
    cluster: 'Kubernetes',
  };
}

function edgeLabels(
  reporter: EdgeLabels['reporter'],
  source: PeerLabels,
  destination: PeerLabels,
): EdgeLabels {
  const { app: name, workloadNamespace: namespace } = destination;
  const host = `${name}.${namespace}.svc.cluster.local`;
  return { reporter, source, destination, service: { host, namespace, name } };
}

interface Flow {
  readonly labels: readonly string[];
  readonly values: readonly string[];
  /** Of whoever scrapes. */
  readonly target: Readonly<Record<string, string>>;
  /** A second, from a second on. */
  readonly perSecond: number;
  readonly since?: number;
}

const http = (
  edge: EdgeLabels,
  pod: string,
  perSecond: number,
  more: Partial<Flow> & { code?: number; flag?: string } = {},
): Flow => ({
  labels: HTTP_LABELS,
  values: httpValues(edge, {
    requestProtocol: 'http',
    responseCode: more.code ?? 200,
    grpcStatus: '',
    responseFlags: more.flag ?? '-',
    securityPolicy: 'mutual_tls',
  }),
  target: { cluster: 'here', namespace: edge.destination.workloadNamespace, pod },
  perSecond,
  ...more,
});

const tcp = (edge: EdgeLabels, perSecond: number): Flow => ({
  labels: TCP_LABELS,
  values: tcpValues(edge, { responseFlags: '-', securityPolicy: 'mutual_tls' }),
  target: { cluster: 'here', namespace: 'istio-system', pod: 'ztunnel-1' },
  perSecond,
});

const WEB = peerLabels('shop', 'web');
const CART = peerLabels('shop', 'cart-v1');
const TO_CART = edgeLabels('waypoint', WEB, CART);
const TO_VAULT = edgeLabels('waypoint', peerLabels('bank', 'teller'), peerLabels('bank', 'vault'));
const REQUESTS: readonly Flow[] = [
  http(TO_CART, 'waypoint-abc-12345', 3),
  http(TO_CART, 'waypoint-abc-67890', 1),
  http(TO_CART, 'waypoint-abc-12345', 0.4, { code: 503, flag: 'UH', since: FAILING_FROM }),
  http(TO_VAULT, 'waypoint-abc-12345', 2),
  // The mesh of another cluster, whose namespaces have the same names.
  {
    ...http(edgeLabels('waypoint', WEB, peerLabels('shop', 'secret')), 'w', 5),
    target: { cluster: 'there' },
  },
];
const CONNECTIONS: readonly Flow[] = [
  tcp(edgeLabels('source', WEB, peerLabels('shop', 'db')), 2),
  tcp(edgeLabels('destination', WEB, peerLabels('shop', 'db')), 2),
  tcp(edgeLabels('destination', UNKNOWN_PEER, peerLabels('shop', 'db')), 1),
  tcp(edgeLabels('source', WEB, peerLabels('shop', 'waypoint')), 4),
];

/** OpenMetrics: all samples of a metric one after the other. */
function* exposition(): Generator<string> {
  yield* metric('istio_requests', REQUESTS, '_total');
  yield* metric('istio_tcp_connections_opened', CONNECTIONS, '_total');
  yield '# TYPE istio_request_duration_milliseconds histogram\n';
  for (const flow of REQUESTS) {
    // Half take up to 5 ms, the others up to 100.
    for (const bound of [...DEFAULT_BOUNDS.map(String), '+Inf']) {
      const part = bound === '+Inf' || Number(bound) >= 100 ? 1 : Number(bound) >= 5 ? 0.5 : 0;
      const perSecond = flow.perSecond * part;
      const le = { le: bound };
      yield* samples('istio_request_duration_milliseconds_bucket', { ...flow, perSecond }, le);
    }
    yield* samples('istio_request_duration_milliseconds_count', flow);
    yield* samples('istio_request_duration_milliseconds_sum', flow);
  }
  yield '# TYPE istio_build gauge\n';
  for (let second = FROM; second <= TO; second += SCRAPE_SECONDS)
    yield `istio_build{cluster="here"} 1 ${second}\n`;
  yield '# EOF\n';
}

function* metric(name: string, flows: readonly Flow[], suffix: string): Generator<string> {
  yield `# TYPE ${name} counter\n`;
  for (const flow of flows) yield* samples(name + suffix, flow);
}

function* samples(
  name: string,
  { labels, values, target, perSecond, since = FROM }: Flow,
  more: Record<string, string> = {},
): Generator<string> {
  const all = [
    ...labels.map((label, at) => [label, values[at]]),
    ...Object.entries({ ...target, ...more }),
  ];
  const text = all.map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(',');
  for (let second = FROM; second <= TO; second += SCRAPE_SECONDS)
    yield `${name}{${text}} ${Math.max(0, second - since) * perSecond} ${second}\n`;
}

async function startPrometheus(scope: Scope): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-prometheus-'));
  scope.add(() => rmSync(folder, { recursive: true, force: true }));
  const [metrics, config, data] = ['metrics', 'prometheus.yml', 'data'].map((name) =>
    join(folder, name),
  );
  writeFileSync(metrics, [...exposition()].join(''));
  writeFileSync(config, '{}');
  const made = Bun.spawnSync([
    'promtool',
    'tsdb',
    'create-blocks-from',
    'openmetrics',
    metrics,
    data,
  ]);
  expect({
    status: made.exitCode,
    said: made.exitCode === 0 ? '' : made.stderr.toString(),
  }).toEqual({ status: 0, said: '' });
  const port = freePort();
  const child = Bun.spawn(
    [
      'prometheus',
      `--config.file=${config}`,
      `--storage.tsdb.path=${data}`,
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdout: 'ignore', stderr: 'ignore' },
  );
  scope.add(() => child.kill('SIGKILL'));
  const url = `http://127.0.0.1:${port}`;
  for (let left = 300; left > 0; left--) {
    const ready = await fetch(`${url}/-/ready`).catch(() => undefined);
    if (ready?.ok) return url;
    await Bun.sleep(100);
  }
  throw new Error('Prometheus did not become ready');
}

function freePort(): number {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
  const { port = 0 } = server;
  server.stop(true);
  return port;
}

describe.skipIf(missing.length > 0)(`history from Prometheus${reason}`, () => {
  const scope = new Scope();
  let url = '';

  beforeAll(async () => {
    url = await startPrometheus(scope);
  }, 60_000);
  afterAll(() => scope.dispose());

  function historyOf(match: string) {
    const { engine } = new World();
    const client = new PrometheusClient({ clock: systemClock, fetch }, { url });
    const deps = { log: silentLogger, engine, client, match, clusterId: 'Kubernetes' };
    return new PrometheusHistory(deps);
  }

  const graph = async (match: string, more: Partial<GraphRequest> = {}) => {
    const request = { ...LIVE, windowSeconds: 600, atMs: (FROM + 1500) * 1000, ...more };
    const json = await historyOf(match).graph(request);
    return JSON.parse(new TextDecoder().decode(json)) as GraphAnswer;
  };
  const HERE = 'cluster="here"';
  const ids = ({ edges }: GraphAnswer) => edges.map(({ id }) => id).sort();

  test('a graph has the rates, codes, latencies and ends of that time, each once', async () => {
    const answer = await graph(HERE);
    expect(answer).toMatchObject({ source: 'prometheus', windowSeconds: 600 });
    expect(answer.notice).toBeUndefined();
    expect(ids(answer)).toEqual([
      'service/bank/vault workload/bank/vault http',
      'service/shop/cart workload/shop/cart-v1 http',
      'service/shop/db workload/shop/db tcp',
      'unknown service/shop/db tcp',
      'workload/bank/teller service/bank/vault http',
      'workload/shop/web service/shop/cart http',
      'workload/shop/web service/shop/db tcp',
    ]);
    const [toCart] = answer.edges.filter(({ target }) => target === 'service/shop/cart');
    expect(toCart).toMatchObject({
      errorRate: 0,
      mtls: 1,
      via: 'waypoint/shop/waypoint',
      health: { status: 'healthy' },
      principals: { source: [WEB.principal] },
    });
    expect(toCart.requestsPerSecond).toBeCloseTo(4, 1);
    expect(toCart.p50Ms).toBeCloseTo(5, 0);
    expect(toCart.p95Ms).toBeGreaterThan(80);
    const [toDb] = answer.edges.filter(
      ({ source, target }) => source.endsWith('web') && target.endsWith('db'),
    );
    expect(toDb.connectionsPerSecond).toBeCloseTo(2, 1);
  });

  test('a later moment is another one', async () => {
    const { edges } = await graph(HERE, { atMs: (FROM + 3000) * 1000 });
    const [toCart] = edges.filter(({ target }) => target === 'service/shop/cart');
    expect(toCart.errorRate).toBeCloseTo(0.4 / 4.4, 2);
    expect(toCart.flags.UH).toBeGreaterThan(200);
    expect(toCart.health.status).not.toBe('healthy');
    const after = await graph(HERE, { atMs: (TO + 1800) * 1000 });
    expect([after.edges, after.notice]).toEqual([[], undefined]);
  });

  test('a reader sees nothing of namespaces that are not theirs, nor of other meshes', async () => {
    const seen = await graph(HERE, { visible: ['shop'] });
    expect(JSON.stringify(seen)).not.toMatch(/bank|vault|teller|secret/);
    expect(ids(seen)).toContain('workload/shop/web service/shop/cart http');
    // Without the matcher the other mesh's series are taken for ours: that is what it is for.
    expect(ids(await graph('', { visible: ['shop'] }))).toContain(
      'workload/shop/web service/shop/secret http',
    );
  });

  test.each([
    [{ node: 'service/shop/cart', direction: 'inbound' }, 4],
    [{ node: 'workload/shop/cart-v1', direction: 'inbound' }, 4],
    [{ edge: 'workload/shop/web service/shop/cart http' }, 4],
    [{ node: 'service/bank/vault', direction: 'inbound' }, 0],
  ] as const)('a chart of %j is of that alone', async (of, perSecond) => {
    const request: SeriesRequest = {
      fromMs: (FROM - 1200) * 1000,
      toMs: (TO + 1200) * 1000,
      type: 'workload',
      of,
      visible: ['shop'],
    };
    const answer = await historyOf(HERE).series(request);
    expect(answer.notice).toBeUndefined();
    const at = (second: number) =>
      Math.floor((second * 1000 - Date.parse(answer.from)) / 1000 / answer.stepSeconds);
    const { requestsPerSecond, errorRate, p95Ms } = answer;
    expect(requestsPerSecond[at(FROM + 900)]).toBeCloseTo(perSecond, 1);
    expect(requestsPerSecond[at(FROM - 900)]).toBeNull();
    if (perSecond === 0) return;
    expect(errorRate[at(FROM + 900)]).toBe(0);
    expect(errorRate[at(FROM + 2700)]).toBeCloseTo(0.4 / 4.4, 2);
    expect(p95Ms[at(FROM + 900)]).toBeGreaterThan(80);
  });

  test('matchers that Prometheus does not understand are told, with what the own store has', async () => {
    const { notice, source } = await graph('cluster=~"("');
    expect(notice).toContain('it refuses');
    expect(source).toBeUndefined();
  });
});
