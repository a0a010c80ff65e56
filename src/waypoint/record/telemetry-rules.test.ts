/** What a Telemetry makes of a waypoint's metrics: labels, metrics that are off, services of their own; and how many series anybody can make. */
import { describe, expect, test } from 'bun:test';
import { Findings } from '#config/compile/finding.ts';
import { compileTelemetry } from '#config/compile/telemetry/compile.ts';
import type { TelemetrySpec } from '#config/compile/telemetry/kinds.ts';
import { mergeTelemetry } from '#config/compile/telemetry/merge.ts';
import { compileMeshTelemetry } from '#config/compile/telemetry/mesh.ts';
import type { TelemetrySettings } from '#model/telemetry/settings.ts';
import { SERIES_SETS_PER_WORKLOAD_MAX, SHARED_OUTCOMES_MAX } from '#telemetry/limits.ts';
import { HOST, route, to, WaypointRig } from '#test/support/waypoint-rig.ts';
import { ProxyTelemetry } from '../config/telemetry.ts';
import { EDGE_IDLE_MS, EDGE_SWEEP_MS } from '../limits.ts';

const IDENTITY = { namespace: 'shop', name: 't' };

function settingsOf(spec: TelemetrySpec): TelemetrySettings {
  const { value, findings } = compileTelemetry({ metadata: IDENTITY, spec });
  if (value === undefined) throw new Error(JSON.stringify(findings));
  const mesh = compileMeshTelemetry({}, new Findings('ConfigMap', IDENTITY));
  return JSON.parse(JSON.stringify(mergeTelemetry(mesh, [value], { mode: 'SERVER' })));
}

function telemetry(spec: TelemetrySpec, services?: Record<string, TelemetrySpec>): ProxyTelemetry {
  const server = settingsOf(spec);
  const own = Object.entries(services ?? {}).map(([key, each]) => [key, settingsOf(each)]);
  return new ProxyTelemetry(
    { scope: 's', server, client: server, services: Object.fromEntries(own) },
    'server',
  );
}

const tag = (name: string, value: string, metric?: string): TelemetrySpec => ({
  metrics: [
    {
      overrides: [
        {
          match: metric === undefined ? undefined : { metric },
          tagOverrides: { [name]: { value } },
        },
      ],
    },
  ],
});

function rig(spec: TelemetrySpec, services?: Record<string, TelemetrySpec>): WaypointRig {
  const mesh = new WaypointRig();
  mesh.configure([route('r', [to('canary')])]);
  mesh.engine.recorder.telemetry = telemetry(spec, services);
  return mesh;
}

