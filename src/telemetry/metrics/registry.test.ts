import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { STALE_SWEEPS } from '../limits.ts';
import {
  EDGE_LABELS,
  edgeValues,
  HTTP_LABELS,
  httpMetrics,
  httpValues,
  tcpMetrics,
  UNKNOWN_PEER,
} from './istio.ts';
import { MetricRegistry } from './registry.ts';
import { Histogram } from './series.ts';

describe('MetricRegistry', () => {
  test('expose writes help, type and escaped labels, and hands the same series to the same values', () => {
    const registry = new MetricRegistry();
    const family = registry.counter({ name: 'a_total', help: 'A\nb.', labels: ['x', 'y'] });
    family.with(['1', 'q"\\\n']).add(2);
    family.with(['1', 'q"\\\n']).add(3);
    registry.gauge({ name: 'unused', help: 'no series, no text', labels: [] });
    registry.gauge({ name: 'plain', help: 'P', labels: [] }).with([]).set(-1.5);
    expect(registry.expose()).toBe(
      '# HELP a_total A\\nb.\n# TYPE a_total counter\na_total{x="1",y="q\\"\\\\\\n"} 5\n' +
        '# HELP plain P\n# TYPE plain gauge\nplain -1.5\n',
    );
  });

  test('histogram buckets are cumulative and end at +Inf = count', () => {
    const registry = new MetricRegistry();
    const family = registry.histogram({ name: 'h', help: 'H', labels: ['l'], bounds: [1, 10] });
    const series = family.with(['v']);
    for (const value of [0, 1, 1.01, 10, 11]) series.observe(value);
    expect(registry.expose()).toBe(
      '# HELP h H\n# TYPE h histogram\nh_bucket{l="v",le="1"} 2\nh_bucket{l="v",le="10"} 4\n' +
        'h_bucket{l="v",le="+Inf"} 5\nh_sum{l="v"} 23.009999999999998\nh_count{l="v"} 5\n',
    );
  });

  test('observe puts each value in the first bucket whose bound is not below it', () => {
    const bounds = [0.5, 1, 5, 10, 25];
    fc.assert(
      fc.property(fc.float({ min: 0, max: 100, noNaN: true }), (value) => {
        const series = new Histogram('', [], bounds);
        series.observe(value);
        const want = bounds.findIndex((bound) => value <= bound);
        expect(series.buckets[want === -1 ? bounds.length : want]).toBe(1);
      }),
    );
  });

  test('a released series survives STALE_SWEEPS sweeps, a held one stays, a re-taken one revives', () => {
    const registry = new MetricRegistry();
    const family = registry.counter({ name: 'c', help: 'C', labels: ['l'] });
    const held = family.with(['held']);
    const first = family.with(['gone']);
    family.with(['gone']);
    family.release(first);
    for (let sweep = 0; sweep < STALE_SWEEPS * 2; sweep += 1) registry.sweep();
    expect(family.series.size).toBe(2);
    family.release(first);
    for (let sweep = 0; sweep < STALE_SWEEPS; sweep += 1) registry.sweep();
    expect(family.with(['gone'])).toBe(first);
    registry.sweep();
    family.release(first);
    for (let sweep = 0; sweep <= STALE_SWEEPS; sweep += 1) registry.sweep();
    expect([...family.series.values()]).toEqual([held]);
  });

  test('above seriesMax all new label values share one overflow series and the count is exposed', () => {
    const registry = new MetricRegistry();
    const family = registry.counter({ name: 'c', help: 'C', labels: ['l'], seriesMax: 2 });
    for (const value of ['a', 'b', 'c', 'd']) family.with([value]).add(1);
    expect(family.series.size).toBe(3);
    const text = registry.expose();
    expect(text).toContain('c{l="overflow"} 2\n');
    expect(text).toContain('tulle_metric_overflows_total{metric="c"} 2\n');
  });

  test('onCollect runs before each exposition until disposed', () => {
    const registry = new MetricRegistry();
    const gauge = registry.gauge({ name: 'g', help: 'G', labels: [] }).with([]);
    const dispose = registry.onCollect(() => gauge.add(1));
    registry.expose();
    dispose();
    expect(registry.expose()).toContain('g 1\n');
  });
});

describe('Istio labels', () => {
  test('edgeValues fills every label in order and unknown for what is empty', () => {
    const values = edgeValues({
      reporter: 'waypoint',
      source: { ...UNKNOWN_PEER, workload: 'web', principal: '' },
      destination: UNKNOWN_PEER,
      service: { host: 'p.shop.svc.cluster.local', namespace: 'shop', name: 'p' },
    });
    expect(values.length).toBe(EDGE_LABELS.length);
    const named = Object.fromEntries(EDGE_LABELS.map((label, index) => [label, values[index]]));
    expect(named).toMatchObject({
      reporter: 'waypoint',
      source_workload: 'web',
      source_principal: 'unknown',
      destination_service: 'p.shop.svc.cluster.local',
      destination_service_namespace: 'shop',
      destination_service_name: 'p',
    });
  });

  test('httpValues fits HTTP_LABELS, and both families register in one registry', () => {
    const registry = new MetricRegistry();
    const metrics = httpMetrics(registry);
    tcpMetrics(registry);
    const values = httpValues(
      {
        reporter: 'waypoint',
        source: UNKNOWN_PEER,
        destination: UNKNOWN_PEER,
        service: { host: 'h', namespace: 'n', name: 's' },
      },
      {
        requestProtocol: 'http',
        responseCode: 200,
        grpcStatus: '',
        responseFlags: '-',
        securityPolicy: 'mutual_tls',
      },
    );
    metrics.requests.with(values).add(1);
    expect(values.length).toBe(HTTP_LABELS.length);
    expect(registry.expose()).toContain(
      'request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="mutual_tls"} 1',
    );
  });
});
