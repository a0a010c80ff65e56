/**
 * What our processes answer to a scrape, judged by Prometheus' own tools: `promtool check metrics` reads every metric that they have,
 * and a Prometheus scrapes them, exemplars and the federated answer too. Debian: apt-get install prometheus.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { type FederatedProxy, Federation } from '#control/federate/federate.ts';
import { monitoringHandler } from '#control/monitoring.ts';
import type { SvidStore } from '#identity/svid/svid-store.ts';
import { assembleNode } from '#node/assemble.ts';
import { completeWorkload } from '#node/config/static-file.ts';
import { exposeNodeMetrics } from '#node/status/node-metrics.ts';
import { answerMetrics } from '#telemetry/admin/metrics-answer.ts';
import { exposeProcess } from '#telemetry/metrics/istio.ts';
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { meshOf, NAMESPACE, service } from '#test/support/gateway-mesh.ts';
import { route, to, WaypointRig } from '#test/support/waypoint-rig.ts';
import { exposeLoad } from '#waypoint/record/waypoint-metrics.ts';
import type { XdsClient } from '#xds/client/xds-client.ts';

const missing = ['promtool', 'prometheus'].filter((program) => Bun.which(program) === null);
if (missing.length > 0 && process.env.CI === 'true')
  throw new Error(`missing programs: ${missing.join(', ')}; apt-get install prometheus`);
const reason = missing.length > 0 ? ` (skipped: no ${missing.join(', ')})` : '';

/** Istio's names, and ztunnel's: units and ends of names are theirs to choose. */
const THEIRS =
  /^(istio_request_duration_milliseconds use base unit "seconds"|workload_manager_\w+_count non-)/;

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