const linesOf = (mesh: WaypointRig, metric: string) =>
  mesh.registry
    .expose()
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`));

describe('a Telemetry', () => {
  test('gives labels of their own, fixed or asked of the request, and takes others away', async () => {
    const mesh = rig({
      metrics: [
        {
          overrides: [
            {
              match: { metric: 'REQUEST_COUNT' },
              tagOverrides: {
                team: { value: "'blue'" },
                verb: { value: 'request.method' },
                tenant: { value: 'request.headers["tenant"]' },
                source_principal: { operation: 'REMOVE' },
                destination_version: { value: 'string(response.code / 100) + "xx"' },
              },
            },
          ],
        },
      ],
    });
    await mesh.get('/', { tenant: 'a"b' });
    await mesh.get();
    const lines = linesOf(mesh, 'istio_requests_total');
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).toContain('team="blue"');
      expect(line).toContain('verb="GET"');
      expect(line).toContain('destination_version="2xx"');
      expect(line).not.toContain('source_principal');
      expect(line).toContain('destination_principal=');
    }
    expect(lines[0]).toContain('tenant="a\\"b');
    expect(lines[1]).toContain('tenant="unknown"');
    const [duration] = linesOf(mesh, 'istio_request_duration_milliseconds_count');
    expect(duration).toContain('source_principal=');
    expect(duration).not.toContain('team=');
  });

  test('turns metrics off one by one, and all of Istio’s', async () => {
    const off = (metric: string): TelemetrySpec => ({
      metrics: [{ overrides: [{ match: { metric }, disabled: true }] }],
    });
    const mesh = rig(off('REQUEST_SIZE'));
    await mesh.get();
    expect(linesOf(mesh, 'istio_request_bytes_count')).toEqual([]);
    expect(linesOf(mesh, 'istio_requests_total')).toHaveLength(1);
    const none = rig(off('ALL_METRICS'));
    await none.get();
    expect(none.registry.expose()).not.toContain('istio_');
  });

  test('of one service is in force for its requests alone, and another one counts from then on', async () => {
    const key = `shop/${HOST}`;
    const mesh = rig(tag('place', "'all'"), { [key]: tag('place', "'service'") });
    await mesh.get();
    expect(linesOf(mesh, 'istio_requests_total')[0]).toContain('place="service"');
    mesh.engine.recorder.telemetry = telemetry(tag('place', "'later'"));
    await mesh.get();
    const places = linesOf(mesh, 'istio_requests_total').map((line) =>
      /place="(\w+)".* (\d+)$/.exec(line)?.slice(1),
    );
    expect(places).toEqual([
      ['service', '1'],
      ['later', '1'],
    ]);
  });
});

describe('what strangers make up', () => {
  const total = (lines: readonly string[]) =>
    lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);

  test('makes a bounded number of series, loses no request, and the rest is `other`', async () => {
    const mesh = rig(tag('path', 'request.url_path'));
    const requests = SERIES_SETS_PER_WORKLOAD_MAX + 300;
    for (let at = 0; at < requests; at += 1) await mesh.get(`/${at}`);
    const lines = linesOf(mesh, 'istio_requests_total');
    expect(lines.length).toBeLessThanOrEqual(SERIES_SETS_PER_WORKLOAD_MAX + SHARED_OUTCOMES_MAX);
    expect(total(lines)).toBe(requests);
    const other = lines.filter((line) => line.includes('source_workload="other"'));
    expect(other).toHaveLength(1);
    expect(total(other)).toBe(300);
    expect(mesh.registry.expose()).toContain('tulle_metric_series_refused_total 300\n');
    expect(mesh.registry.expose().length).toBeLessThan(30_000_000);
  });

  test('gives way to who is busy: the sweep frees places of the least seen', async () => {
    const mesh = rig(tag('path', 'request.url_path'));
    // Of sources that differ, as pods that come and go.
    const sources = mesh.sources;
    const ask = async (source: number, times = 1) => {
      const principal = `spiffe://cluster.local/ns/n/sa/s${source}`;
      for (let time = 0; time < times; time += 1) {
        const from = sources.resolve({ address: '198.18.3.1', principal });
        mesh.beginFrom({ source: from }, 'GET', '/', {});
        await mesh.settle();
      }
    };
    for (let source = 0; source < SERIES_SETS_PER_WORKLOAD_MAX; source += 1)
      await ask(source, source === 7 ? 5 : 1);
    await ask(9_999, 3);
    const shown = () => linesOf(mesh, 'istio_requests_total');
    const has = (source: number) => shown().some((line) => line.includes(`/sa/s${source}"`));
    expect(has(9_999)).toBe(false);
    for (let sweep = 0; sweep < 5; sweep += 1) {
      await mesh.clock.advance(EDGE_SWEEP_MS);
      mesh.engine.recorder.sweep();
      await ask(9_999, 3);
      await ask(7, 5);
    }
    expect(has(9_999)).toBe(true);
    expect(has(7)).toBe(true);
    expect(shown().length).toBeLessThanOrEqual(SERIES_SETS_PER_WORKLOAD_MAX + SHARED_OUTCOMES_MAX);
  });

  test('is forgotten when it is idle', async () => {
    const mesh = rig(tag('path', 'request.url_path'));
    for (let at = 0; at < 50; at += 1) await mesh.get(`/${at}`);
    await mesh.clock.advance(EDGE_IDLE_MS + 1);
    for (let sweep = 0; sweep < 5; sweep += 1) mesh.engine.recorder.sweep();
    expect(linesOf(mesh, 'istio_requests_total')).toEqual([]);
  });

  test('statuses of gRPC that are none have no label of their own', async () => {
    const mesh = rig({});
    for (const status of ['0', '16', '17', 'x"}\n', '99999999']) {
      mesh.scripts.set('c1', () => ({
        answer: 200,
        headers: { 'grpc-status': status, 'content-type': 'application/grpc' },
      }));
      await mesh.get('/', { 'content-type': 'application/grpc' });
    }
    const statuses = linesOf(mesh, 'istio_requests_total').map(
      (line) => /grpc_response_status="([^"]*)"/.exec(line)?.[1],
    );
    expect(statuses.sort()).toEqual(['0', '16', 'unknown']);
  });
});
