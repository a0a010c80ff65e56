import { describe, expect, test } from 'bun:test';
import type { RequestRow } from '#console/api/traffic.ts';
import { filterOf, rowsOf, tapCommand, whyQuery } from './filter.ts';

const row = (more: Partial<RequestRow> = {}): RequestRow => ({
  at: '2026-01-01T00:00:00Z',
  durationMs: 4,
  proxy: 'shop/waypoint-1',
  reporter: 'waypoint',
  protocol: 'http',
  source: 'workload/shop/web',
  sourceAddress: '10.0.0.1:1234',
  destination: 'workload/shop/products-v1',
  destinationAddress: '10.0.0.7:8080',
  service: 'products.shop.svc.cluster.local',
  isMutualTls: true,
  method: 'GET',
  authority: 'products:8081',
  path: '/list',
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

describe('rowsOf', () => {
  const rows = [
    row(),
    row({ status: 503, durationMs: 9 }),
    row({ status: 403, policy: 'AuthorizationPolicy shop/deny' }),
    row({ protocol: 'tcp', status: 0, durationMs: 50 }),
    row({ protocol: 'tcp', status: 0, reason: 'reset by the endpoint', flags: 'UF' }),
    row({ protocol: 'grpc', grpcStatus: '14' }),
  ];

  test('rowsOf failed takes what was refused, reset or not answered, not a tcp connection that ended well', () => {
    expect(rowsOf('failed', rows).map((each) => rows.indexOf(each))).toEqual([1, 2, 4, 5]);
  });

  test('rowsOf denied takes what a policy refused', () => {
    expect(rowsOf('denied', rows)).toEqual([rows[2]]);
  });

  test('rowsOf slowest starts with the slowest request, and has no connections', () => {
    expect(rowsOf('slowest', rows).map((each) => each.durationMs)).toEqual([9, 4, 4, 4]);
  });
});

test('whyQuery asks about the same request', () => {
  expect(whyQuery(row())).toEqual({
    from: 'shop/web',
    host: 'products.shop.svc.cluster.local',
    port: '8081',
    method: 'GET',
    path: '/list',
  });
  expect(whyQuery(row({ source: 'unknown', service: '', method: '', path: '' }))).toEqual({
    host: '10.0.0.7',
    port: '8080',
  });
});

test('tapCommand says the filter in options', () => {
  expect(
    tapCommand(filterOf(new URLSearchParams('workloads=shop/web&status=5xx&tab=x')), {
      failed: true,
      namespaces: 'shop',
    }),
  ).toBe('tulle tap -n shop --workload shop/web --status 5xx --failed');
});