async function waypoint(): Promise<MetricRegistry> {
  const mesh = new WaypointRig();
  exposeProcess(mesh.registry, { component: 'proxy', tag: 'tulle' });
  exposeLoad(mesh.registry, mesh.engine);
  mesh.configure([route('r', [to('canary')])]);
  await mesh.get('/', { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` });
  await mesh.get('/', { 'content-type': 'application/grpc' });
  mesh.scripts.set('c1', () => ({ answer: 503 }));
  await mesh.get('/a"\\b');
  mesh.engine.recorder.metrics.limited('h');
  mesh.engine.recorder.metrics.shed('h"\\');
  mesh.engine.recorder.metrics.mirrored('h', 'failed');
  mesh.registry
    .counter({ name: 'tulle_full_total', help: 'F.', labels: ['l'], seriesMax: 0 })
    .with(['v']);
  return mesh.registry;
}

function node(): MetricRegistry {
  const identities = { onRotate: () => () => undefined } as unknown as SvidStore;
  const assembly = assembleNode({
    log: silentLogger,
    identities,
    trustDomain: 'cluster.local',
    logFormat: 'text',
    write: () => true,
  });
  const status = () => ({
    types: [{ typeUrl: 'type.googleapis.com/a', messages: 1, messageBytes: 2 }],
    terminations: { ConnectionError: 1, Error: 0, Complete: 0 },
  });
  const xds = { connected: true, status } as unknown as XdsClient;
  exposeNodeMetrics({ assembly, proxies: () => [], xds });
  const web = completeWorkload({ name: 'web', namespace: 'shop' }, 'cluster.local');
  const { telemetry } = assembly.context;
  const facts = {
    direction: 'outbound',
    source: { address: '198.18.1.2', port: 40000 },
    sourceWorkload: { ...web, locality: { region: 'r', zone: 'z', subzone: '' } },
    sourceIdentity: 'spiffe://cluster.local/ns/shop/sa/web',
    destination: { address: '198.19.0.11', port: 80 },
    hboneAuthority: undefined,
    service: 'p',
    destinationWorkload: undefined,
    destinationIdentity: undefined,
    requested: undefined,
    mutualTls: true,
  } as const;
  telemetry.begin(facts).finish(undefined);
  const error = new MeshError('NET_CONNECT_REFUSED', 'refused', { side: 'upstream', hint: 'h' });
  telemetry.begin(facts).finish(error);
  telemetry.failedEarly({ ...facts, pod: web, error });
  return assembly.registry;
}

const PROXIES: Record<string, FederatedProxy> = {
  waypoint: { key: 'shop/w', kind: 'waypoint', node: 'n1', ip: 'waypoint' },
  node: { key: 'istio-system/n', kind: 'node', node: 'n1', ip: 'node' },
  gone: { key: 'istio-system/gone', kind: 'node', node: 'n2', ip: 'gone' },
};

describe.skipIf(missing.length > 0)(`metrics${reason}`, () => {
  const scope = new Scope();
  const urls: Record<string, string> = {};

  beforeAll(async () => {
    const registries: Record<string, MetricRegistry> = { waypoint: await waypoint(), node: node() };
    for (const [name, registry] of Object.entries(registries))
      serve(name, (request) => answerMetrics(registry, request));
    const { mesh } = meshOf([NAMESPACE, service('web')]);
    const federation = new Federation({
      clock: systemClock,
      log: silentLogger,
      fetch: (url, init) =>
        fetch(`${urls[new URL(url).hostname] ?? 'http://127.0.0.1:1'}/metrics`, init),
      proxies: () => Object.values(PROXIES),
      self: 'istio-system/c',
    });
    serve(
      'control',
      monitoringHandler({
        mesh,
        federation,
        streams: () => [],
        leads: () => true,
        unready: () => undefined,
        problems: () => [],
        version: '1',
        consoleThread: () => ({ deaths: 0, lostSeconds: 0 }),
      }),
    );
  });
  afterAll(() => scope.dispose());

  function serve(name: string, answer: (request: Request) => Response | Promise<Response>): void {
    const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: answer });
    scope.add(() => void server.stop(true));
    urls[name] = `http://127.0.0.1:${server.port}`;
  }

  test.each([
    ['waypoint', '/metrics', 'istio_response_messages_total{'],
    ['node', '/metrics', 'istio_tcp_connections_failed_total{'],
    ['control', '/metrics', 'pilot_services 1'],
    ['control', '/federate', 'tulle_federated_proxy_up{'],
  ])('promtool has nothing to say against those of %s%s', async (name, path, has) => {
    const text = await (await fetch(`${urls[name]}${path}`)).text();
    expect(text).toContain(has);
    const tool = Bun.spawn(['promtool', 'check', 'metrics'], {
      stdin: new Blob([text]),
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [output, complaints] = await Promise.all([tool.stdout.text(), tool.stderr.text()]);
    const lines = `${output}${complaints}`
      .split('\n')
      .filter((line) => line !== '' && !THEIRS.test(line));
    expect(lines).toEqual([]);
  });

  test('a Prometheus scrapes all of them: nothing is missing, exemplars lead to their trace, one scrape has the mesh', async () => {
    const prometheus = await startPrometheus(urls, scope);
    const up = await prometheus.until('up == 1', (found) => found.length === 4);
    expect(up.map(({ metric }) => metric.job).sort()).toEqual([
      'control',
      'federate',
      'node',
      'waypoint',
    ]);
    const text = async (name: string) => (await fetch(`${urls[name]}/metrics`)).text();
    for (const job of ['waypoint', 'node']) {
      const samples = (await text(job))
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#')).length;
      const [scraped] = await prometheus.until(
        `scrape_samples_scraped{job="${job}"}`,
        (found) => found.length === 1,
      );
      expect(Number(scraped.value[1])).toBe(samples);
    }
    const requests = await prometheus.until(
      'sum by (pod, job, response_code) (istio_requests_total)',
      (found) => found.length >= 4,
    );
    const rows = requests.map(
      ({ metric, value }) =>
        `${metric.job} ${metric.pod ?? ''} ${metric.response_code} ${value[1]}`,
    );
    for (const row of [
      'waypoint  200 2',
      'waypoint  503 1',
      'federate w 200 2',
      'federate w 503 1',
    ])
      expect(rows).toContain(row);
    const silent = await prometheus.until(
      'tulle_federated_proxy_up == 0',
      (found) => found.length === 1,
    );
    expect(silent[0].metric).toMatchObject({ namespace: 'istio-system', pod: 'gone', node: 'n2' });
    const exemplars = await prometheus.exemplars(
      'istio_request_duration_milliseconds_bucket{job="waypoint"}',
    );
    expect(exemplars).toContain(TRACE);
  }, 60_000);
});

interface Found {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

async function startPrometheus(urls: Readonly<Record<string, string>>, scope: Scope) {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-prometheus-'));
  scope.add(() => rmSync(folder, { recursive: true, force: true }));
  const job = (name: string, target: string, path = '/metrics') => ({
    job_name: name,
    metrics_path: path,
    honor_labels: path === '/federate',
    static_configs: [{ targets: [new URL(urls[target]).host] }],
  });
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [
      job('waypoint', 'waypoint'),
      job('node', 'node'),
      job('control', 'control'),
      job('federate', 'control', '/federate'),
    ],
  };
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const port = freePort();
  const child = Bun.spawn(
    [
      'prometheus',
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=exemplar-storage',
    ],
    { stdout: 'ignore', stderr: 'ignore' },
  );
  scope.add(() => child.kill('SIGKILL'));
  const ask = async (path: string): Promise<{ data: unknown } | undefined> => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
      return response.ok ? ((await response.json()) as { data: unknown }) : undefined;
    } catch (error) {
      if (child.exitCode !== null) throw error;
      return undefined;
    }
  };
  return {
    /** Until it has what is waited for; then that. */
    async until(query: string, isEnough: (found: readonly Found[]) => boolean): Promise<Found[]> {
      let found: Found[] = [];
      for (let left = 300; left > 0; left -= 1) {
        const answer = await ask(`query?query=${encodeURIComponent(query)}`);
        found = (answer?.data as { result: Found[] } | undefined)?.result ?? [];
        if (isEnough(found)) return found;
        await Bun.sleep(100);
      }
      throw new Error(`${query} gave ${JSON.stringify(found)}`);
    },
    async exemplars(query: string): Promise<string> {
      const range = 'start=0&end=4102444800';
      const answer = await ask(`query_exemplars?query=${encodeURIComponent(query)}&${range}`);
      return JSON.stringify(answer?.data);
    },
  };
}

function freePort(): number {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
  const { port = 0 } = server;
  server.stop(true);
  return port;
}
